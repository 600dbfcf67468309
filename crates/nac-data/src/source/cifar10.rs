//! CIFAR-10 from its original binary batches.
//!
//! Krizhevsky, *Learning Multiple Layers of Features from Tiny Images* (2009),
//! <https://www.cs.toronto.edu/~kriz/cifar.html>: six files of 10,000 records; a record is the
//! label (one byte, 0–9) and 3,072 bytes of a 32×32 image, channel by channel, row by row.

use std::path::Path;
use std::sync::Arc;

use fs_err as fs;

use super::images::Images;
use super::{Entry, Origin};
use crate::fetch::manifest::{ArchiveFile, DataFile, Source};
use crate::{
    DataError, DatasetInfo, InputKind, InputSpec, Normalization, OutputSpec, Preprocessing,
    Progress, PublishedPart, SharedDataset, Splits,
};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "cifar10",
    title: "CIFAR-10: 60,000 colour images 32x32, 10 classes (binary version)",
    licence: "none stated; the authors ask for citation",
    origin: Origin::Published(source),
    counts: Some(|_| {
        let part = |name, each| PublishedPart::balanced(name, 10, each);
        vec![part("train", 5_000), part("test", 1_000)]
    }),
    describe: |_| Ok(info()),
    open: |request| load(&request.folder(&source())?),
};

/// Name of the folder in the original archive.
pub const FOLDER: &str = "cifar-10-batches-bin";
/// The five training files.
pub const TRAIN_FILES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
/// The test file.
pub const TEST_FILE: &str = "test_batch.bin";
/// Names of the classes, in the order of the labels.
pub const CLASS_NAMES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];
/// Records in each file.
pub const RECORDS_PER_FILE: usize = 10_000;
/// Bytes of a record.
pub const RECORD_BYTES: usize = 1 + 3 * 32 * 32;

/// Channel means of the 50,000 training images divided by 255.
const MEAN: [f32; 3] = [0.4914, 0.4822, 0.4465];
/// Channel standard deviations of the same.
const STD: [f32; 3] = [0.2470, 0.2435, 0.2616];

/// Reads the folder with the six `.bin` files: 50,000 training and 10,000 test images as
/// `u8 [3, 32, 32]`, in the order of the files.
///
/// # Errors
/// [`DataError::Io`] for a missing file, [`DataError::CorruptFile`] with the byte offset for a
/// file of another length or a label above 9.
pub fn load(folder: &Path) -> Result<Splits, DataError> {
    load_records(folder, RECORDS_PER_FILE)
}

fn load_records(folder: &Path, records: usize) -> Result<Splits, DataError> {
    let train = part(folder, &TRAIN_FILES, records)?;
    let test = part(folder, &[TEST_FILE], records)?;
    Ok(Splits {
        train: Arc::new(train),
        validation: None,
        test: Arc::new(test),
    })
}

/// Checks the SHA-256 of the six files.
///
/// # Errors
/// [`DataError::Io`] for a missing file, [`DataError::Checksum`] for one that differs.
pub fn verify(folder: &Path, progress: &dyn Progress) -> Result<(), DataError> {
    source().verify(folder, progress)
}

/// What its examples look like; needs no file.
#[must_use]
pub fn info() -> DatasetInfo {
    let kind = InputKind::Image {
        channels: 3,
        height: 32,
        width: 32,
        normalization: Some(Normalization {
            mean: MEAN.to_vec(),
            std: STD.to_vec(),
        }),
    };
    DatasetInfo {
        name: "cifar10".into(),
        inputs: InputSpec::new("image", kind),
        output: OutputSpec::named(CLASS_NAMES),
        preprocessing: [("image".into(), Preprocessing::image())].into(),
    }
}

/// CIFAR-10, binary version. The authors publish the archive's MD5,
/// `c32a1d4ab5d03f1284b67883e8d87530`; the SHA-256 is the one that other loaders check too.
#[must_use]
pub fn source() -> Source {
    let file = |path: &str, sha256: &str| DataFile {
        path: path.into(),
        bytes: 30_730_000,
        digest: sha256.into(),
    };
    Source {
        name: "cifar10".into(),
        title: "CIFAR-10: 60,000 colour images 32x32, 10 classes (binary version)".into(),
        licence: "none stated; the authors ask for citation".into(),
        homepage: "https://www.cs.toronto.edu/~kriz/cifar.html".into(),
        folder: "cifar-10-batches-bin".into(),
        archive: ArchiveFile {
            file_name: "cifar-10-binary.tar.gz".into(),
            bytes: 170_052_171,
            digest: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd".into(),
            urls: vec!["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz".into()],
        },
        files: vec![
            file(
                "data_batch_1.bin",
                "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            ),
            file(
                "data_batch_2.bin",
                "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            ),
            file(
                "data_batch_3.bin",
                "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            ),
            file(
                "data_batch_4.bin",
                "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            ),
            file(
                "data_batch_5.bin",
                "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
            ),
            file(
                "test_batch.bin",
                "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
            ),
        ],
        max_unpacked_bytes: 200_000_000,
    }
}

fn part(folder: &Path, files: &[&str], records: usize) -> Result<Images, DataError> {
    let mut pixels = Vec::with_capacity(files.len() * records * (RECORD_BYTES - 1));
    let mut labels = Vec::with_capacity(files.len() * records);
    for name in files {
        read_file(&folder.join(name), records, &mut pixels, &mut labels)?;
    }
    Images::new(info(), [3, 32, 32], pixels, labels)
}

/// Reads the records of a file, any whole number of them; `path` is for errors.
///
/// # Errors
/// [`DataError::CorruptFile`] with the byte offset of a label above 9 or of an end inside a record.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<SharedDataset, DataError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    append(path, bytes, &mut pixels, &mut labels)?;
    Ok(Arc::new(Images::new(info(), [3, 32, 32], pixels, labels)?))
}

/// Appends the records of one file.
fn read_file(
    path: &Path,
    records: usize,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u8>,
) -> Result<(), DataError> {
    let wanted = records * RECORD_BYTES;
    let found = fs::metadata(path)?.len();
    if found != wanted as u64 {
        let offset = found.min(wanted as u64) as usize;
        let reason = format!(
            "the file has {found} bytes, {records} records of {RECORD_BYTES} bytes are {wanted}"
        );
        return Err(corrupt(path, offset, reason));
    }
    append(path, &fs::read(path)?, pixels, labels)
}

/// Appends the records of a file's bytes.
fn append(
    path: &Path,
    bytes: &[u8],
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u8>,
) -> Result<(), DataError> {
    for (number, record) in bytes.chunks(RECORD_BYTES).enumerate() {
        let &[label, ref image @ ..] = record else {
            continue;
        };
        if image.len() != RECORD_BYTES - 1 {
            return Err(corrupt(
                path,
                bytes.len(),
                "the file ends inside a record".into(),
            ));
        }
        if label > 9 {
            let reason = format!("record {number} has label {label}, expected 0 to 9");
            return Err(corrupt(path, number * RECORD_BYTES, reason));
        }
        labels.push(label);
        pixels.extend_from_slice(image);
    }
    Ok(())
}

fn corrupt(path: &Path, offset: usize, reason: String) -> DataError {
    DataError::CorruptFile {
        path: path.into(),
        offset: offset as u64,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Target, Values};

    /// A folder with two records a file; label and pixels follow from the record number.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, name) in TRAIN_FILES.iter().chain([&TEST_FILE]).enumerate() {
            let mut bytes = Vec::new();
            for record in 0..2u8 {
                bytes.push(file as u8 + record);
                bytes.extend((0..3072).map(|i| (i % 251) as u8 + record));
            }
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    #[test]
    fn records_come_in_file_order() {
        let dir = folder();
        let splits = load_records(dir.path(), 2).unwrap();
        assert_eq!((splits.train.len(), splits.test.len()), (10, 2));
        let example = splits.train.get(3).unwrap();
        assert_eq!(
            example.target,
            Target::Class(2),
            "second record of the second file"
        );
        let image = example.input("image").unwrap();
        assert_eq!(image.shape(), &[3, 32, 32]);
        let Values::U8(pixels) = image.values() else {
            panic!("not bytes")
        };
        assert_eq!(pixels[..3], [1, 2, 3]);
        assert!(splits.train.get(10).is_err());
    }

    #[test]
    fn a_truncated_file_is_named_with_its_end() {
        let dir = folder();
        let path = dir.path().join("data_batch_4.bin");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..4000]).unwrap();
        let error = load_records(dir.path(), 2).unwrap_err().to_string();
        assert!(error.contains("data_batch_4.bin: at byte 4000"), "{error}");
        // Truncated between two records: only the count is wrong.
        fs::write(&path, &bytes[..RECORD_BYTES]).unwrap();
        let error = load_records(dir.path(), 2).unwrap_err().to_string();
        assert!(error.contains("at byte 3073"), "{error}");
    }

    #[test]
    fn a_label_above_nine_is_named_with_its_byte() {
        let dir = folder();
        let path = dir.path().join(TEST_FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes[RECORD_BYTES] = 10;
        fs::write(&path, bytes).unwrap();
        let error = load_records(dir.path(), 2).unwrap_err().to_string();
        assert!(
            error.contains("test_batch.bin: at byte 3073: record 1 has label 10"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let dir = folder();
        fs::remove_file(dir.path().join("data_batch_5.bin")).unwrap();
        let error = load_records(dir.path(), 2).unwrap_err().to_string();
        assert!(error.contains("data_batch_5.bin"), "{error}");
    }

    #[test]
    fn verify_refuses_other_bytes() {
        let dir = folder();
        let error = verify(dir.path(), &crate::Silent).unwrap_err().to_string();
        assert!(error.contains("data_batch_1.bin"), "{error}");
    }
}
