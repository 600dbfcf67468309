//! Attention between modules (SKMDPA), attention of modules to tokens, and the plain attention of the baseline.
//!
//! Source: reference `model/nc/attention.py` (`KernelModulatedLatentAttention`, `ReadInAttention`) and
//! `model/external/perceiver_io.py` (`Attention`). Scores and weights are whole tensors, one entry for each example,
//! head, receiver and sender; the read-in has a key and a value for each example, token and module.

use nac_modules::Result;
use tch::{Kind, Tensor};

use super::kernel::{self, Sampling};
use super::layer::{layer_norm, linear, mod_fc};
use super::weights::NamedTensors;

/// Modules of one side of an attention.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    /// `[batch, modules, state]`
    pub(super) states: &'a Tensor,
    /// `[modules, signature]`
    pub(super) signatures: &'a Tensor,
    /// `[modules, code]`
    pub(super) codes: &'a Tensor,
}

fn einsum(program: &str, left: &Tensor, right: &Tensor) -> Result<Tensor> {
    Ok(Tensor::f_einsum(program, &[left, right], None::<&[i64]>)?)
}

/// `[batch, items, heads · dim]` to `[batch, heads, items, dim]`.
fn split(x: &Tensor, heads: i64) -> Result<Tensor> {
    let size = x.size();
    let x = x.f_reshape([size[0], size[1], heads, size[2] / heads])?;
    Ok(x.f_permute([0, 2, 1, 3])?)
}

/// `[batch, heads, items, dim]` to `[batch, items, heads · dim]`.
fn merge(x: &Tensor) -> Result<Tensor> {
    let size = x.size();
    let x = x.f_permute([0, 2, 1, 3])?;
    Ok(x.f_reshape([size[0], size[2], size[1] * size[3]])?)
}

/// SKMDPA. `residual` adds the receivers' states.
pub(super) fn skmdpa(
    weights: &NamedTensors<'_>,
    (receivers, senders): (Side<'_>, Side<'_>),
    heads: i64,
    residual: bool,
    sampling: Option<&mut Sampling<'_>>,
) -> Result<Tensor> {
    let batch = senders.states.size()[0];
    let kernel = weights.sub("kernel");
    let log_links = kernel::log_links(
        (receivers.signatures, senders.signatures),
        kernel.get("bandwidth")?,
        batch,
        kernel.path(),
        sampling,
    )?;
    // The reference takes the links themselves too, for a multiplication that the final configuration lacks.
    let _links = log_links.f_exp()?;

    let receiver_norm = weights.sub("receiver_layernorm");
    let sender_norm = weights.sub("sender_layernorm");
    let shared = sender_norm.find("weight").is_none();
    let listening = layer_norm(&receiver_norm, receivers.states)?;
    let sending = layer_norm(
        if shared { &receiver_norm } else { &sender_norm },
        senders.states,
    )?;
    let project = |name: &str, states: &Tensor, codes: &Tensor| {
        split(&mod_fc(&weights.sub(name), states, codes)?, heads)
    };
    let keys = project("key_compiler", &sending, senders.codes)?;
    let values = project("value_compiler", &sending, senders.codes)?;
    let queries = project("query_compiler", &listening, receivers.codes)?;

    let root = (queries.size()[3] as f64).sqrt();
    let scores = einsum("bhuc,bhvc->bhuv", &queries, &keys)?.f_div_scalar(root)?;
    let bias = if log_links.dim() == 2 {
        log_links.f_unsqueeze(0)?.f_unsqueeze(0)?
    } else {
        log_links.f_unsqueeze(1)?
    };
    let attention = scores.f_add(&bias)?.f_softmax(-1, None::<Kind>)?;
    let message = merge(&einsum("bhuv,bhvc->bhuc", &attention, &values)?)?;
    let update = mod_fc(&weights.sub("exit_layer"), &message, receivers.codes)?;
    Ok(if residual {
        receivers.states.f_add(&update)?
    } else {
        update
    })
}

/// Read-in attention: the tokens are repeated for every module, and each module computes separate keys and values.
///
/// - states: `[batch, modules, state]`, codes: `[modules, code]`, tokens: `[batch, tokens, token]`
pub(super) fn read_in(
    weights: &NamedTensors<'_>,
    states: &Tensor,
    codes: &Tensor,
    tokens: &Tensor,
    heads: i64,
) -> Result<Tensor> {
    let modules = states.size()[1];
    let listening = layer_norm(&weights.sub("receiver_layernorm"), states)?;
    let read = layer_norm(&weights.sub("sender_layernorm"), tokens)?;
    let size = read.size();
    let (batch, count, width) = (size[0], size[1], size[2]);
    let repeated = read
        .f_unsqueeze(2)?
        .f_expand([batch, count, modules, width], false)?;
    let project = |name: &str| -> Result<Tensor> {
        let x = mod_fc(&weights.sub(name), &repeated, codes)?; // [batch, tokens, modules, heads · dim]
        let dim = x.size()[3] / heads;
        let x = x.f_view([batch, count, modules, heads, dim])?;
        Ok(x.f_permute([0, 3, 2, 1, 4])?) // [batch, heads, modules, tokens, dim]
    };
    let keys = project("key_compiler")?;
    let values = project("value_compiler")?;
    let queries = split(
        &mod_fc(&weights.sub("query_compiler"), &listening, codes)?,
        heads,
    )?;
    let root = (queries.size()[3] as f64).sqrt();
    let scores = einsum("bhuc,bhuvc->bhuv", &queries, &keys)?.f_div_scalar(root)?;
    let attention = scores.f_softmax(-1, None::<Kind>)?;
    let message = merge(&einsum("bhuv,bhuvc->bhuc", &attention, &values)?)?;
    Ok(states.f_add(&mod_fc(&weights.sub("exit_layer"), &message, codes)?)?)
}

/// Attention of Perceiver IO, with the norms before it: of queries to a context, or to themselves.
pub(super) fn plain(
    weights: &NamedTensors<'_>,
    x: &Tensor,
    context: Option<&Tensor>,
    heads: i64,
) -> Result<Tensor> {
    let inner = weights.sub("fn");
    let x = layer_norm(&weights.sub("norm"), x)?;
    let context = match context {
        Some(context) => layer_norm(&weights.sub("norm_context"), context)?,
        None => x.shallow_clone(),
    };
    let query = linear(&inner.sub("to_q"), &x)?;
    let key_value = linear(&inner.sub("to_kv"), &context)?.f_chunk(2, -1)?;
    let batch = query.size()[0];
    let per_head = |x: &Tensor| -> Result<Tensor> {
        let x = split(x, heads)?;
        let size = x.size();
        Ok(x.f_reshape([size[0] * size[1], size[2], size[3]])?)
    };
    let (query, key) = (per_head(&query)?, per_head(&key_value[0])?);
    let value = per_head(&key_value[1])?;
    let root = (query.size()[2] as f64).sqrt();
    let scores = einsum("bid,bjd->bij", &query, &key)?.f_mul_scalar(1.0 / root)?;
    let attention = scores.f_softmax(-1, None::<Kind>)?;
    let message = einsum("bij,bjd->bid", &attention, &value)?;
    let size = message.size();
    let message = message.f_view([batch, heads, size[1], size[2]])?;
    linear(&inner.sub("to_out"), &merge(&message)?)
}
