//! Stochastic kernel-modulated dot-product attention (SKMDPA) between modules.
//!
//! `softmax(QKᵀ/√d + log K) V` with `K` the sampled links of [`SignatureKernel`]; queries, keys, values and
//! the exit projection are [`ModFc`] layers, so each module attends with its own modulated weights.
//! Source: paper section on SKMDPA; reference `attention.py`, `KernelModulatedLatentAttention`.
//! The reference also normalises the kernel over senders; that shifts each row of scores by a constant,
//! drops out of the softmax, and is left out here. Links may also, or instead, multiply the attention
//! weights after the softmax, where normalising them does matter. A receiver without any link gets an
//! empty message.

use nac_core::model::spec::SkmdpaSpec;
use tch::{Kind, Tensor};

use super::fused::{attend, per_head};
use super::{SignatureKernel, heads, normalize_links};
use crate::circuit::ModuleStates;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::fused::{AttentionCall, AttentionSizes, BlockStates, FusedAttention, attends};
use crate::layer::{LayerNorm, Preprocess, Projection, Residual, project, project_residual};
use crate::params::Scope;
use crate::shape;

/// Attention of receivers to senders along sampled links.
///
/// Parameters: `receiver_layernorm`, `sender_layernorm` (unless shared), `query_compiler`, `key_compiler`,
/// `value_compiler`, `exit_layer`, `layer_scale` (if any), `kernel`.
#[derive(Debug)]
pub struct Skmdpa {
    receiver_norm: LayerNorm,
    sender_norm: Option<LayerNorm>,
    query: Projection,
    key: Projection,
    value: Projection,
    exit: Projection,
    residual: Residual,
    kernel: SignatureKernel,
    heads: i64,
    head_dim: i64,
    mask: bool,
    scale: bool,
    normalize: bool,
    /// Whether fused blocks cover the settings.
    covered: bool,
    blocks: FusedAttention,
}

impl Skmdpa {
    /// The attention of `spec`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &SkmdpaSpec) -> Result<Self> {
        let sender_norm = spec.sender_norm.as_ref();
        Ok(Self {
            receiver_norm: LayerNorm::from_spec(scope, &spec.receiver_norm)?,
            sender_norm: sender_norm
                .map(|norm| LayerNorm::from_spec(scope, norm))
                .transpose()?,
            query: Projection::new(scope, &spec.query)?,
            key: Projection::new(scope, &spec.key)?,
            value: Projection::new(scope, &spec.value)?,
            exit: Projection::new(scope, &spec.exit)?,
            residual: Residual::new(scope, &spec.residual)?,
            kernel: SignatureKernel::new(scope, &spec.kernel)?,
            heads: shape::positive("heads", spec.heads)?,
            head_dim: shape::positive("head_dim", spec.head_dim)?,
            mask: spec.mask,
            scale: spec.scale,
            normalize: spec.normalize,
            covered: attends(spec).is_none(),
            blocks: FusedAttention::default(),
        })
    }

    /// New states of the receivers.
    ///
    /// # Shapes
    /// - receivers: states `[batch, receivers, state]`, codes and signatures per module
    /// - senders: states `[batch, senders, state]`, codes and signatures per module
    /// - output: `[batch, receivers, state]`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(
        &self,
        receivers: &ModuleStates<'_>,
        senders: &ModuleStates<'_>,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        receivers.check("Skmdpa")?;
        senders.check("Skmdpa")?;
        if let Some(states) = self.fused(receivers, senders, ctx)? {
            return Ok(states);
        }
        let [query, key, value] = self.query_key_value(receivers, senders, ctx)?;
        let message = self.attend(
            [&query, &key, &value],
            (receivers.signatures, senders.signatures),
            ctx,
        )?;
        let exit = (&self.exit, receivers.codes);
        project_residual(
            receivers.states,
            &message,
            Preprocess::Identity,
            exit,
            &self.residual,
            ctx,
        )
    }

    /// As [`forward`](Self::forward) by a fused block, if that covers this layer and pass.
    fn fused(
        &self,
        receivers: &ModuleStates<'_>,
        senders: &ModuleStates<'_>,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Option<Tensor>> {
        let (kind, device) = (receivers.states.kind(), receivers.states.device());
        if !self.covered || !ctx.may_fuse(kind, device) {
            return Ok(None);
        }
        self.query.check(receivers.states, receivers.codes)?;
        self.key.check(senders.states, senders.codes)?;
        let batch = receivers.states.size()[0];
        let query = self.query.projected(receivers.codes, ctx)?;
        let key = self.key.projected(senders.codes, ctx)?;
        let value = self.value.projected(senders.codes, ctx)?;
        let links = match self.mask {
            true => {
                let (to, from) = (receivers.signatures, senders.signatures);
                let drawn = self.kernel.drawn_links(to, from, Some(batch), ctx)?;
                Some(drawn.contiguous()?)
            }
            false => None,
        };
        let exit = self.exit.projected(receivers.codes, ctx)?;
        let (Some(query), Some(key), Some(value), Some(exit)) = (query, key, value, exit) else {
            return Ok(None);
        };
        let end = self.residual.fused_end(batch, ctx)?;
        let own = self.sender_norm.is_none() && std::ptr::eq(receivers.states, senders.states);
        let sending =
            |senders: &ModuleStates<'_>| BlockStates::new(senders.states, senders.shared_states);
        let call = AttentionCall {
            receivers: BlockStates::new(receivers.states, receivers.shared_states)?,
            senders: (!own).then(|| sending(senders)).transpose()?,
            receiver_norm: self.receiver_norm.normalised(),
            sender_norm: self.sender_norm.as_ref().map(LayerNorm::normalised),
            query,
            key,
            value,
            key_value: None,
            exit,
            links,
            mask: None,
            keep: end.keep,
            sizes: AttentionSizes {
                batch,
                heads: self.heads,
                head_dim: self.head_dim,
                residual: end.add,
            },
        };
        let Some((executor, tape)) = ctx.fused(kind, device) else {
            return Ok(None);
        };
        let output = self.blocks.run(call, &executor, tape)?;
        let states = self
            .residual
            .after_fused(end.complete, receivers.states, output, ctx)?;
        Ok(Some(states))
    }

    /// Queries of the receivers, keys and values of the senders, `[batch, modules, heads · head_dim]`. States that
    /// listen and send through one layer norm are normalised once.
    fn query_key_value(
        &self,
        receivers: &ModuleStates<'_>,
        senders: &ModuleStates<'_>,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<[Tensor; 3]> {
        let query = (&self.query, receivers.codes);
        let [key, value] = [&self.key, &self.value].map(|layer| (layer, senders.codes));
        let listening = Preprocess::Norm(&self.receiver_norm);
        if self.sender_norm.is_none() && std::ptr::eq(receivers.states, senders.states) {
            let all = project(receivers.states, listening, &[query, key, value], ctx)?;
            return Ok([0, 1, 2].map(|at| all[at].shallow_clone()));
        }
        let sending = Preprocess::Norm(self.sender_norm.as_ref().unwrap_or(&self.receiver_norm));
        let query = project(receivers.states, listening, &[query], ctx)?;
        let sent = project(senders.states, sending, &[key, value], ctx)?;
        Ok([&query[0], &sent[0], &sent[1]].map(Tensor::shallow_clone))
    }

    /// The message of each receiver, `[batch, receivers, heads · head_dim]`.
    fn attend(
        &self,
        [query, key, value]: [&Tensor; 3],
        (receivers, senders): (&Tensor, &Tensor),
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        if !self.mask && !self.scale {
            return attend([query, key, value], self.heads, None, ctx);
        }
        let (kind, batch) = (query.kind(), query.size()[0]);
        let log_links = self
            .kernel
            .log_links(receivers, senders, Some(batch), ctx)?;
        let links = log_links.shallow_clone();
        let (mask, connected) = self.kernel.connected(links, (receivers, senders), ctx)?;
        let mask = self.mask.then(|| mask.to_kind(kind));
        let message = if self.scale {
            let links = self
                .kernel
                .links_of(&log_links, receivers, senders, ctx)?
                .to_kind(kind);
            let links = if self.normalize {
                normalize_links(&links)
            } else {
                links
            };
            let [query, key, value] = [query, key, value].map(|t| heads::split(t, self.heads));
            let scores = query.matmul(&key.transpose(-2, -1)) / (self.head_dim as f64).sqrt();
            let scores = match &mask {
                Some(mask) => scores + per_head(mask),
                None => scores,
            };
            let weights = scores.softmax(-1, None::<Kind>) * per_head(&links);
            heads::merge(&weights.matmul(&value))
        } else {
            attend([query, key, value], self.heads, mask.as_ref(), ctx)?
        };
        Ok(match connected {
            Some(connected) => message * connected.to_kind(kind),
            None => message,
        })
    }

    /// The kernel that links modules.
    pub fn kernel(&self) -> &SignatureKernel {
        &self.kernel
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::SkmdpaConfig;
    use crate::attention::{EvaluationLinks, KernelConfig, Truncation, normalize_log_links};
    use crate::layer::ModFcConfig;
    use crate::layer::ProjectionKind;
    use crate::params::ParamStore;
    use nac_core::model::spec::{AttentionRole, Surroundings};
    use tch::Device;

    const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

    fn layer(config: &SkmdpaConfig) -> Skmdpa {
        let mut store = ParamStore::new(Device::Cpu, Kind::Double, 3);
        let mod_fc = ModFcConfig::default();
        let spec = config
            .resolve(&Surroundings::new(8, 6, &mod_fc), AttentionRole::Propagator)
            .unwrap();
        Skmdpa::new(&mut store.root(), &spec).unwrap()
    }

    fn config() -> SkmdpaConfig {
        SkmdpaConfig {
            heads: Some(2),
            head_dim: 4,
            qkv_bias: true,
            ..Default::default()
        }
    }

    /// The definition, head by head and receiver by receiver.
    fn reference(layer: &Skmdpa, to: &ModuleStates<'_>, from: &ModuleStates<'_>) -> Tensor {
        let ctx = &mut ForwardContext::evaluation();
        let listening = layer.receiver_norm.forward(to.states).unwrap();
        let norm = layer.sender_norm.as_ref().unwrap_or(&layer.receiver_norm);
        let sending = norm.forward(from.states).unwrap();
        let query = layer.query.forward(&listening, to.codes, ctx).unwrap();
        let key = layer.key.forward(&sending, from.codes, ctx).unwrap();
        let value = layer.value.forward(&sending, from.codes, ctx).unwrap();
        let kernel = layer.kernel();
        let log = kernel
            .log_links(to.signatures, from.signatures, None, ctx)
            .unwrap();
        let links = normalize_log_links(&log).exp();
        let per_receiver = (0..query.size()[1]).map(|u| {
            let per_head = (0..layer.heads).map(|head| {
                let part = |t: &Tensor| t.narrow(-1, head * layer.head_dim, layer.head_dim);
                let scores = (part(&key) * part(&query).narrow(1, u, 1)).sum_dim_intlist(
                    [-1].as_slice(),
                    false,
                    None,
                ) / (layer.head_dim as f64).sqrt(); // [batch, senders]
                let scores = if layer.mask {
                    scores + log.select(0, u)
                } else {
                    scores
                };
                let exponent = scores.exp();
                let sum = exponent.sum_dim_intlist([-1].as_slice(), true, None::<Kind>);
                let weights = exponent / sum;
                let weights = if layer.scale {
                    weights * links.select(0, u)
                } else {
                    weights
                };
                weights.unsqueeze(1).matmul(&part(&value)).squeeze_dim(1)
            });
            Tensor::cat(&per_head.collect::<Vec<_>>(), -1)
        });
        let message = Tensor::stack(&per_receiver.collect::<Vec<_>>(), 1);
        to.states + layer.exit.forward(&message, to.codes, ctx).unwrap()
    }

    /// States, signatures and codes of `count` modules.
    fn modules(count: i64) -> [Tensor; 3] {
        [
            Tensor::randn([2, count, 8], DOUBLE),
            Tensor::randn([count, 5], DOUBLE),
            Tensor::randn([count, 6], DOUBLE),
        ]
    }

    fn view([states, signatures, codes]: &[Tensor; 3]) -> ModuleStates<'_> {
        ModuleStates {
            shared_states: None,
            states,
            signatures,
            codes,
        }
    }

    fn run(layer: &Skmdpa, to: &ModuleStates<'_>, from: &ModuleStates<'_>) -> Tensor {
        let mut ctx = ForwardContext::evaluation();
        layer.forward(to, from, &mut ctx).unwrap()
    }

    #[test]
    fn every_use_of_the_links_equals_the_definition() {
        let truncated = KernelConfig {
            truncation: Some(1.3),
            truncation_implementation: Truncation::Masked,
            ..Default::default()
        };
        for (mask, scale, kernel) in [
            (true, false, KernelConfig::default()),
            (true, false, truncated.clone()),
            (false, true, truncated.clone()),
            (true, true, truncated),
            (false, false, KernelConfig::default()),
        ] {
            let layer = layer(&SkmdpaConfig {
                mask_attn_scores_with_affinities: mask,
                scale_attention_by_affinities_after_softmax: scale,
                kernel,
                ..config()
            });
            let modules = modules(7);
            let (ours, theirs) = (
                run(&layer, &view(&modules), &view(&modules)),
                reference(&layer, &view(&modules), &view(&modules)),
            );
            let error = (ours - theirs).abs().max().double_value(&[]);
            assert!(error < 1e-10, "mask {mask}, scale {scale}: {error:e}");
        }
    }

    #[test]
    fn a_receiver_without_links_gets_a_zero_message_and_no_nan() {
        let kernels = [
            KernelConfig {
                truncation: Some(0.1),
                ..Default::default()
            },
            KernelConfig {
                evaluation: EvaluationLinks::Threshold,
                ..Default::default()
            },
        ];
        for (kernel, scale) in kernels
            .into_iter()
            .flat_map(|k| [(k.clone(), false), (k, true)])
        {
            let layer = layer(&SkmdpaConfig {
                scale_attention_by_affinities_after_softmax: scale,
                kernel,
                ..config()
            });
            let (mut to, mut from) = (modules(3), modules(4));
            let _ = from[1].fill_(1.0);
            let _ = to[1].fill_(1.0).narrow(0, 1, 1).fill_(-1.0); // the second is far from all senders
            let to = to.map(|t| t.set_requires_grad(true));
            let y = run(&layer, &view(&to), &view(&from));
            let isolated = {
                let ctx = &mut ForwardContext::evaluation();
                let silence = Tensor::zeros([2, 3, 8], DOUBLE);
                &to[0] + layer.exit.forward(&silence, &to[2], ctx).unwrap()
            };
            let difference = (&y - isolated).abs();
            assert!(difference.select(1, 1).max().double_value(&[]) < 1e-12);
            assert!(difference.select(1, 0).max().double_value(&[]) > 1e-3);
            y.square().sum(Kind::Double).backward();
            for gradient in to.iter().map(Tensor::grad).filter(Tensor::defined) {
                assert!(gradient.sum(Kind::Double).double_value(&[]).is_finite());
            }
            assert!(to[0].grad().defined() && to[2].grad().defined());
        }
    }

    #[test]
    fn without_links_signatures_have_no_gradient() {
        let layer = layer(&SkmdpaConfig {
            mask_attn_scores_with_affinities: false,
            mod_fc: Some(ModFcConfig {
                kind: ProjectionKind::Fc,
                ..Default::default()
            }),
            ..config()
        });
        let modules = modules(4).map(|t| t.set_requires_grad(true));
        run(&layer, &view(&modules), &view(&modules))
            .sum(Kind::Double)
            .backward();
        assert!(modules[0].grad().defined());
        assert!(!modules[1].grad().defined());
    }
}
