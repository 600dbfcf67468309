//! The lines of `.cargo/config.toml` that a project needs: where libtorch is, and a run path to it.
//!
//! `cargo run` and `cargo test` find libtorch's shared libraries through nac-modules; the run path is for
//! programs that are started without cargo.

use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, Item, Table, Value};

use crate::error::SetupError;
use crate::layout::Libtorch;

/// The table whose flags cargo adds to those of any other target table that applies.
const TARGET: &str = "cfg(unix)";

/// A change of a project's cargo configuration that was worked out, but not written.
#[derive(Clone, Debug)]
pub struct Edit {
    path: PathBuf,
    text: String,
    lines: String,
    notes: Vec<String>,
}

impl Edit {
    /// The configuration file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is added, as TOML; empty if everything is there.
    pub fn lines(&self) -> &str {
        &self.lines
    }

    /// What is set to something else and left as it is.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Writes the file, atomically.
    ///
    /// # Errors
    /// The file or its folder cannot be written.
    pub fn write(&self) -> Result<(), SetupError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        // A link stays one: what it leads to is replaced.
        let path = fs_err::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let new = path.with_extension(format!("new-{}", std::process::id()));
        fs_err::write(&new, &self.text)?;
        Ok(fs_err::rename(&new, &path)?)
    }
}

/// Works out what to add to the configuration of the project in `dir`. Nothing that is there changes: not a
/// value, not a comment.
///
/// # Errors
/// The folder has no `Cargo.toml`, or its configuration is not valid.
pub fn plan(dir: &Path, libtorch: &Libtorch) -> Result<Edit, SetupError> {
    if !dir.join("Cargo.toml").is_file() {
        return Err(SetupError::NoManifest(dir.to_path_buf()));
    }
    let dir = fs_err::canonicalize(dir)?;
    let path = config_in(&dir).unwrap_or_else(|| dir.join(".cargo/config.toml"));
    let mut document = if path.exists() {
        read(&path)?
    } else {
        DocumentMut::new()
    };
    let (mut lines, mut notes) = (DocumentMut::new(), Vec::new());

    let root = libtorch.root.display().to_string();
    match get(&document, &["env", "LIBTORCH"]) {
        None => {
            for document in [&mut document, &mut lines] {
                insert(document, &path, &["env"], "LIBTORCH", root.as_str().into())?;
            }
        }
        Some(value) if leads_to(value, &dir, &libtorch.root) => {}
        Some(value) => notes.push(format!(
            "{}: `env.LIBTORCH` is{} and is left as it is; this libtorch is \"{root}\"",
            path.display(),
            value.to_string().trim_end()
        )),
    }

    let flag = format!("link-arg=-Wl,-rpath,{}", libtorch.lib().display());
    match run_path(&document, &path, &dir, &flag) {
        RunPath::Missing if cfg!(unix) => {
            let flags = Value::Array(Array::from_iter(["-C", flag.as_str()]));
            for document in [&mut document, &mut lines] {
                let tables = ["target", TARGET];
                insert(document, &path, &tables, "rustflags", flags.clone())?;
            }
        }
        RunPath::Missing | RunPath::Present => {}
        RunPath::Other(location) => notes.push(format!(
            "{location} is set and is left as it is. `cargo run` and `cargo test` work without a run path; for \
             programs started directly, add \"-C\", \"{flag}\" to it"
        )),
    }
    Ok(Edit {
        path,
        text: document.to_string(),
        lines: lines.to_string(),
        notes,
    })
}

/// What the compiler flags say about the run path.
enum RunPath {
    /// Nothing, and a new key would leave all flags that are set in force.
    Missing,
    Present,
    /// There are flags where the run path would go; the text says where.
    Other(String),
}

/// Looks at this file's flags for the target and, since any of those would switch them off, at `build.rustflags`
/// of every file that cargo reads.
fn run_path(document: &DocumentMut, path: &Path, dir: &Path, flag: &str) -> RunPath {
    let describe = |flags: &Item, path: &Path, key: &str| {
        if has(flags, flag) {
            RunPath::Present
        } else {
            RunPath::Other(format!("{}: `{key}`", path.display()))
        }
    };
    if let Some(flags) = get(document, &["target", TARGET, "rustflags"]) {
        return describe(flags, path, "target.'cfg(unix)'.rustflags");
    }
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.and_then(|home| first_file(&[home.join("config"), home.join("config.toml")]));
    let files = dir.ancestors().filter_map(config_in).chain(home);
    for file in files {
        // A file that is not valid makes cargo stop with its own message.
        let Ok(document) = read(&file) else { continue };
        if let Some(flags) = get(&document, &["build", "rustflags"]) {
            return describe(flags, &file, "build.rustflags");
        }
    }
    RunPath::Missing
}

/// The configuration file in a folder; cargo prefers the name without an extension.
fn config_in(dir: &Path) -> Option<PathBuf> {
    first_file(&[dir.join(".cargo/config"), dir.join(".cargo/config.toml")])
}

fn first_file(paths: &[PathBuf]) -> Option<PathBuf> {
    paths.iter().find(|path| path.is_file()).cloned()
}

fn read(path: &Path) -> Result<DocumentMut, SetupError> {
    let text = fs_err::read_to_string(path)?;
    text.parse().map_err(|source| SetupError::Config {
        path: path.to_path_buf(),
        source: Box::new(source),
    })
}

fn get<'a>(document: &'a DocumentMut, keys: &[&str]) -> Option<&'a Item> {
    let mut item = document.as_item();
    for key in keys {
        item = item.as_table_like()?.get(key)?;
    }
    Some(item)
}

/// Adds a key to the innermost of some tables, which are made where they are missing.
fn insert(
    document: &mut DocumentMut,
    path: &Path,
    tables: &[&'static str],
    key: &str,
    value: Value,
) -> Result<(), SetupError> {
    let mut item = document.as_item_mut();
    for (depth, &table) in tables.iter().enumerate() {
        let not_a_table = || SetupError::NotATable {
            path: path.to_path_buf(),
            key: tables[depth.saturating_sub(1)],
        };
        let mut new = Table::new();
        new.set_implicit(depth + 1 < tables.len());
        let outer = item.as_table_like_mut().ok_or_else(not_a_table)?;
        item = outer.entry(table).or_insert(Item::Table(new));
    }
    let innermost = item
        .as_table_like_mut()
        .ok_or_else(|| SetupError::NotATable {
            path: path.to_path_buf(),
            key: tables[tables.len() - 1],
        })?;
    innermost.insert(key, Item::Value(value));
    Ok(())
}

/// Whether an entry of `[env]`, a text or a table with `value` and `relative`, names the folder `root`.
fn leads_to(entry: &Item, dir: &Path, root: &Path) -> bool {
    let value = entry
        .as_str()
        .or_else(|| entry.as_table_like()?.get("value")?.as_str());
    value.is_some_and(|value| fs_err::canonicalize(dir.join(value)).is_ok_and(|path| path == root))
}

/// Whether flags, a text or an array, contain this one.
fn has(flags: &Item, flag: &str) -> bool {
    match (flags.as_str(), flags.as_array()) {
        (Some(text), _) => text.split_whitespace().any(|word| word.ends_with(flag)),
        (_, Some(array)) => array
            .iter()
            .filter_map(Value::as_str)
            .any(|word| word.ends_with(flag)),
        _ => false,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::layout::{inspect, tests::fake};

    /// A project with this configuration, and a libtorch.
    fn world(config: &str) -> (tempfile::TempDir, Libtorch) {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join(".cargo")).unwrap();
        fs_err::write(dir.path().join("Cargo.toml"), "").unwrap();
        if !config.is_empty() {
            fs_err::write(dir.path().join(".cargo/config.toml"), config).unwrap();
        }
        let root = dir.path().join("libtorch");
        fake(&root, "2.11.0");
        (dir, inspect(&root).unwrap())
    }

    fn text(dir: &Path) -> String {
        fs_err::read_to_string(dir.join(".cargo/config.toml")).unwrap()
    }

    #[test]
    fn a_project_without_configuration_gets_both_keys() {
        let (dir, libtorch) = world("");
        let edit = plan(dir.path(), &libtorch).unwrap();
        edit.write().unwrap();
        let root = libtorch.root.display();
        let expected = format!(
            "[env]\nLIBTORCH = \"{root}\"\n\n[target.'cfg(unix)']\n\
             rustflags = [\"-C\", \"link-arg=-Wl,-rpath,{root}/lib\"]\n"
        )
        .replace("'cfg(unix)'", "\"cfg(unix)\"");
        assert_eq!(text(dir.path()).replace('\'', "\""), expected);
        assert_eq!(edit.lines().replace('\'', "\""), expected);
        let again = plan(dir.path(), &libtorch).unwrap();
        assert_eq!((again.lines(), again.notes().len()), ("", 0));
    }

    #[test]
    fn comments_and_other_keys_survive() {
        let before = "# mine\n[env] # variables\nA = \"1\" # one\n\n[target.x86_64-unknown-linux-gnu]\n\
                      rustflags = [ \"-Ctarget-cpu=native\" ] # fast\n";
        let (dir, libtorch) = world(before);
        plan(dir.path(), &libtorch).unwrap().write().unwrap();
        let after = text(dir.path());
        for line in before.lines() {
            assert!(
                after.lines().any(|other| other == line),
                "{line} not in\n{after}"
            );
        }
        let document = read(&dir.path().join(".cargo/config.toml")).unwrap();
        assert!(get(&document, &["env", "LIBTORCH"]).is_some(), "{after}");
        assert!(
            get(&document, &["target", TARGET, "rustflags"]).is_some(),
            "{after}"
        );
    }

    #[test]
    fn inline_tables_are_extended() {
        let (dir, libtorch) = world("env = { A = \"1\" }\n");
        plan(dir.path(), &libtorch).unwrap().write().unwrap();
        let after = text(dir.path());
        assert!(after.starts_with("env = { A = \"1\""), "{after}");
        let document: DocumentMut = after.parse().unwrap();
        assert!(get(&document, &["env", "LIBTORCH"]).is_some(), "{after}");
    }

    #[test]
    fn values_that_are_there_are_reported_and_stay() {
        let before = "[env]\nLIBTORCH = \"/elsewhere\"\n[build]\nrustflags = \"-g\"\n";
        let (dir, libtorch) = world(before);
        let edit = plan(dir.path(), &libtorch).unwrap();
        let notes = edit.notes().join("\n");
        for part in [
            "`env.LIBTORCH` is \"/elsewhere\"",
            "`build.rustflags` is set",
            "-Wl,-rpath,",
        ] {
            assert!(notes.contains(part), "{part} not in {notes}");
        }
        edit.write().unwrap();
        assert_eq!((edit.lines(), text(dir.path()).as_str()), ("", before));
    }

    #[test]
    fn flags_of_the_target_are_reported_and_stay() {
        let (dir, libtorch) = world("[target.'cfg(unix)']\nrustflags = [\"-g\"]\n");
        let edit = plan(dir.path(), &libtorch).unwrap();
        assert!(edit.notes()[0].contains("`target.'cfg(unix)'.rustflags` is set"));
        assert!(edit.lines().contains("LIBTORCH") && !edit.lines().contains("rustflags"));
    }

    #[test]
    fn flags_of_a_folder_above_are_not_switched_off() {
        let (dir, libtorch) = world("[build]\nrustflags = [\"-g\"]\n");
        let inner = dir.path().join("inner");
        fs_err::create_dir(&inner).unwrap();
        fs_err::write(inner.join("Cargo.toml"), "").unwrap();
        let edit = plan(&inner, &libtorch).unwrap();
        assert!(
            edit.notes()[0].contains("build.rustflags"),
            "{:?}",
            edit.notes()
        );
        assert!(!edit.lines().contains("rustflags"));
    }

    #[test]
    fn a_relative_libtorch_that_leads_there_is_kept() {
        let (dir, libtorch) =
            world("[env]\nLIBTORCH = { value = \"libtorch\", relative = true }\n");
        let edit = plan(dir.path(), &libtorch).unwrap();
        assert!(edit.notes().is_empty() && !edit.lines().contains("LIBTORCH"));
    }

    #[test]
    fn what_is_no_project_or_no_configuration_is_refused() {
        let (dir, libtorch) = world("env = 3\n");
        let error = plan(dir.path(), &libtorch).unwrap_err().to_string();
        assert!(error.contains("`env` is not a table"), "{error}");
        let (dir, libtorch) = world("[env\n");
        let error = plan(dir.path(), &libtorch).unwrap_err();
        assert!(matches!(error, SetupError::Config { .. }), "{error}");
        let error = plan(&dir.path().join(".cargo"), &libtorch).unwrap_err();
        assert!(error.to_string().contains("has no Cargo.toml"), "{error}");
    }
}
