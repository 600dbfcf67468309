//! Builds a libtorch layout in the cache: under a lock, in a hidden folder that is renamed when it is whole.
//! A killed build leaves only downloads to resume and a hidden folder that the next build removes.

use std::path::{Path, PathBuf};

use nac_data::Progress;

use crate::error::SetupError;
use crate::layout::{self, Libtorch};
use crate::sources::Plan;
use crate::{cache, contents, lock, wheel};

/// The layout of this plan in the cache, if it is there and whole.
pub(crate) fn existing(plan: &Plan, root: &Path) -> Result<Libtorch, SetupError> {
    let folder = root.join(&plan.name);
    contents::intact(&folder)?;
    check(plan, &folder)
}

/// The layout of this plan under `root`, built if it is not there; `force` builds it in any case.
pub(crate) fn build(
    plan: &Plan,
    root: &Path,
    index_url: impl FnOnce() -> String,
    force: bool,
    progress: &dyn Progress,
) -> Result<Libtorch, SetupError> {
    if !force && let Ok(found) = existing(plan, root) {
        return Ok(found);
    }
    let present: u64 = plan
        .wheels
        .iter()
        .map(|w| downloaded(&root.join("downloads"), &w.file))
        .sum();
    cache::prepare(root, plan.space.saturating_sub(present))?;
    let mut waited = false;
    let _lock = lock::take(&root.join(".lock"), || {
        waited = true;
        progress.note(&format!(
            "another set-up is running in {}; waiting for it",
            root.display()
        ));
    })?;
    if (!force || waited)
        && let Ok(found) = existing(plan, root)
    {
        return Ok(found);
    }
    let (downloads, folder) = (root.join("downloads"), root.join(&plan.name));
    let staging = contents::sibling(&folder, ".staging-");
    contents::remove_dir(&staging)?;
    fs_err::create_dir_all(&downloads)?;
    let index_url = index_url();
    let mut archives: Vec<PathBuf> = Vec::new();
    for wheel in &plan.wheels {
        archives.push(wheel::obtain(
            wheel,
            &index_url,
            plan.platforms,
            &downloads,
            progress,
        )?);
    }
    for (wheel, archive) in plan.wheels.iter().zip(&archives) {
        wheel::unpack(wheel, archive, &staging, progress)?;
    }
    contents::complete(&staging, &staging.join(plan.torch))?;
    check(plan, &staging).map_err(|error| SetupError::Wheels(Box::new(error)))?;
    contents::replace(&staging, &folder)?;
    for archive in archives {
        fs_err::remove_file(archive)?;
    }
    existing(plan, root)
}

fn check(plan: &Plan, folder: &Path) -> Result<Libtorch, SetupError> {
    let found = layout::inspect(&folder.join(plan.torch))?;
    if found.kind != plan.kind {
        return Err(SetupError::WrongKind {
            root: found.root,
            kind: found.kind,
        });
    }
    Ok(found)
}

fn downloaded(dir: &Path, file: &str) -> u64 {
    let size = |path: PathBuf| fs_err::metadata(path).map_or(0, |data| data.len());
    size(dir.join(file)) + size(dir.join(format!("{file}.part")))
}
