//! Read-in attention: each module reads the input tokens through separate key and value projections.
//!
//! Module `u` has the projector `K_u x = W_k (x ⊙ s_u) + b_k` (a ModFC on its code), and values likewise.
//! Written out that needs a tensor `[batch, tokens, modules, features]`. Both fold away exactly:
//! `score(u, v) = q_u · K_u x_v = ((W_kᵀ q_u) ⊙ s_u) · x_v + q_u · b_k`, where the last term shifts a whole
//! row and drops out of the softmax, and
//! `Σ_v a_uv V_u x_v = W_v (s'_u ⊙ Σ_v a_uv x_v) + b_v`, since the weights of a row sum to one.
//! Cost falls by the head width, memory by the number of modules. Plain projectors fold the same way with
//! `s_u = 1`; a weight-demodulated one has a factor `t_u` on its outputs as well, which goes to `q_u ⊙ t_u`
//! and to the result before `b_v`.
//! Source: reference `attention.py`, `ReadInAttention`.

use nac_core::model::spec::ReadInAttentionSpec;
use tch::{Kind, Tensor};

use super::heads;
use crate::circuit::ModuleStates;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::fused::{BlockStates, FusedReadIn, ReadInCall, reads};
use crate::layer::{LayerNorm, Preprocess, Projection, Residual, project, project_residual};
use crate::params::Scope;
use crate::shape;
use crate::tokens::Tokens;

/// Attention of modules to input tokens.
///
/// Parameters: `sender_layernorm`, `receiver_layernorm`, `query_compiler`, `key_compiler`, `value_compiler`,
/// `exit_layer`, `layer_scale` (if any).
#[derive(Debug)]
pub struct ReadInAttention {
    sender_norm: LayerNorm,
    receiver_norm: LayerNorm,
    query: Projection,
    key: Projection,
    value: Projection,
    exit: Projection,
    residual: Residual,
    token_dim: i64,
    heads: i64,
    head_dim: i64,
    /// Whether fused blocks cover the settings.
    covered: bool,
    blocks: FusedReadIn,
}

impl ReadInAttention {
    /// The attention of `spec`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &ReadInAttentionSpec) -> Result<Self> {
        Ok(Self {
            sender_norm: LayerNorm::from_spec(scope, &spec.sender_norm)?,
            receiver_norm: LayerNorm::from_spec(scope, &spec.receiver_norm)?,
            query: Projection::new(scope, &spec.query)?,
            key: Projection::new(scope, &spec.key)?,
            value: Projection::new(scope, &spec.value)?,
            exit: Projection::new(scope, &spec.exit)?,
            residual: Residual::new(scope, &spec.residual)?,
            token_dim: shape::positive("token_dim", spec.sender_norm.dim)?,
            heads: shape::positive("heads", spec.heads)?,
            head_dim: shape::positive("head_dim", spec.head_dim)?,
            covered: reads(spec).is_none(),
            blocks: FusedReadIn::default(),
        })
    }

    /// New states of the modules after reading.
    ///
    /// # Shapes
    /// - modules: states `[batch, modules, state]`, codes per module
    /// - tokens: `[batch, tokens, token_dim]`
    /// - output: `[batch, modules, state]`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(
        &self,
        modules: &ModuleStates<'_>,
        tokens: &Tokens,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        modules.check("ReadInAttention")?;
        let batch = modules.states.size()[0];
        let expected = [
            ("batch", Some(batch)),
            ("tokens", None),
            ("token_dim", Some(self.token_dim)),
        ];
        shape::check("ReadInAttention", "tokens", tokens.values(), &expected)?;

        if let Some(states) = self.fused(modules, tokens, ctx)? {
            return Ok(states);
        }
        let x = self.sender_norm.forward(tokens.values())?.unsqueeze(1); // [batch, 1, tokens, token_dim]
        let codes = modules.codes;
        let listening = Preprocess::Norm(&self.receiver_norm);
        let query = project(modules.states, listening, &[(&self.query, codes)], ctx)?;
        let query = heads::split(&query[0], self.heads);

        let scale = self.key.input_scale(codes, ctx)?;
        let query = self.times_per_head(query, self.key.output_scale(scale.as_ref()));
        let folded = query.matmul(&self.per_head(&self.key)); // W_kᵀ q: [batch, heads, modules, token_dim]
        let folded = times_per_module(folded, scale);
        let scores = folded.matmul(&x.transpose(-2, -1)) / (self.head_dim as f64).sqrt();
        let weights = tokens.mask_scores(scores).softmax(-1, None::<Kind>); // [batch, heads, modules, tokens]
        ctx.record("read_in.attention", &weights);

        let scale = self.value.input_scale(codes, ctx)?;
        let output_scale = self.value.output_scale(scale.as_ref());
        let read = times_per_module(weights.matmul(&x), scale);
        let read = read.matmul(&self.per_head(&self.value).transpose(-2, -1));
        let message = heads::merge(&self.times_per_head(read, output_scale));
        let message = match self.value.bias() {
            Some(bias) => message + bias,
            None => message,
        };
        project_residual(
            modules.states,
            &message,
            Preprocess::Identity,
            (&self.exit, codes),
            &self.residual,
            ctx,
        )
    }

    /// As [`forward`](Self::forward) by a fused block, if that covers this layer and pass.
    fn fused(
        &self,
        modules: &ModuleStates<'_>,
        tokens: &Tokens,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Option<Tensor>> {
        let (kind, device) = (modules.states.kind(), modules.states.device());
        if !self.covered || !ctx.may_fuse(kind, device) {
            return Ok(None);
        }
        self.query.check(modules.states, modules.codes)?;
        let batch = modules.states.size()[0];
        let mut project = |layer: &Projection| layer.projected(modules.codes, ctx);
        let (query, key) = (project(&self.query)?, project(&self.key)?);
        let (value, exit) = (project(&self.value)?, project(&self.exit)?);
        let (Some(query), Some(key), Some(value), Some(exit)) = (query, key, value, exit) else {
            return Ok(None);
        };
        let end = self.residual.fused_end(batch, ctx)?;
        let mask = tokens.mask();
        let call = ReadInCall {
            states: BlockStates::new(modules.states, modules.shared_states)?,
            tokens: tokens.values().f_contiguous()?,
            mask: mask.map(Tensor::f_contiguous).transpose()?,
            receiver_norm: self.receiver_norm.normalised(),
            sender_norm: self.sender_norm.normalised(),
            query,
            key,
            value,
            exit,
            keep: end.keep,
            heads: self.heads,
            head_dim: self.head_dim,
            residual: end.add,
        };
        let Some((executor, tape)) = ctx.fused(kind, device) else {
            return Ok(None);
        };
        let output = self.blocks.run(call, &executor, tape)?;
        let states = self
            .residual
            .after_fused(end.complete, modules.states, output, ctx)?;
        Ok(Some(states))
    }

    /// Weight of a projector by head, `[heads, head_dim, token_dim]`.
    fn per_head(&self, projector: &Projection) -> Tensor {
        projector
            .weight()
            .view([self.heads, self.head_dim, self.token_dim])
    }

    /// `x`, `[batch, heads, modules, head_dim]`, times a factor on the outputs of each module, if there is one.
    fn times_per_head(&self, x: Tensor, factor: Option<Tensor>) -> Tensor {
        let Some(factor) = factor else { return x };
        let factor = if factor.dim() == 2 {
            factor.unsqueeze(0)
        } else {
            factor
        };
        x * heads::split(&factor, self.heads)
    }
}

/// `x`, `[batch, heads, modules, token_dim]`, times a factor on the inputs of each module, if there is one.
fn times_per_module(x: Tensor, factor: Option<Tensor>) -> Tensor {
    match factor {
        None => x,
        Some(factor) if factor.dim() == 2 => x * factor.unsqueeze(0).unsqueeze(0),
        Some(factor) => x * factor.unsqueeze(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::ReadInAttentionConfig;
    use crate::layer::{ModFcConfig, ProjectionKind};
    use crate::params::ParamStore;
    use nac_core::model::spec::Surroundings;
    use tch::Device;

    const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

    fn layer(store: &mut ParamStore, config: &ReadInAttentionConfig) -> ReadInAttention {
        let mod_fc = ModFcConfig::default();
        let spec = config
            .resolve(&Surroundings::new(8, 6, &mod_fc), 10)
            .unwrap();
        ReadInAttention::new(&mut store.root(), &spec).unwrap()
    }

    /// The definition, with a key and a value for every module and token.
    fn reference(
        layer: &ReadInAttention,
        states: &Tensor,
        codes: &Tensor,
        tokens: &Tensor,
    ) -> Tensor {
        let ctx = &mut ForwardContext::evaluation();
        let x = layer.sender_norm.forward(tokens).unwrap(); // [batch, tokens, dim]
        let modules = states.size()[1];
        let mut project = |projector: &Projection| {
            let per_token = (0..x.size()[1]).map(|token| {
                let repeated = x.narrow(1, token, 1).repeat([1, modules, 1]);
                projector.forward(&repeated, codes, ctx).unwrap()
            });
            Tensor::stack(&per_token.collect::<Vec<_>>(), 1) // [batch, tokens, modules, inner]
        };
        let (keys, values) = (project(&layer.key), project(&layer.value));
        let query = layer
            .query
            .forward(&layer.receiver_norm.forward(states).unwrap(), codes, ctx)
            .unwrap();
        let mut heads = Vec::new();
        for head in 0..layer.heads {
            let part = |t: &Tensor| t.narrow(-1, head * layer.head_dim, layer.head_dim);
            let scores = (part(&keys) * part(&query).unsqueeze(1)).sum_dim_intlist(
                [-1].as_slice(),
                false,
                None,
            );
            let weights = (scores / (layer.head_dim as f64).sqrt()).softmax(1, None::<Kind>);
            heads.push((weights.unsqueeze(-1) * part(&values)).sum_dim_intlist(
                [1].as_slice(),
                false,
                None,
            ));
        }
        let update = layer
            .exit
            .forward(&Tensor::cat(&heads, -1), codes, ctx)
            .unwrap();
        layer.residual.forward(states, update, ctx).unwrap()
    }

    #[test]
    fn folding_equals_the_definition_for_every_projection() {
        let kinds = [
            ProjectionKind::ModFc,
            ProjectionKind::Fc,
            ProjectionKind::WModFc,
        ];
        for (case, kind) in kinds.into_iter().enumerate() {
            for (heads, shared, per_example) in [(3, false, true), (1, true, false)] {
                let mut store = ParamStore::new(Device::Cpu, Kind::Double, 2);
                let config = ReadInAttentionConfig {
                    heads,
                    head_dim: 4,
                    residual: case != 1,
                    qkv_bias: true,
                    layer_scale: (case > 0).then_some(0.3),
                    share_key_value_projectors: shared,
                    mod_fc: Some(ModFcConfig {
                        kind,
                        scale_gain: 0.7,
                        ..Default::default()
                    }),
                };
                let layer = layer(&mut store, &config);
                tch::no_grad(|| {
                    for (name, entry) in store.iter() {
                        if name.ends_with("bias") {
                            let _ = entry.tensor.shallow_clone().normal_(0.0, 1.0);
                        }
                    }
                });
                let states = Tensor::randn([2, 5, 8], DOUBLE);
                let shape: &[i64] = if per_example { &[2, 5, 6] } else { &[5, 6] };
                let codes = Tensor::randn(shape, DOUBLE);
                let tokens = Tensor::randn([2, 7, 10], DOUBLE);
                let mut ctx = ForwardContext::evaluation();
                let modules = ModuleStates {
                    shared_states: None,
                    states: &states,
                    signatures: &codes,
                    codes: &codes,
                };
                let input = Tokens::new(tokens.shallow_clone()).unwrap();
                let folded = layer.forward(&modules, &input, &mut ctx).unwrap();
                let error = folded - reference(&layer, &states, &codes, &tokens);
                let error = error.abs().max().double_value(&[]);
                assert!(error < 1e-12, "{config:?}: worst error {error}");
            }
        }
    }

    #[test]
    fn padding_does_not_change_the_result() {
        let mut store = ParamStore::new(Device::Cpu, Kind::Double, 2);
        let config = ReadInAttentionConfig {
            head_dim: 4,
            ..Default::default()
        };
        let layer = layer(&mut store, &config);
        let (states, codes) = (
            Tensor::randn([1, 5, 8], DOUBLE),
            Tensor::randn([5, 6], DOUBLE),
        );
        let tokens = Tensor::randn([1, 7, 10], DOUBLE);
        let padded = Tensor::cat(&[&tokens, &Tensor::randn([1, 3, 10], DOUBLE)], 1);
        let mask = Tensor::arange(10, (Kind::Int64, Device::Cpu))
            .lt(7)
            .unsqueeze(0);
        let mut ctx = ForwardContext::evaluation();
        let modules = ModuleStates {
            shared_states: None,
            states: &states,
            signatures: &codes,
            codes: &codes,
        };
        let plain = layer
            .forward(&modules, &Tokens::new(tokens).unwrap(), &mut ctx)
            .unwrap();
        let masked = layer
            .forward(&modules, &Tokens::masked(padded, mask).unwrap(), &mut ctx)
            .unwrap();
        assert!(plain.allclose(&masked, 1e-12, 1e-12, false));
    }
}
