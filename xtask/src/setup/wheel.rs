//! Gets the pinned wheels (resumable, checked) and unpacks the files that are kept of them.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use nac_data::Progress;
use nac_data::fetch::checksum;
use nac_data::fetch::download::{self, Expected};
use zip::ZipArchive;

use super::layout::VERSION;
use super::sources::Wheel;
use super::{index, python};

/// The wheel in the folder `downloads`: there already, straight from the index, or through pip.
pub(crate) fn obtain(
    wheel: &Wheel,
    index_url: &str,
    platforms: &[&str],
    downloads: &Path,
    progress: &dyn Progress,
) -> Result<PathBuf> {
    let path = downloads.join(&wheel.file);
    if path.exists() {
        if checksum::sha256(&path, progress)? == wheel.sha256 {
            return Ok(path);
        }
        progress.note(&format!(
            "{} is damaged and is downloaded again",
            path.display()
        ));
        fs_err::remove_file(&path)?;
    }
    let expected = Expected {
        bytes: wheel.bytes,
        sha256: &wheel.sha256,
    };
    let direct = index::find(index_url, wheel)
        .and_then(|url| Ok(download::download(&[url], &path, expected, progress)?));
    let Err(error) = direct else {
        return Ok(path);
    };
    if platforms.is_empty() {
        return Err(error);
    }
    progress.note(&format!(
        "no direct download of {} ({error:#}); asking pip",
        wheel.file
    ));
    python::download(wheel, platforms, downloads).map_err(|of_pip| {
        anyhow!(
            "{} could not be downloaded.\n  directly: {error:#}\n  with pip: {of_pip:#}\n\
             Without a network: put the file {} (SHA-256 {}) into {},\n\
             or unpack libtorch {VERSION} anywhere and set LIBTORCH to its folder; then run this again",
            wheel.requirement,
            wheel.file,
            wheel.sha256,
            downloads.display()
        )
    })?;
    if let Err(error) = checksum::check(&path, &wheel.sha256, progress) {
        // Whatever pip found, it is of no use to a later run either.
        let _ = fs_err::remove_file(&path);
        return Err(error.into());
    }
    Ok(path)
}

/// Writes the kept files of a wheel under `into`. The checksum of each is verified on the way.
pub(crate) fn unpack(
    wheel: &Wheel,
    archive: &Path,
    into: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    let file = io::BufReader::with_capacity(1 << 18, fs_err::File::open(archive)?);
    let mut zip = ZipArchive::new(file).with_context(|| archive.display().to_string())?;
    let mut kept: Vec<(usize, PathBuf, u64)> = Vec::new();
    for number in 0..zip.len() {
        let member = zip
            .by_index_raw(number)
            .with_context(|| archive.display().to_string())?;
        let Some(safe) = member.enclosed_name() else {
            bail!(
                "{}: the member {} leads out of the folder",
                archive.display(),
                member.name()?
            );
        };
        if let Some(place) = wheel
            .place(&safe.to_string_lossy())
            .filter(|_| member.is_file())
        {
            kept.push((number, into.join(place), member.size()));
        }
    }
    if kept.is_empty() {
        bail!("{} has none of the files expected", archive.display());
    }
    let total = kept.iter().map(|(_, _, size)| size).sum();
    progress.start(
        &format!("unpacking {}", wheel.requirement),
        Some(total),
        "bytes",
    );
    let (mut done, mut buffer) = (0, vec![0; 1 << 18]);
    for (number, path, _) in kept {
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        let mut member = zip
            .by_index(number)
            .with_context(|| archive.display().to_string())?;
        let mut out = fs_err::File::create(&path)?;
        loop {
            let n = member
                .read(&mut buffer)
                .with_context(|| format!("{}: {}", archive.display(), path.display()))?;
            if n == 0 {
                break;
            }
            out.write_all(&buffer[..n])?;
            done += n as u64;
            progress.at(done);
        }
    }
    progress.finish();
    Ok(())
}
