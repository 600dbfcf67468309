//! `cargo xtask data`: which data sets are here, and getting the others. It needs no libtorch.

use nac_data::output;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use nac_data::fetch::{Found, Got, Listing};
use nac_data::{DataConfig, DataDirs};
use nac_setup::{Console, amount};

use crate::cli::DataCommand;

/// The command.
pub(crate) fn run(command: DataCommand) -> Result<ExitCode> {
    match command {
        DataCommand::List { data_dir } => {
            let dirs = DataDirs::discover(data_dir)?;
            output::print(listing(&nac_data::list(&dirs), &dirs))?;
        }
        DataCommand::Check {
            name,
            data_dir,
            path,
        } => {
            let config = DataConfig {
                name,
                path,
                ..DataConfig::default()
            };
            let report = nac_data::check(&config, &DataDirs::discover(data_dir)?, &Console::new())?;
            output::print(&report)?;
            if !report.is_whole() {
                return Ok(ExitCode::FAILURE);
            }
        }
        DataCommand::Get {
            name,
            data_dir,
            mirror,
        } => {
            let dirs = DataDirs::discover(data_dir)?;
            let got = nac_data::get(&name, &dirs, &mirror, &Console::new())?;
            output::report(format_args!("{name}: {}", sentence(&got)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Name and location of each data set; no location if it must be downloaded first.
pub(crate) fn found(data_dir: Option<PathBuf>) -> Result<Vec<(String, Option<String>)>> {
    let dirs = DataDirs::discover(data_dir)?;
    Ok(nac_data::list(&dirs)
        .into_iter()
        .map(|set| (set.name, set.found.as_ref().map(location)))
        .collect())
}

fn location(found: &Found) -> String {
    match found {
        Found::Folder(folder) => folder.display().to_string(),
        Found::Archive(archive) => format!("{} (unpacked at first use)", archive.display()),
        Found::Own => "your own files: data.path".into(),
        Found::Bundled => "part of this project".into(),
        Found::Generated => "generated at first use".into(),
    }
}

fn sentence(got: &Got) -> String {
    match got {
        Got::Found(folder) => format!("was already in {}, every file checked", folder.display()),
        Got::Unpacked(folder) => format!("unpacked into {}", folder.display()),
        Got::Downloaded(folder) => format!("downloaded into {}", folder.display()),
        Got::Bundled => "is part of this project, there is nothing to get".into(),
        Got::Generated => "is generated at first use, there is nothing to get".into(),
    }
}

fn listing(sets: &[Listing], dirs: &DataDirs) -> String {
    let mut text = String::new();
    for set in sets {
        let at = match &set.found {
            Some(found) => location(found),
            None => format!(
                "not here: cargo xtask data get {} ({})",
                set.name,
                amount(set.bytes, "bytes")
            ),
        };
        text += &format!(
            "{}\n  what     {}\n  licence  {}\n  where    {at}\n",
            set.name, set.title, set.licence
        );
    }
    text += "\nlooked in, in this order:\n";
    dirs.search()
        .iter()
        .fold(text, |text, dir| text + &format!("  {}\n", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_data_set_is_listed_with_its_location_or_the_command() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = DataDirs::new(Some(dir.path().into()), None, dir.path().join("cache"));
        let text = listing(&nac_data::list(&dirs), &dirs);
        for part in [
            "cargo xtask data get cifar10 (170.1 MB)",
            "digits",
            "listops",
            "looked in",
        ] {
            assert!(text.contains(part), "{part} not in:\n{text}");
        }
        let folder = dir.path().join("cifar-10-batches-bin");
        fs_err::create_dir(&folder).unwrap();
        fs_err::write(folder.join("test_batch.bin"), "").unwrap();
        let text = listing(&nac_data::list(&dirs), &dirs);
        assert!(
            text.contains(&format!("where    {}", folder.display())),
            "{text}"
        );
    }
}
