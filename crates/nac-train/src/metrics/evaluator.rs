//! Loss and metrics over all examples of a data set, whatever computes the outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use nac_data::{Batch, Dataset, Loader, LoaderOptions, Share, Targets};
use nac_dist::{Group, Single};
use ndarray::Array2;

use super::classes::{cross_entropy, rank};
use super::metric::{Metric, Predictions};
use super::sums::Sums;
use super::values::MeanSquaredError;
use crate::error::{Result, TrainError};
use crate::processes::{Shared, agree, exchange};

/// Score of a class that cannot be the answer.
const IMPOSSIBLE: f64 = -1e30;

/// Result of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Mean cross-entropy (without label smoothing) for classes, mean squared error for real-valued targets.
    pub loss: f64,
    /// Each metric by name, in the order of the run; the first is its primary metric. Then, if the examples are of several
    /// kinds ([`Dataset::group`]), `accuracy (kind)` of each kind.
    pub metrics: Vec<(String, f64)>,
    /// Number of examples.
    pub examples: usize,
}

impl Evaluation {
    /// The metric of a name, if it was measured.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let found = self.metrics.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value)
    }
}

/// Evaluates on the examples of a data set, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evaluator {
    /// Examples per batch. Default 128.
    pub batch_size: usize,
    /// Threads that read data ahead; the result does not depend on them. Default 1.
    pub workers: usize,
}

impl Default for Evaluator {
    fn default() -> Self {
        Self {
            batch_size: 128,
            workers: 1,
        }
    }
}

impl Evaluator {
    /// Loss and metrics of the outputs, `[batch, width]`, that `outputs` gives for each batch and its number.
    ///
    /// # Errors
    /// The data set is empty or cannot be read, `outputs` fails, or a metric is not for such targets.
    pub fn run(
        &self,
        dataset: &Arc<dyn Dataset>,
        metrics: &[Box<dyn Metric>],
        outputs: impl FnMut(usize, &Batch) -> Result<Array2<f64>>,
    ) -> Result<Evaluation> {
        self.run_shared(&Single, dataset, metrics, outputs)
    }

    /// As [`run`](Self::run) by the processes of `group`, each on its share of every batch. All of them get the result, which
    /// is that of one process but for the order of sums.
    ///
    /// # Errors
    /// As [`run`](Self::run), or another process is lost.
    pub fn run_shared(
        &self,
        group: &dyn Group,
        dataset: &Arc<dyn Dataset>,
        metrics: &[Box<dyn Metric>],
        outputs: impl FnMut(usize, &Batch) -> Result<Array2<f64>>,
    ) -> Result<Evaluation> {
        let mine = self.measure(group, dataset, metrics, outputs);
        let mine = agree(group, mine)?;
        let mut all = Measured::new(metrics.len());
        for part in exchange(group, &mine)? {
            all.merge(&part);
        }
        let values = metrics.iter().zip(&all.metrics);
        let values = values.map(|(metric, sums)| (metric.name().to_owned(), metric.value(sums)));
        Ok(Evaluation {
            loss: all.loss.ratio(),
            metrics: values.chain(all.kinds.accuracies()).collect(),
            examples: dataset.len(),
        })
    }

    /// Position in batch `index` of the first example of a process's share.
    pub(crate) fn first_example(&self, dataset: &dyn Dataset, share: Share, index: usize) -> usize {
        let left = dataset
            .len()
            .saturating_sub(index.saturating_mul(self.batch_size));
        share.of(left.min(self.batch_size)).start
    }

    /// Sums over the process's share of the examples.
    fn measure(
        &self,
        group: &dyn Group,
        dataset: &Arc<dyn Dataset>,
        metrics: &[Box<dyn Metric>],
        mut outputs: impl FnMut(usize, &Batch) -> Result<Array2<f64>>,
    ) -> Result<Measured> {
        if dataset.is_empty() {
            return Err(TrainError::Input {
                dataset: dataset.info().name.clone(),
                reason: "there is no example to evaluate on".into(),
            });
        }
        let options = LoaderOptions {
            batch_size: self.batch_size,
            workers: self.workers,
            share: Share::new(group.rank(), group.size())?,
            ..LoaderOptions::default()
        };
        let loader = Loader::new(dataset.clone(), options)?;
        let mut measured = Measured::new(metrics.len());
        for (index, batch) in loader.epoch(0, 0).enumerate() {
            let batch = batch?;
            // A batch may have fewer examples than there are processes.
            if batch.is_empty() {
                continue;
            }
            let mut outputs = outputs(index, &batch)?;
            if let Some(answers) = dataset.answers() {
                keep_answers(&mut outputs, answers);
            }
            let predictions = Predictions {
                outputs: outputs.view(),
                targets: &batch.targets,
                indices: &batch.indices,
            };
            add_loss(&predictions, &mut measured.loss)?;
            measured.kinds.add(dataset.as_ref(), &predictions)?;
            for (metric, sums) in metrics.iter().zip(&mut measured.metrics) {
                metric.update(&predictions, sums)?;
            }
        }
        Ok(measured)
    }
}

/// Sums over some examples.
struct Measured {
    loss: Sums,
    metrics: Vec<Sums>,
    kinds: Kinds,
}

impl Measured {
    fn new(metrics: usize) -> Self {
        Self {
            loss: Sums::default(),
            metrics: vec![Sums::default(); metrics],
            kinds: Kinds::default(),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.loss.merge(&other.loss);
        for (mine, theirs) in self.metrics.iter_mut().zip(&other.metrics) {
            mine.merge(theirs);
        }
        for (kind, counts) in &other.kinds.0 {
            let mine = self.kinds.0.entry(kind.clone()).or_default();
            for (mine, theirs) in mine.iter_mut().zip(counts) {
                *mine += theirs;
            }
        }
    }
}

impl Shared for Measured {
    fn to_words(&self, words: &mut Vec<u64>) {
        self.loss.to_words(words);
        words.push(self.metrics.len() as u64);
        self.metrics.iter().for_each(|sums| sums.to_words(words));
        words.push(self.kinds.0.len() as u64);
        for (kind, [right, all]) in &self.kinds.0 {
            words.push(kind.len() as u64);
            words.extend(kind.bytes().map(u64::from));
            words.extend([*right as u64, *all as u64]);
        }
    }

    fn from_words(mut words: &mut dyn Iterator<Item = u64>) -> Option<Self> {
        let loss = Sums::from_words(&mut words)?;
        let count = words.next()?;
        let metrics = (0..count).map(|_| Sums::from_words(&mut words));
        let metrics = metrics.collect::<Option<_>>()?;
        let mut kinds = BTreeMap::new();
        for _ in 0..words.next()? {
            let length = words.next()?;
            let byte = |_| words.next().and_then(|byte| u8::try_from(byte).ok());
            let kind = (0..length).map(byte).collect::<Option<Vec<u8>>>()?;
            let mut count = || words.next().and_then(|count| usize::try_from(count).ok());
            kinds.insert(String::from_utf8(kind).ok()?, [count()?, count()?]);
        }
        Some(Self {
            loss,
            metrics,
            kinds: Kinds(kinds),
        })
    }
}

/// Correct answers and examples of each kind.
#[derive(Default)]
struct Kinds(BTreeMap<String, [usize; 2]>);

impl Kinds {
    fn add(&mut self, dataset: &dyn Dataset, batch: &Predictions<'_>) -> Result<()> {
        if !matches!(batch.targets, Targets::Classes(_)) {
            return Ok(());
        }
        for ((scores, class), &index) in batch.classes("accuracy")?.zip(batch.indices) {
            if let Some(kind) = dataset.group(index) {
                let [right, all] = self.0.entry(kind.to_owned()).or_default();
                *right += usize::from(rank(scores, class) == 0);
                *all += 1;
            }
        }
        Ok(())
    }

    fn accuracies(self) -> impl Iterator<Item = (String, f64)> {
        let share = |(kind, [right, all]): (String, [usize; 2])| {
            (format!("accuracy ({kind})"), right as f64 / all as f64)
        };
        self.0.into_iter().map(share)
    }
}

/// Makes all classes impossible but those that may be the answer. The score is finite: metrics multiply it by 0.
fn keep_answers(outputs: &mut Array2<f64>, answers: &[usize]) {
    for (class, mut scores) in outputs.columns_mut().into_iter().enumerate() {
        if !answers.contains(&class) {
            scores.fill(IMPOSSIBLE);
        }
    }
}

fn add_loss(batch: &Predictions<'_>, sums: &mut Sums) -> Result<()> {
    match batch.targets {
        Targets::Classes(_) => {
            for (scores, class) in batch.classes("loss")? {
                sums.add(&[cross_entropy(scores, class), 1.0]);
            }
            Ok(())
        }
        _ => MeanSquaredError.update(batch, sums),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Accuracy;
    use nac_data::{DataConfig, DataDirs};

    #[test]
    fn kinds_of_questions_have_their_own_accuracy() {
        let mut config = DataConfig {
            name: "sort-of-clevr".into(),
            ..DataConfig::default()
        };
        config.sort_of_clevr.test = 60;
        let dirs = DataDirs::new(None, None, "cache".into());
        let test = nac_data::open(&config, &dirs, 0).unwrap().test;
        // Always "rectangle", the class 2.
        let metrics: [Box<dyn Metric>; 1] = [Box::new(Accuracy)];
        let found = Evaluator::default()
            .run(&test, &metrics, |_, batch| {
                let class = |(_, class)| f64::from(u8::from(class == 2));
                Ok(Array2::from_shape_fn((batch.len(), 10), class))
            })
            .unwrap();
        assert_eq!(found.metrics.len(), 7);
        let of = |name: &str| found.metric(&format!("accuracy ({name})")).unwrap();
        assert_eq!(of("non-relational: left"), 0.0);
        let forms = [
            "non-relational: shape",
            "relational: closest",
            "relational: furthest",
        ];
        let mean = forms.map(of).iter().sum::<f64>() / 6.0;
        assert!((mean - found.metrics[0].1).abs() < 1e-12 && mean > 0.1);
    }

    #[test]
    fn only_answers_can_win() {
        let mut outputs = Array2::from_shape_vec((1, 3), vec![1.0, 5.0, 2.0]).unwrap();
        keep_answers(&mut outputs, &[0, 2]);
        assert_eq!(outputs.row(0).to_vec(), [1.0, IMPOSSIBLE, 2.0]);
        let loss = cross_entropy(outputs.row(0), 2);
        assert!(
            (loss - (1.0 + (-1.0_f64).exp()).ln()).abs() < 1e-12,
            "{loss}"
        );
    }
}
