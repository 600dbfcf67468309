//! What the user's python3 offers: a torch already installed, and pip with its configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::command::{output, status};
use crate::error::{SetupError, chain};
use crate::sources::Wheel;

/// The index that pip uses when it is not told otherwise.
const DEFAULT_INDEX: &str = "https://pypi.org/simple";

fn python() -> Command {
    Command::new("python3")
}

/// `Python 3.11.7`, if there is a python3.
pub fn version() -> Option<String> {
    output(python().arg("--version"))
        .ok()
        .map(|text| text.trim().to_owned())
}

/// `pip 23.2.1`, if python3 has it.
pub fn pip_version() -> Option<String> {
    let text = output(python().args(["-m", "pip", "--version"])).ok()?;
    Some(
        text.split(" from ")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned(),
    )
}

/// The folder of the package torch that python3 would import.
pub fn torch() -> Option<PathBuf> {
    // The empty entry of the path is the current folder: a folder `torch` there is not the package.
    let code = "import importlib.util as u, sys; sys.path = [p for p in sys.path if p]; \
                s = u.find_spec('torch'); print(s.origin or '' if s else '')";
    let text = output(python().args(["-c", code])).ok()?;
    Path::new(text.trim())
        .parent()
        .filter(|dir| dir.is_absolute())
        .map(Path::to_path_buf)
}

/// The package index that the user's pip is set to.
pub(crate) fn index_url() -> String {
    let given = std::env::var("PIP_INDEX_URL")
        .ok()
        .or_else(|| output(python().args(["-m", "pip", "config", "get", "global.index-url"])).ok());
    let given = given.map(|url| {
        url.trim()
            .trim_matches('\'')
            .trim_end_matches('/')
            .to_owned()
    });
    given
        .filter(|url| !url.is_empty())
        .unwrap_or_else(|| DEFAULT_INDEX.to_owned())
}

/// Lets pip download a wheel, with all of the user's settings (mirrors, proxies, certificates).
pub(crate) fn download(wheel: &Wheel, platforms: &[&str], into: &Path) -> Result<(), SetupError> {
    let mut command = python();
    command.args([
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
    ]);
    command.args(["--implementation", "cp", "--python-version", "3.11"]);
    for platform in platforms {
        command.args(["--platform", platform]);
    }
    command.arg("--dest").arg(into).arg(&wheel.requirement);
    let result = status(&mut command);
    if !result.as_ref().is_ok_and(ExitStatus::success) {
        let reason = result.map_or_else(|error| chain(&error), |status| status.to_string());
        return Err(SetupError::Pip { reason });
    }
    Ok(())
}
