//! Stem only, ready to run: the mean of the tokens, perhaps a layer norm, linear head.

use super::backend::Backend;
use super::blocks::{Layout, resize};
use super::circuit::{Buffers, Head, Observer, TokenCount};
use super::error::Result;
use super::layer::Norm;
use super::scratch::ScratchSize;
use super::simd::{Row, WIDTH};
use super::thread_pool::Workers;
use super::weights::WeightScope;
use nac_core::model::spec::StemOnlySpec;

/// Mean of the tokens that are not padding.
#[derive(Debug)]
pub(crate) struct StemOnly {
    rows: usize,
    norm: Option<Norm>,
    pub(crate) head: Head,
}

impl StemOnly {
    /// The model of `spec` without its tokenizer.
    pub(crate) fn load(
        scope: &WeightScope<'_, '_>,
        spec: &StemOnlySpec,
        backend: &Backend,
    ) -> Result<Self> {
        let norm = spec.norm.as_ref().map(|norm| Norm::of(scope, norm));
        Ok(Self {
            rows: Layout::plain(spec.to_logits.input).rows(),
            norm: norm.transpose()?,
            head: Head::linear(scope, Some(&spec.to_logits), backend)?,
        })
    }

    /// Rows of a block of tokens, and of the block whose first item is the mean.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn scratch_size(&self) -> ScratchSize {
        ScratchSize {
            normal: self.rows,
            ..ScratchSize::default()
        }
    }

    /// From tokens to their means, the first item of a block for each example, in `outputs`.
    pub(crate) fn run(
        &self,
        workers: &Workers<'_>,
        buffers: &mut Buffers,
        count: TokenCount,
        observer: Option<Observer<'_>>,
    ) {
        let rows = self.rows;
        let example_rows = count.tokens.div_ceil(WIDTH) * rows;
        resize(&mut buffers.outputs, count.examples * rows);
        let (tokens, mask) = (&buffers.tokens[..], &buffers.mask[..]);
        workers.each(&mut buffers.outputs, rows, |example, mean, scratch| {
            let tokens = &tokens[example * example_rows..][..example_rows];
            let mask = (count.masked).then(|| &mask[example * count.tokens..][..count.tokens]);
            average(tokens, count.tokens, mask, mean);
            if let Some(norm) = &self.norm {
                norm.apply(workers.backend, mean, &mut scratch.normal);
                mean.copy_from_slice(&scratch.normal[..rows]);
            }
        });
        if let Some(observer) = observer {
            observer("tokens", &buffers.tokens, count.tokens, rows);
            observer("read_out.states", &buffers.outputs, 1, rows);
        }
    }
}

/// Writes the mean of some tokens into the first item of `mean`; zero if none counts.
fn average(tokens: &[Row], count: usize, mask: Option<&[bool]>, mean: &mut [Row]) {
    mean.fill(Row::ZERO);
    let mut real = 0_usize;
    for (block, rows) in tokens.chunks_exact(mean.len()).enumerate() {
        let first = block * WIDTH;
        let counts = |lane: usize| {
            let token = first + lane;
            token < count && mask.is_none_or(|mask| mask[token])
        };
        let counted: [bool; WIDTH] = std::array::from_fn(counts);
        real += counted.iter().filter(|counts| **counts).count();
        for (sum, row) in mean.iter_mut().zip(rows) {
            let lanes = row.0.iter().zip(&counted);
            let real = lanes.map(|(x, counts)| if *counts { *x } else { 0.0 });
            sum.0[0] += real.sum::<f32>();
        }
    }
    let scale = 1.0 / real.max(1) as f32;
    mean.iter_mut().for_each(|row| row.0[0] *= scale);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_that_count_are_averaged() {
        // 40 tokens of one feature in two blocks; lanes beyond them hold rubbish.
        let value = |token: usize| if token < 40 { token as f32 } else { f32::NAN };
        let mut tokens = vec![Row::ZERO; 16];
        for block in 0..2 {
            tokens[8 * block] = Row(std::array::from_fn(|lane| value(WIDTH * block + lane)));
        }
        let mut mean = vec![Row::ZERO; 8];
        average(&tokens, 40, None, &mut mean);
        assert_eq!(mean[0].0[0], 19.5);
        let mut mask = [false; 40];
        (mask[3], mask[37]) = (true, true);
        average(&tokens, 40, Some(&mask), &mut mean);
        assert_eq!(mean[0].0[0], 20.0);
        average(&tokens, 40, Some(&[false; 40]), &mut mean);
        assert_eq!(mean[0].0[0], 0.0);
    }
}
