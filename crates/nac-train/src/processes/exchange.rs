//! Numbers that every process gives and all of them get.

use nac_dist::{DistError, Group, all_gather};

use crate::error::{Result, TrainError};

/// Something that can be told to other processes as 64-bit words.
pub(crate) trait Shared: Sized {
    /// Appends this to `words`.
    fn to_words(&self, words: &mut Vec<u64>);

    /// Takes it from the front of `words`; none if they do not hold it.
    fn from_words(words: &mut dyn Iterator<Item = u64>) -> Option<Self>;
}

/// What each process gives, in the order of ranks.
pub(crate) fn exchange<T: Shared>(
    group: &dyn Group,
    mine: &T,
) -> std::result::Result<Vec<T>, DistError> {
    let mut words = Vec::new();
    mine.to_words(&mut words);
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let decode = |(rank, bytes): (usize, Vec<u8>)| {
        let words = bytes.chunks_exact(8).map(|word| {
            let mut eight = [0; 8];
            eight.copy_from_slice(word);
            u64::from_le_bytes(eight)
        });
        T::from_words(&mut words.into_iter()).ok_or_else(|| DistError::Lost {
            rank: group.rank(),
            lost: vec![rank],
            during: "exchange of results",
            reason: "it is at another place of the run, or runs another version of the program"
                .into(),
        })
    };
    let all = all_gather(group, &bytes)?;
    all.into_iter().enumerate().map(decode).collect()
}

/// Whether something succeeded.
struct Success(bool);

impl Shared for Success {
    fn to_words(&self, words: &mut Vec<u64>) {
        words.push(u64::from(self.0));
    }

    fn from_words(words: &mut dyn Iterator<Item = u64>) -> Option<Self> {
        words.next().map(|word| Self(word != 0))
    }
}

/// Gives `result` back if it is a success on every process.
///
/// # Errors
/// The process's own error; [`TrainError::OtherRank`] if another process has one; or a process is gone.
pub fn agree<T>(group: &dyn Group, result: Result<T>) -> Result<T> {
    if group.size() == 1 {
        return result;
    }
    let all = exchange(group, &Success(result.is_ok()));
    let value = result?;
    match all?.iter().position(|success| !success.0) {
        Some(rank) => Err(TrainError::OtherRank { rank }),
        None => Ok(value),
    }
}
