//! SHA-256 and MD5 of files.

use std::io::Read;
use std::path::Path;

use fs_err as fs;
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::{DataError, Progress};

const MD5_DIGITS: usize = 32;

/// SHA-256 of a file, in lower-case hexadecimal.
///
/// # Errors
/// [`DataError::Io`].
pub fn sha256(path: &Path, progress: &dyn Progress) -> Result<String, DataError> {
    digest::<Sha256>(path, progress)
}

fn digest<D: Digest>(path: &Path, progress: &dyn Progress) -> Result<String, DataError> {
    let mut file = fs::File::open(path)?;
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    progress.start(
        &format!("checking {name}"),
        Some(file.metadata()?.len()),
        "bytes",
    );
    let mut hash = D::new();
    let mut block = vec![0; 1 << 16];
    let mut done = 0;
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            break;
        }
        hash.update(&block[..read]);
        done += read as u64;
        progress.at(done);
    }
    progress.finish();
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Compares the SHA-256 of a file with the published one, or its MD5 if `expected` has 32 digits.
///
/// # Errors
/// [`DataError::Io`] or [`DataError::Checksum`].
pub fn check(path: &Path, expected: &str, progress: &dyn Progress) -> Result<(), DataError> {
    let found = if expected.len() == MD5_DIGITS {
        digest::<Md5>(path, progress)?
    } else {
        sha256(path, progress)?
    };
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(DataError::Checksum {
        path: path.into(),
        expected: expected.into(),
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;

    #[test]
    fn known_digest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        fs::write(&path, "abc").unwrap();
        let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        check(&path, wanted, &Silent).unwrap();
        let error = check(&path, &wanted.replace('b', "c"), &Silent)
            .unwrap_err()
            .to_string();
        assert!(error.contains("abc: SHA-256 is ba7816"), "{error}");
        check(&path, "900150983cd24fb0d6963f7d28e17f72", &Silent).unwrap();
        let error = check(&path, &"0".repeat(32), &Silent).unwrap_err();
        assert!(error.to_string().contains("abc: MD5 is 900150"), "{error}");
    }
}
