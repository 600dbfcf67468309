//! Which format a file has: by its content when reading, by its name or by wish when writing.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::error::{Result, WeightsError};
use nac_train::TrainError;

/// A format of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// safetensors; checkpoints of runs are of this format too.
    Safetensors,
    /// The zip archive that PyTorch 1.6 and later write.
    Torch,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::Torch => "PyTorch",
        })
    }
}

impl Format {
    /// The format that a file's name asks for: `.safetensors`, `.pt` or `.pth`.
    ///
    /// # Errors
    /// The name says nothing.
    pub fn from_name(path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "safetensors" => Ok(Self::Safetensors),
            "pt" | "pth" => Ok(Self::Torch),
            _ => Err(WeightsError::File {
                path: path.to_owned(),
                reason:
                    "its name does not say which format is meant: end it with .safetensors or .pt, \
                         or use --to"
                        .into(),
            }),
        }
    }

    /// The format of an existing file, from its first bytes.
    ///
    /// # Errors
    /// The file cannot be read, or has neither format.
    pub fn detect(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(TrainError::io("read", path))?;
        let mut start = Vec::new();
        file.take(512)
            .read_to_end(&mut start)
            .map_err(TrainError::io("read", path))?;
        let unknown = |reason: &str| WeightsError::File {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        if start.starts_with(b"PK\x03\x04") {
            return Ok(Self::Torch);
        }
        // The length of the header in eight bytes, then the header.
        if start.get(8) == Some(&b'{') {
            return Ok(Self::Safetensors);
        }
        let legacy =
            start.first() == Some(&0x80) && start.get(1).is_some_and(|p| (1..=5).contains(p));
        if legacy || start.get(257..262) == Some(b"ustar") {
            return Err(unknown(
                "a file in PyTorch's old format (before 1.6, or _use_new_zipfile_serialization=False). It is \
                 a pickle that only executing reads in full; load it with PyTorch and save it again with \
                 torch.save(state_dict, path)",
            ));
        }
        Err(unknown(
            "neither a safetensors file nor a zip archive of torch.save, or truncated",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let detect = |bytes: &[u8]| {
            let path = folder.path().join("file");
            std::fs::write(&path, bytes).unwrap();
            Format::detect(&path).map_err(|e| e.to_string())
        };
        assert_eq!(detect(b"PK\x03\x04rest"), Ok(Format::Torch));
        assert_eq!(detect(b"\x02\0\0\0\0\0\0\0{}"), Ok(Format::Safetensors));
        let mut tar = [0_u8; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for legacy in [&b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."[..], &tar] {
            assert!(detect(legacy).unwrap_err().contains("PyTorch's old format"));
        }
        for neither in [&b""[..], b"PK", b"text that is long enough"] {
            assert!(
                detect(neither)
                    .unwrap_err()
                    .contains("neither a safetensors")
            );
        }
        assert_eq!(
            Format::from_name(Path::new("a.b/x.PTH")).unwrap(),
            Format::Torch
        );
        assert!(Format::from_name(Path::new("x.bin")).is_err());
    }
}
