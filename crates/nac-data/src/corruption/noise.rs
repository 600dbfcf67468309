//! Noise of each value for itself.

use super::bytes::byte;
use crate::random::Stream;

/// `x + σ·N(0, 1)`.
pub(super) fn gaussian(pixels: &[u8], sigma: f64, stream: &mut Stream) -> Vec<u8> {
    let noisy = |&x: &u8| byte(f64::from(x) / 255.0 + sigma * stream.normal());
    pixels.iter().map(noisy).collect()
}

/// `Poisson(x·photons) / photons`.
pub(super) fn shot(pixels: &[u8], photons: f64, stream: &mut Stream) -> Vec<u8> {
    let noisy = |&x: &u8| byte(stream.poisson(f64::from(x) / 255.0 * photons) as f64 / photons);
    pixels.iter().map(noisy).collect()
}

/// 0 or 255, with equal probability, for a share of the values.
pub(super) fn impulse(pixels: &[u8], share: f64, stream: &mut Stream) -> Vec<u8> {
    let noisy = |&x: &u8| {
        let draw = stream.uniform();
        match draw < share {
            true if draw < share / 2.0 => 0,
            true => 255,
            false => x,
        }
    };
    pixels.iter().map(noisy).collect()
}
