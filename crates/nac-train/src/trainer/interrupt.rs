//! A flag that asks a run to stop after the step it is in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::{Result, TrainError};

/// Asks a run to stop. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Exit code of a program that was interrupted.
    pub const EXIT_CODE: u8 = 130;

    /// A flag that only [`raise`](Self::raise) raises.
    pub fn new() -> Self {
        Self::default()
    }

    /// The flag of this process that Ctrl-C raises. A second Ctrl-C ends the process at once.
    ///
    /// # Errors
    /// The handler cannot be installed, for example because the program has another one.
    pub fn on_ctrl_c() -> Result<Self> {
        static FLAG: OnceLock<Interrupt> = OnceLock::new();
        if let Some(flag) = FLAG.get() {
            return Ok(flag.clone());
        }
        let flag = Self::new();
        let raised = flag.clone();
        let handler = move || {
            if raised.is_raised() {
                std::process::exit(i32::from(Self::EXIT_CODE));
            }
            raised.raise();
            eprintln!("\nstopping after this step; press Ctrl-C again to stop at once");
        };
        ctrlc::set_handler(handler).map_err(|error| TrainError::Custom(Box::new(error)))?;
        Ok(FLAG.get_or_init(|| flag).clone())
    }

    /// Asks the run to stop.
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the run was asked to stop.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
