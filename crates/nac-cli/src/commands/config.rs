//! `nac config`: all settings with their defaults, or the settings that a file and overrides give.

use nac_data::output;
use std::path::PathBuf;

use anyhow::Result;
use nac_train::config::{DEFAULTS, Override, from_toml, load, to_toml};

/// Arguments of `nac config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print all settings with their defaults and what they mean
    #[arg(long, conflicts_with_all = ["config", "set"])]
    defaults: bool,
    /// Settings file to check and print in full
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change a setting, such as training.steps=100; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Override>,
}

pub(crate) fn command(args: &Args) -> Result<()> {
    if args.defaults {
        output::print(DEFAULTS)?;
        return Ok(());
    }
    let config = match &args.config {
        Some(path) => load(path, &args.set)?,
        None => from_toml("", "defaults".as_ref(), &args.set)?,
    };
    output::print(to_toml(&*config.check()?))?;
    Ok(())
}
