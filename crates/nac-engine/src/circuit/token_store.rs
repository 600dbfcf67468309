//! How tokens are stored for the modules that read them.

use crate::attention::{KeyValueLayout, KeyValueProjection};
use crate::backend::{Backend, Precision};
use crate::layer::Norm;
use crate::scratch::{Scratch, ScratchSize};
use crate::simd::Row;

/// What the modules that read the tokens attend to.
#[derive(Debug, Clone)]
pub(crate) enum TokenStore {
    /// Normalized tokens, which are keys and values themselves.
    Normalized { norm: Norm, layout: KeyValueLayout },
    /// Keys and values by projections.
    Projected(Box<KeyValueProjection>),
    /// The tokens as they are, for the projection read-in.
    Raw,
}

impl TokenStore {
    /// For tokens of `rows` rows.
    pub(crate) fn scratch_size(&self, rows: usize) -> ScratchSize {
        let own = ScratchSize {
            normal: rows,
            ..ScratchSize::default()
        };
        match self {
            Self::Projected(projection) => projection.scratch_size().max(own),
            Self::Normalized { .. } | Self::Raw => own,
        }
    }

    /// How tokens of `rows` rows are stored.
    pub(crate) fn layout(&self, rows: usize) -> KeyValueLayout {
        match self {
            Self::Normalized { layout, .. } => *layout,
            Self::Projected(projection) => projection.layout,
            Self::Raw => KeyValueLayout::shared(rows, Precision::F32),
        }
    }

    /// Stores blocks of tokens, each of `rows` rows; the first is block `first`.
    pub(crate) fn store(
        &self,
        backend: &Backend,
        first: usize,
        (tokens, rows): (&[Row], usize),
        stored: &mut [Row],
        scratch: &mut Scratch,
    ) {
        match self {
            Self::Normalized { norm, layout } => {
                norm.apply(backend, tokens, &mut scratch.normal);
                let normal = scratch.normal.chunks_exact(rows);
                for (x, stored) in normal.zip(stored.chunks_exact_mut(layout.rows())) {
                    layout.store_shared(backend, x, stored);
                }
            }
            Self::Projected(projection) => {
                projection.store(backend, first, tokens, stored, scratch);
            }
            Self::Raw => stored.copy_from_slice(tokens),
        }
    }
}
