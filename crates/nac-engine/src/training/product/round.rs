//! Rounding to bfloat16: to the nearest, ties to even.

/// The nearest bfloat16 in the upper half; the lower half is what is left over.
#[inline(always)]
pub(super) fn bits(x: f32) -> u32 {
    let bits = x.to_bits();
    bits.wrapping_add(((bits >> 16) & 1) + 0x7fff)
}

/// Two numbers rounded, the first in the low half.
#[inline(always)]
pub(super) fn pair(low: f32, high: f32) -> u32 {
    (bits(low) >> 16) | (bits(high) & 0xffff_0000)
}

/// Rounds each number.
#[inline(always)]
pub(super) fn round_all(numbers: &mut [f32]) {
    for x in numbers {
        *x = f32::from_bits(bits(*x) & 0xffff_0000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_half() {
        let special = [
            0.0,
            -0.0,
            1.0,
            1.003_906_2,
            1.011_718_8,
            f32::INFINITY,
            f32::MIN_POSITIVE,
            f32::MAX,
        ];
        let others = (0..1000).map(|i: u16| (f32::from(i) - 500.0) * 0.123_456_7);
        for x in special.into_iter().chain(others) {
            let mut rounded = [x, -x];
            round_all(&mut rounded);
            let expected = [x, -x].map(|x| half::bf16::from_f32(x).to_f32());
            assert_eq!(rounded, expected);
            let two = expected.map(|x| u32::from(half::bf16::from_f32(x).to_bits()));
            assert_eq!(pair(x, -x), two[0] | (two[1] << 16));
        }
        let mut nan = [f32::NAN];
        round_all(&mut nan);
        assert!(nan[0].is_nan());
    }
}
