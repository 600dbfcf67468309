//! A flag that asks a run to stop after the step it is in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::stop_signal::StopSignal;

/// Asks a run to stop. Clones share the flag. The first signal stays: it decides the exit code.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// A flag that only [`raise`](Self::raise) raises; see `Interrupt::on_signals` for one that signals raise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to stop, as `signal` would. Whether this is the first to ask.
    pub fn raise(&self, signal: StopSignal) -> bool {
        self.0
            .compare_exchange(0, signal.number(), Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// Whether the run was asked to stop.
    pub fn is_raised(&self) -> bool {
        self.raised().is_some()
    }

    /// What asked the run to stop.
    pub fn raised(&self) -> Option<StopSignal> {
        StopSignal::from_number(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_stays() {
        let flag = Interrupt::new();
        let clone = flag.clone();
        assert_eq!(flag.raised(), None);
        assert!(clone.raise(StopSignal::Terminate));
        assert!(!flag.raise(StopSignal::Interrupt));
        assert_eq!(flag.raised(), Some(StopSignal::Terminate));
    }
}
