//! Read-in attention: the folded form against its definition, which builds `[batch, tokens, modules, dim]`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use nac_core::model::spec::Surroundings;
use nac_modules::Tokens;
use nac_modules::attention::{ReadInAttention, ReadInAttentionConfig};
use nac_modules::circuit::ModuleStates;
use nac_modules::context::ForwardContext;
use nac_modules::layer::ModFcConfig;
use nac_modules::params::ParamStore;
use tch::{Device, Kind, Tensor};

const TOKEN_DIM: usize = 80;
const STATE_DIM: usize = 64;
const HEAD_DIM: usize = 64;

/// Keys, scores, values and sums as the definition writes them.
fn by_definition(
    store: &ParamStore,
    states: &Tensor,
    codes: &Tensor,
    tokens: &Tensor,
) -> Option<Tensor> {
    let norm = |x: &Tensor| -> Option<Tensor> {
        let dim = x.size().last().copied()?;
        Some(x.layer_norm([dim], None::<&Tensor>, None::<&Tensor>, 1e-5, false))
    };
    let scale = |name: &str| -> Option<Tensor> {
        let projected = codes.linear(store.get(&format!("{name}.scale.weight"))?, None::<&Tensor>);
        Some(norm(&projected)? * store.get(&format!("{name}.scale_gain"))? + 1.0)
    };
    let x = norm(tokens)?.unsqueeze(2);
    let project = |name: &str| -> Option<Tensor> {
        Some((&x * scale(name)?).linear(
            store.get(&format!("{name}.native_weight"))?,
            None::<&Tensor>,
        ))
    };
    let (keys, values) = (project("key_compiler")?, project("value_compiler")?);
    let query = (norm(states)? * scale("query_compiler")?)
        .linear(store.get("query_compiler.native_weight")?, None::<&Tensor>);
    let scores = (keys * query.unsqueeze(1)).sum_dim_intlist([-1].as_slice(), false, None::<Kind>);
    let weights = (scores / (HEAD_DIM as f64).sqrt()).softmax(1, None::<Kind>);
    let message =
        (weights.unsqueeze(-1) * values).sum_dim_intlist([1].as_slice(), false, None::<Kind>);
    let exit = (message * scale("exit_layer")?).linear(
        store.get("exit_layer.native_weight")?,
        store.get("exit_layer.native_bias"),
    );
    Some(states + exit)
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let options = (Kind::Float, Device::Cpu);
    let mut group = criterion.benchmark_group("read_in");
    group.sample_size(20);
    for modules in [32, 128] {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 0);
        let config = ReadInAttentionConfig {
            head_dim: HEAD_DIM,
            ..Default::default()
        };
        let mod_fc = ModFcConfig::default();
        let around = Surroundings::new(STATE_DIM, STATE_DIM, &mod_fc);
        let spec = config.resolve(&around, TOKEN_DIM).expect("in range");
        let built = ReadInAttention::new(&mut store.root(), &spec);
        let layer = built.expect("sizes are positive");
        let codes = Tensor::randn([modules, STATE_DIM as i64], options);
        let states = codes.unsqueeze(0).repeat([16, 1, 1]);
        let tokens = Tensor::randn([16, 64, TOKEN_DIM as i64], options);
        let folded = || {
            let modules = ModuleStates {
                shared_states: None,
                states: &states,
                signatures: &codes,
                codes: &codes,
            };
            let tokens = Tokens::new(tokens.shallow_clone()).expect("rank 3");
            layer
                .forward(&modules, &tokens, &mut ForwardContext::evaluation())
                .expect("shapes fit")
        };
        let naive =
            || by_definition(&store, &states, &codes, &tokens).expect("all parameters exist");
        tch::no_grad(|| {
            assert!(
                folded().allclose(&naive(), 1e-4, 1e-4, false),
                "both forms must agree before they are timed"
            );
            group.bench_function(BenchmarkId::new("folded", modules), |b| {
                b.iter(|| black_box(folded()))
            });
            group.bench_function(BenchmarkId::new("definition", modules), |b| {
                b.iter(|| black_box(naive()))
            });
        });
    }
    group.finish();
}
