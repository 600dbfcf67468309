//! The cut of [`super::project`]: values without a graph, and the gradients written out.
//!
//! With `z = f(x) ⊙ s`, `y = W z + b + r` and `s = rule(W_c c, α)`, and `∇y` given:
//! `∇W = ∇yᵀ z`, `∇b = Σ ∇y`, `∇r = ∇y`, `∇z = ∇y W`, `∇s = Σ_batch ∇z ⊙ f(x)`, `∇f(x) = ∇z ⊙ s`. Norms,
//! activations other than GEGLU, and the rule of the scale are small, and computed again with a graph of their own;
//! `∇W_c` and `∇c` follow from the gradient of `W_c c`.

use tch::{Kind, Tensor};

use super::again::{Again, Kept, through, with_gradient};
use super::mod_fc::{Modulation, ScaleRule};
use super::project::Before;
use crate::context::ForwardContext;
use crate::error::Result;

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
enum KeptFactor {
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
struct KeptBranch {
    weight: Tensor,
    bias: bool,
    added: bool,
    factor: KeptFactor,
}

/// Puts the branches of `x` on the tape and gives their results. `features` is `f(x)`, and whether it is a tensor of
/// its own, which may be changed.
pub(super) fn record(
    x: &Tensor,
    before: Before<'_>,
    (features, own): (Tensor, bool),
    branches: Vec<Branch>,
    ctx: &mut ForwardContext<'_>,
) -> Result<Vec<Tensor>> {
    let mut inputs = vec![x.shallow_clone()];
    let kept = match before {
        Before::Nothing => Kept::Nothing,
        Before::Activation(activation) => Kept::Activation(activation),
        Before::Norm(norm) => {
            let (weight, bias) = (norm.weight(), norm.bias());
            inputs.extend([weight.shallow_clone(), bias.shallow_clone()]);
            Kept::Norm {
                weight: weight.f_detach()?,
                bias: bias.f_detach()?,
            }
        }
    };
    let mut outputs = Vec::with_capacity(branches.len());
    let mut kept_branches = Vec::with_capacity(branches.len());
    let count = branches.len();
    for (place, branch) in branches.into_iter().enumerate() {
        let last_use = own && place + 1 == count;
        let (output, branch) = tch::no_grad(|| branch.forward(&features, last_use, &mut inputs))?;
        outputs.push(output);
        kept_branches.push(branch);
    }
    let states = x.f_detach()?;
    let needed: Vec<bool> = inputs.iter().map(Tensor::requires_grad).collect();
    let backward =
        move |gradients: &[Tensor]| backward(&states, &kept, &kept_branches, &needed, gradients);
    match ctx.tape() {
        Some(tape) => tape.cut(inputs, outputs, backward),
        None => Ok(outputs),
    }
}

impl Branch {
    /// The result; adds the operands to `inputs`. The `last_use` of the features may change them.
    fn forward(
        self,
        features: &Tensor,
        last_use: bool,
        inputs: &mut Vec<Tensor>,
    ) -> Result<(Tensor, KeptBranch)> {
        inputs.push(self.weight.shallow_clone());
        inputs.extend(self.bias.as_ref().map(Tensor::shallow_clone));
        inputs.extend(self.added.as_ref().map(Tensor::shallow_clone));
        let factor = match self.factor {
            Factor::One => KeptFactor::One,
            Factor::Given(factor) => {
                let kept = factor.f_detach()?;
                inputs.push(factor);
                KeptFactor::Given(kept)
            }
            Factor::OfCodes(Modulation {
                codes,
                code_projection,
                gain,
                rule,
            }) => {
                let kept = KeptFactor::OfCodes {
                    raw: codes.f_linear(&code_projection, None::<&Tensor>)?,
                    codes: codes.f_detach()?,
                    code_projection: code_projection.f_detach()?,
                    gain: gain.f_detach()?,
                    rule,
                };
                inputs.extend([codes, code_projection, gain]);
                kept
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
                let product = rows(added)?.f_addmm(&rows(&scaled)?, &weight.f_tr()?)?;
                let mut output = product.f_view_as(added)?;
                if let Some(bias) = &self.bias {
                    let _ = output.f_add_(bias)?;
                }
                output
            }
        };
        let kept = KeptBranch {
            weight,
            bias: self.bias.is_some(),
            added: self.added.is_some(),
            factor,
        };
        Ok((output, kept))
    }
}

impl KeptFactor {
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

    /// Number of its operands among the inputs of the cut.
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
    kept: &Kept,
    branches: &[KeptBranch],
    needed: &[bool],
    gradients: &[Tensor],
) -> Result<Vec<Tensor>> {
    tch::no_grad(|| {
        let (features, again) = Again::new(x, kept)?;
        let before = 1 + match kept {
            Kept::Norm { .. } => 2,
            Kept::Nothing | Kept::Activation(_) => 0,
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
            Some(sum) => again.backward(sum)?,
            None => (0..before).map(|_| Tensor::new()).collect(),
        };
        all.append(&mut result);
        Ok(all)
    })
}

impl KeptBranch {
    /// Appends the gradients of this branch's operands to `result`, and adds that of the features to `sum`.
    fn backward(
        &self,
        features: &Tensor,
        gradient: &Tensor,
        needed: &[bool],
        sum: Option<&mut Option<Tensor>>,
        result: &mut Vec<Tensor>,
    ) -> Result<()> {
        let output = rows(gradient)?;
        let leaves = self.factor.leaves()?;
        let scale = match &leaves {
            Some((attached, _)) => Some(attached.f_detach()?),
            None => self.factor.value()?,
        };
        let scaled = match &scale {
            Some(scale) => features.f_mul(scale)?,
            None => features.shallow_clone(),
        };
        result.push(output.f_tr()?.f_matmul(&rows(&scaled)?)?);
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
            match (sum.as_mut(), &scale) {
                (None, None) => *sum = Some(back.shallow_clone()),
                (None, Some(scale)) => *sum = Some(back.f_mul(scale)?),
                (Some(sum), None) => {
                    let _ = sum.f_add_(&back)?;
                }
                (Some(sum), Some(scale)) => {
                    let _ = sum.f_addcmul_(&back, scale)?;
                }
            }
        }
        let Some(scale) = scale else {
            return Ok(());
        };
        if !for_factor {
            result.extend((0..operands).map(|_| Tensor::new()));
            return Ok(());
        }
        let _ = back.f_mul_(features)?;
        let for_scale = if scale.dim() < back.dim() {
            back.f_sum_dim_intlist([0].as_slice(), false, None::<Kind>)?
        } else {
            back
        };
        match (&self.factor, leaves) {
            (
                KeptFactor::OfCodes {
                    codes,
                    code_projection,
                    ..
                },
                Some((attached, leaves)),
            ) => {
                let mut found = through(&attached, &for_scale, &leaves)?;
                let for_raw = rows(&found[0])?;
                result.push(for_raw.f_matmul(code_projection)?.f_view_as(codes)?);
                result.push(for_raw.f_tr()?.f_matmul(&rows(codes)?)?);
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

impl KeptFactor {
    /// The scale of a ModFC computed again with a graph from the projected code and the gain.
    fn leaves(&self) -> Result<Option<(Tensor, Vec<Tensor>)>> {
        let Self::OfCodes {
            raw, gain, rule, ..
        } = self
        else {
            return Ok(None);
        };
        let leaves = vec![with_gradient(raw)?, with_gradient(gain)?];
        let scale = tch::with_grad(|| rule.apply(&leaves[0], &leaves[1]))?;
        Ok(Some((scale, leaves)))
    }
}

/// All dimensions but the last as one.
fn rows(x: &Tensor) -> Result<Tensor> {
    let width = x.size().last().copied().unwrap_or(1);
    Ok(x.f_reshape([-1, width])?)
}
