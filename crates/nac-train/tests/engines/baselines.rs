//! Options of the baselines.

use nac_core::model::{ModelFile, ModelKind, PerceiverIoConfig};

use super::both::agree;

#[test]
fn every_option() {
    let with = |name: &'static str, change: fn(&mut PerceiverIoConfig)| {
        let whole = move |file: &mut ModelFile| {
            file.model.kind = ModelKind::PerceiverIo;
            change(&mut file.model.perceiver_io);
        };
        (name, whole)
    };
    agree(&[
        with("as it is", |_| {}),
        with("weight_tie_layers", |p| {
            p.weight_tie_layers = true;
            p.depth = 3;
        }),
        with("no decoder_ffn", |p| p.decoder_ffn = false),
        with("a narrower query", |p| p.query_dim = Some(12)),
        with("a wider query", |p| p.query_dim = Some(44)),
        with("a wider query, no decoder_ffn", |p| {
            p.query_dim = Some(44);
            p.decoder_ffn = false;
        }),
        with("cross heads", |p| {
            p.cross_heads = 3;
            p.cross_head_dim = Some(7);
        }),
        with("one head", |p| {
            p.cross_heads = 1;
            p.latent_heads = 1;
        }),
        with("ffn_multiplier", |p| p.ffn_multiplier = 2),
        with("one layer", |p| p.depth = 1),
    ]);
}

#[test]
fn stem_only() {
    let with = |name: &'static str, layer_norm: bool| {
        let change = move |file: &mut ModelFile| {
            file.model.kind = ModelKind::StemOnly;
            file.model.stem_only.layer_norm = layer_norm;
        };
        (name, change)
    };
    agree(&[with("with a layer norm", true), with("without", false)]);
}
