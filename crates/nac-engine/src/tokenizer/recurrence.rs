//! Gated diagonal linear recurrence, one position after the other.

use crate::backend::Backend;
use crate::blocks::Layout;
use crate::error::Result;
use crate::layer::{Modulation, Norm, Projection, Target};
use crate::scratch::{Scratch, ScratchSize};
use crate::simd::Row;
use crate::simd::gelu::Gate;
use crate::weights::WeightScope;
use nac_core::model::spec::{LinearSpec, RecurrenceSpec};

/// The recurrence of [`RecurrenceSpec`].
#[derive(Debug, Clone)]
pub(super) struct Recurrence {
    norm: Norm,
    value: Projection,
    gate: Projection,
    output: Projection,
    states: Vec<State>,
}

/// What a state multiplies by.
#[derive(Debug, Clone, Copy)]
struct State {
    /// For this value and those before it, gain included.
    kernel: [f32; RecurrenceSpec::KERNEL],
    /// `λ`.
    factor: f32,
}

impl State {
    /// Replaces values by states. `carry` holds the last values of the block before, the latest first, and its last
    /// state.
    fn run(self, values: &mut Row, carry: &mut Row) {
        let [mut first, mut second, mut third, mut state, ..] = carry.0;
        let [now, before, earlier, earliest] = self.kernel;
        for x in &mut values.0 {
            let input = now * *x + before * first + earlier * second + earliest * third;
            (third, second, first) = (second, first, *x);
            state = self.factor * state + input;
            *x = state;
        }
        carry.0[..4].copy_from_slice(&[first, second, third, state]);
    }
}

impl Recurrence {
    pub(super) fn load(
        scope: &WeightScope<'_, '_>,
        spec: &RecurrenceSpec,
        backend: &Backend,
    ) -> Result<Self> {
        let precision = backend.precision.without_int8();
        let linear = |layer: &LinearSpec| {
            let layouts = (Layout::plain(layer.input), Layout::plain(layer.output));
            Projection::linear(scope, layer, layouts, precision)
        };
        let below = scope.sub(&spec.path);
        let kernel = below.matrix("kernel", &[RecurrenceSpec::KERNEL, spec.states])?;
        let decay = below.tensor("decay", &[spec.states])?;
        let gain = below.tensor("gain", &[spec.states])?;
        let state = |index: usize| State {
            kernel: std::array::from_fn(|tap| kernel[[tap, index]] * gain[index]),
            factor: (-decay[index].max(0.0)).exp(),
        };
        Ok(Self {
            norm: Norm::of(scope, &spec.norm)?,
            value: linear(&spec.value)?,
            gate: linear(&spec.gate)?,
            output: linear(&spec.output)?,
            states: (0..spec.states).map(state).collect(),
        })
    }

    pub(super) fn scratch_size(&self) -> ScratchSize {
        let (rows, states) = (self.value.input_rows(), self.value.output_rows());
        ScratchSize {
            normal: rows,
            operand: rows.max(states),
            query: states,
            message: states,
            hidden: states,
        }
    }

    /// The layer on all blocks of an example, in place.
    pub(super) fn run(&self, backend: &Backend, x: &mut [Row], scratch: &mut Scratch) {
        let (rows, states) = (self.value.input_rows(), self.value.output_rows());
        let none = Modulation::default();
        let carry = &mut scratch.hidden[..states];
        carry.fill(Row::ZERO);
        for block in x.chunks_exact_mut(rows) {
            self.norm.apply(backend, block, &mut scratch.normal);
            let u = &scratch.normal[..rows];
            let values = &mut scratch.message[..states];
            let target = Target::overwrite(values, states);
            self.value
                .apply(backend, &none, 0, u, &mut scratch.operand, target);
            let gate = &mut scratch.query[..states];
            let target = Target::overwrite(gate, states);
            self.gate
                .apply(backend, &none, 0, u, &mut scratch.operand, target);
            let all = self.states.iter().zip(values.iter_mut());
            for ((state, values), carry) in all.zip(carry.iter_mut()) {
                state.run(values, carry);
            }
            backend.arch.dispatch(Gate {
                gate,
                y: &mut *values,
            });
            let target = Target {
                y: block,
                stride: rows,
                gamma: None,
                add: true,
            };
            self.output
                .apply(backend, &none, 0, values, &mut scratch.operand, target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_goes_on_from_block_to_block() {
        let state = State {
            kernel: [1.0, 0.5, -0.25, 2.0],
            factor: 0.5,
        };
        let values: Vec<f32> = (0..64).map(|t| ((7 * t) % 11) as f32 - 5.0).collect();
        let at = |t: usize, back: usize| t.checked_sub(back).map_or(0.0, |t| values[t]);
        let mut carry = Row::ZERO;
        let mut expected = 0.0;
        for block in 0..2 {
            let mut row = Row(std::array::from_fn(|lane| values[32 * block + lane]));
            state.run(&mut row, &mut carry);
            for (lane, found) in row.0.iter().enumerate() {
                let t = 32 * block + lane;
                let input = at(t, 0) + 0.5 * at(t, 1) - 0.25 * at(t, 2) + 2.0 * at(t, 3);
                expected = 0.5 * expected + input;
                assert_eq!(*found, expected);
            }
        }
    }
}
