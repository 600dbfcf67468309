//! Share of groups of examples in which every answer is correct.

use super::classes::rank;
use super::metric::{Metric, Predictions};
use super::sums::Sums;
use crate::error::Result;

/// Share of groups in which the class of every example has the greatest score, 0 to 1.
///
/// In NLVR2 a group is all image pairs with the same sentence: the sentence counts if all its pairs are right. In
/// training steps, where a group may be seen in part, the part that was seen counts.
pub struct Consistency {
    group: Box<dyn Fn(usize) -> u64>,
}

impl Consistency {
    /// Groups by `group` of the index of an example.
    ///
    /// ```
    /// use nac_train::metrics::Consistency;
    ///
    /// let four_in_a_row = Consistency::by(|index| index as u64 / 4);
    /// ```
    pub fn by(group: impl Fn(usize) -> u64 + 'static) -> Self {
        Self {
            group: Box::new(group),
        }
    }
}

impl std::fmt::Debug for Consistency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consistency").finish_non_exhaustive()
    }
}

impl Metric for Consistency {
    fn name(&self) -> &str {
        "consistency"
    }

    fn update(&self, batch: &Predictions<'_>, sums: &mut Sums) -> Result<()> {
        let examples = batch.classes(self.name())?.zip(batch.indices);
        for ((scores, class), &index) in examples {
            let is_wrong = rank(scores, class) > 0;
            sums.add_to_group((self.group)(index), &[f64::from(u8::from(is_wrong))]);
        }
        Ok(())
    }

    fn value(&self, sums: &Sums) -> f64 {
        let right = sums
            .groups()
            .filter(|wrong| wrong.iter().all(|&n| n == 0.0));
        right.count() as f64 / sums.groups().len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_data::Targets;
    use ndarray::array;

    #[test]
    fn a_group_counts_only_if_all_of_it_is_right_even_across_batches() {
        // Examples 0 to 5 in groups of two: right right, right wrong, wrong right.
        let metric = Consistency::by(|index| index as u64 / 2);
        let mut sums = Sums::default();
        for (classes, indices) in [([0, 0, 0], [0, 1, 2]), ([1, 1, 0], [3, 4, 5])] {
            let outputs = array![[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]];
            let batch = Predictions {
                outputs: outputs.view(),
                targets: &Targets::Classes(classes.to_vec()),
                indices: &indices,
            };
            metric.update(&batch, &mut sums).unwrap();
        }
        assert_eq!(metric.value(&sums), 1.0 / 3.0);
        assert_eq!(metric.value(&Sums::default()), 0.0);
    }
}
