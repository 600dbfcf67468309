//! Where libtorch is looked for: `LIBTORCH`, a link, python3's torch, the cache; built there if it is missing.

use std::env::consts::{ARCH, OS};
use std::path::{Path, PathBuf};

use nac_data::{Progress, Silent};

use crate::driver::{self, Driver};
use crate::error::{SetupError, chain};
use crate::kind::Kind;
use crate::layout::{self, Libtorch};
use crate::{build, cache, contents, python, sources};

/// What to look for, and where besides the usual locations.
#[derive(Clone, Debug)]
pub struct Search {
    /// The user's own `LIBTORCH`. It takes precedence, and is an error if it is unusable.
    pub variable: Option<PathBuf>,
    /// A link that an earlier set-up made, looked at next.
    pub link: Option<PathBuf>,
    /// The build to take; `None` takes CUDA where an NVIDIA driver answers.
    pub kind: Option<Kind>,
}

/// Which location had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// [`Search::variable`].
    Variable,
    /// [`Search::link`].
    Link,
    /// The package torch of python3.
    Python,
    /// The cache folder.
    Cache,
}

/// A usable libtorch and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The libtorch.
    pub libtorch: Libtorch,
    /// Which location had it.
    pub origin: Origin,
}

impl Found {
    fn new(libtorch: Libtorch, origin: Origin) -> Self {
        Self { libtorch, origin }
    }
}

impl Search {
    /// Without a link, and with the variable `LIBTORCH` of this process.
    pub fn new(kind: Option<Kind>) -> Self {
        let variable = std::env::var_os("LIBTORCH").filter(|value| !value.is_empty());
        Self {
            variable: variable.map(PathBuf::from),
            link: None,
            kind,
        }
    }

    /// The libtorch that is there, of either build if none is asked for; nothing is downloaded.
    ///
    /// # Errors
    /// [`SetupError::NotSetUp`] if there is none; the variable is unusable; there are no wheels for this machine.
    pub fn installed(&self) -> Result<Found, SetupError> {
        if let Some(found) = self.outside_the_cache(&Silent)? {
            return Ok(found);
        }
        let kinds = match self.kind.unwrap_or_else(|| default_kind(&Silent)) {
            Kind::Cpu => [Kind::Cpu, Kind::Cuda],
            Kind::Cuda => [Kind::Cuda, Kind::Cpu],
        };
        sources::plan(OS, ARCH, kinds[0])?;
        let root = root()?;
        let in_cache = |kind| build::existing(&sources::plan(OS, ARCH, kind).ok()?, &root).ok();
        let found = kinds.into_iter().find_map(in_cache);
        match found.filter(|found| self.fits(found)) {
            Some(found) => Ok(Found::new(found, Origin::Cache)),
            None => Err(SetupError::NotSetUp),
        }
    }

    /// The libtorch that is there, or else one built in the cache; `force` builds it in any case, unless the
    /// variable is set.
    ///
    /// # Errors
    /// The variable is unusable; there are no wheels for this machine; download or unpacking fails.
    pub fn install(&self, force: bool, progress: &dyn Progress) -> Result<Found, SetupError> {
        if let Some(found) = self.in_variable()? {
            return Ok(found);
        }
        if !force && let Some(found) = self.outside_the_cache(progress)? {
            return Ok(found);
        }
        let kind = self.kind.unwrap_or_else(|| default_kind(progress));
        let plan = sources::plan(OS, ARCH, kind)?;
        let found = build::build(&plan, &root()?, python::index_url, force, progress)?;
        Ok(Found::new(found, Origin::Cache))
    }

    fn fits(&self, found: &Libtorch) -> bool {
        self.kind.is_none_or(|kind| found.kind == kind)
    }

    fn in_variable(&self) -> Result<Option<Found>, SetupError> {
        let Some(dir) = &self.variable else {
            return Ok(None);
        };
        let found = layout::inspect(dir).map_err(|error| SetupError::Variable(Box::new(error)))?;
        if !self.fits(&found) {
            return Err(SetupError::VariableKind(found.kind));
        }
        Ok(Some(Found::new(found, Origin::Variable)))
    }

    fn outside_the_cache(&self, progress: &dyn Progress) -> Result<Option<Found>, SetupError> {
        if let Some(found) = self.in_variable()? {
            return Ok(Some(found));
        }
        if let Some(link) = &self.link {
            match linked(link) {
                Ok(found) if self.fits(&found) => return Ok(Some(Found::new(found, Origin::Link))),
                Err(error) if link.symlink_metadata().is_ok() => {
                    let name = link.file_name().unwrap_or_default().to_string_lossy();
                    progress.note(&format!(
                        "{name} is unusable ({}) and is made again",
                        chain(&error)
                    ));
                }
                _ => {}
            }
        }
        if let Some(dir) = python::torch() {
            match layout::inspect(&dir) {
                Ok(found) if self.fits(&found) => {
                    return Ok(Some(Found::new(found, Origin::Python)));
                }
                Ok(found) => progress.note(&format!(
                    "python3's torch is a {} build and is left alone",
                    found.kind.label()
                )),
                Err(error) => {
                    progress.note(&format!("python3's torch is left alone: {}", chain(&error)));
                }
            }
        }
        Ok(None)
    }
}

/// The libtorch that a link leads to; one in the cache must be undamaged.
///
/// # Errors
/// There is no link, or what it leads to is unusable.
pub fn linked(link: &Path) -> Result<Libtorch, SetupError> {
    if link.symlink_metadata().is_err() {
        return Err(SetupError::NotSetUp);
    }
    let found = layout::inspect(link)?;
    let ours = root().is_ok_and(|root| {
        found
            .root
            .starts_with(fs_err::canonicalize(&root).unwrap_or(root))
    });
    if ours {
        // The layout is the folder itself, or (CUDA) the one above.
        let folder = found
            .root
            .parent()
            .filter(|_| found.root.ends_with("torch"))
            .unwrap_or(&found.root);
        contents::intact(folder)?;
    }
    Ok(found)
}

/// The folder of all layouts in the cache.
fn root() -> Result<PathBuf, SetupError> {
    Ok(cache::dir()?.join("libtorch"))
}

/// CUDA where a driver answers and there is a CUDA build for this machine.
fn default_kind(progress: &dyn Progress) -> Kind {
    match driver::find() {
        Driver::Works(gpu) if sources::plan(OS, ARCH, Kind::Cuda).is_ok() => {
            progress.note(&format!(
                "{gpu}: taking libtorch with CUDA (about 2.5 GB to download; the option --cpu takes a smaller one)"
            ));
            Kind::Cuda
        }
        Driver::Works(gpu) => {
            progress.note(&format!(
                "{gpu}: there is no ready CUDA build for {OS} on {ARCH}, so libtorch is for CPU only"
            ));
            Kind::Cpu
        }
        Driver::No(why) => {
            progress.note(&format!("libtorch is for CPU only: {why}"));
            Kind::Cpu
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::fake;

    fn search(variable: &Path, kind: Kind) -> Search {
        Search {
            variable: Some(variable.into()),
            link: None,
            kind: Some(kind),
        }
    }

    #[test]
    fn the_variable_takes_precedence_and_must_be_usable() {
        let dir = tempfile::tempdir().unwrap();
        let unusable = search(dir.path(), Kind::Cpu).installed().unwrap_err();
        let text = unusable.to_string();
        assert!(
            text.contains("LIBTORCH is unusable") && text.ends_with("Fix: unset LIBTORCH"),
            "{text}"
        );
        fake(dir.path(), "2.11.0");
        for force in [false, true] {
            let found = search(dir.path(), Kind::Cpu).install(force, &Silent);
            assert_eq!(found.unwrap().origin, Origin::Variable);
        }
        let other = search(dir.path(), Kind::Cuda).installed().unwrap_err();
        assert!(matches!(other, SetupError::VariableKind(Kind::Cpu)));
    }

    #[test]
    fn a_link_is_followed_and_must_lead_to_libtorch() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("libtorch");
        assert!(matches!(linked(&at), Err(SetupError::NotSetUp)));
        fs_err::create_dir(&at).unwrap();
        assert!(matches!(linked(&at), Err(SetupError::NotLibtorch { .. })));
        fake(&at, "2.11.0");
        assert_eq!(linked(&at).unwrap().kind, Kind::Cpu);
    }
}
