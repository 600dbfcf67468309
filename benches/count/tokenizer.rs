//! The ConvNeXt tokenizer.

use nac_modules::tokenizer::ConvNextConfig;

use super::product::{Work, convolution, linear, special};
use super::stage::Stage;

/// Work for an image, with the number of tokens and their dimension.
pub(super) fn stage(
    config: &ConvNextConfig,
    (channels, height, width): (usize, usize, usize),
) -> (Stage, usize, usize) {
    let (mut rows, mut columns) = (height, width);
    let mut inputs = channels;
    let mut work = Work::default();
    for (index, (&dim, &depth)) in config.dims.iter().zip(&config.depths).enumerate() {
        let patch = if index == 0 { config.stem_patch } else { 2 };
        let read = inputs * rows * columns;
        (rows, columns) = (rows / patch, columns / patch);
        let positions = rows * columns;
        work = work + convolution(positions, patch, (inputs, dim), read);
        let block = convolution(positions, 7, (1, dim), positions * dim)
            + linear(positions, dim, 4 * dim)
            + special(positions * 4 * dim)
            + linear(positions, 4 * dim, dim);
        work = work + block * depth;
        inputs = dim;
    }
    let token_dim = inputs + config.grid_dim;
    (
        Stage::of_images("tokenizer", work),
        rows * columns,
        token_dim,
    )
}
