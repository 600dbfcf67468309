//! Generated expressions on disk, in the arena's own layout, so that a second run reads them.
//!
//! `<cache>/listops/<key>/basic_{train,val,test}.tsv`; the key is a hash of the settings and the
//! seed, which `settings.json` beside the files shows. The folder appears by a rename when all is
//! written. It holds a list of the files with their digests, which is compared when they are read.

use std::path::{Path, PathBuf};

use fs_err as fs;
use sha2::{Digest, Sha256};

use super::generate::{Parts, generate};
use super::text::{read_tsv, write_tsv};
use super::view::ListOpsView;
use super::{Corpus, ListOpsConfig};
use crate::file_list;
use crate::storage::FolderLock;
use crate::{DataDirs, DataError, Progress};

const TRAIN: &str = "basic_train.tsv";
const VALIDATION: &str = "basic_val.tsv";
const TEST: &str = "basic_test.tsv";
/// The files of Nangia & Bowman, which have no validation part.
const NYU_TRAIN: &str = "train_d20s.tsv";
const NYU_TEST: &str = "test_d20s.tsv";
/// Must change whenever the generator gives different expressions for the same settings.
const VERSION: u32 = 1;

/// Where the expressions of these settings and this seed are kept.
#[must_use]
pub fn cache_folder(config: &ListOpsConfig, dirs: &DataDirs, seed: u64) -> PathBuf {
    let digest = Sha256::digest(settings(config, seed).to_string());
    let key: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    dirs.cache().join("listops").join(key)
}

/// All that decides the expressions.
fn settings(config: &ListOpsConfig, seed: u64) -> serde_json::Value {
    serde_json::json!({
        "version": VERSION,
        "min_length": config.min_length,
        "max_length": config.max_length,
        "max_depth": config.max_depth,
        "max_args": config.max_args,
        "train": config.train,
        "validation": config.validation,
        "test": config.test,
        "seed": seed,
    })
}

/// A folder of the arena's own files in one of `dirs`, if the settings are the arena's and no
/// seed asks for other expressions.
pub(super) fn original_folder(config: &ListOpsConfig, dirs: &DataDirs) -> Option<PathBuf> {
    let task = ListOpsConfig {
        view: ListOpsView::Plain,
        ..config.clone()
    };
    if !task.is_long_range_arena() || config.seed.is_some() {
        return None;
    }
    locate_original(dirs)
}

/// A folder with the arena's own `basic_train.tsv` in one of `dirs`: the folder itself, or
/// `listops-1000`, `lra_release/listops-1000` or `listops` in it.
pub(crate) fn locate_original(dirs: &DataDirs) -> Option<PathBuf> {
    let below = ["", "listops-1000", "lra_release/listops-1000", "listops"];
    let folders = dirs.search().into_iter();
    folders
        .flat_map(|dir| {
            below.map(|name| {
                if name.is_empty() {
                    dir.clone()
                } else {
                    dir.join(name)
                }
            })
        })
        .find(|folder| folder.join(TRAIN).is_file())
}

/// Reads the three files of a folder, of the Long Range Arena or of Nangia & Bowman; the validation file may be absent.
pub(super) fn read_folder(folder: &Path, progress: &dyn Progress) -> Result<Parts, DataError> {
    if !folder.join(TRAIN).exists() && folder.join(NYU_TRAIN).exists() {
        return Ok(Parts {
            train: read_tsv(&folder.join(NYU_TRAIN), progress)?,
            validation: Corpus::new(),
            test: read_tsv(&folder.join(NYU_TEST), progress)?,
        });
    }
    let validation = folder.join(VALIDATION);
    Ok(Parts {
        train: read_tsv(&folder.join(TRAIN), progress)?,
        validation: match validation.exists() {
            true => read_tsv(&validation, progress)?,
            false => Corpus::new(),
        },
        test: read_tsv(&folder.join(TEST), progress)?,
    })
}

/// Reads the cache, or generates and writes it.
pub(super) fn read_or_generate(
    config: &ListOpsConfig,
    dirs: &DataDirs,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Parts, DataError> {
    let folder = cache_folder(config, dirs, seed);
    if folder.is_dir() {
        return read_cache(config, &folder, progress);
    }
    let lock = FolderLock::take(&dirs.cache().join("listops"), progress)?;
    if folder.is_dir() {
        // Another run wrote it while this one waited.
        return read_cache(config, &folder, progress);
    }
    let parts = generate(config, seed, progress)?;
    let staging = lock.staging()?;
    let ready = staging.path().join("ready");
    fs::create_dir(&ready)?;
    write_tsv(&ready.join(TRAIN), &parts.train)?;
    if !parts.validation.is_empty() {
        write_tsv(&ready.join(VALIDATION), &parts.validation)?;
    }
    write_tsv(&ready.join(TEST), &parts.test)?;
    fs::write(
        ready.join("settings.json"),
        format!("{:#}\n", settings(config, seed)),
    )?;
    file_list::write(&ready, progress)?;
    lock.put_in_place(&ready, &folder)?;
    Ok(parts)
}

/// Reads the cache; the error for a damaged one says how to regenerate it.
fn read_cache(
    config: &ListOpsConfig,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Parts, DataError> {
    let hint = format!(
        "delete the folder `{}` to generate it again",
        folder.display()
    );
    file_list::verify(folder, &hint, progress)?;
    let parts = read_folder(folder, progress).map_err(|error| match error {
        DataError::CorruptLine { path, line, reason } => DataError::CorruptLine {
            path,
            line,
            reason: format!("{reason}; {hint}"),
        },
        DataError::Io(e) => DataError::Io(std::io::Error::new(e.kind(), format!("{e}; {hint}"))),
        other => other,
    })?;
    let counts = [
        (TRAIN, config.train, parts.train.len()),
        (VALIDATION, config.validation, parts.validation.len()),
        (TEST, config.test, parts.test.len()),
    ];
    for (name, expected, found) in counts {
        if expected != found {
            return Err(DataError::CorruptLine {
                path: folder.join(name),
                line: found as u64 + 1,
                reason: format!("the file ends after {found} of {expected} expressions; {hint}"),
            });
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;

    #[test]
    fn folders_of_both_authors_are_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NYU_TRAIN), "9\t( ( ( [MAX 2 ) 9 ) ] )\n").unwrap();
        fs::write(dir.path().join(NYU_TEST), "2\t( ( ( [MIN 2 ) 9 ) ] )\n").unwrap();
        let parts = read_folder(dir.path(), &Silent).unwrap();
        let answers = |corpus: &Corpus| corpus.iter().map(|(_, answer)| answer).collect::<Vec<_>>();
        assert_eq!(
            (answers(&parts.train), answers(&parts.test)),
            (vec![9], vec![2])
        );
        assert!(parts.validation.is_empty());
    }

    fn config() -> ListOpsConfig {
        ListOpsConfig {
            min_length: 5,
            max_length: 60,
            train: 30,
            validation: 5,
            test: 6,
            ..ListOpsConfig::default()
        }
    }

    fn setting() -> (tempfile::TempDir, DataDirs) {
        let dir = tempfile::tempdir().unwrap();
        let dirs = DataDirs::new(None, None, dir.path().join("cache"));
        (dir, dirs)
    }

    #[test]
    fn the_second_run_reads_what_the_first_wrote() {
        let (_dir, dirs) = setting();
        let first = read_or_generate(&config(), &dirs, 1, &Silent).unwrap();
        let folder = cache_folder(&config(), &dirs, 1);
        let text = fs::read_to_string(folder.join(TRAIN)).unwrap();
        assert!(text.starts_with("Source\tTarget\n"));
        assert_eq!(text.lines().count(), 31);
        // Swapped lines show that the file is read rather than generated again.
        let mut lines: Vec<&str> = text.lines().collect();
        lines.swap(1, 2);
        fs::write(folder.join(TRAIN), lines.join("\n") + "\n").unwrap();
        file_list::write(&folder, &Silent).unwrap();
        let second = read_or_generate(&config(), &dirs, 1, &Silent).unwrap();
        assert_eq!(second.train.get(0), first.train.get(1));
        assert_eq!(second.test, first.test);
        assert_ne!(folder, cache_folder(&config(), &dirs, 2));
        let other = ListOpsConfig {
            max_depth: 9,
            ..config()
        };
        assert_ne!(folder, cache_folder(&other, &dirs, 1));
    }

    #[test]
    fn a_damaged_cache_is_named_and_left_alone() {
        let (_dir, dirs) = setting();
        read_or_generate(&config(), &dirs, 1, &Silent).unwrap();
        let path = cache_folder(&config(), &dirs, 1).join(TRAIN);
        let text = fs::read_to_string(&path).unwrap();
        // A changed answer is an answer too, but not the one that was written.
        let answer = text.find("\t").unwrap() + 1;
        let answer = answer + text[answer..].find("\t").unwrap() + 1;
        let mut flipped = text.clone().into_bytes();
        flipped[answer] ^= 1;
        fs::write(&path, flipped).unwrap();
        let message = read_or_generate(&config(), &dirs, 1, &Silent)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("basic_train.tsv: damaged") && message.contains("delete the folder"),
            "{message}"
        );
        // Without the list the content itself is looked at.
        fs::remove_file(path.with_file_name(file_list::NAME)).unwrap();
        let error = |text: &str| {
            fs::write(&path, text).unwrap();
            read_or_generate(&config(), &dirs, 1, &Silent)
                .unwrap_err()
                .to_string()
        };
        let cut: Vec<&str> = text.lines().take(20).collect();
        let message = error(&(cut.join("\n") + "\n"));
        assert!(
            message.contains("basic_train.tsv: line 20: the file ends after 19"),
            "{message}"
        );
        let message = error(&text[..text.len() - 9]);
        assert!(
            message.contains("line 31") && message.contains("delete the folder"),
            "{message}"
        );
        assert!(path.exists());
        fs::remove_file(&path).unwrap();
        let message = read_or_generate(&config(), &dirs, 1, &Silent)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("basic_train.tsv") && message.contains("delete"),
            "{message}"
        );
    }

    #[test]
    fn two_runs_at_once_agree() {
        let (_dir, dirs) = setting();
        let all: Vec<Parts> = std::thread::scope(|scope| {
            let run = || read_or_generate(&config(), &dirs, 1, &Silent).unwrap();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(all.iter().all(|parts| parts == &all[0]));
        let entries = fs::read_dir(dirs.cache().join("listops")).unwrap();
        assert_eq!(entries.count(), 2, "the lock and one folder");
    }

    #[test]
    fn a_folder_of_the_arena_is_found_and_read() {
        let (dir, _) = setting();
        let folder = dir.path().join("data/lra_release/listops-1000");
        fs::create_dir_all(&folder).unwrap();
        for name in [TRAIN, VALIDATION, TEST] {
            fs::write(
                folder.join(name),
                "Source\tTarget\n( ( ( [MAX 3 ) 4 ) ] )\t4\n",
            )
            .unwrap();
        }
        let dirs = DataDirs::new(
            Some(dir.path().join("data")),
            None,
            dir.path().join("cache"),
        );
        let full = ListOpsConfig::default();
        assert_eq!(original_folder(&full, &dirs).as_ref(), Some(&folder));
        assert_eq!(original_folder(&config(), &dirs), None);
        let splits = super::super::open(&full, &dirs, 0, &Silent).unwrap();
        assert_eq!(
            (splits.train.len(), splits.validation.unwrap().len()),
            (1, 1)
        );
        let given = ListOpsConfig {
            folder: Some(folder),
            ..config()
        };
        assert_eq!(
            super::super::open(&given, &dirs, 0, &Silent)
                .unwrap()
                .test
                .len(),
            1
        );
        assert!(!dir.path().join("cache").exists(), "nothing was generated");
    }

    #[test]
    fn an_unwritable_cache_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let dirs = DataDirs::new(None, None, dir.path().join("file"));
        let error = read_or_generate(&config(), &dirs, 0, &Silent)
            .unwrap_err()
            .to_string();
        assert!(error.contains("file"), "{error}");
    }
}
