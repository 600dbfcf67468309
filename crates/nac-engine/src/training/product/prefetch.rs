//! Asks for memory that will be read soon.

/// Numbers in a cache line.
const LINE: usize = 16;

/// Brings the lines of these numbers into the second-level cache; does nothing where there is no such instruction.
#[inline(always)]
pub(super) fn prefetch<T: bytemuck::Pod>(numbers: &[T]) {
    const { assert!(size_of::<T>() == 4) }
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch is a hint without an architectural effect, and the address is that of a live slice.
        #[allow(unsafe_code, reason = "there is no safe prefetch")]
        unsafe {
            _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (numbers, LINE);
}
