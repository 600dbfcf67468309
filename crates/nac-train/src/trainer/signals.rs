//! The signals of this process raise an [`Interrupt`].

use nac_data::output;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::interrupt::Interrupt;
use super::stop_signal::StopSignal;
use crate::error::{Result, TrainError};

impl Interrupt {
    /// The flag of this process that SIGINT (Ctrl-C), SIGTERM and SIGHUP raise. SIGHUP does not if the process was
    /// started to ignore it, as `nohup` does.
    ///
    /// A Ctrl-C after any of them ends the process at once with exit code 130, without destructors, which would
    /// run beside threads that compute. A repeated SIGTERM or SIGHUP changes nothing: a scheduler, a terminal or a
    /// parent process may send them twice.
    ///
    /// # Errors
    /// A handler cannot be installed.
    pub fn on_signals() -> Result<Self> {
        static FLAG: Mutex<Option<Interrupt>> = Mutex::new(None);
        let mut flag = FLAG.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flag) = &*flag {
            return Ok(flag.clone());
        }
        let new = Self::new();
        install(&new).map_err(|error| TrainError::Custom(Box::new(error)))?;
        *flag = Some(new.clone());
        Ok(new)
    }
}

/// The signals that end a run: SIGINT, SIGTERM, and SIGHUP unless this process was started to ignore it.
pub fn handled_signals() -> Vec<i32> {
    let mut signals = vec![SIGINT, SIGTERM];
    if !is_ignored(SIGHUP) {
        signals.push(SIGHUP);
    }
    signals
}

fn install(interrupt: &Interrupt) -> std::io::Result<()> {
    let signals = handled_signals();
    let asked = Arc::new(AtomicBool::new(false));
    // Before the handler that sets the flag: the first Ctrl-C finds it unset.
    let code = i32::from(StopSignal::Interrupt.exit_code());
    flag::register_conditional_shutdown(SIGINT, code, Arc::clone(&asked))?;
    for &signal in &signals {
        flag::register(signal, Arc::clone(&asked))?;
    }
    let mut arriving = Signals::new(&signals)?;
    let interrupt = interrupt.clone();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for number in arriving.forever() {
                let signal = u8::try_from(number).ok().and_then(StopSignal::from_number);
                if let Some(signal) = signal.filter(|&signal| interrupt.raise(signal)) {
                    output::note(format_args!(
                        "\n{signal}: stopping after this step; press Ctrl-C again to stop at once"
                    ));
                }
            }
        })?;
    Ok(())
}

/// Whether this process ignores a signal.
#[allow(unsafe_code)]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with no new action, `sigaction` changes nothing and writes one `sigaction` to the last argument, which
    // points to memory for one. The value is read only if the call succeeded; until then it is all zeros, which is a
    // valid `sigaction`: integers, a set of bits, and an optional function pointer.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
