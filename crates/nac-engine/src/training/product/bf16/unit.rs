//! Which instructions multiply bfloat16 pairs, found out once.

use std::sync::OnceLock;

use super::BLOCK;

/// Instructions for products of bfloat16 pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Dot products of AVX-512 BF16.
    Avx512,
    /// Tile registers, once the operating system has agreed to save them.
    Amx,
}

impl Unit {
    /// The fastest that this processor has.
    pub(crate) fn detect() -> Option<Self> {
        static UNIT: OnceLock<Option<Unit>> = OnceLock::new();
        *UNIT.get_or_init(|| Self::all().last().copied())
    }

    /// All that this processor has, the fastest last.
    pub(crate) fn all() -> Vec<Self> {
        #[cfg_attr(
            not(target_arch = "x86_64"),
            allow(unused_mut, reason = "there is nothing to find")
        )]
        let mut units = Vec::new();
        #[cfg(target_arch = "x86_64")]
        if super::avx512::is_there() {
            units.push(Self::Avx512);
            #[cfg(target_os = "linux")]
            if super::amx::is_there() {
                units.push(Self::Amx);
            }
        }
        units
    }

    /// Prepares the thread; dropping the result undoes it.
    pub(crate) fn enter(self) -> Entered {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if self == Self::Amx {
            return Entered(Some(super::amx::Tiles::new()));
        }
        Entered(None)
    }
}

/// The thread is prepared for products.
pub(crate) struct Entered(
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))] Option<super::amx::Tiles>,
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))] Option<()>,
);

impl Entered {
    /// `c = start + a b` for 32 rows of `a`, each `pairs` long, and a panel of 32 columns of `b`. Without a `start`, for
    /// each column, sums start at what `c` holds.
    ///
    /// # Shapes
    /// - c: `[32, 32]`, row `i` starts at `i · c_stride`
    #[inline(always)]
    pub(crate) fn block(
        &self,
        (a, b, pairs): (&[u32], &[u32], usize),
        start: Option<&[f32; BLOCK]>,
        (c, c_stride): (&mut [f32], usize),
    ) {
        let operands = (&a[..BLOCK * pairs], &b[..BLOCK * pairs], pairs);
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if let Some(tiles) = &self.0 {
            return tiles.block(operands, start, (c, c_stride));
        }
        #[cfg(target_arch = "x86_64")]
        super::avx512::block(operands, start, (c, c_stride));
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (operands, start, c, c_stride);
    }
}
