//! Options of circuits: which modules attend to which, projections, attention, links, initial states.

use nac_core::model::{
    Activation, CircuitConfig, EvaluationLinks, KernelConfig, ModFcConfig, ModelFile,
    ProjectionKind, ReadInKind, ReadInSends, ScaleNormalization, SeederConfig, StateMean,
    Truncation,
};

use super::both::agree;

type Change = Box<dyn Fn(&mut ModelFile)>;

/// A change of the circuit, with its name.
fn circuit(
    name: &'static str,
    change: impl Fn(&mut CircuitConfig) + 'static,
) -> (&'static str, Change) {
    (name, Box::new(move |file| change(&mut file.model.circuit)))
}

/// A change of the links of all layers.
fn links(
    name: &'static str,
    change: impl Fn(&mut KernelConfig) + 'static,
) -> (&'static str, Change) {
    circuit(name, move |c| {
        change(&mut c.propagator.attention.kernel);
        if !c.propagator.attention.kernel.eliminate_diagonal {
            change(&mut c.read_out.attention.kernel);
        }
    })
}

fn own_processors(c: &mut CircuitConfig) {
    c.wiring.read_in_states_become_processors = false;
    c.read_in_modules = Some(13);
    c.wiring.read_in_sends_to_processors = ReadInSends::Every;
}

#[test]
fn wirings() {
    agree(&[
        circuit("as it is", |_| {}),
        circuit("processors attend to the read-in", own_processors),
        circuit("processors attend to the read-in once", |c| {
            own_processors(c);
            c.wiring.read_in_sends_to_processors = ReadInSends::First;
        }),
        circuit("processors and read-out attend to the read-in", |c| {
            own_processors(c);
            c.wiring.read_in_sends_to_read_out = true;
        }),
        circuit("the read-out attends to the read-in", |c| {
            own_processors(c);
            c.wiring.read_in_sends_to_processors = ReadInSends::Never;
            c.wiring.read_in_sends_to_read_out = true;
        }),
        circuit("states taken over, and sent too", |c| {
            c.wiring.read_in_sends_to_processors = ReadInSends::Every;
            c.wiring.read_in_sends_to_read_out = true;
        }),
        circuit("nobody attends to the input", |c| {
            c.wiring.read_in_states_become_processors = false;
            c.wiring.allow_disconnected = true;
        }),
        circuit("processors read themselves", |c| {
            c.wiring.separate_read_in_modules = false;
        }),
    ]);
}

#[test]
fn shared_layers_and_codes_of_layers() {
    agree(&[
        circuit("codes_per_propagator", |c| {
            c.wiring.codes_per_propagator = true
        }),
        circuit("codes_per_propagator, read-in sends", |c| {
            own_processors(c);
            c.wiring.codes_per_propagator = true;
        }),
        circuit("share_propagators", |c| c.wiring.share_propagators = true),
        circuit("share_propagators, codes_per_propagator", |c| {
            c.wiring.share_propagators = true;
            c.wiring.codes_per_propagator = true;
        }),
        circuit("share_propagator_ffn", |c| {
            c.wiring.share_propagator_ffn = true
        }),
        circuit("propagator_layers", |c| {
            c.propagator_layers = vec![c.propagator.clone(); 3];
            c.propagator_layers[1].attention.heads = Some(2);
            c.propagator_layers[2].ffn.activation = Activation::Gelu;
            c.propagator_layers[2].attention.kernel.bandwidth = 0.4;
        }),
        circuit("one propagator", |c| c.propagators = 1),
    ]);
}

#[test]
fn initial_states() {
    let seeder = |mean, state_noise| SeederConfig {
        mean,
        state_noise,
        ..SeederConfig::default()
    };
    agree(&[
        circuit("projection", move |c| {
            c.code_dim = Some(10);
            c.seeder = seeder(StateMean::Projection, false);
        }),
        circuit("projection, noise in training", move |c| {
            c.code_dim = Some(10);
            c.seeder = seeder(StateMean::Projection, true);
        }),
        circuit("projection, codes of layers", move |c| {
            c.code_dim = Some(10);
            c.seeder = seeder(StateMean::Projection, false);
            c.wiring.codes_per_propagator = true;
        }),
        circuit("learned", move |c| {
            c.code_dim = Some(10);
            c.seeder = seeder(StateMean::Learned, false);
        }),
        circuit("learned, separate processors", move |c| {
            own_processors(c);
            c.seeder = seeder(StateMean::Learned, false);
        }),
    ]);
}

#[test]
fn projections() {
    let mod_fc = |name, change: fn(&mut ModFcConfig)| circuit(name, move |c| change(&mut c.mod_fc));
    agree(&[
        mod_fc("l2", |m| m.scale_normalization = ScaleNormalization::L2),
        mod_fc("none", |m| m.scale_normalization = ScaleNormalization::None),
        mod_fc("sigmoid", |m| {
            m.scale_normalization = ScaleNormalization::Sigmoid
        }),
        mod_fc("tanh", |m| m.scale_normalization = ScaleNormalization::Tanh),
        mod_fc("without one", |m| m.add_one_to_scale = false),
        mod_fc("fixed gain", |m| {
            m.learnable_scale_gain = false;
            m.scale_gain = 0.3;
        }),
        mod_fc("fc", |m| m.kind = ProjectionKind::Fc),
        mod_fc("wmod_fc", |m| m.kind = ProjectionKind::WModFc),
        circuit("of each part its own", |c| {
            let of = |kind, scale_normalization| ModFcConfig {
                kind,
                scale_normalization,
                ..ModFcConfig::default()
            };
            let tanh = ScaleNormalization::Tanh;
            c.read_in.attention.mod_fc = Some(of(ProjectionKind::WModFc, tanh));
            c.read_in.ffn.mod_fc = Some(of(ProjectionKind::Fc, tanh));
            c.propagator.attention.mod_fc = Some(of(ProjectionKind::Fc, tanh));
            c.propagator.ffn.mod_fc = Some(of(ProjectionKind::ModFc, tanh));
            c.read_out.attention.mod_fc = Some(of(ProjectionKind::WModFc, tanh));
            c.read_out.ffn.mod_fc = Some(of(ProjectionKind::WModFc, tanh));
        }),
    ]);
}

#[test]
fn read_ins() {
    let attention = |name, heads, shared, bias, kind| {
        circuit(name, move |c| {
            c.read_in.attention.heads = heads;
            c.read_in.attention.share_key_value_projectors = shared;
            c.read_in.attention.qkv_bias = bias;
            c.mod_fc.kind = kind;
        })
    };
    let (modulated, demodulated) = (ProjectionKind::ModFc, ProjectionKind::WModFc);
    agree(&[
        attention("heads", 3, false, false, modulated),
        attention("shared keys and values", 1, true, false, modulated),
        attention("shared, heads, bias", 3, true, true, modulated),
        attention("heads, bias", 2, false, true, modulated),
        attention("wmod_fc, heads, bias", 2, false, true, demodulated),
        attention("wmod_fc, shared", 2, true, true, demodulated),
        attention("fc, heads, bias", 2, false, true, ProjectionKind::Fc),
        circuit("no residual, layer scale", |c| {
            c.read_in.attention.residual = false;
            c.read_in.attention.layer_scale = Some(0.3);
        }),
        circuit("projection of as many tokens as modules", |c| {
            c.read_in.kind = ReadInKind::Projection;
            // 24 × 20 pixels in cells of 4 × 4.
            c.modules = 30;
        }),
        circuit("projection, wmod_fc", |c| {
            c.read_in.kind = ReadInKind::Projection;
            c.read_in.attention.mod_fc = Some(ModFcConfig {
                kind: ProjectionKind::WModFc,
                ..ModFcConfig::default()
            });
            c.wiring.read_in_states_become_processors = false;
            c.wiring.read_in_sends_to_processors = ReadInSends::Every;
            c.read_in_modules = Some(30);
        }),
    ]);
}

#[test]
fn attention_and_feed_forward() {
    agree(&[
        circuit("qkv_bias", |c| {
            c.propagator.attention.qkv_bias = true;
            c.read_out.attention.qkv_bias = true;
        }),
        circuit("layer norms", |c| {
            c.propagator.attention.share_layernorm = Some(false);
            c.read_out.attention.share_layernorm = Some(true);
        }),
        circuit("layer_scale", |c| {
            c.propagator.attention.layer_scale = Some(0.3);
            c.propagator.ffn.layer_scale = Some(0.2);
            c.read_out.attention.layer_scale = Some(0.4);
            c.read_out.ffn.layer_scale = Some(0.5);
            c.read_in.ffn.layer_scale = Some(0.6);
        }),
        circuit("no residual", |c| {
            c.propagator.attention.residual = Some(false);
            c.propagator.ffn.residual = false;
            c.read_out.attention.residual = Some(false);
            c.read_out.ffn.residual = false;
            c.read_in.ffn.residual = false;
        }),
        circuit("gelu of 4/3", |c| {
            for ffn in [
                &mut c.propagator.ffn,
                &mut c.read_in.ffn,
                &mut c.read_out.ffn,
            ] {
                ffn.activation = Activation::Gelu;
                ffn.capacity_factor = 4.0 / 3.0;
            }
        }),
        circuit("geglu of 4/3", |c| {
            c.propagator.ffn.capacity_factor = 4.0 / 3.0
        }),
        circuit("read-out heads", |c| c.read_out.attention.heads = Some(3)),
    ]);
}

#[test]
fn kinds_of_links() {
    let strength = |name, mask, scale, normalize| {
        circuit(name, move |c| {
            c.propagator.attention.mask_attn_scores_with_affinities = mask;
            c.propagator
                .attention
                .scale_attention_by_affinities_after_softmax = scale;
            c.propagator.attention.normalize_kernel_along_keys = normalize;
            c.read_out.attention.mask_attn_scores_with_affinities = mask;
            c.read_out
                .attention
                .scale_attention_by_affinities_after_softmax = scale;
            c.read_out.attention.normalize_kernel_along_keys = normalize;
        })
    };
    agree(&[
        strength("no mask", false, false, true),
        strength("mask, not normalised", true, false, false),
        strength("factors after the softmax", false, true, true),
        strength("factors, not normalised", false, true, false),
        strength("mask and factors", true, true, true),
        strength("mask and factors, not normalised", true, true, false),
        links("truncation", |k| k.truncation = Some(0.9)),
        links("masked truncation", |k| {
            k.truncation = Some(0.9);
            k.truncation_implementation = Truncation::Masked;
        }),
        links("truncation of all senders", |k| k.truncation = Some(1e-4)),
        links("threshold", |k| k.evaluation = EvaluationLinks::Threshold),
        links("threshold of short links", |k| {
            k.evaluation = EvaluationLinks::Threshold;
            k.bandwidth = 0.3;
        }),
        links("bandwidth", |k| k.bandwidth = 0.3),
        links("trained bandwidth", |k| k.learnable_bandwidth = true),
        links("not stochastic", |k| k.stochastic = false),
        links("without self links", |k| k.eliminate_diagonal = true),
        links("without self links, truncation", |k| {
            k.eliminate_diagonal = true;
            k.truncation = Some(0.3);
        }),
        circuit("factors of truncated links", |c| {
            c.propagator.attention.mask_attn_scores_with_affinities = false;
            c.propagator
                .attention
                .scale_attention_by_affinities_after_softmax = true;
            c.propagator.attention.kernel.truncation = Some(0.7);
            c.propagator.attention.kernel.eliminate_diagonal = true;
        }),
        circuit("links to two sets of senders, truncation", |c| {
            own_processors(c);
            c.wiring.read_in_sends_to_read_out = true;
            c.propagator.attention.kernel.truncation = Some(0.9);
            c.read_out
                .attention
                .scale_attention_by_affinities_after_softmax = true;
        }),
    ]);
}
