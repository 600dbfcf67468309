//! `nac init`: looks at a user's own files and writes settings that train on them.
//!
//! `look` opens the files as training will, and counts; `settings` sizes a model and a training to what was found, as a
//! commented file.

mod look;
mod modality;
mod settings;

use std::path::{Path, PathBuf};

use nac_data::{DataConfig, DataError, Progress};
use nac_train::{TrainError, storage};

pub use look::{Found, Part, Sizes};
pub use modality::Modality;

/// What to look at.
#[derive(Debug, Clone)]
pub struct Request {
    /// Folder for `config.toml`, made if needed. Its name is that of the run.
    pub folder: PathBuf,
    /// What kind of files.
    pub modality: Modality,
    /// The folder or file with them.
    pub data: PathBuf,
    /// Column of the answer, for tables.
    pub label: Option<String>,
    /// Column of the text, for tables of texts.
    pub text: Option<String>,
}

/// Why no settings were written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The files cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The settings cannot be written, or are there already.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// What was found and written.
#[derive(Debug, Clone)]
pub struct Initialized {
    /// What the files are.
    pub found: Found,
    /// The settings.
    pub config: PathBuf,
    /// The name of the run.
    pub name: String,
}

/// Looks at the files and writes `config.toml`. Nothing is overwritten.
///
/// # Errors
/// [`TrainError::Exists`] if there are settings already; the files cannot be used for training.
pub fn init(request: &Request, progress: &dyn Progress) -> Result<Initialized, InitError> {
    let config = request.folder.join("config.toml");
    storage::refuse_existing(&config, false)?;
    let data = data_config(request)?;
    let found = look::look(request.modality, &data, progress)?;
    let name = run_name(&request.folder);
    let text = settings::text(&name, request.modality, &found);
    // What is written must be what `nac train` takes.
    nac_train::config::from_toml(&text, &config, &[])?.check()?;
    std::fs::create_dir_all(&request.folder)
        .map_err(TrainError::io("make the folder", &request.folder))?;
    storage::write_atomically(&config, text.as_bytes())?;
    Ok(Initialized {
        found,
        config,
        name,
    })
}

/// The `[data]` table for the files, before anything is known about them.
fn data_config(request: &Request) -> Result<DataConfig, InitError> {
    let path = std::path::absolute(&request.data)
        .map_err(TrainError::io("find the folder of", &request.data))?;
    std::fs::metadata(&path).map_err(TrainError::io("read", &path))?;
    let name = match request.modality {
        Modality::Images => "image-folder",
        Modality::Texts if path.is_file() => "text-csv",
        Modality::Texts => "text-folder",
        Modality::Points => "points-folder",
        Modality::Table => "csv-table",
    };
    let mut config = DataConfig {
        name: name.into(),
        path: Some(path),
        skip_unreadable: true,
        ..DataConfig::default()
    };
    if let Some(label) = &request.label {
        config.text.label_column.clone_from(label);
        config.table.label_column.clone_from(label);
    }
    if let Some(text) = &request.text {
        config.text.text_column.clone_from(text);
    }
    Ok(config)
}

/// The name of the folder, as far as a run can be called so.
fn run_name(folder: &Path) -> String {
    let name = folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name
        .unwrap_or_default()
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect();
    match name.trim_start_matches('.') {
        "" => "my-run".into(),
        name => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_called_after_their_folder() {
        for (folder, name) in [
            ("a/my photos", "my-photos"),
            ("x.y/", "x.y"),
            (".hidden", "hidden"),
            ("..", "my-run"),
        ] {
            assert_eq!(run_name(Path::new(folder)), name, "{folder}");
        }
    }
}
