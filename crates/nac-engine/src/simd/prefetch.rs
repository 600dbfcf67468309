//! Prefetches memory that will be read soon.

use super::transpose::ALIGN;

/// All caches, and all but the first, as `_MM_HINT_T0` and `_MM_HINT_T1` have it.
const ALL: i32 = 3;
const SECOND: i32 = 2;

/// Starts to load these values into the first-level cache. Changes nothing but the time that reading them takes.
#[inline(always)]
pub(crate) fn prefetch(numbers: &[f32]) {
    load::<ALL>(numbers);
}

/// The same for the second-level cache, for values that are read after those that fill the first.
#[inline(always)]
pub(crate) fn prefetch_to_second_level(numbers: &[f32]) {
    load::<SECOND>(numbers);
}

#[inline(always)]
fn load<const HINT: i32>(numbers: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for part in numbers.chunks(ALIGN) {
        use std::arch::x86_64::_mm_prefetch;
        // SAFETY: a prefetch reads nothing that the program sees and cannot fault, whatever the address; this one is
        // within a slice. Every x86-64 processor has the instruction (SSE).
        #[allow(unsafe_code, reason = "the standard library has no safe prefetch")]
        unsafe {
            _mm_prefetch::<HINT>(part.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}
