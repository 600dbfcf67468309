//! What an error is about, if it does not say so itself.

use std::path::Path;

use anyhow::{Error, Result};
use nac_modules::ModuleError;
use nac_train::TrainError;

/// Adds what an error is about.
pub(crate) trait About<T> {
    /// On an error, puts `what` and `path` before it, unless it names the path already, or is about a setting, which is
    /// the same in every folder.
    fn about(self, what: &str, path: &Path) -> Result<T>;
}

impl<T, E: Into<Error>> About<T> for std::result::Result<T, E> {
    fn about(self, what: &str, path: &Path) -> Result<T> {
        self.map_err(|error| {
            let error: Error = error.into();
            let path = path.display().to_string();
            let of_setting = error.chain().any(|cause| {
                matches!(
                    cause.downcast_ref(),
                    Some(
                        TrainError::Setting { .. }
                            | TrainError::Module(ModuleError::Setting { .. })
                    )
                ) || matches!(cause.downcast_ref(), Some(ModuleError::Setting { .. }))
            });
            if of_setting || format!("{error:#}").contains(&path) {
                error
            } else {
                error.context(format!("{what} {path}"))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_path_is_said_once_and_a_setting_has_none() {
        let told = |error: TrainError| {
            let failed: Result<()> = Err(error).about("run", "runs/a".as_ref());
            format!("{:#}", failed.unwrap_err())
        };
        let no_run = TrainError::NoRun {
            folder: "runs/a".into(),
        };
        assert!(told(no_run).starts_with("runs/a: there is no run"));
        let setting = TrainError::setting("threads", 9, "too many");
        assert_eq!(told(setting), "threads = 9: too many");
        let state = TrainError::State("of another optimizer".into());
        assert!(told(state).starts_with("run runs/a: saved state"));
    }
}
