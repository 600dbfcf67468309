//! The gradients and measurements of all processes of a run, put together.

use super::gradients::Gradients;
use super::state::Trainer;
use super::stop_signal::StopSignal;
use crate::error::{Result, TrainError};
use crate::metrics::Sums;
use crate::processes::{Reducer, Shared, exchange};

/// What a process tells the others of its share of a step.
struct Part {
    examples: u64,
    /// What asked the process to stop.
    stop: Option<StopSignal>,
    /// Bit `i % 64` of word `i / 64`: whether parameter `i` has a gradient.
    defined: Vec<u64>,
    /// The loss, then each term.
    losses: Vec<f64>,
    metrics: Vec<Sums>,
}

impl Shared for Part {
    fn to_words(&self, words: &mut Vec<u64>) {
        let stop = self.stop.map_or(0, StopSignal::number);
        words.extend([self.examples, u64::from(stop), self.defined.len() as u64]);
        words.extend(&self.defined);
        words.push(self.losses.len() as u64);
        words.extend(self.losses.iter().map(|loss| loss.to_bits()));
        words.push(self.metrics.len() as u64);
        for sums in &self.metrics {
            sums.to_words(words);
        }
    }

    fn from_words(mut words: &mut dyn Iterator<Item = u64>) -> Option<Self> {
        let (examples, stop, count) = (words.next()?, words.next()?, words.next()?);
        let defined = (0..count).map(|_| words.next()).collect::<Option<_>>()?;
        let count = words.next()?;
        let loss = |_| words.next().map(f64::from_bits);
        let losses = (0..count).map(loss).collect::<Option<_>>()?;
        let count = words.next()?;
        let sums = |_| Sums::from_words(&mut words);
        Some(Self {
            examples,
            stop: u8::try_from(stop).ok().and_then(StopSignal::from_number),
            defined,
            losses,
            metrics: (0..count).map(sums).collect::<Option<_>>()?,
        })
    }
}

impl Trainer {
    /// Makes `gradients` those of the mean loss over the examples of all processes, and the measurements theirs. Also
    /// finds out whether any of the processes was asked to stop.
    pub(super) fn reduce(&mut self, gradients: &mut Gradients) -> Result<()> {
        if self.group.size() == 1 {
            return Ok(());
        }
        let group = self.group.clone();
        let mine = self.part(gradients);
        let parts = exchange(group.as_ref(), &mine);
        let parts = parts.map_err(|error| self.lost(error))?;
        let examples: u64 = parts.iter().map(|part| part.examples).sum();
        let share = |part: &Part| part.examples as f64 / examples.max(1) as f64;

        self.define(gradients, &parts)?;
        let reduced = self
            .reducer
            .reduce(group.as_ref(), &mut gradients.tensors, share(&mine));
        reduced.map_err(|error| self.lost(error))?;
        let mean = |index: usize| -> f64 {
            let terms = parts
                .iter()
                .map(|part| share(part) * part.losses.get(index).unwrap_or(&0.0));
            terms.sum()
        };
        gradients.loss = mean(0);
        for (index, (_, value)) in gradients.terms.iter_mut().enumerate() {
            *value = mean(index + 1);
        }
        for (index, sums) in gradients.metrics.iter_mut().enumerate() {
            let of_part = |part: &Part| part.metrics.get(index).cloned().unwrap_or_default();
            *sums = Sums::default();
            for part in &parts {
                sums.merge(&of_part(part));
            }
        }
        gradients.examples = usize::try_from(examples).unwrap_or(usize::MAX);
        self.stop = parts.iter().find_map(|part| part.stop);
        Ok(())
    }

    fn part(&self, gradients: &Gradients) -> Part {
        let mut defined = vec![0; gradients.tensors.len().div_ceil(64)];
        for (index, tensor) in gradients.tensors.iter().enumerate() {
            defined[index / 64] |= u64::from(tensor.defined()) << (index % 64);
        }
        let terms = gradients.terms.iter().map(|(_, value)| *value);
        Part {
            examples: gradients.examples as u64,
            stop: self.interrupt.raised(),
            defined,
            losses: std::iter::once(gradients.loss).chain(terms).collect(),
            metrics: gradients.metrics.clone(),
        }
    }

    /// Zeros where another process has a gradient and this one has none.
    fn define(&self, gradients: &mut Gradients, parts: &[Part]) -> Result<()> {
        let parameters = self.model.params().parameters();
        for (index, (tensor, (_, parameter))) in
            gradients.tensors.iter_mut().zip(parameters).enumerate()
        {
            let word = |part: &Part| part.defined.get(index / 64).copied().unwrap_or(0);
            let anywhere = parts.iter().any(|part| word(part) >> (index % 64) & 1 == 1);
            if anywhere && !tensor.defined() {
                *tensor = parameter.f_detach()?.f_zeros_like()?;
            }
        }
        Ok(())
    }

    /// Gives every process the weights of rank 0: machines may differ in the last bits of what they drew or fitted.
    pub(super) fn synchronize(&mut self) -> Result<()> {
        if self.group.size() == 1 {
            return Ok(());
        }
        let parameters = self.model.params().parameters();
        let mut tensors: Vec<tch::Tensor> = parameters.map(|(_, t)| t.shallow_clone()).collect();
        let sent = Reducer::broadcast(self.group.as_ref(), &mut tensors);
        sent.map_err(|error| self.lost(error))
    }

    /// Waits for the other processes, which may read what rank 0 wrote before.
    pub(super) fn meet(&self) -> Result<()> {
        let met = self.group.barrier(self.options.process_timeout);
        met.map_err(|error| self.lost(error))
    }

    /// Position in the batch of this process's first example.
    pub(super) fn first_example(&self) -> u64 {
        let count = self.options.batch_size.min(self.loader.dataset().len());
        self.loader.options().share.of(count).start as u64
    }

    pub(super) fn lost(&self, lost: nac_dist::DistError) -> TrainError {
        let step = self.state.step + 1;
        TrainError::Processes { step, lost }
    }
}
