//! A cheap upper bound of `exp(−d/ε)`, which rules out almost every pair of a sparse graph.
//!
//! Drawing an edge asks `u < exp(−d/ε)`. The bits of a positive `f32`, read as an integer and
//! divided by 2²³, are its base-2 logarithm plus 127, too small by at most 0.09 and never too large.
//! So `u < exp(−d/ε)` implies `bits(u) ≤ 2²³·(127 − d·log₂e/ε)`, which costs a product and a
//! comparison. Pairs that pass, a few more than there are edges, are then decided exactly.

use std::f64::consts::LOG2_E;

/// One step of the logarithm of a `f32` in its bits: 2²³.
const OCTAVE: f64 = (1_u32 << 23) as f64;
/// Covers rounding: numbers near 2³⁰ are exact to 64, products to a few hundred. A thousandth of an
/// octave, so a thousandth more pairs pass than need to.
const SLACK: f64 = 8192.0;
/// Keeps the slope finite. A smaller slope only lets more pairs pass.
const STEEPEST: f32 = 1e30;

/// The bound for one bandwidth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prefilter {
    top: f32,
    slope: f32,
}

impl Prefilter {
    /// The bound for `exp(−d/bandwidth)`.
    pub(super) fn new(bandwidth: f64) -> Self {
        Self {
            top: (127.0 * OCTAVE + SLACK) as f32,
            slope: ((LOG2_E * OCTAVE / bandwidth) as f32).min(STEEPEST),
        }
    }

    /// False only if the draw whose upper 32 bits are `high` is not below `exp(−distance/ε)`.
    #[inline(always)]
    pub(super) fn may_link(self, distance: f32, high: u32) -> bool {
        // 24 bits are exact in `f32`, and what is cut off makes the draw smaller.
        let draw = (high >> 8) as i32 as f32 * (1.0 / (1 << 24) as f32);
        let bits = draw.to_bits() as i32 as f32;
        let bound = self.top - distance * self.slope;
        // A draw of 0 always passes. This form compiles to one instruction.
        bits <= if bound > 0.0 { bound } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Streams, unit_f64};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn no_link_is_ruled_out(
            distance in prop_oneof![Just(0.0), Just(2.0), 0.0_f64..2.0, 0.0_f64..1e-6],
            log_bandwidth in -90.0_f64..90.0,
            below in prop_oneof![Just(1.0), 0.999_f64..1.0, 0.0_f64..1.0],
        ) {
            let bandwidth = log_bandwidth.exp2();
            let bound = Prefilter::new(bandwidth);
            let narrow = (-(distance as f32 / bandwidth as f32)).exp();
            for p in [(-(distance / bandwidth)).exp(), f64::from(narrow)] {
                // The largest draw below `p · below`.
                let bits = ((p * below * (1_u64 << 53) as f64).ceil() as u64).saturating_sub(1) << 11;
                if unit_f64(bits) < p {
                    prop_assert!(bound.may_link(distance as f32, (bits >> 32) as u32), "{p}");
                }
            }
        }
    }

    #[test]
    fn few_more_pairs_pass_than_are_linked() {
        // Passing is decided by `bits(u) ≤ …`, an overestimate of at most 6.2 % (2^0.086), and 2⁻²⁴
        // of all draws; 5 standard deviations of the count are allowed for.
        let draws = 400_000;
        let bound = Prefilter::new(0.125);
        for distance in [0.0_f32, 0.05, 0.2, 0.4, 0.7] {
            let p = (-f64::from(distance) / 0.125).exp();
            let mut stream = Streams::new(8).stream(&distance.to_string());
            let passed = (0..draws)
                .filter(|_| bound.may_link(distance, (stream.next_u64() >> 32) as u32))
                .count() as f64;
            let expected = (1.063 * p).min(1.0) * f64::from(draws);
            assert!(
                passed <= expected + 5.0 * expected.sqrt(),
                "{distance}: {passed}"
            );
        }
    }

    #[test]
    fn distances_that_are_none_pass_with_no_draw_but_zero() {
        for bandwidth in [1e-300, 1.0, 1e300] {
            let bound = Prefilter::new(bandwidth);
            assert!(!bound.may_link(f32::INFINITY, 1 << 8));
            assert!(bound.may_link(f32::INFINITY, 0));
        }
    }
}
