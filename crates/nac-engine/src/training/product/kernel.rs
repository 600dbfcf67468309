//! The inner loop of all products in single precision: a tile of up to 6 rows × 4 vectors that stays in registers.
//!
//! On AVX-512 this is 6 × 64 (24 of 32 registers hold sums), on AVX2 6 × 16, on NEON 6 × 16. For each step of the
//! summed dimension a tile loads its vectors of `b` once and broadcasts one number of `a` per row, straight from memory.

use pulp::Simd;

/// Most columns of a tile: what a panel of packed weights holds.
#[inline(always)]
pub(super) fn panel<S: Simd>() -> usize {
    S::F32_LANES * vectors::<S>()
}

/// Most vectors in a row of a tile.
#[inline(always)]
fn vectors<S: Simd>() -> usize {
    // AVX2 has half as many registers as the others.
    if S::F32_LANES == 8 { 2 } else { 4 }
}

/// Columns of the next tile if this many are left: four, two, one or a part of a vector.
#[inline(always)]
pub(super) fn width<S: Simd>(columns: usize) -> usize {
    match columns / S::F32_LANES {
        0 => columns,
        1 => S::F32_LANES,
        2 | 3 => 2 * S::F32_LANES,
        _ => panel::<S>(),
    }
}

/// Rows of the next tile if this many are left: 6, 4 or 1, since each height is code of its own.
#[inline(always)]
pub(super) fn height(rows: usize) -> usize {
    match rows {
        0..4 => 1,
        4 | 5 | 8 | 9 => 4,
        _ => 6,
    }
}

/// One tile of a product: `c[i][j] = start[i][j] + Σ_k a[i][k] b[k][j]`.
pub(super) struct Tile<'a> {
    /// Row `k` starts at `k · b_stride`.
    pub(super) b: &'a [f32],
    pub(super) b_stride: usize,
    pub(super) depth: usize,
    /// Row `i` starts at `i · c_stride`.
    pub(super) c: &'a mut [f32],
    pub(super) c_stride: usize,
    /// Number of columns, as [`width`] gives them.
    pub(super) columns: usize,
    /// Whether sums start at what `c` holds.
    pub(super) add: bool,
    /// One number per column that sums start at.
    pub(super) bias: Option<&'a [f32]>,
}

/// Numbers of the left operand for one tile of `ROWS` rows.
pub(super) trait Column<const ROWS: usize> {
    /// The same without steps from `depth` on, so that the loop over `depth` steps needs no further checks.
    fn cut(&self, depth: usize) -> Self;

    /// `a[..][k]`.
    fn at(&self, k: usize) -> [f32; ROWS];
}

/// Rows of `a` that are contiguous.
pub(super) struct ByRow<'a, const ROWS: usize>(pub(super) [&'a [f32]; ROWS]);

impl<const ROWS: usize> Column<ROWS> for ByRow<'_, ROWS> {
    #[inline(always)]
    fn cut(&self, depth: usize) -> Self {
        Self(std::array::from_fn(|i| &self.0[i][..depth]))
    }

    #[inline(always)]
    fn at(&self, k: usize) -> [f32; ROWS] {
        std::array::from_fn(|i| self.0[i][k])
    }
}

/// Columns of `a` that are contiguous; column `k` starts at `k · stride`.
pub(super) struct ByColumn<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
}

impl<const ROWS: usize> Column<ROWS> for ByColumn<'_> {
    #[inline(always)]
    fn cut(&self, _: usize) -> Self {
        Self { ..*self }
    }

    #[inline(always)]
    fn at(&self, k: usize) -> [f32; ROWS] {
        let column = &self.data[k * self.stride..][..ROWS];
        std::array::from_fn(|i| column[i])
    }
}

impl Tile<'_> {
    /// Computes the tile; [`width`] says how many columns it may have.
    #[inline(always)]
    pub(super) fn run<S: Simd, const R: usize>(self, simd: S, a: &impl Column<R>) {
        match self.columns / S::F32_LANES {
            0 => self.vectors::<S, R, 1, false>(simd, a),
            1 => self.vectors::<S, R, 1, true>(simd, a),
            2 => self.vectors::<S, R, 2, true>(simd, a),
            4 if vectors::<S>() == 4 => self.vectors::<S, R, 4, true>(simd, a),
            _ => debug_assert!(false, "{} columns in a tile", self.columns),
        }
    }

    /// `WHOLE`: the last vector is full.
    #[inline(always)]
    fn vectors<S: Simd, const R: usize, const V: usize, const WHOLE: bool>(
        self,
        simd: S,
        a: &impl Column<R>,
    ) {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        if let Some(bias) = self.bias {
            sums = [load::<S, V, WHOLE>(simd, &bias[..self.columns]); R];
        }
        if self.add {
            for (i, sums) in sums.iter_mut().enumerate() {
                let c = &self.c[i * self.c_stride..][..self.columns];
                let c = load::<S, V, WHOLE>(simd, c);
                for j in 0..V {
                    sums[j] = simd.add_f32s(sums[j], c[j]);
                }
            }
        }
        let (depth, stride) = (self.depth, self.b_stride);
        let a = a.cut(depth);
        if stride == V * S::F32_LANES && self.b.len() >= depth * stride {
            let b = &S::as_simd_f32s(&self.b[..depth * stride])
                .0
                .as_chunks::<V>()
                .0[..depth];
            for (k, b) in b.iter().enumerate() {
                step(simd, a.at(k), b, &mut sums);
            }
        } else {
            for k in 0..depth {
                let b = load::<S, V, WHOLE>(simd, &self.b[k * stride..][..self.columns]);
                step(simd, a.at(k), &b, &mut sums);
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            let c = &mut self.c[i * self.c_stride..][..self.columns];
            store::<S, V, WHOLE>(simd, c, sums);
        }
    }
}

/// One step of the summed dimension.
#[inline(always)]
fn step<S: Simd, const R: usize, const V: usize>(
    simd: S,
    a: [f32; R],
    b: &[S::f32s; V],
    sums: &mut [[S::f32s; V]; R],
) {
    for i in 0..R {
        let a = simd.splat_f32s(a[i]);
        for j in 0..V {
            sums[i][j] = simd.mul_add_f32s(a, b[j], sums[i][j]);
        }
    }
}

/// `V` vectors, of which the last may be part of one.
#[inline(always)]
fn load<S: Simd, const V: usize, const WHOLE: bool>(simd: S, numbers: &[f32]) -> [S::f32s; V] {
    if WHOLE {
        let vectors = &S::as_simd_f32s(&numbers[..V * S::F32_LANES]).0[..V];
        std::array::from_fn(|j| vectors[j])
    } else {
        let (whole, rest) = numbers.split_at((V - 1) * S::F32_LANES);
        let whole = &S::as_simd_f32s(whole).0[..V - 1];
        let rest = simd.partial_load_f32s(rest);
        std::array::from_fn(|j| if j + 1 < V { whole[j] } else { rest })
    }
}

#[inline(always)]
fn store<S: Simd, const V: usize, const WHOLE: bool>(
    simd: S,
    numbers: &mut [f32],
    vectors: &[S::f32s; V],
) {
    if WHOLE {
        let to = &mut S::as_mut_simd_f32s(&mut numbers[..V * S::F32_LANES]).0[..V];
        to.copy_from_slice(vectors);
    } else {
        let (whole, rest) = numbers.split_at_mut((V - 1) * S::F32_LANES);
        let whole = &mut S::as_mut_simd_f32s(whole).0[..V - 1];
        whole.copy_from_slice(&vectors[..V - 1]);
        simd.partial_store_f32s(rest, vectors[V - 1]);
    }
}
