//! GELU or GEGLU, together with the scale of the projection that follows.

use pulp::{Simd, WithSimd};

use super::source::Rows;
use crate::simd::math::{gelu, gelu_and_slope};

/// `z = act(pre) [⊙ factor]`, where `act` is `GELU`, or `value ⊙ GELU(gate)` for rows that hold values, then gates.
pub(crate) struct Activate<'a> {
    /// `[rows, hidden]`, or `[rows, 2 · hidden]` if it is gated.
    pub(crate) pre: &'a [f32],
    pub(crate) gated: bool,
    pub(crate) factor: Option<Rows<'a>>,
    /// Number of the first row.
    pub(crate) first: usize,
    /// `[rows, hidden]`
    pub(crate) z: &'a mut [f32],
    pub(crate) hidden: usize,
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (hidden, gated) = (self.hidden, self.gated);
        let rows = self.z.len() / hidden.max(1);
        let width = hidden << usize::from(gated);
        let mut factors = self.factor.map(|factor| factor.each(self.first, rows));
        for row in 0..rows {
            let pre = &self.pre[row * width..(row + 1) * width];
            let (value, gate) = pre.split_at(if gated { hidden } else { 0 });
            let factor = factors.as_mut().and_then(Iterator::next);
            let z = &mut self.z[row * hidden..(row + 1) * hidden];
            match (gated, factor) {
                (true, Some(factor)) => activate::<S, true, true>(simd, value, gate, factor, z),
                (true, None) => activate::<S, true, false>(simd, value, gate, &[], z),
                (false, Some(factor)) => activate::<S, false, true>(simd, &[], gate, factor, z),
                (false, None) => activate::<S, false, false>(simd, &[], gate, &[], z),
            }
        }
    }
}

#[inline(always)]
fn activate<S: Simd, const GATED: bool, const SCALED: bool>(
    simd: S,
    value: &[f32],
    gate: &[f32],
    factor: &[f32],
    z: &mut [f32],
) {
    let (value, value_tail) = S::as_simd_f32s(value);
    let (gate, gate_tail) = S::as_simd_f32s(gate);
    let (factor, factor_tail) = S::as_simd_f32s(factor);
    let (z, z_tail) = S::as_mut_simd_f32s(z);
    for (i, (gate, z)) in gate.iter().zip(z).enumerate() {
        let mut result = gelu(simd, *gate);
        if GATED {
            result = simd.mul_f32s(value[i], result);
        }
        if SCALED {
            result = simd.mul_f32s(factor[i], result);
        }
        *z = result;
    }
    if z_tail.is_empty() {
        return;
    }
    let mut result = gelu(simd, simd.partial_load_f32s(gate_tail));
    if GATED {
        result = simd.mul_f32s(simd.partial_load_f32s(value_tail), result);
    }
    if SCALED {
        result = simd.mul_f32s(simd.partial_load_f32s(factor_tail), result);
    }
    simd.partial_store_f32s(z_tail, result);
}

/// Gradient of [`Activate`]: `∇pre` replaces `pre`, `z` replaces `∇z`, and `∇factor += ∇z ⊙ act(pre)`.
pub(crate) struct ActivateBackward<'a> {
    /// In: `pre`. Out: its gradient.
    pub(crate) pre: &'a mut [f32],
    pub(crate) gated: bool,
    /// In: the gradient of `z`. Out: `z`.
    pub(crate) z: &'a mut [f32],
    pub(crate) hidden: usize,
    pub(crate) factor: Option<FactorBackward<'a>>,
}

/// A factor and the sum that its gradient is added to.
pub(crate) struct FactorBackward<'a> {
    pub(crate) factor: Rows<'a>,
    /// Number of the first row among those of `factor`.
    pub(crate) first: usize,
    /// Starts again from the first row after the last.
    pub(crate) d_factor: &'a mut [f32],
    /// Number of the first row among those of `d_factor`.
    pub(crate) first_sum: usize,
}

impl WithSimd for ActivateBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (hidden, gated) = (self.hidden, self.gated);
        let rows = self.z.len() / hidden.max(1);
        let width = hidden << usize::from(gated);
        let mut factors = self
            .factor
            .as_ref()
            .map(|all| all.factor.each(all.first, rows));
        let mut sum = self
            .factor
            .as_ref()
            .map_or(0, |all| all.first_sum * hidden % all.d_factor.len().max(1));
        for row in 0..rows {
            let pre = &mut self.pre[row * width..(row + 1) * width];
            let (value, gate) = pre.split_at_mut(if gated { hidden } else { 0 });
            let value = gated.then_some(value);
            let z = &mut self.z[row * hidden..(row + 1) * hidden];
            let factor = factors.as_mut().and_then(Iterator::next);
            let sums = self.factor.as_mut().map(|all| {
                let (at, end) = (sum, sum + hidden);
                sum = if end == all.d_factor.len() { 0 } else { end };
                &mut all.d_factor[at..end]
            });
            match factor.zip(sums) {
                Some((factor, sums)) => {
                    row_backward::<S, true>(simd, value, gate, z, (factor, sums))
                }
                None => row_backward::<S, false>(simd, value, gate, z, (&[], &mut [])),
            }
        }
    }
}

#[inline(always)]
fn row_backward<S: Simd, const SCALED: bool>(
    simd: S,
    value: Option<&mut [f32]>,
    gate: &mut [f32],
    z: &mut [f32],
    (factor, sums): (&[f32], &mut [f32]),
) {
    let gated = value.is_some();
    let (value, value_tail) = S::as_mut_simd_f32s(value.unwrap_or_default());
    let (gate, gate_tail) = S::as_mut_simd_f32s(gate);
    let (z, z_tail) = S::as_mut_simd_f32s(z);
    let (factor, factor_tail) = S::as_simd_f32s(factor);
    let (sums, sums_tail) = S::as_mut_simd_f32s(sums);
    let (one, zero) = (simd.splat_f32s(1.0), simd.splat_f32s(0.0));
    for (i, (gate, z)) in gate.iter_mut().zip(z).enumerate() {
        let cell = Cell {
            value: if gated { value[i] } else { one },
            gate: *gate,
            d_z: *z,
            factor: if SCALED { factor[i] } else { one },
            sum: if SCALED { sums[i] } else { zero },
        };
        let result = cell.backward(simd);
        (*gate, *z) = (result.gate, result.d_z);
        if gated {
            value[i] = result.value;
        }
        if SCALED {
            sums[i] = result.sum;
        }
    }
    if !gate_tail.is_empty() {
        let cell = Cell {
            value: if gated {
                simd.partial_load_f32s(value_tail)
            } else {
                one
            },
            gate: simd.partial_load_f32s(gate_tail),
            d_z: simd.partial_load_f32s(z_tail),
            factor: if SCALED {
                simd.partial_load_f32s(factor_tail)
            } else {
                one
            },
            sum: if SCALED {
                simd.partial_load_f32s(sums_tail)
            } else {
                zero
            },
        };
        let result = cell.backward(simd);
        simd.partial_store_f32s(gate_tail, result.gate);
        simd.partial_store_f32s(z_tail, result.d_z);
        if gated {
            simd.partial_store_f32s(value_tail, result.value);
        }
        if SCALED {
            simd.partial_store_f32s(sums_tail, result.sum);
        }
    }
}

/// Numbers of one place, or what replaces them.
struct Cell<V> {
    value: V,
    gate: V,
    d_z: V,
    factor: V,
    sum: V,
}

impl<V: Copy> Cell<V> {
    #[inline(always)]
    fn backward<S: Simd<f32s = V>>(self, simd: S) -> Self {
        let (gelu, slope) = gelu_and_slope(simd, self.gate);
        let result = simd.mul_f32s(self.value, gelu);
        let d_result = simd.mul_f32s(self.d_z, self.factor);
        Self {
            value: simd.mul_f32s(d_result, gelu),
            gate: simd.mul_f32s(simd.mul_f32s(d_result, self.value), slope),
            d_z: simd.mul_f32s(result, self.factor),
            factor: self.factor,
            sum: simd.mul_add_f32s(self.d_z, result, self.sum),
        }
    }
}
