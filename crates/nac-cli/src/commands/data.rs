//! `nac data`: what data sets there are, where they are, and getting them.

use nac_data::output;
use std::path::PathBuf;

use anyhow::Result;
use nac_data::fetch::{Found, Got};
use nac_data::sample::{self, Sample};
use nac_data::{DataConfig, DataDirs};
use nac_train::run::DataProgress;

/// Arguments of `nac data`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List data sets and where they are
    List {
        /// Folder with data sets; also NAC_DATA_DIR
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
    /// Read every example: counts for each part and class, digests, unreadable files
    Check {
        /// Name of the data set
        name: String,
        /// Folder with data sets; also NAC_DATA_DIR
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Folder or file of the data themselves, as `data.path`
        #[arg(long)]
        path: Option<PathBuf>,
    },
    /// Write a small generated folder of files, to try out `nac init`
    Sample {
        /// Which files
        kind: Kind,
        /// Folder for them
        folder: PathBuf,
    },
    /// Download a data set, check and unpack it
    Get {
        /// Name of the data set
        name: String,
        /// Folder to put it in; also NAC_DATA_DIR [default: the user's cache folder]
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Address to try before the published ones; may be repeated
        #[arg(long, value_name = "URL")]
        mirror: Vec<String>,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// PNG images in a folder for each class
    Images,
    /// Text files in a folder for each class
    Texts,
    /// Meshes (OFF) in a folder for each class
    Points,
    /// A table of numbers, table.csv
    Csv,
}

impl From<Kind> for Sample {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Images => Self::Images,
            Kind::Texts => Self::Texts,
            Kind::Points => Self::Points,
            Kind::Csv => Self::Table,
        }
    }
}

pub(crate) fn command(args: &Args) -> Result<()> {
    match &args.command {
        Command::List { data_dir } => list(&DataDirs::discover(data_dir.clone())?)?,
        Command::Check {
            name,
            data_dir,
            path,
        } => {
            let config = DataConfig {
                name: name.clone(),
                path: path.clone(),
                ..DataConfig::default()
            };
            let dirs = DataDirs::discover(data_dir.clone())?;
            let report = nac_data::check(&config, &dirs, &DataProgress::default())?;
            output::print(&report)?;
            anyhow::ensure!(report.is_whole(), "some examples cannot be read");
        }
        Command::Sample { kind, folder } => {
            let count = sample::write((*kind).into(), folder)?;
            let files = if count == 1 { "file" } else { "files" };
            output::report(format_args!("{}: {count} {files}", folder.display()));
        }
        Command::Get {
            name,
            data_dir,
            mirror,
        } => {
            let dirs = DataDirs::discover(data_dir.clone())?;
            let location = match nac_data::get(name, &dirs, mirror, &DataProgress::default())? {
                Got::Found(folder) => format!("found in {}", folder.display()),
                Got::Unpacked(folder) => format!("unpacked into {}", folder.display()),
                Got::Downloaded(folder) => format!("downloaded into {}", folder.display()),
                Got::Bundled => "part of this program".into(),
                Got::Generated => "generated when it is first used".into(),
            };
            output::report(format_args!("{name}: {location}"));
        }
    }
    Ok(())
}

fn list(dirs: &DataDirs) -> Result<()> {
    for entry in nac_data::list(dirs) {
        let location = match entry.found {
            Some(Found::Folder(path)) => path.display().to_string(),
            Some(Found::Archive(path)) => format!("{}, not unpacked", path.display()),
            Some(Found::Own) => "your own files: data.path".into(),
            Some(Found::Bundled) => "part of this program".into(),
            Some(Found::Generated) => "generated when it is first used".into(),
            None => {
                let megabytes = (entry.bytes as f64 / 1e6).ceil();
                format!(
                    "not here; nac data get {} downloads {megabytes} MB",
                    entry.name
                )
            }
        };
        output::print(format_args!(
            "{:10} {}\n{:10} licence: {}\n{:10} {location}\n",
            entry.name, entry.title, "", entry.licence, ""
        ))?;
    }
    Ok(())
}
