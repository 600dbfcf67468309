//! Digests inside the files that are written and read again, so that damage is found when a file is read.
//!
//! A sealed file holds the text [`MARK`] followed by 64 hexadecimal digits. They are the SHA-256 of the whole file, with
//! zeros in place of these digits. Every byte is covered, the digest cannot be lost on the way as a second file can, and one
//! scheme serves all formats: safetensors keep it in their metadata, TOML in a comment, JSON in a field.
//!
//! A file without the mark is not one of ours, or an edited one, and is not checked.
//!
//! ```
//! use nac_core::digest;
//!
//! let text = digest::seal_toml("modules = 8\n");
//! assert!(digest::check(text.as_bytes()).unwrap().is_some());
//! let damaged = text.replace('8', "9");
//! assert!(digest::check(damaged.as_bytes()).is_err());
//! ```

use sha2::{Digest as _, Sha256};

/// What stands before the digits of a digest.
pub const MARK: &str = "nac-sha256:";
/// What a file holds until [`seal`] knows the digest.
pub const PLACEHOLDER: &str =
    "nac-sha256:0000000000000000000000000000000000000000000000000000000000000000";
/// Key of the digest in the metadata of a safetensors file, and in a JSON object.
pub const KEY: &str = "nac_digest";

/// Digits of a SHA-256.
const DIGITS: usize = 64;

/// A file does not have the digest that it was written with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "damaged, or changed after it was written: its SHA-256 is {found}, it was written with {expected}"
)]
pub struct Damaged {
    /// The digest in the file.
    pub expected: String,
    /// The digest of the file.
    pub found: String,
}

/// SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let mut hash = Hasher::new();
    hash.update(bytes);
    hash.finish()
}

/// SHA-256 of parts that come one after the other.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Takes a part with its length before it, so that `ab` and `c` differ from `a` and `bc`.
    pub fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// The digest, in lower-case hexadecimal.
    #[must_use]
    pub fn finish(self) -> String {
        let digest = self.0.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Puts the digest of a file where its [`PLACEHOLDER`] is; false if it has none, which leaves the file as it is.
#[must_use]
pub fn seal(bytes: &mut [u8]) -> bool {
    let Some(start) = find(head(bytes), PLACEHOLDER.as_bytes()) else {
        return false;
    };
    let digest = sha256(bytes);
    let digits = start + MARK.len()..start + PLACEHOLDER.len();
    if let Some(place) = bytes.get_mut(digits) {
        place.copy_from_slice(digest.as_bytes());
    }
    true
}

/// Compares a file with the digest in it: the digest, or none in a file without.
///
/// # Errors
/// [`Damaged`] if they differ.
pub fn check(bytes: &[u8]) -> Result<Option<String>, Damaged> {
    let Some(start) = find(head(bytes), MARK.as_bytes()) else {
        return Ok(None);
    };
    let start = start + MARK.len();
    let end = bytes.len().min(start + DIGITS);
    let digits = bytes.get(start..end).unwrap_or_default();
    let mut hash = Hasher::new();
    hash.update(bytes.get(..start).unwrap_or_default());
    hash.update(&[b'0'; DIGITS]);
    hash.update(bytes.get(end..).unwrap_or_default());
    let found = hash.finish();
    if digits == found.as_bytes() {
        return Ok(Some(found));
    }
    let expected = String::from_utf8_lossy(digits).into_owned();
    Err(Damaged { expected, found })
}

/// As [`check`], for text.
///
/// # Errors
/// As [`check`].
pub fn check_text(text: &str) -> Result<Option<String>, Damaged> {
    check(text.as_bytes())
}

/// TOML with its digest in a comment before it.
#[must_use]
pub fn seal_toml(text: &str) -> String {
    sealed(format!("# {PLACEHOLDER}\n{text}"))
}

/// The text of a JSON object with its digest as the first field; another text as it is.
#[must_use]
pub fn seal_json(text: &str) -> String {
    let Some(fields) = text.strip_prefix('{') else {
        return text.to_owned();
    };
    let comma = if fields.trim_start().starts_with('}') {
        ""
    } else {
        ","
    };
    sealed(format!("{{\"{KEY}\": \"{PLACEHOLDER}\"{comma}{fields}"))
}

fn sealed(text: String) -> String {
    let mut bytes = text.into_bytes();
    let _ = seal(&mut bytes);
    // Digits in place of digits leave the text valid.
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Where the mark may be: the header of a safetensors file, the whole of another one. Tensors are not searched.
fn head(bytes: &[u8]) -> &[u8] {
    let header = bytes
        .first_chunk()
        .map(|length| u64::from_le_bytes(*length));
    let end = header.and_then(|length| usize::try_from(length).ok()?.checked_add(8));
    end.and_then(|end| bytes.get(..end)).unwrap_or(bytes)
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A file as safetensors lays it out.
    fn binary(data: &[u8]) -> Vec<u8> {
        let header = format!("{{\"__metadata__\":{{\"{KEY}\":\"{PLACEHOLDER}\"}}}}");
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        assert!(seal(&mut bytes));
        bytes
    }

    #[test]
    fn the_known_digest() {
        let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), wanted);
        let mut parts = Hasher::new();
        parts.update(b"a");
        parts.update(b"bc");
        assert_eq!(parts.finish(), wanted);
        let mut written = Hasher::new();
        std::io::copy(&mut &b"abc"[..], &mut written).unwrap();
        assert_eq!(written.finish(), wanted);
        let split = |a: &[u8], b: &[u8]| {
            let mut hash = Hasher::new();
            hash.part(a);
            hash.part(b);
            hash.finish()
        };
        assert_ne!(split(b"ab", b"c"), split(b"a", b"bc"));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        for whole in [
            binary(b"some weights"),
            seal_toml("a = 1\n").into_bytes(),
            seal_json("{\n  \"a\": 1\n}\n").into_bytes(),
        ] {
            assert!(check(&whole).unwrap().is_some());
            let mark = find(&whole, MARK.as_bytes()).unwrap();
            let mark = mark..mark + MARK.len();
            for bit in 0..whole.len() * 8 {
                let mut damaged = whole.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                // A damaged mark leaves a file that is otherwise whole, and is that of a stranger.
                let found = check(&damaged);
                assert_eq!(found.is_err(), !mark.contains(&(bit / 8)), "bit {bit}");
            }
            for length in mark.end..whole.len() {
                assert!(check(&whole[..length]).is_err(), "{length} bytes");
            }
        }
    }

    #[test]
    fn files_of_others_are_not_checked() {
        assert_eq!(check(b""), Ok(None));
        assert_eq!(check(b"a = 1"), Ok(None));
        let mut bytes = b"a = 1".to_vec();
        assert!(!seal(&mut bytes));
        assert_eq!(bytes, b"a = 1");
        // The mark among the tensors of a file is none.
        let mut bytes = (2_u64).to_le_bytes().to_vec();
        bytes.extend(b"{}");
        bytes.extend(PLACEHOLDER.as_bytes());
        assert_eq!(check(&bytes), Ok(None));
    }

    #[test]
    fn sealed_text_is_still_of_its_format() {
        let json = seal_json("{\n  \"a\": 1\n}\n");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["a"], 1);
        let empty: serde_json::Value = serde_json::from_str(&seal_json("{}")).unwrap();
        assert!(empty[KEY].as_str().unwrap().starts_with(MARK));
        assert_eq!(seal_json("[1]"), "[1]");
        let toml: toml::Table = toml::from_str(&seal_toml("a = 1\n")).unwrap();
        assert_eq!(toml.len(), 1);
    }

    proptest! {
        #[test]
        fn any_content_can_be_sealed(data: Vec<u8>) {
            let bytes = binary(&data);
            prop_assert_eq!(check(&bytes).unwrap(), check(&binary(&data)).unwrap());
            prop_assert!(check(&bytes).unwrap().is_some());
        }
    }
}
