//! A call of the engine that is like an earlier one allocates nothing.

#![allow(clippy::unwrap_used)]
#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use nac_core::model::{ImageTokenizer, ModelFile, ModelKind, Preset};
use nac_engine::{CoreEngine, Engine, EngineOptions, Inputs, Precision};
use ndarray::{Array2, Array4};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it is; counting touches no memory of callers.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
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

/// Allocations and bytes of `calls` calls after two of the same kind.
fn count(file: &ModelFile, options: EngineOptions, calls: usize) -> (usize, usize) {
    let (engine, _) = CoreEngine::random(file.clone(), 0, options).unwrap();
    let image = Array4::<u8>::from_elem((3, 1, 8, 8), 127);
    let mut logits = Array2::zeros((3, engine.output().width()));
    let inputs = Inputs::image(image.view());
    let mut call = || {
        engine.infer_into(&inputs, logits.view_mut()).unwrap();
    };
    call();
    call();
    let before = (
        ALLOCATIONS.load(Ordering::Relaxed),
        BYTES.load(Ordering::Relaxed),
    );
    for _ in 0..calls {
        call();
    }
    (
        ALLOCATIONS.load(Ordering::Relaxed) - before.0,
        BYTES.load(Ordering::Relaxed) - before.1,
    )
}

/// One test, so that no other thread allocates meanwhile.
#[test]
fn a_repeated_call_allocates_nothing() {
    let mut file = Preset::get("cpu-digits").unwrap().file;
    let baseline = &mut file.model.perceiver_io;
    (baseline.latents, baseline.latent_dim, baseline.depth) = (40, 32, 2);
    let options = |precision, threads| EngineOptions {
        threads,
        precision,
        ..Default::default()
    };
    let kinds = [ModelKind::Nac, ModelKind::PerceiverIo];
    let precisions = [Precision::F32, Precision::Bf16, Precision::Int8];
    for kind in kinds {
        file.model.kind = kind;
        for precision in precisions {
            let found = count(&file, options(precision, 1), 5);
            assert_eq!(found, (0, 0), "{kind} {precision:?}");
        }
    }
    file.model.kind = ModelKind::StemOnly;
    for tokenizer in [
        ImageTokenizer::ConvStem,
        ImageTokenizer::Patches,
        ImageTokenizer::Pixels,
    ] {
        file.model.image_tokenizer = tokenizer;
        let found = count(&file, options(Precision::F32, 1), 5);
        assert_eq!(found, (0, 0), "{tokenizer:?}");
    }
    file.model.image_tokenizer = ImageTokenizer::default();
    // Last, because the threads of a pool that ends allocate while whatever comes next is counted. A pool hands calls over
    // through a queue, which grows by small blocks now and then.
    for kind in kinds {
        file.model.kind = kind;
        for precision in precisions {
            let (allocations, bytes) = count(&file, options(precision, 3), 20);
            assert!(
                allocations < 20 && bytes < 32 * 1024,
                "{kind} {precision:?}: {allocations} allocations, {bytes} bytes"
            );
        }
    }
}
