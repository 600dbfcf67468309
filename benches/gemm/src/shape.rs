//! Shapes of matrix products that are tried.

use serde::Serialize;

/// `[rows, inner] × [inner, columns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) columns: usize,
}

impl Shape {
    pub(crate) fn new(rows: usize, inner: usize, columns: usize) -> Self {
        Self {
            rows,
            inner,
            columns,
        }
    }

    /// Shapes of the circuits' layers for one image and for eight, and squares; larger ones for a GPU.
    pub(crate) fn all(gpu: bool) -> Vec<Self> {
        let mut shapes = vec![
            Self::new(640, 384, 3072),
            Self::new(640, 1536, 384),
            Self::new(640, 384, 1536),
            Self::new(5120, 384, 3072),
            Self::new(1024, 1024, 1024),
            Self::new(2048, 2048, 2048),
        ];
        if gpu {
            shapes.push(Self::new(40_960, 384, 3072));
            shapes.extend([4096, 8192].map(|side| Self::new(side, side, side)));
        }
        shapes
    }

    /// Operations; a multiply-add is two.
    pub(crate) fn flops(self) -> f64 {
        2.0 * self.rows as f64 * self.inner as f64 * self.columns as f64
    }
}
