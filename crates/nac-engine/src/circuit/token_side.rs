//! How tokens are stored for those who read them.

use crate::attention::{Senders, Store};
use crate::layer::{Norm, Precision, Tools};
use crate::simd::Row;
use crate::team::{Room, Scratch};

/// What tokens are to those who read them.
#[derive(Debug, Clone)]
pub(crate) enum TokenSide {
    /// Normalised; they are keys and values themselves.
    Normal { norm: Norm, store: Store },
    /// Keys and values by projections.
    Projected(Box<Senders>),
    /// As they are, for the projection read-in.
    AsTheyAre,
}

impl TokenSide {
    /// Room for tokens of `rows` rows.
    pub(crate) fn room(&self, rows: usize) -> Room {
        let own = Room {
            normal: rows,
            ..Room::default()
        };
        match self {
            Self::Projected(senders) => senders.room().or(own),
            Self::Normal { .. } | Self::AsTheyAre => own,
        }
    }

    /// Where tokens of `rows` rows are stored.
    pub(crate) fn store(&self, rows: usize) -> Store {
        match self {
            Self::Normal { store, .. } => *store,
            Self::Projected(senders) => senders.store,
            Self::AsTheyAre => Store::shared(rows, Precision::F32),
        }
    }

    /// Stores blocks of tokens, each of `rows` rows; the first is block `first`.
    pub(crate) fn put(
        &self,
        tools: &Tools,
        first: usize,
        (tokens, rows): (&[Row], usize),
        stored: &mut [Row],
        scratch: &mut Scratch,
    ) {
        match self {
            Self::Normal { norm, store } => {
                norm.apply(tools, tokens, &mut scratch.normal);
                let normal = scratch.normal.chunks_exact(rows);
                for (x, stored) in normal.zip(stored.chunks_exact_mut(store.rows())) {
                    store.put_shared(tools, x, stored);
                }
            }
            Self::Projected(senders) => senders.put(tools, first, tokens, stored, scratch),
            Self::AsTheyAre => stored.copy_from_slice(tokens),
        }
    }
}
