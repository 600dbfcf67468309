//! [`Profile`]: how much is run.

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Small models, few steps, short sequences: minutes on two CPU cores.
    Quick,
    /// The paper's sizes: hours on a GPU.
    Paper,
}

impl Profile {
    /// Name, as on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Paper => "paper",
        }
    }

    /// The profile for a machine, and a sentence that says why. `cuda` is whether runs will be on CUDA.
    #[must_use]
    pub fn choose(cuda: bool) -> (Self, String) {
        if cuda {
            let text = format!(
                "profile: paper, because a CUDA device answers. It {}. For minutes instead of hours: --profile quick",
                PAPER_NEEDS
            );
            (Self::Paper, text)
        } else {
            let text = format!(
                "profile: quick, because runs will be on the CPU. --profile paper {PAPER_NEEDS}"
            );
            (Self::Quick, text)
        }
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What `--profile paper` needs; goes on a sentence.
pub(super) const PAPER_NEEDS: &str = "needs a CUDA device with 80 GB of memory, CIFAR-10 (170 MB to \
     download) and, estimated and not measured, 20 to 90 hours for its 4 runs: ListOps of full length \
     1 to 4 hours a run, CIFAR-10 10 to 40 hours a run";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_says_what_and_why() {
        let (profile, text) = Profile::choose(false);
        assert_eq!(profile, Profile::Quick);
        for part in [
            "quick",
            "CPU",
            "--profile paper",
            "80 GB",
            "hours",
            "CIFAR-10",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let (profile, text) = Profile::choose(true);
        assert_eq!(profile.to_string(), "paper");
        assert!(text.contains("--profile quick"), "{text}");
    }
}
