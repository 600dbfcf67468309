//! Builds a libtorch layout in the cache: under a lock, in a hidden folder, put in place with one rename.
//! A killed build leaves only downloads to go on from and a hidden folder that the next one removes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nac_data::Progress;

use super::layout::{self, Libtorch};
use super::sources::Plan;
use super::{cache, lock, wheel};

/// The layout of this plan in the cache, if it is there and whole.
pub(crate) fn existing(plan: &Plan, root: &Path) -> Result<Libtorch> {
    let place = root.join(&plan.name);
    layout::intact(&place)?;
    check(plan, &place)
}

/// The layout of this plan under `root`, built if it is not there; `force` builds it in any case.
pub(crate) fn build(
    plan: &Plan,
    root: &Path,
    index_url: impl FnOnce() -> String,
    force: bool,
    progress: &dyn Progress,
) -> Result<Libtorch> {
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
            "another set-up is at work in {}; waiting for it",
            root.display()
        ));
    })?;
    if (!force || waited)
        && let Ok(found) = existing(plan, root)
    {
        return Ok(found);
    }
    let (downloads, place) = (root.join("downloads"), root.join(&plan.name));
    let staging = layout::sibling(&place, ".staging-");
    layout::remove_dir(&staging)?;
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
    layout::complete(&staging, &staging.join(plan.torch))?;
    check(plan, &staging).context("the wheels did not give a usable libtorch")?;
    layout::put_in_place(&staging, &place)?;
    for archive in archives {
        fs_err::remove_file(archive)?;
    }
    existing(plan, root)
}

fn check(plan: &Plan, place: &Path) -> Result<Libtorch> {
    let found = layout::inspect(&place.join(plan.torch))?;
    if found.kind != plan.kind {
        bail!("{} is a {} build", found.root.display(), found.kind.label());
    }
    Ok(found)
}

fn downloaded(dir: &Path, file: &str) -> u64 {
    let size = |path: PathBuf| fs_err::metadata(path).map_or(0, |data| data.len());
    size(dir.join(file)) + size(dir.join(format!("{file}.part")))
}
