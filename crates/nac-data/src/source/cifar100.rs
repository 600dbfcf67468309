//! CIFAR-100 from its original binary files.
//!
//! Krizhevsky, *Learning Multiple Layers of Features from Tiny Images* (2009),
//! <https://www.cs.toronto.edu/~kriz/cifar.html>: 50,000 training and 10,000 test records; a record is the coarse label
//! (one byte, 0–19), the fine label (0–99) and 3,072 bytes of a 32×32 image, channel by channel, row by row.

use std::path::Path;
use std::sync::Arc;

use fs_err as fs;

use super::images::Images;
use super::{Entry, Origin, Request};
use crate::fetch::manifest::{ArchiveFile, DataFile, Source};
use crate::{
    Cifar100Config, DataError, DatasetInfo, InputKind, InputSpec, Normalization, OutputSpec,
    Preprocessing, PublishedPart, SharedDataset, Splits,
};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "cifar100",
    title: "CIFAR-100: 60,000 colour images 32x32, 100 classes (binary version)",
    licence: "none stated; the authors ask for citation",
    origin: Origin::Published(source),
    counts: Some(|request| {
        let (classes, share) = if request.config.cifar100.coarse {
            (20, 5)
        } else {
            (100, 1)
        };
        let part = |name, each: usize| PublishedPart::balanced(name, classes, each * share);
        vec![part("train", 500), part("test", 100)]
    }),
    describe: |request| Ok(info(request.config.cifar100)),
    open,
};

const PIXELS: usize = 3 * 32 * 32;
const RECORD_BYTES: usize = 2 + PIXELS;

const COARSE: &str = "aquatic_mammals fish flowers food_containers fruit_and_vegetables \
    household_electrical_devices household_furniture insects large_carnivores \
    large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores \
    medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2";
const FINE: &str = "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus \
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup \
    dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion \
    lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear \
    pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark \
    shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone \
    television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm";

fn info(config: Cifar100Config) -> DatasetInfo {
    let kind = InputKind::Image {
        channels: 3,
        height: 32,
        width: 32,
        normalization: Some(Normalization {
            mean: vec![0.5071, 0.4865, 0.4409],
            std: vec![0.2673, 0.2564, 0.2762],
        }),
    };
    let names = if config.coarse { COARSE } else { FINE };
    DatasetInfo {
        name: ENTRY.name.into(),
        inputs: InputSpec::new("image", kind),
        output: OutputSpec::named(names.split_whitespace()),
        preprocessing: [("image".into(), Preprocessing::image())].into(),
    }
}

fn open(request: &Request<'_>) -> Result<Splits, DataError> {
    let source = source();
    let folder = request.folder(&source)?;
    let config = request.config.cifar100;
    let part = |name: &str, records| read(&folder.join(name), records, config);
    let (train, test) = (part("train.bin", 50_000)?, part("test.bin", 10_000)?);
    Ok(Splits {
        train: Arc::new(train),
        validation: None,
        test: Arc::new(test),
    })
}

fn read(path: &Path, records: usize, config: Cifar100Config) -> Result<Images, DataError> {
    let wanted = (records * RECORD_BYTES) as u64;
    let found = fs::metadata(path)?.len();
    if found != wanted {
        let reason = format!("the file has {found} bytes, {records} records are {wanted}");
        return Err(corrupt(path, found.min(wanted), reason));
    }
    images(path, &fs::read(path)?, config)
}

/// Reads the records of a file, any whole number of them; `path` is for errors.
///
/// # Errors
/// [`DataError::CorruptFile`] with the byte offset of a label that is out of range or of an end inside a record.
pub fn parse(
    path: &Path,
    bytes: &[u8],
    config: Cifar100Config,
) -> Result<SharedDataset, DataError> {
    Ok(Arc::new(images(path, bytes, config)?))
}

fn images(path: &Path, bytes: &[u8], config: Cifar100Config) -> Result<Images, DataError> {
    let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
    if !rest.is_empty() {
        let reason = "the file ends inside a record".into();
        return Err(corrupt(path, bytes.len() as u64, reason));
    }
    let mut pixels = Vec::with_capacity(records.len() * PIXELS);
    let mut labels = Vec::with_capacity(records.len());
    for (index, &[coarse, fine, ref image @ ..]) in records.iter().enumerate() {
        if coarse > 19 || fine > 99 {
            let reason = format!("labels {coarse} and {fine}, expected 0..=19 and 0..=99");
            return Err(corrupt(path, (index * RECORD_BYTES) as u64, reason));
        }
        pixels.extend_from_slice(image);
        labels.push(if config.coarse { coarse } else { fine });
    }
    Images::new(info(config), [3, 32, 32], pixels, labels)
}

fn corrupt(path: &Path, offset: u64, reason: String) -> DataError {
    DataError::CorruptFile {
        path: path.into(),
        offset,
        reason,
    }
}

/// CIFAR-100, binary version; the authors publish the archive's MD5, and loaders that of the two files.
#[must_use]
pub fn source() -> Source {
    let file = |path: &str, records: u64, md5: &str| DataFile {
        path: path.into(),
        bytes: records * RECORD_BYTES as u64,
        digest: md5.into(),
    };
    Source {
        name: ENTRY.name.into(),
        title: ENTRY.title.into(),
        licence: ENTRY.licence.into(),
        homepage: "https://www.cs.toronto.edu/~kriz/cifar.html".into(),
        folder: "cifar-100-binary".into(),
        archive: ArchiveFile {
            file_name: "cifar-100-binary.tar.gz".into(),
            bytes: 168_513_733,
            digest: "03b5dce01913d631647c71ecec9e9cb8".into(),
            urls: vec!["https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz".into()],
        },
        files: vec![
            file("train.bin", 50_000, "6172c7755cfe09b2fe270c85cebc1b15"),
            file("test.bin", 10_000, "4499cfba6c016c1be1438163640a0898"),
        ],
        max_unpacked_bytes: 200_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    #[test]
    fn records_have_two_labels() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.bin");
        let mut bytes = vec![7; 2 * RECORD_BYTES];
        (bytes[0], bytes[1]) = (19, 99);
        fs::write(&path, &bytes).unwrap();
        let fine = read(&path, 2, Cifar100Config::default()).unwrap();
        assert_eq!((fine.class(0), fine.class(1)), (Some(99), Some(7)));
        let coarse = read(&path, 2, Cifar100Config { coarse: true }).unwrap();
        assert_eq!((coarse.class(0), coarse.class(1)), (Some(19), Some(7)));
        assert_eq!(coarse.info().output.class_count(), Some(20));
        assert_eq!(fine.info().output.class_count(), Some(100));

        bytes[RECORD_BYTES] = 20;
        fs::write(&path, &bytes).unwrap();
        let Err(error) = read(&path, 2, Cifar100Config::default()) else {
            panic!("label 20 accepted")
        };
        assert!(error.to_string().contains("at byte 3074"), "{error}");
        assert!(read(&path, 3, Cifar100Config::default()).is_err());
    }

    #[test]
    fn class_names_are_sorted_as_published() {
        for (names, count) in [(COARSE, 20), (FINE, 100)] {
            let names: Vec<&str> = names.split_whitespace().collect();
            assert!(names.is_sorted());
            assert_eq!(names.len(), count);
        }
    }
}
