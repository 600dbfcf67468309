//! Damage to the bytes of a file.

use proptest::sample::Index;

/// Changes, inserts or removes a byte, or repeats a part, at places within a file.
pub(crate) fn damage(mut bytes: Vec<u8>, changes: &[(Index, u8, u8)]) -> Vec<u8> {
    for &(place, value, kind) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = place.index(bytes.len());
        match kind % 6 {
            0 | 1 => bytes[at] = value,
            2 => bytes.insert(at, value),
            3 => {
                bytes.remove(at);
            }
            4 => {
                let end = (at + usize::from(value)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}
