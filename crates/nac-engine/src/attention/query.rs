//! Queries of receivers: projected from their states, or fixed because their states are.

use std::f32::consts::LOG2_E;

use ndarray::ArrayView2;

use crate::backend::{Backend, Precision};
use crate::blocks::{Blocks, Layout};
use crate::layer::{Modulation, Norm, Projection, Target};
use crate::scratch::Scratch;
use crate::simd::norm::Pair;
use crate::simd::{PairRow, Row};

/// Where queries come from. They are divided by the root of the head's width, and multiplied by `log₂ e` since
/// softmax takes powers of two.
#[derive(Debug, Clone)]
pub(crate) enum Queries {
    /// The same for every input: rows of all blocks, in the numbers that products take.
    Fixed(Blocks),
    /// From the states of the receivers.
    Projected(Box<Projected>),
}

/// Layer norm and query projection.
#[derive(Debug, Clone)]
pub(crate) struct Projected {
    norm: Norm,
    projection: Projection,
    modulation: Modulation,
    scale: Vec<f32>,
}

impl Queries {
    /// Queries of each item, `[items, heads · width]`, not divided yet by `sqrt(divisor)`.
    pub(crate) fn fixed(
        items: ArrayView2<'_, f32>,
        layout: Layout,
        divisor: usize,
        backend: &Backend,
    ) -> Self {
        let mut rows = Blocks::from_items(items, layout);
        rows.scale(LOG2_E / (divisor as f32).sqrt());
        if backend.precision.without_int8() == Precision::F32 {
            return Self::Fixed(rows);
        }
        let mut pairs = Blocks::zeros(layout.rows() / 2, items.nrows());
        for block in 0..rows.count() {
            backend.arch.dispatch(Pair {
                x: rows.block(block),
                factor: None,
                y: bytemuck::cast_slice_mut(pairs.block_mut(block)),
            });
        }
        Self::Fixed(pairs)
    }

    pub(crate) fn projected(
        norm: Norm,
        projection: Projection,
        modulation: Modulation,
        divisor: usize,
    ) -> Self {
        let scale = vec![LOG2_E / (divisor as f32).sqrt(); projection.output_rows()];
        Self::Projected(Box::new(Projected {
            norm,
            projection,
            modulation,
            scale,
        }))
    }

    /// Scratch rows that queries of a block need: for layer norm and operand, and for the queries.
    pub(crate) fn rows(&self) -> (usize, usize) {
        match self {
            Self::Fixed(_) => (0, 0),
            Self::Projected(p) => (p.projection.input_rows(), p.projection.output_rows()),
        }
    }

    /// Computes the queries of some blocks, if they depend on states, into `scratch`, in numbers of `precision`.
    pub(crate) fn compute(
        &self,
        backend: &Backend,
        precision: Precision,
        first: usize,
        states: &[Row],
        scratch: &mut Scratch,
    ) {
        let Self::Projected(p) = self else { return };
        let normal = &mut scratch.normal[..states.len()];
        p.norm.apply(backend, states, normal);
        let stride = p.projection.output_rows();
        let rows = states.len() / p.projection.input_rows() * stride;
        let in_pairs = precision.without_int8() == Precision::Bf16;
        let buffer = if in_pairs {
            &mut scratch.message
        } else {
            &mut scratch.query
        };
        let target = Target {
            y: &mut buffer[..rows],
            stride,
            gamma: Some(&p.scale),
            add: false,
        };
        let operand = &mut scratch.operand;
        p.projection
            .apply(backend, &p.modulation, first, normal, operand, target);
        if in_pairs {
            let y: &mut [PairRow] = bytemuck::cast_slice_mut(&mut scratch.query[..rows / 2]);
            backend.arch.dispatch(Pair {
                x: &scratch.message[..rows],
                factor: None,
                y,
            });
        }
    }

    /// The queries of all heads in single precision: those of block `first + offset`, or of the block at `offset` of
    /// what was computed into `computed`.
    pub(crate) fn all<'a>(
        &'a self,
        (first, offset): (usize, usize),
        computed: &'a [Row],
    ) -> &'a [Row] {
        match self {
            Self::Fixed(blocks) => blocks.block(first + offset),
            Self::Projected(p) => {
                let rows = p.projection.output_rows();
                &computed[offset * rows..][..rows]
            }
        }
    }

    /// The queries of a head, of `rows` features, in numbers of `precision`: those of block `first + offset`, or of the
    /// block at `offset` of what was computed into `computed`.
    pub(crate) fn head<'a>(
        &'a self,
        precision: Precision,
        (first, offset): (usize, usize),
        head: usize,
        rows: usize,
        computed: &'a [Row],
    ) -> &'a [Row] {
        let packed = |rows: usize| match precision.without_int8() {
            Precision::F32 => rows,
            Precision::Bf16 | Precision::Int8 => rows / 2,
        };
        let all = match self {
            Self::Fixed(blocks) => blocks.block(first + offset),
            Self::Projected(p) => {
                let size = packed(p.projection.output_rows());
                &computed[offset * size..][..size]
            }
        };
        &all[head * packed(rows)..][..packed(rows)]
    }
}
