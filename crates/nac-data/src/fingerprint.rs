//! [`Fingerprint`]: whether data are those of before, found without reading all of them.

use std::path::Path;

use nac_core::digest::Hasher;
use serde::{Deserialize, Serialize};

use crate::source::Origin;
use crate::{Buffer, Dataset, Target, Values, registry};

/// Examples of a part whose content is read.
const CONTENTS: usize = 64;
/// Files of a part whose length is asked for.
const LENGTHS: usize = 4096;

/// What the data of a run are: if one number of examples, the class of one example, the name of one file or a sampled
/// content differs, so does the fingerprint.
///
/// The digest covers all classes that are known without reading examples, the names of all files, the lengths of 4,096 files
/// and the content of 64 examples of each part, evenly spaced. A data set may move to another folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Name of the data set.
    pub dataset: String,
    /// Training examples.
    pub train: usize,
    /// Validation examples.
    pub validation: usize,
    /// Test examples.
    pub test: usize,
    /// SHA-256, in lower-case hexadecimal.
    pub digest: String,
}

impl Fingerprint {
    /// The fingerprint of the parts of a data set. Examples that cannot be read count as such.
    #[must_use]
    pub fn of(train: &dyn Dataset, validation: &dyn Dataset, test: &dyn Dataset) -> Self {
        let mut hash = Hasher::new();
        for part in [train, validation, test] {
            add_part(part, &mut hash);
        }
        Self {
            dataset: train.info().name.clone(),
            train: train.len(),
            validation: validation.len(),
            test: test.len(),
            digest: hash.finish(),
        }
    }

    /// What differs between the data of before and those of `now`, as `name (old → new)`; nothing if they are the same.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.dataset != now.dataset {
            found.push(format!("data set ({} → {})", self.dataset, now.dataset));
        }
        for (name, old, new) in [
            ("training examples", self.train, now.train),
            ("validation examples", self.validation, now.validation),
            ("test examples", self.test, now.test),
        ] {
            if old != new {
                found.push(format!("{name} ({old} → {new})"));
            }
        }
        if found.is_empty() && self.digest != now.digest {
            found.push("classes, files or content of as many examples".into());
        }
        found
    }
}

fn add_part(part: &dyn Dataset, hash: &mut Hasher) {
    let count = part.len();
    hash.part(&(count as u64).to_le_bytes());
    for index in 0..count {
        if let Some(class) = part.class(index) {
            hash.update(&(class as u64).to_le_bytes());
        }
        if let Some(file) = part.file(index) {
            hash.part(name(file).as_bytes());
        }
    }
    for file in spaced(count, LENGTHS).filter_map(|index| part.file(index)) {
        let length = fs_err::metadata(file).map_or(u64::MAX, |metadata| metadata.len());
        hash.update(&length.to_le_bytes());
    }
    let exact = !is_computed(part);
    for index in spaced(count, CONTENTS) {
        add_example(part, index, exact, hash);
    }
}

/// Whether examples are computed, so that the last bits of their numbers may depend on the machine.
fn is_computed(part: &dyn Dataset) -> bool {
    // What comes after the name tells corruptions and chosen classes.
    let name = part.info().name.as_str();
    let name = name.split([',', ' ']).next().unwrap_or(name);
    let entry = registry::entry(name);
    entry.is_ok_and(|entry| matches!(entry.origin, Origin::Generated))
}

fn add_example(part: &dyn Dataset, index: usize, exact: bool, hash: &mut Hasher) {
    let Ok(example) = part.get(index) else {
        hash.part(b"unreadable");
        return;
    };
    for (name, buffer) in &example.inputs {
        hash.part(name.as_bytes());
        add_buffer(buffer, exact, hash);
    }
    match &example.target {
        Target::Class(class) => hash.update(&(*class as u64).to_le_bytes()),
        Target::Values(values) => add_floats(values, exact, hash),
    }
}

fn add_buffer(buffer: &Buffer, exact: bool, hash: &mut Hasher) {
    for &size in buffer.shape() {
        hash.update(&(size as u64).to_le_bytes());
    }
    match buffer.values() {
        Values::U8(values) => hash.part(values),
        Values::F32(values) => add_floats(values, exact, hash),
        Values::I64(values) => values.iter().for_each(|v| hash.update(&v.to_le_bytes())),
    }
}

fn add_floats(values: &[f32], exact: bool, hash: &mut Hasher) {
    hash.update(&(values.len() as u64).to_le_bytes());
    if exact {
        values.iter().for_each(|v| hash.update(&v.to_le_bytes()));
    }
}

/// A file's name with that of its folder, which may be its class.
fn name(file: &Path) -> String {
    let parts: Vec<_> = file.components().rev().take(2).collect();
    let parts = parts.iter().rev().map(|part| part.as_os_str());
    let parts = parts.map(|part| part.to_string_lossy().into_owned());
    parts.collect::<Vec<_>>().join("/")
}

/// At most `most` indices below `count`, evenly spaced, with the first and the last.
fn spaced(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let taken = count.min(most);
    let last = count.saturating_sub(1);
    (0..taken).map(move |i| (i * last).checked_div(taken - 1).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::InMemory;
    use crate::{DataConfig, DataDirs, Example, sample};

    fn of(train: &dyn Dataset) -> Fingerprint {
        let other = InMemory::regression(4, 1, 1);
        Fingerprint::of(train, &other, &other)
    }

    #[test]
    fn indices_are_spaced_from_first_to_last() {
        let indices = |count, most| spaced(count, most).collect::<Vec<_>>();
        assert!(indices(0, 4).is_empty());
        assert_eq!(indices(1, 4), [0]);
        assert_eq!(indices(3, 4), [0, 1, 2]);
        assert_eq!(indices(10, 4), [0, 3, 6, 9]);
        assert_eq!(indices(10, 1), [0]);
    }

    #[test]
    fn numbers_classes_and_contents_count() {
        let whole = InMemory::images(20, 1, 2, 2, 3);
        let before = of(&whole);
        assert!(
            before
                .differences(&of(&InMemory::images(20, 1, 2, 2, 3)))
                .is_empty()
        );
        let fewer = before.differences(&of(&InMemory::images(7, 1, 2, 2, 3)));
        assert_eq!(fewer, ["training examples (20 → 7)"]);
        let changed = |change: fn(&mut Example)| {
            let mut examples: Vec<Example> = (0..20).map(|i| whole.get(i).unwrap()).collect();
            change(&mut examples[13]);
            before.differences(&of(&InMemory::new(whole.info_owned(), examples)))
        };
        assert!(changed(|_| ()).is_empty());
        for found in [
            changed(|example| example.target = Target::Class(0)),
            changed(|example| {
                let bytes = Values::U8(vec![77; 4]);
                example.inputs[0].1 = Buffer::new(vec![1, 2, 2], bytes).unwrap();
            }),
        ] {
            assert!(
                found.len() == 1 && found[0].contains("content"),
                "{found:?}"
            );
        }
        assert!(!before.differences(&of(&whole.failing_at(3))).is_empty());
        let text = serde_json::to_string(&before).unwrap();
        assert_eq!(serde_json::from_str::<Fingerprint>(&text).unwrap(), before);
    }

    #[test]
    fn folders_may_move_but_not_change() {
        let place = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| place.path().join(name));
        let open = |path: &Path| {
            let config = DataConfig {
                name: "image-folder".into(),
                path: Some(path.into()),
                ..DataConfig::default()
            };
            let dirs = DataDirs::new(None, None, place.path().join("cache"));
            let splits = crate::open(&config, &dirs, 0).unwrap();
            Fingerprint::of(
                splits.train.as_ref(),
                splits.test.as_ref(),
                splits.test.as_ref(),
            )
        };
        sample::write(sample::Sample::Images, &first).unwrap();
        let before = open(&first);
        fs_err::rename(&first, &second).unwrap();
        assert!(before.differences(&open(&second)).is_empty());
        let mut files: Vec<_> = fs_err::read_dir(second.join("square")).unwrap().collect();
        let file = files.pop().unwrap().unwrap().path();
        fs_err::rename(&file, file.with_file_name("another.png")).unwrap();
        assert_eq!(before.differences(&open(&second)).len(), 1);
        fs_err::remove_dir_all(second.join("circle")).unwrap();
        assert!(before.differences(&open(&second))[0].starts_with("training examples ("));
    }
}
