//! Updates of weights on plain memory: AdamW in one pass, and the norm of all gradients.
//!
//! AdamW (arXiv 1711.05101) with gradient `g` in step `t`: `θ ← θ·(1 − η·λ)`, `m ← m + (1−β₁)(g − m)`,
//! `v ← β₂v + (1−β₂)g·g`, `θ ← θ − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)`: the order of operations of PyTorch. Each value
//! is read and written once. Values are updated one by one and sums are taken over fixed pieces in a fixed order, so
//! neither depends on the number of threads.

use pulp::Arch;

/// Values that one task takes.
const PIECE: usize = 1 << 16;
/// Values below which another thread costs more than it saves.
const WORTH_THREADS: usize = 1 << 20;
/// Partial sums that one piece keeps, so that they become vectors.
const LANES: usize = 16;

/// Constants of one step for some weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Learning rate `η`.
    pub learning_rate: f64,
    /// `β₁` and `β₂`.
    pub betas: [f64; 2],
    /// `ε`.
    pub eps: f64,
    /// Weight decay `λ`.
    pub weight_decay: f64,
    /// Number `t` of this step, from 1.
    pub step: u64,
    /// Factor on the gradients, of clipping.
    pub gradient_scale: f64,
}

/// Some weights, their gradient, and the running means of AdamW, all of one length.
#[derive(Debug)]
pub struct AdamWValues<'a> {
    /// Weights `θ`.
    pub weights: &'a mut [f32],
    /// Gradient `g`.
    pub gradient: &'a [f32],
    /// Running mean `m` of the gradient.
    pub mean: &'a mut [f32],
    /// Running mean `v` of its square.
    pub mean_square: &'a mut [f32],
    /// Constants of the step.
    pub step: AdamWStep,
}

impl<'a> AdamWValues<'a> {
    fn len(&self) -> usize {
        self.weights.len()
    }

    /// The first `count` values, and the others.
    fn split(self, count: usize) -> (Self, Self) {
        let (weights, other_weights) = self.weights.split_at_mut(count);
        let (gradient, other_gradient) = self.gradient.split_at(count.min(self.gradient.len()));
        let (mean, other_mean) = self.mean.split_at_mut(count);
        let (mean_square, other_square) = self.mean_square.split_at_mut(count);
        let step = self.step;
        let first = Self {
            weights,
            gradient,
            mean,
            mean_square,
            step,
        };
        let rest = Self {
            weights: other_weights,
            gradient: other_gradient,
            mean: other_mean,
            mean_square: other_square,
            step,
        };
        (first, rest)
    }
}

/// [`AdamWStep`] in the precision of the weights.
#[derive(Clone, Copy)]
struct Factors {
    scale: f32,
    decay: f32,
    toward: f32,
    keep: f32,
    square: f32,
    root: f32,
    eps: f32,
    rate: f32,
}

impl From<AdamWStep> for Factors {
    fn from(step: AdamWStep) -> Self {
        let [beta1, beta2] = step.betas;
        let steps = step.step as f64;
        let [correction1, correction2] = [1.0 - beta1.powf(steps), 1.0 - beta2.powf(steps)];
        Self {
            scale: step.gradient_scale as f32,
            decay: (1.0 - step.learning_rate * step.weight_decay) as f32,
            toward: (1.0 - beta1) as f32,
            keep: beta2 as f32,
            square: (1.0 - beta2) as f32,
            root: correction2.sqrt() as f32,
            eps: step.eps as f32,
            rate: (-step.learning_rate / correction1) as f32,
        }
    }
}

/// One step of AdamW on all `values`, with at most `threads` threads.
///
/// Slices of different lengths are updated as far as the shortest goes.
pub fn adamw(values: Vec<AdamWValues<'_>>, threads: usize) {
    let arch = Arch::new();
    let total: usize = values.iter().map(AdamWValues::len).sum();
    if threads <= 1 || total < WORTH_THREADS {
        values.into_iter().for_each(|part| update(arch, part));
        return;
    }
    let share = total.div_ceil(threads).next_multiple_of(PIECE);
    std::thread::scope(|scope| {
        let mut todo = Vec::new();
        let mut room = share;
        for mut part in values {
            while part.len() > room {
                let (first, rest) = part.split(room);
                todo.push(first);
                let work = std::mem::take(&mut todo);
                scope.spawn(move || work.into_iter().for_each(|part| update(arch, part)));
                (part, room) = (rest, share);
            }
            room -= part.len();
            todo.push(part);
        }
        todo.into_iter().for_each(|part| update(arch, part));
    });
}

fn update(arch: Arch, values: AdamWValues<'_>) {
    let factors = Factors::from(values.step);
    arch.dispatch(
        #[inline(always)]
        || update_each(values, factors),
    );
}

#[inline(always)]
fn update_each(values: AdamWValues<'_>, f: Factors) {
    let moments = values.mean.iter_mut().zip(values.mean_square);
    let weights = values.weights.iter_mut().zip(values.gradient);
    for ((weight, gradient), (mean, square)) in weights.zip(moments) {
        let gradient = gradient * f.scale;
        let m = *mean + f.toward * (gradient - *mean);
        let v = *square * f.keep + (gradient * f.square) * gradient;
        *mean = m;
        *square = v;
        *weight = *weight * f.decay + (m * f.rate) / (v.sqrt() / f.root + f.eps);
    }
}

/// Sum of the squares of all `values` in double precision, with at most `threads` threads.
pub fn sum_of_squares(values: &[&[f32]], threads: usize) -> f64 {
    let arch = Arch::new();
    let pieces = || values.iter().flat_map(|part| part.chunks(PIECE));
    let total: usize = values.iter().map(|part| part.len()).sum();
    if threads <= 1 || total < WORTH_THREADS {
        return pieces().map(|piece| squares(arch, piece)).sum();
    }
    let count = pieces().count();
    let mut sums = vec![0.0; count];
    let share = count.div_ceil(threads);
    std::thread::scope(|scope| {
        for (index, sums) in sums.chunks_mut(share).enumerate() {
            let pieces = pieces().skip(index * share);
            scope.spawn(move || {
                for (sum, piece) in sums.iter_mut().zip(pieces) {
                    *sum = squares(arch, piece);
                }
            });
        }
    });
    sums.iter().sum()
}

fn squares(arch: Arch, values: &[f32]) -> f64 {
    arch.dispatch(
        #[inline(always)]
        || {
            let mut sums = [0.0_f64; LANES];
            let (rows, rest) = values.as_chunks::<LANES>();
            for row in rows {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += f64::from(*value) * f64::from(*value);
                }
            }
            for (sum, value) in sums.iter_mut().zip(rest) {
                *sum += f64::from(*value) * f64::from(*value);
            }
            sums.iter().sum()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_core::rng::Streams;

    const STEP: AdamWStep = AdamWStep {
        learning_rate: 0.05,
        betas: [0.9, 0.99],
        eps: 1e-8,
        weight_decay: 0.3,
        step: 1,
        gradient_scale: 0.5,
    };

    fn drawn(name: &str, count: usize) -> Vec<f32> {
        let mut values = vec![0.0; count];
        Streams::new(1).stream(name).fill_normal(&mut values);
        values
    }

    /// Weights after `steps` steps of parameters of these sizes.
    fn run(sizes: &[usize], steps: u64, threads: usize) -> Vec<Vec<f32>> {
        let of = |name: &str, i: usize| drawn(&format!("{name}{i}"), sizes[i]);
        let all = |name: &str| {
            (0..sizes.len())
                .map(|i| of(name, i))
                .collect::<Vec<Vec<f32>>>()
        };
        let (mut weights, gradients) = (all("w"), all("g"));
        let zeros = || sizes.iter().map(|&n| vec![0.0; n]).collect::<Vec<_>>();
        let (mut means, mut squares) = (zeros(), zeros());
        for step in 1..=steps {
            let moments = means.iter_mut().zip(&mut squares);
            let values = weights.iter_mut().zip(&gradients).zip(moments);
            let values = values.map(|((weights, gradient), (mean, mean_square))| AdamWValues {
                weights,
                gradient,
                mean,
                mean_square,
                step: AdamWStep { step, ..STEP },
            });
            adamw(values.collect(), threads);
        }
        weights
    }

    #[test]
    fn agrees_with_the_paper_in_double() {
        let (weights, gradient) = (drawn("w0", 50), drawn("g0", 50));
        let found = run(&[50], 5, 1);
        for i in 0..50 {
            let (mut theta, g) = (f64::from(weights[i]), f64::from(gradient[i]) * 0.5);
            let (mut m, mut v) = (0.0, 0.0);
            for t in 1..=5 {
                m = 0.9 * m + 0.1 * g;
                v = 0.99 * v + 0.01 * g * g;
                let m_hat = m / (1.0 - 0.9_f64.powi(t));
                let v_hat: f64 = v / (1.0 - 0.99_f64.powi(t));
                theta -= 0.05 * 0.3 * theta + 0.05 * m_hat / (v_hat.sqrt() + 1e-8);
            }
            assert!((f64::from(found[0][i]) - theta).abs() < 2e-6);
        }
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let sizes = [3, WORTH_THREADS + 5, 0, 17, PIECE, 70_001];
        let expected = run(&sizes, 2, 1);
        for threads in [2, 3, 7] {
            assert!(run(&sizes, 2, threads) == expected, "{threads} threads");
        }
        let parts: Vec<&[f32]> = expected.iter().map(Vec::as_slice).collect();
        let sum = sum_of_squares(&parts, 1);
        let square = |x: &f32| f64::from(*x) * f64::from(*x);
        let plain: f64 = parts.iter().flat_map(|part| part.iter()).map(square).sum();
        assert!((sum / plain - 1.0).abs() < 1e-10);
        for threads in [2, 5] {
            assert_eq!(sum_of_squares(&parts, threads).to_bits(), sum.to_bits());
        }
    }
}
