//! [`Share`]: the part of every batch that one of several processes takes.

use std::ops::Range;

use crate::{Batch, Buffer, DataError, Targets, Values};

/// One of several processes that share each batch among them, by position in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    rank: usize,
    size: usize,
}

impl Default for Share {
    /// All of every batch.
    fn default() -> Self {
        Self { rank: 0, size: 1 }
    }
}

impl Share {
    /// The share of process `rank` of `size`.
    ///
    /// # Errors
    /// [`DataError::Config`] if there is no such process.
    pub fn new(rank: usize, size: usize) -> Result<Self, DataError> {
        if rank < size {
            return Ok(Self { rank, size });
        }
        Err(DataError::Config {
            field: "rank".into(),
            reason: format!("{rank} is not below {size}, the number of processes"),
        })
    }

    /// Positions of this share in a batch of `count` examples. Shares follow each other and differ by at most one example.
    #[must_use]
    pub fn of(&self, count: usize) -> Range<usize> {
        let cut = |rank: usize| (count as u128 * rank as u128 / self.size as u128) as usize;
        cut(self.rank)..cut(self.rank + 1)
    }

    /// Number of processes.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.size
    }
}

/// The examples of a batch at some positions.
pub(super) fn rows(batch: Batch, rows: Range<usize>) -> Result<Batch, DataError> {
    let count = batch.len();
    if rows == (0..count) {
        return Ok(batch);
    }
    let mut inputs = Vec::with_capacity(batch.inputs.len());
    for (name, buffer) in batch.inputs {
        let (mut shape, values) = buffer.into_parts();
        let values = match values {
            Values::U8(values) => Values::U8(part(values, count, &rows)),
            Values::F32(values) => Values::F32(part(values, count, &rows)),
            Values::I64(values) => Values::I64(part(values, count, &rows)),
        };
        if let Some(first) = shape.first_mut() {
            *first = rows.len();
        }
        inputs.push((name, Buffer::new(shape, values)?));
    }
    let targets = match batch.targets {
        Targets::Classes(classes) => Targets::Classes(part(classes, count, &rows)),
        Targets::Values { values, dim } => Targets::Values {
            values: part(values, count, &rows),
            dim,
        },
        Targets::Soft { values, classes } => Targets::Soft {
            values: part(values, count, &rows),
            classes,
        },
    };
    Ok(Batch {
        inputs,
        targets,
        indices: part(batch.indices, count, &rows),
    })
}

/// The values of some of `count` rows.
fn part<T>(values: Vec<T>, count: usize, rows: &Range<usize>) -> Vec<T> {
    let width = values.len() / count.max(1);
    let wanted = values.into_iter().skip(rows.start * width);
    wanted.take(rows.len() * width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn there_is_no_third_of_two() {
        let error = Share::new(2, 2).unwrap_err().to_string();
        assert!(error.contains("not below 2"), "{error}");
    }

    proptest! {
        #[test]
        fn shares_follow_each_other_and_are_even(count in 0_usize..1000, size in 1_usize..20) {
            let mut next = 0;
            for rank in 0..size {
                let share = Share::new(rank, size).unwrap().of(count);
                prop_assert_eq!(share.start, next);
                prop_assert!((count / size..=count.div_ceil(size)).contains(&share.len()));
                next = share.end;
            }
            prop_assert_eq!(next, count);
        }
    }
}
