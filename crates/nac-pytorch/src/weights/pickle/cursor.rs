//! Reading numbers and strings of a pickle, with bounds.

use super::PickleError;

/// A place in a pickle.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Place of the instruction being read; errors name it.
    opcode_at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            opcode_at: 0,
        }
    }

    /// Place of the current instruction.
    pub(super) fn opcode_at(&self) -> usize {
        self.opcode_at
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn malformed(&self, reason: impl Into<String>) -> PickleError {
        PickleError::Malformed {
            offset: self.opcode_at,
            reason: reason.into(),
        }
    }

    /// The next instruction.
    pub(super) fn opcode(&mut self) -> Result<u8, PickleError> {
        self.opcode_at = self.at;
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn take(&mut self, count: u64) -> Result<&'a [u8], PickleError> {
        let end = usize::try_from(count)
            .ok()
            .and_then(|count| self.at.checked_add(count))
            .filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            self.malformed(format!("the pickle ends here, {count} bytes are missing"))
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let taken = self.take(N as u64)?;
        let mut array = [0; N];
        array.copy_from_slice(taken);
        Ok(array)
    }

    /// Length of a string or number: `N` bytes, little end first.
    pub(super) fn length<const N: usize>(&mut self) -> Result<u64, PickleError> {
        let bytes = self.array::<N>()?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| (sum << 8) | u64::from(byte)))
    }

    pub(super) fn text(&mut self, count: u64) -> Result<&'a str, PickleError> {
        let bytes = self.take(count)?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed("a string is not UTF-8"))
    }

    /// Up to and without the next newline.
    pub(super) fn line(&mut self) -> Result<&'a str, PickleError> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let end = end.ok_or_else(|| self.malformed("the pickle ends within a name"))?;
        let text = self.text(end as u64)?;
        self.at += 1;
        Ok(text)
    }

    /// A whole number of `count` bytes, little end first, in two's complement.
    pub(super) fn long(&mut self, count: u64) -> Result<i128, PickleError> {
        let bytes = self.take(count)?;
        if bytes.len() > 16 {
            return Err(self.malformed(format!("a whole number of {count} bytes is too large")));
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 16];
        wide[..bytes.len()].copy_from_slice(bytes);
        Ok(i128::from_le_bytes(wide))
    }
}
