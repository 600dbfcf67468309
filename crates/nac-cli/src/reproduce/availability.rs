//! Are the data here, or can they be brought here?

use nac_data::fetch::{self, locate};
use nac_data::source::cifar10;
use nac_data::{DataConfig, DataDirs, DataError, Progress};

/// Whether a data set can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Availability {
    /// It is on this machine.
    Here,
    /// It is not; how to get it by hand.
    Missing {
        /// What to do.
        instructions: String,
    },
}

/// Looks for a data set in `dirs`; what is generated is always here. Nothing is downloaded.
pub(super) fn of(name: &str, dirs: &DataDirs) -> Availability {
    let config = DataConfig {
        name: name.into(),
        ..DataConfig::default()
    };
    let listed = nac_data::list(dirs)
        .into_iter()
        .find(|listing| listing.name == name);
    if listed.is_some_and(|listing| listing.found.is_some()) {
        return Availability::Here;
    }
    // The error of opening what is not there says how to get it.
    let instructions = match nac_data::open(&config, dirs, 0) {
        Err(error) => format!("{error}\nor: nac data get {name}"),
        Ok(_) => return Availability::Here,
    };
    Availability::Missing { instructions }
}

/// Looks for CIFAR-10 in `dirs`; if it is not there and `offline` is not set, downloads it.
pub(super) fn cifar10(dirs: &DataDirs, offline: bool, progress: &dyn Progress) -> Availability {
    let source = cifar10::source();
    if locate::locate(&source, dirs).is_some() {
        return Availability::Here;
    }
    let instructions = source.instructions(dirs);
    if offline {
        progress.note(&format!(
            "CIFAR-10 is not on this machine, and --offline forbids the download\n{instructions}"
        ));
        return Availability::Missing { instructions };
    }
    progress.note("CIFAR-10 is not on this machine: trying to download it (170 MB)");
    match fetch::get_source(&source, dirs, &[], progress) {
        Ok(_) => Availability::Here,
        Err(error) => {
            // The error of a download holds the instructions.
            let told = if matches!(error, DataError::Download { .. }) {
                ""
            } else {
                &instructions
            };
            progress
                .note(format!("CIFAR-10 could not be brought here: {error}\n{told}").trim_end());
            Availability::Missing { instructions }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_data::Silent;

    #[test]
    fn offline_without_data_gives_instructions() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = DataDirs::new(None, None, dir.path().join("cache"));
        let Availability::Missing { instructions } = cifar10(&dirs, true, &Silent) else {
            panic!("found")
        };
        assert!(
            instructions.contains("cifar-10-binary.tar.gz"),
            "{instructions}"
        );
        assert!(!dir.path().join("cache").exists(), "nothing is written");
    }

    #[test]
    fn generated_data_are_always_here_and_others_come_with_a_recipe() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = DataDirs::new(None, None, dir.path().into());
        assert_eq!(of("shapes3d", &dirs), Availability::Here);
        let Availability::Missing { instructions } = of("modelnet10", &dirs) else {
            panic!("found")
        };
        assert!(instructions.contains("ModelNet10.zip"), "{instructions}");
    }

    #[test]
    fn data_that_are_there_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let batches = dir.path().join("cifar-10-batches-bin");
        std::fs::create_dir(&batches).unwrap();
        std::fs::write(batches.join("test_batch.bin"), "").unwrap();
        let dirs = DataDirs::new(Some(dir.path().into()), None, dir.path().join("cache"));
        assert_eq!(cifar10(&dirs, true, &Silent), Availability::Here);
    }
}
