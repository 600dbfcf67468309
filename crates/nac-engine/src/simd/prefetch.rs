//! Prefetches memory that will be read soon.

use super::transpose::ALIGN;

/// Starts to load these values into the cache. Changes nothing but the time that reading them takes.
#[inline(always)]
pub(crate) fn prefetch(numbers: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for part in numbers.chunks(ALIGN) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing that the program sees and cannot fault, whatever the address; this one is
        // within a slice. Every x86-64 processor has the instruction (SSE).
        #[allow(unsafe_code, reason = "the standard library has no safe prefetch")]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(part.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}
