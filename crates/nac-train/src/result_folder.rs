//! [`ResultFolder`]: a folder of many small results, which goes on where a killed program stopped.
//!
//! | file | content |
//! |---|---|
//! | `settings.toml` | what the results are of; a folder with other settings is refused |
//! | `parts/<key>.json` | one result, written when it is there |
//!
//! All hold their digest ([`nac_core::digest`]).

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nac_core::digest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Table;

use crate::config::flatten;
use crate::error::{Result, TrainError};
use crate::storage;

const SETTINGS: &str = "settings.toml";
const LOCK: &str = ".lock";

/// A folder of results, locked for this process until dropped.
#[derive(Debug)]
pub struct ResultFolder {
    path: PathBuf,
    _lock: File,
}

impl ResultFolder {
    /// Makes the folder for results of `settings`, or, with `resume`, opens one that has results of the same settings.
    /// Settings whose dotted name is in `places` may differ.
    ///
    /// # Errors
    /// [`TrainError::FolderInUse`] if it holds something and `resume` is false, something else, or another process works in
    /// it; [`TrainError::OtherConfig`] if its results are of other settings.
    pub fn open(
        path: PathBuf,
        settings: &impl Serialize,
        places: &[&str],
        resume: bool,
    ) -> Result<Self> {
        let in_use = |what, advice| TrainError::FolderInUse {
            folder: path.clone(),
            what,
            advice,
        };
        let file = path.join(SETTINGS);
        let text = toml::to_string_pretty(settings);
        let text =
            text.map_err(|error| TrainError::State(format!("{}: {error}", file.display())))?;
        let known = file.exists();
        if known && !resume {
            return Err(in_use(
                "holds results",
                "Use --resume to go on with them, or another --out",
            ));
        }
        if known {
            let before = storage::read_sealed(&file)?;
            let differences = differences(&before, &text, places);
            if !differences.is_empty() {
                return Err(TrainError::OtherConfig {
                    folder: path,
                    differences,
                });
            }
        } else if holds_something(&path)? {
            return Err(in_use(
                "holds files that are no results",
                "Use another --out",
            ));
        }
        let parts = path.join("parts");
        fs::create_dir_all(&parts).map_err(TrainError::io("make the folder", &parts))?;
        let lock_path = path.join(LOCK);
        let lock = File::create(&lock_path).map_err(TrainError::io("write", &lock_path))?;
        if lock.try_lock().is_err() {
            let advice = "Wait until it ends, or use another --out";
            return Err(in_use("another process is working in it", advice));
        }
        storage::remove_unfinished(&path)?;
        storage::remove_unfinished(&parts)?;
        if !known {
            storage::write_atomically(&file, digest::seal_toml(&text).as_bytes())?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The result with a key, if it is there.
    ///
    /// # Errors
    /// The file cannot be read, is damaged or of another form.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let path = self.part(key);
        path.exists().then(|| storage::read_json(&path)).transpose()
    }

    /// Writes a result, which must be a JSON object.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put(&self, key: &str, value: &impl Serialize) -> Result<()> {
        storage::write_json(&self.part(key), value)
    }

    fn part(&self, key: &str) -> PathBuf {
        self.path.join("parts").join(format!("{key}.json"))
    }

    /// Writes a table as comma-separated values, text quoted where it must be.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_table(&self, name: &str, rows: &[Vec<String>]) -> Result<()> {
        let field = |text: &String| match text.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.clone(),
        };
        let line = |row: &Vec<String>| row.iter().map(field).collect::<Vec<_>>().join(",") + "\n";
        let text: String = rows.iter().map(line).collect();
        storage::write_atomically(&self.path.join(name), text.as_bytes())
    }
}

fn holds_something(path: &Path) -> Result<bool> {
    if !path.exists() {
        return Ok(false);
    }
    for entry in fs::read_dir(path).map_err(TrainError::io("read", path))? {
        let name = entry.map_err(TrainError::io("read", path))?.file_name();
        // What a program leaves that is killed before its settings are there.
        let ours = name == LOCK || name == "parts" || storage::is_unfinished(&name);
        if !ours {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Settings that differ, as `name (old → new)`.
fn differences(old: &str, new: &str, places: &[&str]) -> Vec<String> {
    let flat = |text: &str| {
        let mut pairs = Vec::new();
        flatten(
            "",
            &toml::from_str::<Table>(text).unwrap_or_default(),
            &mut pairs,
        );
        pairs.retain(|(name, _)| !places.contains(&name.as_str()));
        pairs
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let (old, new) = (flat(old), flat(new));
    let keys: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let shown = |value: Option<&String>| value.map_or("not set", String::as_str).to_owned();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| format!("{key} ({} → {})", shown(old.get(key)), shown(new.get(key))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Serialize, serde::Deserialize)]
    struct Found {
        y: f64,
    }

    fn settings(seed: u64, device: &str) -> BTreeMap<&'static str, String> {
        [("seed", seed.to_string()), ("device", device.to_owned())].into()
    }

    #[test]
    fn results_are_found_again_under_the_same_settings_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        let open = |seed, device: &str, resume| {
            ResultFolder::open(path.clone(), &settings(seed, device), &["device"], resume)
        };
        // Killed before its settings were there.
        fs::create_dir_all(path.join("parts")).unwrap();
        let folder = open(1, "cpu", false).unwrap();
        assert_eq!(folder.get::<Found>("x").unwrap().map(|found| found.y), None);
        folder.put("x", &Found { y: 0.1 + 0.2 }).unwrap();
        let error = open(1, "cpu", true).unwrap_err().to_string();
        assert!(error.contains("another process"), "{error}");
        drop(folder);
        assert!(
            open(1, "cpu", false)
                .unwrap_err()
                .to_string()
                .contains("--resume")
        );
        let error = open(2, "cpu", true).unwrap_err().to_string();
        assert!(error.contains("seed (\"1\" → \"2\")"), "{error}");
        let again = open(1, "cuda", true).unwrap();
        assert_eq!(again.get::<Found>("x").unwrap().unwrap().y, 0.1 + 0.2);
        let file = path.join("parts/x.json");
        let damaged = fs::read_to_string(&file).unwrap().replace("0.3", "0.4");
        fs::write(&file, damaged).unwrap();
        assert!(again.get::<Found>("x").is_err());
        let foreign = ResultFolder::open(place.path().into(), &settings(1, ""), &[], true);
        assert!(foreign.unwrap_err().to_string().contains("no results"));
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let place = tempfile::tempdir().unwrap();
        let folder = ResultFolder::open(place.path().join("a"), &settings(1, ""), &[], false);
        let folder = folder.unwrap();
        let row = ["a", "b, c", "\"d\""].map(String::from).to_vec();
        folder.write_table("t.csv", &[row]).unwrap();
        let text = fs::read_to_string(folder.path().join("t.csv")).unwrap();
        assert_eq!(text, "a,\"b, c\",\"\"\"d\"\"\"\n");
    }
}
