//! Data sets by name.

use crate::classes;
use crate::corruption::Corrupted;
use crate::fetch::locate::{self, Location};
use crate::fetch::{self, Found, Got, Listing};
use crate::source::{
    Entry, Origin, Request, cifar10, cifar100, csv_table, cub, digits, image_folder, imagenet,
    listops, modelnet, nlvr, nlvr2, points, shapes3d, sort_of_clevr, text, tiny_imagenet,
};
use crate::{DataConfig, DataDirs, DataError, DatasetInfo, Progress, Silent, Splits, transform};

/// All data sets, in the order in which they are listed.
const ENTRIES: &[Entry] = &[
    cifar10::ENTRY,
    cifar100::ENTRY,
    digits::ENTRY,
    listops::ENTRY,
    tiny_imagenet::ENTRY,
    tiny_imagenet::ENTRY_R,
    imagenet::ENTRY,
    imagenet::ENTRY_R,
    cub::ENTRY,
    image_folder::ENTRY,
    modelnet::ENTRY_10,
    modelnet::ENTRY_40,
    nlvr::ENTRY,
    nlvr2::ENTRY,
    points::folder::ENTRY,
    shapes3d::ENTRY,
    text::imdb::ENTRY,
    text::text_folder::ENTRY,
    text::text_csv::ENTRY,
    sort_of_clevr::ENTRY,
    csv_table::ENTRY,
];

/// All data sets that have a name.
#[must_use]
pub fn entries() -> &'static [Entry] {
    ENTRIES
}

/// The names that [`open`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|entry| entry.name)
}

/// The data set of a name.
///
/// # Errors
/// [`DataError::UnknownName`] with the names that exist.
pub fn entry(name: &str) -> Result<&'static Entry, DataError> {
    let found = ENTRIES.iter().find(|entry| entry.name == name);
    found.ok_or_else(|| DataError::UnknownName {
        kind: "data set",
        name: name.into(),
        known: names().map(String::from).collect(),
    })
}

/// Opens the data set of a config. `seed` draws what is generated (unless its settings have their own seed). Nothing is
/// downloaded; [`get`] does that.
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
    let request = Request {
        config,
        dirs,
        seed,
        progress,
    };
    let mut splits = (entry(&config.name)?.open)(&request)?;
    if !config.classes.is_empty() {
        splits = classes::select(splits, &config.classes)?;
    }
    if let Some(corruption) = config.corruption {
        splits.test = std::sync::Arc::new(Corrupted::new(splits.test, corruption)?);
    }
    transform::from_specs(&config.augment, splits.train.info())?;
    Ok(splits)
}

/// What the examples of a data set look like. Published and generated sets are described without their files; the
/// user's own are looked at.
///
/// # Errors
/// [`DataError::UnknownName`], [`DataError::Config`] for impossible settings, errors of reading the user's own files.
pub fn describe(config: &DataConfig, dirs: &DataDirs) -> Result<DatasetInfo, DataError> {
    let request = Request {
        config,
        dirs,
        seed: 0,
        progress: &Silent,
    };
    let mut info = (entry(&config.name)?.describe)(&request)?;
    if !config.classes.is_empty() {
        classes::describe(&mut info, &config.classes)?;
    }
    Ok(info)
}

/// Makes a data set available in [`DataDirs::download_dir`], if it is not in `dirs` already.
///
/// `mirrors` are tried before the published addresses; what they send must have the published digest.
///
/// # Errors
/// [`DataError::UnknownName`]; [`DataError::Download`] with instructions for doing it by hand; errors of
/// checking, unpacking and writing; [`DataError::Config`] for a name that stands for the user's own files.
pub fn get(
    name: &str,
    dirs: &DataDirs,
    mirrors: &[String],
    progress: &dyn Progress,
) -> Result<Got, DataError> {
    match entry(name)?.origin {
        Origin::Bundled => Ok(Got::Bundled),
        Origin::Generated => Ok(Got::Generated),
        Origin::Published(source) => fetch::get_source(&source(), dirs, mirrors, progress),
        Origin::ByHand { find, recipe } => match find(dirs) {
            Some(folder) => Ok(Got::Found(folder)),
            None => Err(DataError::NotFound {
                name: name.into(),
                searched: dirs.search(),
                instructions: recipe(dirs),
            }),
        },
        Origin::Own => Err(DataError::Config {
            field: "data.name".into(),
            reason: format!("`{name}` reads your own files, there is nothing to download"),
        }),
    }
}

/// All data sets, with where they are.
#[must_use]
pub fn list(dirs: &DataDirs) -> Vec<Listing> {
    let listing = |entry: &Entry| {
        let (bytes, found) = match entry.origin {
            Origin::Bundled => (0, Some(Found::Bundled)),
            Origin::Generated if entry.name == listops::ENTRY.name => {
                let original = listops::locate_original(dirs);
                (0, Some(original.map_or(Found::Generated, Found::Folder)))
            }
            Origin::Generated => (0, Some(Found::Generated)),
            Origin::ByHand { find, .. } => (0, find(dirs).map(Found::Folder)),
            Origin::Own => (0, Some(Found::Own)),
            Origin::Published(source) => {
                let source = source();
                let found = locate::locate(&source, dirs).map(|location| match location {
                    Location::Folder(folder) => Found::Folder(folder),
                    Location::Archive(archive) => Found::Archive(archive),
                });
                (source.archive.bytes, found)
            }
        };
        Listing {
            name: entry.name.into(),
            title: entry.title.into(),
            bytes,
            licence: entry.licence.into(),
            found,
        }
    };
    ENTRIES.iter().map(listing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_images_are_corrupted() {
        let dirs = DataDirs::new(None, None, std::env::temp_dir());
        let plain = open(&DataConfig::default(), &dirs, 0).unwrap();
        let text = "name = \"digits\"\ncorruption = { kind = \"jpeg\", severity = 5 }";
        let config: DataConfig = toml::from_str(text).unwrap();
        let corrupted = open(&config, &dirs, 0).unwrap();
        assert_eq!(plain.train.get(0).unwrap(), corrupted.train.get(0).unwrap());
        assert_ne!(plain.test.get(0).unwrap(), corrupted.test.get(0).unwrap());
        assert_eq!(corrupted.test.info().name, "digits + jpeg 5");
    }

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
        let own = |entry: &&Entry| matches!(entry.origin, Origin::Own);
        for Entry { name, origin, .. } in entries().iter().filter(|entry| !own(entry)) {
            let mut config = DataConfig {
                name: (*name).into(),
                ..DataConfig::default()
            };
            (config.listops.min_length, config.listops.max_length) = (5, 50);
            let described = describe(&config, &DataDirs::new(None, None, "cache".into())).unwrap();
            assert_eq!(described.name, *name);
            described.inputs.check().unwrap();
            described.output.check().unwrap();
            if !matches!(origin, Origin::Published(_) | Origin::ByHand { .. }) {
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
        let error = open_named("cifar1000", &[]).unwrap_err().to_string();
        assert!(
            error.contains("`cifar1000`; known: cifar10, cifar100, digits, listops"),
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
