//! For all settings, neither threads nor other examples in the batch change a bit of what the engine computes.
#![allow(missing_docs, clippy::unwrap_used)]

use nac_core::model::{
    Activation, HeadKind, ImageTokenizer, InputSpec, ModelConfig, ModelFile, ModelKind, OutputSpec,
    PoolingSoftmax, ProjectionKind, ReadInSends, ScaleNormalization, SeederConfig, StateMean,
};
use nac_engine::{CoreEngine, Engine, EngineOptions, Precision, RandomInputs};
use ndarray::Axis;
use proptest::prelude::*;

/// Sizes of a model, each with its neighbours on both sides of a block of 32 and of a head of 8.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let blocks = prop::sample::select(vec![1_usize, 2, 31, 32, 33, 40]);
    let widths = prop::sample::select(vec![1_usize, 5, 8, 9, 12]);
    let small = 1_usize..4;
    (
        prop::collection::vec(blocks, 3),
        prop::collection::vec(widths, 6),
        prop::collection::vec(small, 6),
    )
        .prop_map(|(a, b, c)| [a, b, c].concat())
}

/// A model with these sizes; each bit of `flags` is a choice.
fn model(sizes: &[usize], flags: u32) -> ModelFile {
    let flag = |bit: u32| flags >> bit & 1 == 1;
    let [
        modules,
        readers,
        answers,
        state,
        code,
        token,
        head,
        cross,
        value,
        ..,
    ] = *sizes
    else {
        unreachable!("there are fifteen sizes")
    };
    let input = if flag(0) {
        InputSpec::tokens(7, 35, 0)
    } else {
        InputSpec::image(2, 12, 13)
    };
    let mut file = ModelFile {
        preprocessing: Default::default(),
        inputs: input,
        output: OutputSpec::classes(sizes[14] + 1),
        model: ModelConfig::default(),
    };
    let model = &mut file.model;
    if flag(1) {
        model.kind = ModelKind::PerceiverIo;
    }
    if flag(2) {
        model.image_tokenizer = ImageTokenizer::Pixels;
    }
    let convnext = &mut model.convnext;
    (convnext.dims, convnext.depths) = (vec![token, value], vec![1, usize::from(flag(3))]);
    (convnext.stem_patch, convnext.grid_dim) = (2, sizes[9]);
    (model.embedding.dim, model.embedding.position_dim) = (token, sizes[9]);
    let circuit = &mut model.circuit;
    (circuit.modules, circuit.read_out_modules) = (modules, answers);
    (circuit.state_dim, circuit.signature_dim) = (state, sizes[10] + 1);
    circuit.propagators = sizes[11];
    if flag(4) {
        circuit.read_in_modules = Some(readers);
        circuit.wiring.read_in_states_become_processors = false;
        circuit.wiring.read_in_sends_to_processors = ReadInSends::Every;
        circuit.wiring.read_in_sends_to_read_out = flag(5);
    }
    circuit.wiring.share_propagators = flag(6);
    circuit.wiring.codes_per_propagator = flag(7);
    if flag(8) {
        circuit.code_dim = Some(code);
        circuit.seeder = SeederConfig {
            mean: StateMean::Projection,
            ..SeederConfig::default()
        };
    }
    circuit.mod_fc.kind = match flags >> 9 & 3 {
        0 => ProjectionKind::Fc,
        1 => ProjectionKind::WModFc,
        _ => ProjectionKind::ModFc,
    };
    if flag(11) {
        circuit.mod_fc.scale_normalization = ScaleNormalization::Tanh;
    }
    (
        circuit.read_in.attention.heads,
        circuit.read_in.attention.head_dim,
    ) = (sizes[12], head);
    circuit.read_in.attention.share_key_value_projectors = flag(12);
    let attention = &mut circuit.propagator.attention;
    (attention.heads, attention.head_dim) = (Some(sizes[13]), head);
    attention.scale_attention_by_affinities_after_softmax = flag(13);
    attention.mask_attn_scores_with_affinities = flag(14);
    attention.kernel.truncation = flag(15).then_some(0.8);
    (
        circuit.read_out.attention.heads,
        circuit.read_out.attention.head_dim,
    ) = (Some(sizes[12]), cross);
    circuit.read_out.use_head = flag(16);
    if flag(17) {
        circuit.propagator.ffn.activation = Activation::Gelu;
    }
    if flag(16) && flag(18) {
        circuit.head.kind = HeadKind::FirstSlot;
    } else if flag(18) {
        circuit.head.softmax = PoolingSoftmax::GumbelHard;
    }
    let perceiver_io = &mut model.perceiver_io;
    (perceiver_io.latents, perceiver_io.latent_dim) = (modules, state);
    (perceiver_io.depth, perceiver_io.ffn_multiplier) = (sizes[11], 2);
    (perceiver_io.cross_heads, perceiver_io.latent_heads) = (sizes[12], sizes[13]);
    (perceiver_io.head_dim, perceiver_io.cross_head_dim) = (head, Some(cross));
    perceiver_io.query_dim = flag(4).then_some(code);
    perceiver_io.decoder_ffn = flag(5);
    perceiver_io.weight_tie_layers = flag(6);
    file
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn threads_and_other_examples_change_no_bit(
        sizes in sizes(),
        flags in any::<u32>(),
        threads in 2_usize..5,
        batch in 1_usize..6,
    ) {
        let file = model(&sizes, flags);
        let precision = [Precision::F32, Precision::Bf16, Precision::Int8][(flags >> 30) as usize % 3];
        let options = |threads| EngineOptions {
            threads,
            precision,
            ..Default::default()
        };
        let (one, weights) = CoreEngine::random(file.clone(), u64::from(flags), options(1)).unwrap();
        let many = CoreEngine::new(file.clone(), &weights, options(threads)).unwrap();
        let examples = RandomInputs::new(&file.inputs, batch, 3);
        let logits = one.infer(&examples.all()).unwrap();
        prop_assert!(logits.iter().all(|x| x.is_finite()));
        prop_assert_eq!(&many.infer(&examples.all()).unwrap(), &logits);
        for (index, expected) in logits.outer_iter().enumerate() {
            let alone = many.infer(&examples.examples(index..index + 1)).unwrap();
            prop_assert_eq!(alone.index_axis(Axis(0), 0), expected);
        }
    }
}
