//! Multi-head attention `softmax(QKᵀ/√d + bias) V` that keeps no `[batch, heads, receivers, senders]` tensor.
//!
//! libtorch's fused kernel does the forward pass. On the CPU it is refused as soon as the bias takes a gradient
//! (then libtorch keeps scores and weights of every head); so with a tape the pass is a recompute node there: the
//! forward pass runs without a graph, and the backward pass recomputes the weights, a few heads and receivers at a time:
//! `P = softmax(QKᵀ/√d + bias)`, `∇V = Pᵀ∇O`, `∇P = ∇O Vᵀ`, `∇S = P ⊙ (∇P − Σ_v ∇P ⊙ P)`, `∇Q = ∇S K/√d`,
//! `∇K = ∇Sᵀ Q/√d`, and `∇bias` is the sum of `∇S` over heads. On CUDA the memory-efficient kernel has a
//! gradient of the bias, and is left alone.

use tch::{Device, Kind, Tensor};

use super::heads;
use crate::context::ForwardContext;
use crate::error::Result;

/// Scores computed at a time in the backward pass: a few MB, so that they stay in the cache of a CPU.
const SCORES_AT_A_TIME: i64 = 1 << 20;

/// What receivers get from the sources they attend to.
///
/// # Shapes
/// - query: `[batch, receivers, heads · head_dim]`; key, value: `[batch, senders, heads · head_dim]`
/// - bias: `[receivers, senders]` or `[batch, receivers, senders]`, added to the scores of every head
/// - output: as query
pub(super) fn attend(
    [query, key, value]: [&Tensor; 3],
    heads: i64,
    bias: Option<&Tensor>,
    ctx: &mut ForwardContext<'_>,
) -> Result<Tensor> {
    let fused = |[query, key, value]: [&Tensor; 3], bias: Option<&Tensor>| -> Result<Tensor> {
        let message = Tensor::f_scaled_dot_product_attention(
            &heads::split(query, heads),
            &heads::split(key, heads),
            &heads::split(value, heads),
            bias.map(per_head),
            0.0,
            false,
            None,
            false,
        )?;
        Ok(heads::merge(&message))
    };
    let on_cpu = query.device() == Device::Cpu;
    let Some(tape) = ctx.tape().filter(|_| on_cpu) else {
        return fused([query, key, value], bias);
    };
    let message = tch::no_grad(|| fused([query, key, value], bias))?;
    let mut inputs = vec![
        query.shallow_clone(),
        key.shallow_clone(),
        value.shallow_clone(),
    ];
    inputs.extend(bias.map(Tensor::shallow_clone));
    let saved = Saved {
        query: query.f_detach()?,
        key: key.f_detach()?,
        value: value.f_detach()?,
        bias: bias.map(Tensor::f_detach).transpose()?,
        bias_requires_grad: bias.is_some_and(Tensor::requires_grad),
        heads,
    };
    let mut outputs = tape.recompute_node(inputs, vec![message], move |gradients| {
        tch::no_grad(|| saved.backward(&gradients[0]))
    })?;
    Ok(outputs.swap_remove(0))
}

/// With a dimension for heads: `[batch or 1, 1, receivers, ...]`.
pub(super) fn per_head(x: &Tensor) -> Tensor {
    if x.dim() == 2 {
        x.unsqueeze(0).unsqueeze(0)
    } else {
        x.unsqueeze(1)
    }
}

/// Operands of an attention, without a graph.
struct Saved {
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Option<Tensor>,
    bias_requires_grad: bool,
    heads: i64,
}

/// Operands and gradients of one example, `[heads, items, head_dim]` and `[receivers, senders]`.
struct Example {
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Option<Tensor>,
    output_gradient: Tensor,
    query_gradient: Tensor,
    key_gradient: Tensor,
    value_gradient: Tensor,
    bias_gradient: Option<Tensor>,
}

impl Saved {
    /// Gradients of query, key, value and bias from that of the output.
    fn backward(&self, gradient: &Tensor) -> Result<Vec<Tensor>> {
        let zeros = [&self.query, &self.key, &self.value].map(|t| t.f_zeros_like());
        let [query_gradient, key_gradient, value_gradient] = zeros;
        let gradients = [query_gradient?, key_gradient?, value_gradient?];
        let bias_gradient = match &self.bias {
            Some(bias) if self.bias_requires_grad => Some(bias.f_zeros_like()?),
            _ => None,
        };
        let of_example = |t: &Tensor, example: i64| -> Result<Tensor> {
            let t = t.f_select(0, example)?;
            let width = t.size()[1] / self.heads;
            Ok(t.f_view([-1, self.heads, width])?.f_transpose(0, 1)?)
        };
        let bias_of_example = |t: &Tensor, example: i64| -> Result<Tensor> {
            Ok(if t.dim() == 3 {
                t.f_select(0, example)?
            } else {
                t.shallow_clone()
            })
        };
        let gradient = gradient.f_contiguous()?;
        for example in 0..self.query.size()[0] {
            let bias =
                |t: &Option<Tensor>| t.as_ref().map(|t| bias_of_example(t, example)).transpose();
            let part = Example {
                query: of_example(&self.query.f_contiguous()?, example)?,
                key: of_example(&self.key.f_contiguous()?, example)?,
                value: of_example(&self.value.f_contiguous()?, example)?,
                bias: bias(&self.bias)?,
                output_gradient: of_example(&gradient, example)?,
                query_gradient: of_example(&gradients[0], example)?,
                key_gradient: of_example(&gradients[1], example)?,
                value_gradient: of_example(&gradients[2], example)?,
                bias_gradient: bias(&bias_gradient)?,
            };
            part.backward()?;
        }
        let mut result = Vec::from(gradients);
        if self.bias.is_some() {
            result.push(bias_gradient.unwrap_or_else(Tensor::new));
        }
        Ok(result)
    }
}

impl Example {
    /// Adds to the gradients, some heads and receivers at a time.
    fn backward(&self) -> Result<()> {
        let (heads, receivers) = (self.query.size()[0], self.query.size()[1]);
        let senders = self.key.size()[1].max(1);
        let receivers_at_a_time = (SCORES_AT_A_TIME / senders).clamp(1, receivers.max(1));
        let heads_at_a_time = (SCORES_AT_A_TIME / senders / receivers_at_a_time).clamp(1, heads);
        let mut head = 0;
        while head < heads {
            let heads_now = heads_at_a_time.min(heads - head);
            let mut receiver = 0;
            while receiver < receivers {
                let receivers_now = receivers_at_a_time.min(receivers - receiver);
                self.backward_block([head, heads_now], [receiver, receivers_now])?;
                receiver += receivers_now;
            }
            head += heads_now;
        }
        Ok(())
    }

    /// The block of `heads` and `receivers`, each the first and how many.
    fn backward_block(&self, heads: [i64; 2], receivers: [i64; 2]) -> Result<()> {
        let senders = |t: &Tensor| t.f_narrow(0, heads[0], heads[1]);
        let block = |t: &Tensor| senders(t)?.f_narrow(1, receivers[0], receivers[1]);
        let rows = |t: &Tensor| t.f_narrow(0, receivers[0], receivers[1]);
        let (key, value) = (senders(&self.key)?, senders(&self.value)?);
        let scale = 1.0 / (self.query.size()[2] as f64).sqrt();
        let query = block(&self.query)?.f_mul_scalar(scale)?;
        let output_gradient = block(&self.output_gradient)?;
        let scores = match &self.bias {
            Some(bias) => {
                let size = [heads[1], -1, -1];
                let bias = rows(bias)?.f_unsqueeze(0)?.f_expand(size, false)?;
                bias.f_baddbmm(&query, &key.f_transpose(1, 2)?, 1.0, 1.0)?
            }
            None => query.f_bmm(&key.f_transpose(1, 2)?)?,
        };
        let weights = scores.f_softmax(-1, None::<Kind>)?;
        drop(scores);
        let for_value = weights.f_transpose(1, 2)?.f_bmm(&output_gradient)?;
        let _ = senders(&self.value_gradient)?.f_add_(&for_value)?;
        let for_weights = output_gradient.f_bmm(&value.f_transpose(1, 2)?)?;
        let for_scores =
            Tensor::f_internal_softmax_backward_data(&for_weights, &weights, -1, weights.kind())?;
        drop((weights, for_weights));
        let for_key = for_scores.f_transpose(1, 2)?.f_bmm(&query)?;
        let _ = senders(&self.key_gradient)?.f_add_(&for_key)?;
        let for_query = for_scores.f_bmm(&key)?.f_mul_scalar_(scale)?;
        block(&self.query_gradient)?.f_copy_(&for_query)?;
        if let Some(bias_gradient) = &self.bias_gradient {
            let for_bias = if heads[1] == 1 {
                for_scores.f_squeeze_dim(0)?
            } else {
                for_scores.f_sum_dim_intlist([0].as_slice(), false, None::<Kind>)?
            };
            let _ = rows(bias_gradient)?.f_add_(&for_bias)?;
        }
        Ok(())
    }
}
