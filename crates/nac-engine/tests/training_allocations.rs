//! A training step that is like an earlier one allocates nothing.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, reason = "a circuit that benchmarks use, too")]
#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

mod circuit;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use circuit::{Circuit, Sizes};
use nac_engine::training::{Compute, TrainingPrecision};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it is; counting touches no memory of callers.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the rules of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` comes from `alloc` above, that is from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One test, so that no other thread allocates meanwhile.
#[test]
fn steps_after_the_first_allocate_nothing() {
    let sizes = Sizes {
        batch: 6,
        modules: 12,
        state: 16,
        codes: 8,
        heads: 2,
        head_dim: 8,
        hidden: 24,
        tokens: 10,
        token_dim: 20,
        readout: 3,
        layers: 2,
    };
    for precision in [TrainingPrecision::F32, TrainingPrecision::Mixed] {
        let compute = Compute::new(1, precision).unwrap();
        let mut circuit = Circuit::new(sizes);
        circuit.step(&compute);
        let (before, first) = (ALLOCATIONS.load(Ordering::Relaxed), circuit.checksum());
        for _ in 0..3 {
            circuit.step(&compute);
        }
        let after = ALLOCATIONS.load(Ordering::Relaxed);
        assert_eq!(after - before, 0, "{precision}");
        assert!(first.is_finite() && first > 0.0);
        assert_eq!(first.to_bits(), circuit.checksum().to_bits(), "{precision}");
    }
}
