//! Both ends of a model: tokenizers, read-out projection, heads.

use nac_core::model::{
    HeadKind, ImageTokenizer, InputSpec, ModelFile, ModelKind, PoolingSoftmax, ProjectionKind,
};
use nac_engine::Precision;

use super::both::{ROUNDING, agree, difference, with};

/// A change of the small model, by name.
type Change = (&'static str, Box<dyn Fn(&mut ModelFile)>);

fn symbols(file: &mut ModelFile) {
    file.inputs = InputSpec::tokens(11, 37, 4);
    file.model.embedding.dim = 9;
    file.model.embedding.position_dim = 5;
}

#[test]
fn heads() {
    let mut changes: Vec<Change> = Vec::new();
    for (name, softmax) in [
        ("vanilla", PoolingSoftmax::Vanilla),
        ("gumbel", PoolingSoftmax::Gumbel),
        ("gumbel-hard", PoolingSoftmax::GumbelHard),
    ] {
        changes.push((
            name,
            Box::new(move |file| {
                let head = &mut file.model.circuit.head;
                (head.softmax, head.temperature) = (softmax, 0.7);
            }),
        ));
    }
    for (name, norm, kind) in [
        ("first slot", false, ProjectionKind::ModFc),
        ("first slot, layer norm", true, ProjectionKind::ModFc),
        ("first slot, fc", true, ProjectionKind::Fc),
        ("first slot, wmod_fc", true, ProjectionKind::WModFc),
    ] {
        changes.push((
            name,
            Box::new(move |file| {
                let circuit = &mut file.model.circuit;
                circuit.read_out.use_head = true;
                circuit.read_out.pre_output_layernorm = norm;
                circuit.mod_fc.kind = kind;
                circuit.head.kind = HeadKind::FirstSlot;
            }),
        ));
    }
    changes.push((
        "pooled outputs",
        Box::new(|file| file.model.circuit.read_out.use_head = true),
    ));
    agree(&changes);
}

#[test]
fn images() {
    let grid = |rows, columns| {
        move |file: &mut ModelFile| file.model.convnext.grid_size = Some([rows, columns])
    };
    let convnext = |depths: &'static [usize], dims: &'static [usize], patch| {
        move |file: &mut ModelFile| {
            file.model.convnext.depths = depths.to_vec();
            file.model.convnext.dims = dims.to_vec();
            file.model.convnext.stem_patch = patch;
        }
    };
    let changes: [Change; 10] = [
        ("larger grid", Box::new(grid(9, 8))),
        ("smaller grid", Box::new(grid(2, 3))),
        ("grid of one", Box::new(grid(1, 1))),
        ("no grid", Box::new(|f| f.model.convnext.grid_dim = 0)),
        ("no blocks", Box::new(convnext(&[0, 0], &[12, 20], 2))),
        ("one stage", Box::new(convnext(&[2], &[11], 4))),
        (
            "three stages",
            Box::new(convnext(&[1, 1, 2], &[8, 9, 10], 2)),
        ),
        (
            "cut edges",
            Box::new(|f| {
                f.inputs = InputSpec::image(2, 27, 37);
            }),
        ),
        (
            "pixels",
            Box::new(|f| f.model.image_tokenizer = ImageTokenizer::Pixels),
        ),
        (
            "pixels of a Perceiver IO",
            Box::new(|f| {
                f.model.image_tokenizer = ImageTokenizer::Pixels;
                f.model.kind = ModelKind::PerceiverIo;
            }),
        ),
    ];
    agree(&changes);
}

#[test]
fn sequences_with_padding() {
    let changes: [Change; 4] = [
        ("circuit", Box::new(symbols)),
        (
            "heads",
            Box::new(|file| {
                symbols(file);
                file.model.circuit.read_in.attention.heads = 2;
                file.model
                    .circuit
                    .read_in
                    .attention
                    .share_key_value_projectors = true;
            }),
        ),
        (
            "Perceiver IO",
            Box::new(|file| {
                symbols(file);
                file.model.kind = ModelKind::PerceiverIo;
            }),
        ),
        (
            "a sequence of one block and one",
            Box::new(|file| {
                symbols(file);
                file.inputs = InputSpec::tokens(11, 33, 0);
            }),
        ),
    ];
    agree(&changes);
    let error = difference(&with(symbols), Precision::F32, 1);
    assert!(error < ROUNDING, "one sequence: {error}");
}
