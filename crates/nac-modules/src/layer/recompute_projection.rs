//! The recompute node of [`project`](super::project()): values without a graph, and gradients in closed form.
//!
//! With `z = f(x) ⊙ s`, `y = W z + b + r` and `s = rule(W_c c, α)`, and `∇y` given:
//! `∇W = ∇yᵀ z`, `∇b = Σ ∇y`, `∇r = ∇y`, `∇z = ∇y W`, `∇s = Σ_batch ∇z ⊙ f(x)`, `∇f(x) = ∇z ⊙ s`. Norms,
//! activations other than GEGLU, and the rule of the scale are small, and recomputed with a separate graph;
//! `∇W_c` and `∇c` follow from the gradient of `W_c c`.

use tch::{Kind, Tensor};

use super::mod_fc::{Modulation, ScaleRule};
use super::preprocess::Preprocess;
use super::recompute::{Recomputed, Saved, backward_through, leaf};
use crate::error::Result;
use crate::tape::Tape;

/// The factor on the features of a branch.
pub(super) enum Factor {
    /// None.
    One,
    /// A tensor, `[modules, in]` or `[batch, modules, in]`.
    Given(Tensor),
    /// That of a ModFC.
    OfCodes(Modulation),
}

/// One projection: its operands, attached to the graph.
pub(super) struct Branch {
    /// `[out, in]`.
    pub(super) weight: Tensor,
    /// `[out]`.
    pub(super) bias: Option<Tensor>,
    pub(super) factor: Factor,
    /// Added to the result, `[batch, modules, out]`.
    pub(super) added: Option<Tensor>,
}

impl Branch {
    /// The given factor, if there is one.
    pub(super) fn given(&self) -> Option<Tensor> {
        match &self.factor {
            Factor::Given(factor) => Some(factor.shallow_clone()),
            Factor::One | Factor::OfCodes(_) => None,
        }
    }
}

/// A factor without a graph.
enum SavedFactor {
    One,
    Given(Tensor),
    OfCodes {
        codes: Tensor,
        code_projection: Tensor,
        /// `W_c c`.
        raw: Tensor,
        gain: Tensor,
        rule: ScaleRule,
    },
}

/// What the backward pass of one branch needs.
struct SavedBranch {
    weight: Tensor,
    bias: bool,
    added: bool,
    factor: SavedFactor,
}

/// Records the branches of `x` as one node on the tape and gives their results. `features` is `f(x)`, and whether it
/// may be changed in place.
pub(super) fn record(
    x: &Tensor,
    before: Preprocess<'_>,
    (features, owned): (Tensor, bool),
    branches: Vec<Branch>,
    tape: &mut Tape,
) -> Result<Vec<Tensor>> {
    let mut inputs = vec![x.shallow_clone()];
    let saved = match before {
        Preprocess::Identity => Saved::Identity,
        Preprocess::Activation(activation) => Saved::Activation(activation),
        Preprocess::Norm(norm) => {
            let (weight, bias) = (norm.weight(), norm.bias());
            inputs.extend([weight.shallow_clone(), bias.shallow_clone()]);
            Saved::Norm {
                weight: weight.f_detach()?,
                bias: bias.f_detach()?,
            }
        }
    };
    let mut outputs = Vec::with_capacity(branches.len());
    let mut saved_branches = Vec::with_capacity(branches.len());
    let count = branches.len();
    for (index, branch) in branches.into_iter().enumerate() {
        let last_use = owned && index + 1 == count;
        let (output, branch) = tch::no_grad(|| branch.forward(&features, last_use, &mut inputs))?;
        outputs.push(output);
        saved_branches.push(branch);
    }
    let states = x.f_detach()?;
    let needed: Vec<bool> = inputs.iter().map(Tensor::requires_grad).collect();
    let backward =
        move |gradients: &[Tensor]| backward(&states, &saved, &saved_branches, &needed, gradients);
    tape.recompute_node(inputs, outputs, backward)
}

impl Branch {
    /// The result; adds the operands to `inputs`. The `last_use` of the features may change them.
    fn forward(
        self,
        features: &Tensor,
        last_use: bool,
        inputs: &mut Vec<Tensor>,
    ) -> Result<(Tensor, SavedBranch)> {
        inputs.push(self.weight.shallow_clone());
        inputs.extend(self.bias.as_ref().map(Tensor::shallow_clone));
        inputs.extend(self.added.as_ref().map(Tensor::shallow_clone));
        let factor = match self.factor {
            Factor::One => SavedFactor::One,
            Factor::Given(factor) => {
                let saved = factor.f_detach()?;
                inputs.push(factor);
                SavedFactor::Given(saved)
            }
            Factor::OfCodes(Modulation {
                codes,
                code_projection,
                gain,
                rule,
            }) => {
                let saved = SavedFactor::OfCodes {
                    raw: codes.f_linear(&code_projection, None::<&Tensor>)?,
                    codes: codes.f_detach()?,
                    code_projection: code_projection.f_detach()?,
                    gain: gain.f_detach()?,
                    rule,
                };
                inputs.extend([codes, code_projection, gain]);
                saved
            }
        };
        let mut scaled = features.shallow_clone();
        match factor.value()? {
            Some(scale) if last_use => {
                let _ = scaled.f_mul_(&scale)?;
            }
            Some(scale) => scaled = features.f_mul(&scale)?,
            None => {}
        }
        let weight = self.weight.f_detach()?;
        let output = match &self.added {
            None => scaled.f_linear(&weight, self.bias.as_ref())?,
            Some(added) => {
                let product = flattened(added)?.f_addmm(&flattened(&scaled)?, &weight.f_tr()?)?;
                let mut output = product.f_view_as(added)?;
                if let Some(bias) = &self.bias {
                    let _ = output.f_add_(bias)?;
                }
                output
            }
        };
        let saved = SavedBranch {
            weight,
            bias: self.bias.is_some(),
            added: self.added.is_some(),
            factor,
        };
        Ok((output, saved))
    }
}

impl SavedFactor {
    /// The factor, without a graph.
    fn value(&self) -> Result<Option<Tensor>> {
        match self {
            Self::One => Ok(None),
            Self::Given(factor) => Ok(Some(factor.shallow_clone())),
            Self::OfCodes {
                raw, gain, rule, ..
            } => rule.apply(raw, gain).map(Some),
        }
    }

    /// Number of its operands among the inputs of the node.
    fn operands(&self) -> usize {
        match self {
            Self::One => 0,
            Self::Given(_) => 1,
            Self::OfCodes { .. } => 3,
        }
    }
}

/// Gradients in the order of the inputs, undefined where none is `needed`.
fn backward(
    x: &Tensor,
    saved: &Saved,
    branches: &[SavedBranch],
    needed: &[bool],
    gradients: &[Tensor],
) -> Result<Vec<Tensor>> {
    tch::no_grad(|| {
        let (features, recomputed) = Recomputed::new(x, saved)?;
        let before = 1 + match saved {
            Saved::Norm { .. } => 2,
            Saved::Identity | Saved::Activation(_) => 0,
        };
        let for_features = needed[..before].contains(&true);
        let mut sum: Option<Tensor> = None;
        let mut result = Vec::with_capacity(needed.len());
        let mut at = before;
        for (branch, gradient) in branches.iter().zip(gradients) {
            let count =
                1 + usize::from(branch.bias) + usize::from(branch.added) + branch.factor.operands();
            let needed = &needed[at..at + count];
            at += count;
            let sum = for_features.then_some(&mut sum);
            branch.backward(&features, gradient, needed, sum, &mut result)?;
        }
        drop(features);
        let mut all = match sum {
            Some(sum) => recomputed.backward(sum)?,
            None => (0..before).map(|_| Tensor::new()).collect(),
        };
        all.append(&mut result);
        Ok(all)
    })
}

impl SavedBranch {
    /// Appends the gradients of this branch's operands to `result`, and adds that of the features to `sum`.
    fn backward(
        &self,
        features: &Tensor,
        gradient: &Tensor,
        needed: &[bool],
        sum: Option<&mut Option<Tensor>>,
        result: &mut Vec<Tensor>,
    ) -> Result<()> {
        let output = flattened(gradient)?;
        let leaves = self.factor.leaves()?;
        let scale = match &leaves {
            Some((attached, _)) => Some(attached.f_detach()?),
            None => self.factor.value()?,
        };
        let scaled = match &scale {
            Some(scale) => features.f_mul(scale)?,
            None => features.shallow_clone(),
        };
        result.push(output.f_tr()?.f_matmul(&flattened(&scaled)?)?);
        drop(scaled);
        if self.bias {
            result.push(output.f_sum_dim_intlist([0].as_slice(), false, None::<Kind>)?);
        }
        if self.added {
            result.push(gradient.shallow_clone());
        }
        let operands = self.factor.operands();
        let for_factor = needed[needed.len() - operands..].contains(&true);
        if sum.is_none() && !for_factor {
            result.extend((0..operands).map(|_| Tensor::new()));
            return Ok(());
        }
        let mut back = output.f_matmul(&self.weight)?.f_view_as(features)?;
        if let Some(sum) = sum {
            add_scaled(sum, &back, scale.as_ref())?;
        }
        let Some(scale) = scale else {
            return Ok(());
        };
        if !for_factor {
            result.extend((0..operands).map(|_| Tensor::new()));
            return Ok(());
        }
        let _ = back.f_mul_(features)?;
        let for_scale = sum_to(back, &scale.size())?;
        match (&self.factor, leaves) {
            (
                SavedFactor::OfCodes {
                    codes,
                    code_projection,
                    ..
                },
                Some((attached, leaves)),
            ) => {
                let mut found = backward_through(&attached, &for_scale, &leaves)?;
                let for_raw = flattened(&found[0])?;
                result.push(for_raw.f_matmul(code_projection)?.f_view_as(codes)?);
                result.push(for_raw.f_tr()?.f_matmul(&flattened(codes)?)?);
                result.push(if found.len() > 1 {
                    found.swap_remove(1)
                } else {
                    Tensor::new()
                });
            }
            _ => result.push(for_scale),
        }
        Ok(())
    }
}

/// `sum += value · scale`, where a sum without a value is zero and a scale that is none is one.
fn add_scaled(sum: &mut Option<Tensor>, value: &Tensor, scale: Option<&Tensor>) -> Result<()> {
    match (sum.as_mut(), scale) {
        (None, None) => *sum = Some(value.shallow_clone()),
        (None, Some(scale)) => *sum = Some(value.f_mul(scale)?),
        (Some(sum), None) => {
            let _ = sum.f_add_(value)?;
        }
        (Some(sum), Some(scale)) => {
            let _ = sum.f_addcmul_(value, scale)?;
        }
    }
    Ok(())
}

impl SavedFactor {
    /// The scale of a ModFC recomputed with a graph from the projected code and the gain.
    fn leaves(&self) -> Result<Option<(Tensor, Vec<Tensor>)>> {
        let Self::OfCodes {
            raw, gain, rule, ..
        } = self
        else {
            return Ok(None);
        };
        let leaves = vec![leaf(raw)?, leaf(gain)?];
        let scale = tch::with_grad(|| rule.apply(&leaves[0], &leaves[1]))?;
        Ok(Some((scale, leaves)))
    }
}

/// The gradient of a tensor of shape `size` that was broadcast to that of `gradient`.
fn sum_to(gradient: Tensor, size: &[i64]) -> Result<Tensor> {
    let of_gradient = gradient.size();
    let added = of_gradient.len() - size.len();
    let widened = (0..of_gradient.len())
        .filter(|&dim| dim < added || size[dim - added] != of_gradient[dim])
        .map(|dim| dim as i64);
    let summed: Vec<i64> = widened.collect();
    if summed.is_empty() {
        return Ok(gradient);
    }
    let sum = gradient.f_sum_dim_intlist(summed.as_slice(), false, None::<Kind>)?;
    Ok(sum.f_view(size)?)
}

/// All dimensions but the last as one.
fn flattened(x: &Tensor) -> Result<Tensor> {
    let width = x.size().last().copied().unwrap_or(1);
    Ok(x.f_reshape([-1, width])?)
}
