//! x.
use std::process::ExitCode;
use anyhow::Result;
use std::path::PathBuf;
use crate::cli::DataCommand;
pub(crate) fn run(_command: DataCommand) -> Result<ExitCode> { Ok(ExitCode::SUCCESS) }
pub(crate) fn found(_d: Option<PathBuf>) -> Result<Vec<(String, Option<String>)>> { Ok(vec![]) }
