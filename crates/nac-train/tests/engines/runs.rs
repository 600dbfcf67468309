//! Batches, threads, precisions, presets.

use nac_core::model::{ImageTokenizer, InputKind, ModelFile, ModelKind, OutputSpec, Preset};
use nac_engine::{Engine, Precision, RandomInputs};
use ndarray::{Axis, concatenate};

use super::both::{ROUNDING, core, difference, distance, small, with};

fn perceiver_io() -> ModelFile {
    with(|file| file.model.kind = ModelKind::PerceiverIo)
}

#[test]
fn batches_of_any_size_agree() {
    for file in [small(), perceiver_io()] {
        for batch in [1, 3, 40] {
            let error = difference(&file, Precision::F32, batch);
            assert!(error < ROUNDING, "{batch}: {error}");
        }
    }
}

#[test]
fn an_empty_batch_has_no_logits() {
    let engine = core(&small(), 1, Precision::F32);
    let batch = RandomInputs::new(&small().inputs, 0, 3);
    assert_eq!(engine.infer(&batch.all()).unwrap().dim(), (0, 5));
}

#[test]
fn threads_and_other_examples_change_no_bit() {
    for file in [small(), perceiver_io()] {
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let batch = RandomInputs::new(&file.inputs, 5, 3);
            let one = core(&file, 1, precision).infer(&batch.all()).unwrap();
            let engine = core(&file, 3, precision);
            assert_eq!(engine.threads(), 3);
            assert_eq!(engine.infer(&batch.all()).unwrap(), one);
            // A second run takes the buffers of the first.
            assert_eq!(engine.infer(&batch.all()).unwrap(), one);
            let alone: Vec<_> = (0..5)
                .map(|i| engine.infer(&batch.examples(i..i + 1)).unwrap())
                .collect();
            let views: Vec<_> = alone.iter().map(|logits| logits.view()).collect();
            assert_eq!(concatenate(Axis(0), &views).unwrap(), one);
        }
    }
}

/// bfloat16 has 8 bits of fraction, 8-bit numbers a step of 1/127 of the largest: each product is off by as much, and
/// errors of many products cancel in part. Measured on these models: at most a few hundredths of the largest logit.
#[test]
fn reduced_precision_is_near() {
    for file in [small(), perceiver_io()] {
        for precision in [Precision::Bf16, Precision::Int8] {
            let error = difference(&file, precision, 4);
            assert!(error < 0.06, "{precision:?}: {error}");
            let at_least = 10.0 * ROUNDING;
            assert!(
                error > at_least,
                "{precision:?}: {error}: is it single precision?"
            );
        }
    }
}

/// Presets for a CPU as they are, the others with fewer and narrower modules.
#[test]
fn every_preset_agrees() {
    for name in Preset::names() {
        let mut file = Preset::get(name).unwrap().file;
        if !name.starts_with("cpu-") {
            shrink(&mut file);
        }
        let error = difference(&file, Precision::F32, 2);
        assert!(error < ROUNDING, "{name}: {error}");
    }
}

fn shrink(file: &mut ModelFile) {
    if let Some(InputKind::Image { height, width, .. }) = file.inputs.get_mut("image") {
        (*height, *width) = (32, 32);
    }
    assert_eq!(file.model.image_tokenizer, ImageTokenizer::Convnext);
    file.output = OutputSpec::classes(11);
    let model = &mut file.model;
    model.convnext.dims.iter_mut().for_each(|dim| *dim /= 8);
    model
        .convnext
        .depths
        .iter_mut()
        .for_each(|depth| *depth = (*depth).min(1));
    let circuit = &mut model.circuit;
    circuit.modules = 40;
    circuit.read_in_modules = circuit.read_in_modules.map(|_| 40);
    circuit.read_out_modules = circuit.read_out_modules.min(6);
    (circuit.state_dim, circuit.code_dim) = (32, circuit.code_dim.map(|_| 24));
    circuit.propagators = 2;
    circuit.propagator_layers.truncate(2);
    let perceiver_io = &mut model.perceiver_io;
    (
        perceiver_io.latents,
        perceiver_io.latent_dim,
        perceiver_io.depth,
    ) = (40, 32, 2);
}

#[test]
fn states_on_the_way_have_their_sizes() {
    let engine = core(&small(), 2, Precision::F32);
    let batch = RandomInputs::new(&small().inputs, 2, 3);
    let (logits, states) = engine.infer_with_states(&batch.all()).unwrap();
    assert_eq!(distance(&engine.infer(&batch.all()).unwrap(), &logits), 0.0);
    let size = |name: &str| states[name].dim();
    assert_eq!(size("tokens"), (2, 30, 26));
    assert_eq!(size("read_in.states"), (2, 41, 24));
    assert_eq!(size("propagator.1.states"), (2, 41, 24));
    assert_eq!(states["processor.states"], states["propagator.2.states"]);
    assert_eq!(size("read_out.states"), (2, 7, 24));
}
