//! Blocks of results in the tile registers of AMX: four tiles of 16 × 16 sums, two of `a` and two of `b`.
//!
//! The compiler has no stable intrinsics for them, so this is assembly.

#![allow(unsafe_code, reason = "AMX has no stable intrinsics")]

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;

use super::BLOCK;

/// `arch_prctl`, and what it is asked for: to save tile registers when threads change.
const ARCH_PRCTL: usize = 158;
const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
const XFEATURE_XTILEDATA: usize = 18;

/// Whether the processor multiplies bfloat16 tiles, and the operating system lets this process do it.
pub(super) fn is_there() -> bool {
    const TILE: u32 = 1 << 24;
    const BF16: u32 = 1 << 22;
    if __cpuid_count(0, 0).eax < 7 || __cpuid_count(7, 0).edx & (TILE | BF16) != TILE | BF16 {
        return false;
    }
    let result: isize;
    // SAFETY: this system call reads and writes no memory of the process; Linux knows of it or answers with an error,
    // and the registers that a system call changes are declared.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// How tile registers are divided up: the memory that `ldtilecfg` reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Bytes of a row of each tile.
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Eight tiles of 16 rows of 64 bytes: the registers of this thread are configured as long as it lives.
///
/// It stays on the thread where it was made.
pub(super) struct Tiles(PhantomData<*const ()>);

impl Tiles {
    /// To be called only where [`is_there`] has answered yes.
    pub(super) fn new() -> Self {
        let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
        row_bytes[..8].fill(64);
        rows[..8].fill(16);
        let configuration = Configuration {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes,
            rows,
        };
        // SAFETY: `Unit::all` has found AMX and its permission before there is a `Unit::Amx`. The instruction reads the
        // 64 bytes of the configuration, a valid one of palette 1, and changes nothing but tile registers, which
        // compiled code does not use.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly));
        }
        Self(PhantomData)
    }

    /// As [`Entered::block`](super::unit::Entered::block); `pairs` is a multiple of 16.
    #[inline]
    pub(super) fn block(
        &self,
        (a, b, pairs): (&[u32], &[u32], usize),
        start: Option<&[f32; BLOCK]>,
        (c, c_stride): (&mut [f32], usize),
    ) {
        assert!(pairs > 0 && pairs.is_multiple_of(BLOCK / 2));
        assert!(a.len() == BLOCK * pairs && b.len() == BLOCK * pairs);
        assert!(c_stride >= BLOCK && c.len() >= (BLOCK - 1) * c_stride + BLOCK);
        let c = c.as_mut_ptr();
        // A stride of zero repeats one row.
        let (from, from_stride) = start.map_or((c.cast_const(), c_stride), |row| (row.as_ptr(), 0));
        let half = BLOCK / 2;
        // SAFETY: tiles are configured as long as `self` lives, as 16 rows of 64 bytes. In step `s` of `pairs / 16`, tiles
        // of `a` are 64 bytes from `64 s` on of rows 0..16 and 16..32, each `4 pairs` bytes long, so the last byte read
        // is the last of `a`; tiles of `b` are both halves of its rows `16 s..16 s + 16` of 128 bytes. Tiles of
        // sums are both halves of rows 0..16 and 16..32 of `c`, which are 32 numbers each, or the two halves of
        // `start`. Lengths are asserted above.
        unsafe {
            asm!(
                "tileloadd tmm0, [{from} + {from_stride}*1]",
                "tileloadd tmm1, [{from} + {from_stride}*1 + 64]",
                "tileloadd tmm2, [{from_lower} + {from_stride}*1]",
                "tileloadd tmm3, [{from_lower} + {from_stride}*1 + 64]",
                from = in(reg) from,
                from_lower = in(reg) from.add(half * from_stride),
                from_stride = in(reg) 4 * from_stride,
                options(nostack, readonly),
            );
            asm!(
                "2:",
                "tileloadd tmm6, [{b} + {line}*1]",
                "tileloadd tmm4, [{upper} + {row}*1]",
                "tileloadd tmm7, [{b} + {line}*1 + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{lower} + {row}*1]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {upper}, 64",
                "add {lower}, 64",
                "add {b}, 2048",
                "dec {steps}",
                "jnz 2b",
                upper = inout(reg) a.as_ptr() => _,
                lower = inout(reg) a.as_ptr().add(half * pairs) => _,
                b = inout(reg) b.as_ptr() => _,
                steps = inout(reg) pairs / half => _,
                row = in(reg) 4 * pairs,
                line = in(reg) 4 * BLOCK,
                options(nostack, readonly),
            );
            asm!(
                "tilestored [{c} + {stride}*1], tmm0",
                "tilestored [{c} + {stride}*1 + 64], tmm1",
                "tilestored [{lower} + {stride}*1], tmm2",
                "tilestored [{lower} + {stride}*1 + 64], tmm3",
                c = in(reg) c,
                lower = in(reg) c.add(half * c_stride),
                stride = in(reg) 4 * c_stride,
                options(nostack),
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: where there are tiles to configure there are tiles to release; nothing reads them afterwards.
        unsafe {
            asm!("tilerelease", options(nomem, nostack));
        }
    }
}
