//! Data sets by name.

use crate::fetch::locate::Location;
use crate::fetch::{self, manifest};
use crate::source::{cifar10, digits, listops};
use crate::{DataConfig, DataDirs, DataError, DatasetInfo, Progress, Silent, Splits, transform};

/// The names that [`open`] knows.
#[must_use]
pub fn names() -> [&'static str; 3] {
    ["cifar10", "digits", "listops"]
}

/// Opens the data set of a config. `seed` draws what is generated (ListOps, unless its settings
/// have their own seed). Nothing is downloaded; [`fetch::get`] does that.
///
/// | name | from |
/// |---|---|
/// | `cifar10` | `cifar-10-batches-bin/`, or the original archive, in one of `dirs` |
/// | `digits` | this crate |
/// | `listops` | the cache, else generated |
///
/// # Errors
/// [`DataError::UnknownName`]; [`DataError::NotFound`] with instructions; errors of reading; and those of
/// [`transform::from_specs`] for `augment`.
pub fn open(config: &DataConfig, dirs: &DataDirs, seed: u64) -> Result<Splits, DataError> {
    open_with_progress(config, dirs, seed, &Silent)
}

/// As [`open`], and reports its progress.
///
/// # Errors
/// As [`open`].
pub fn open_with_progress(
    config: &DataConfig,
    dirs: &DataDirs,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Splits, DataError> {
    let splits = match config.name.as_str() {
        "cifar10" => open_cifar10(dirs, progress)?,
        "digits" => digits::load()?,
        "listops" => listops::open(&config.listops, dirs, seed, progress)?,
        _ => return Err(unknown(config)),
    };
    transform::from_specs(&config.augment, splits.train.info())?;
    Ok(splits)
}

/// What the examples of a data set look like, without its files.
///
/// # Errors
/// [`DataError::UnknownName`], or [`DataError::Config`] for impossible settings.
pub fn describe(config: &DataConfig) -> Result<DatasetInfo, DataError> {
    match config.name.as_str() {
        "cifar10" => Ok(cifar10::info()),
        "digits" => Ok(digits::load()?.train.info().clone()),
        "listops" => listops::info(&config.listops),
        _ => Err(unknown(config)),
    }
}

fn unknown(config: &DataConfig) -> DataError {
    DataError::UnknownName {
        kind: "data set",
        name: config.name.clone(),
        known: names().map(String::from).to_vec(),
    }
}

fn open_cifar10(dirs: &DataDirs, progress: &dyn Progress) -> Result<Splits, DataError> {
    let source = manifest::cifar10();
    let folder = match fetch::locate::locate(&source, dirs) {
        Some(Location::Folder(folder)) => folder,
        Some(Location::Archive(archive)) => {
            fetch::install(&source, &archive, dirs.cache(), progress)?
        }
        None => return Err(fetch::not_found(&source, dirs)),
    };
    cifar10::load(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_named(name: &str, augment: &[&str]) -> Result<Splits, DataError> {
        let dir = tempfile::tempdir().unwrap();
        let dirs = DataDirs::new(None, None, dir.path().into());
        let augment = augment.iter().map(ToString::to_string).collect();
        let mut config = DataConfig {
            name: name.into(),
            augment,
            ..DataConfig::default()
        };
        config.listops.min_length = 5;
        config.listops.max_length = 50;
        (
            config.listops.train,
            config.listops.validation,
            config.listops.test,
        ) = (20, 5, 5);
        open(&config, &dirs, 0)
    }

    #[test]
    fn descriptions_need_no_files_and_are_those_of_the_examples() {
        for name in names() {
            let mut config = DataConfig {
                name: name.into(),
                ..DataConfig::default()
            };
            (config.listops.min_length, config.listops.max_length) = (5, 50);
            let described = describe(&config).unwrap();
            assert_eq!(described.name, name);
            described.inputs.check().unwrap();
            described.output.check().unwrap();
            if name != "cifar10" {
                assert_eq!(open_named(name, &[]).unwrap().test.info(), &described);
            }
        }
    }

    #[test]
    fn every_name_opens_or_says_what_is_missing() {
        assert_eq!(
            open_named("digits", &["random_crop:1"])
                .unwrap()
                .train
                .len(),
            1437
        );
        let listops = open_named("listops", &[]).unwrap();
        assert_eq!(listops.validation.as_ref().unwrap().len(), 5);
        assert_eq!(listops.train_and_validation(3, 0).unwrap().1.len(), 5);
        let digits = open_named("digits", &[])
            .unwrap()
            .train_and_validation(100, 0)
            .unwrap();
        assert_eq!((digits.0.len(), digits.1.len()), (1337, 100));
        let error = open_named("cifar10", &[]).unwrap_err().to_string();
        assert!(
            error.contains("cifar-10-binary.tar.gz") && error.contains("toronto"),
            "{error}"
        );
    }

    #[test]
    fn unknown_names_list_the_known_ones() {
        let error = open_named("cifar100", &[]).unwrap_err().to_string();
        assert!(
            error.contains("`cifar100`; known: cifar10, digits, listops"),
            "{error}"
        );
        let error = open_named("digits", &["flip"]).unwrap_err().to_string();
        assert!(error.contains("horizontal_flip"), "{error}");
    }

    #[test]
    fn configs_refuse_unknown_keys() {
        let error = toml::from_str::<DataConfig>("name = \"digits\"\naugmentation = []");
        assert!(error.unwrap_err().to_string().contains("augmentation"));
        let config: DataConfig = toml::from_str("[listops]\nmax_depth = 4").unwrap();
        assert_eq!(
            (config.name.as_str(), config.listops.max_depth),
            ("digits", 4)
        );
    }
}
