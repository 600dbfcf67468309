//! Gets the pinned wheels (resumable, checked) and unpacks the files that are kept of them.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use nac_data::Progress;
use nac_data::fetch::checksum;
use nac_data::fetch::download::{self, Expected};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::{SetupError, chain};
use crate::sources::Wheel;
use crate::{index, python};

/// The wheel in the folder `downloads`: there already, straight from the index, or through pip.
pub(crate) fn obtain(
    wheel: &Wheel,
    index_url: &str,
    platforms: &[&str],
    downloads: &Path,
    progress: &dyn Progress,
) -> Result<PathBuf, SetupError> {
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
        digest: &wheel.sha256,
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
        "no direct download of {} ({}); asking pip",
        wheel.file,
        chain(&error)
    ));
    python::download(wheel, platforms, downloads).map_err(|pip| SetupError::Download {
        requirement: wheel.requirement.clone(),
        file: wheel.file.clone(),
        sha256: wheel.sha256.clone(),
        folder: downloads.to_path_buf(),
        direct: Box::new(error),
        pip: Box::new(pip),
    })?;
    if let Err(error) = checksum::check(&path, &wheel.sha256, progress) {
        // Whatever pip found, it does not serve a later run either.
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
) -> Result<(), SetupError> {
    let broken = |source: ZipError| SetupError::Zip {
        archive: archive.to_path_buf(),
        source,
    };
    let file = io::BufReader::with_capacity(1 << 18, fs_err::File::open(archive)?);
    let mut zip = ZipArchive::new(file).map_err(broken)?;
    let kept = kept(wheel, archive, &mut zip)?;
    let total = kept.iter().map(|member| member.size).sum();
    progress.start(
        &format!("unpacking {}", wheel.requirement),
        Some(total),
        "bytes",
    );
    let (mut done, mut buffer) = (0, vec![0; 1 << 18]);
    for Kept { index, path, .. } in kept {
        let path = into.join(path);
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        let mut member = zip.by_index(index).map_err(broken)?;
        let mut out = fs_err::File::create(&path)?;
        loop {
            let n = member
                .read(&mut buffer)
                .map_err(|error| broken(ZipError::Io(error)))?;
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

/// A member of a wheel that is kept.
struct Kept {
    index: usize,
    /// Where it goes, relative to the layout.
    path: String,
    size: u64,
}

/// The members of a wheel that are kept; an error if one leads out of the folder or there are none.
fn kept<R: io::Read + io::Seek>(
    wheel: &Wheel,
    archive: &Path,
    zip: &mut ZipArchive<R>,
) -> Result<Vec<Kept>, SetupError> {
    let broken = |source: ZipError| SetupError::Zip {
        archive: archive.to_path_buf(),
        source,
    };
    let mut kept = Vec::new();
    for index in 0..zip.len() {
        let member = zip.by_index_raw(index).map_err(broken)?;
        let Some(safe) = member.enclosed_name() else {
            return Err(SetupError::Member {
                archive: archive.to_path_buf(),
                member: member.name().map_err(broken)?.to_string(),
            });
        };
        if let Some(path) = wheel
            .destination(&safe.to_string_lossy())
            .filter(|_| member.is_file())
        {
            let size = member.size();
            kept.push(Kept { index, path, size });
        }
    }
    if kept.is_empty() {
        return Err(SetupError::Empty {
            archive: archive.to_path_buf(),
        });
    }
    Ok(kept)
}
