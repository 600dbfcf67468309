//! [`StopSignal`]: what asked a run to stop, and the exit code that tells it.

/// What asked a run to stop. The numbers are those that POSIX fixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StopSignal {
    /// SIGHUP: the terminal or the connection closed.
    HangUp = 1,
    /// SIGINT: Ctrl-C.
    Interrupt = 2,
    /// SIGTERM: `kill`, or a batch scheduler before its time limit.
    Terminate = 15,
}

impl StopSignal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::HangUp, Self::Interrupt, Self::Terminate];

    /// Number of the signal.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The signal with this number, if it is one of them.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|signal| signal.number() == number)
    }

    /// Exit code of a program that the signal stopped, as shells count: 129 for SIGHUP, 130 for SIGINT, 143 for
    /// SIGTERM.
    pub fn exit_code(self) -> u8 {
        128 + self.number()
    }
}

impl std::fmt::Display for StopSignal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::HangUp => "SIGHUP",
            Self::Interrupt => "Ctrl-C",
            Self::Terminate => "SIGTERM",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(StopSignal::ALL.map(StopSignal::exit_code), [129, 130, 143]);
        assert_eq!(
            StopSignal::ALL.map(|signal| StopSignal::from_number(signal.number())),
            StopSignal::ALL.map(Some)
        );
        assert_eq!(StopSignal::from_number(9), None);
    }
}
