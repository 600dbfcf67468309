//! The running means of AdamW, and the update of weights with them.

use nac_engine::optimizer::{AdamWStep, AdamWValues, adamw};
use nac_modules::params::ParamStore;
use tch::Tensor;

use crate::error::Result;
use crate::optim::host;

/// Running means of the gradients and of their squares.
#[derive(Debug)]
pub(super) enum Moments {
    /// Of weights in single precision on the CPU: those of all parameters one after the other.
    Flat {
        mean: Vec<f32>,
        mean_square: Vec<f32>,
        /// An empty view of each parameter.
        views: Vec<Tensor>,
    },
    /// Of any other weights: a pair of tensors for each.
    Tensors(Vec<[Tensor; 2]>),
}

impl Default for Moments {
    fn default() -> Self {
        Self::Tensors(Vec::new())
    }
}

impl Moments {
    /// Zeros for these parameters.
    pub(super) fn new(parameters: &ParamStore) -> Self {
        let all: Vec<&Tensor> = parameters.parameters().map(|(_, tensor)| tensor).collect();
        if all.iter().all(|tensor| host::is_plain(tensor)) && host::are_apart(&all, &[]) {
            let total = all.iter().map(|tensor| tensor.numel()).sum();
            return Self::Flat {
                mean: vec![0.0; total],
                mean_square: vec![0.0; total],
                views: Vec::new(),
            };
        }
        let zeros = |like: &&Tensor| [(); 2].map(|()| like.zeros_like().detach());
        Self::Tensors(all.iter().map(zeros).collect())
    }

    pub(super) fn are_flat(&self) -> bool {
        matches!(self, Self::Flat { .. })
    }

    /// One step of every parameter that has a gradient. The scale of gradients acts on flat moments only.
    pub(super) fn update(
        &mut self,
        parameters: &[&Tensor],
        gradients: &[Tensor],
        steps: &[AdamWStep],
    ) -> Result<()> {
        match self {
            Self::Flat {
                mean,
                mean_square,
                views,
            } => {
                update_flat(parameters, gradients, steps, (mean, mean_square))?;
                count_change(parameters, views)
            }
            Self::Tensors(moments) => {
                let tensors = parameters.iter().zip(gradients);
                for ((parameter, gradient), (moments, step)) in
                    tensors.zip(moments.iter_mut().zip(steps))
                {
                    if gradient.defined() {
                        update_tensor(parameter, gradient, moments, step)?;
                    }
                }
                Ok(())
            }
        }
    }
}

fn update_flat(
    parameters: &[&Tensor],
    gradients: &[Tensor],
    steps: &[AdamWStep],
    (mut mean, mut mean_square): (&mut [f32], &mut [f32]),
) -> Result<()> {
    let gradients = gradients.iter().map(host::plain);
    let gradients = gradients.collect::<Result<Vec<_>>>()?;
    let pairs = host::weights_and_gradients(parameters, &gradients)?;
    let mut values = Vec::with_capacity(pairs.len());
    for ((pair, parameter), step) in pairs.into_iter().zip(parameters).zip(steps) {
        let (m, other_mean) = mean.split_at_mut(parameter.numel());
        let (v, other_square) = mean_square.split_at_mut(parameter.numel());
        (mean, mean_square) = (other_mean, other_square);
        if let Some((weights, gradient)) = pair {
            values.push(AdamWValues {
                weights,
                gradient,
                mean: m,
                mean_square: v,
                step: *step,
            });
        }
    }
    adamw(values, host::threads());
    Ok(())
}

/// Lets libtorch count a change of every parameter: it did not see the kernel write. `views` are made in the first step.
fn count_change(parameters: &[&Tensor], views: &mut Vec<Tensor>) -> Result<()> {
    if views.len() != parameters.len() {
        let empty = |parameter: &&Tensor| parameter.f_view([-1])?.f_narrow(0, 0, 0);
        let all = parameters.iter().map(empty);
        *views = all.collect::<std::result::Result<_, _>>()?;
    }
    for view in views {
        let _ = view.f_zero_()?;
    }
    Ok(())
}

fn update_tensor(
    parameter: &Tensor,
    gradient: &Tensor,
    [mean, mean_square]: &mut [Tensor; 2],
    step: &AdamWStep,
) -> Result<()> {
    let [beta1, beta2] = step.betas;
    let steps = step.step as f64;
    let (correction1, correction2) = (1.0 - beta1.powf(steps), 1.0 - beta2.powf(steps));
    let mut parameter = parameter.shallow_clone();
    let gradient = gradient.f_to_kind(parameter.kind())?;
    if step.weight_decay > 0.0 {
        let _ = parameter.f_mul_scalar_(1.0 - step.learning_rate * step.weight_decay)?;
    }
    let _ = mean.f_lerp_(&gradient, 1.0 - beta1)?;
    let _ = mean_square.f_mul_scalar_(beta2)?;
    let _ = mean_square.f_addcmul_(&(&gradient * (1.0 - beta2)), &gradient)?;
    let mut denominator = mean_square.f_sqrt()?;
    let _ = denominator
        .f_div_scalar_(correction2.sqrt())?
        .f_add_scalar_(step.eps)?;
    let numerator = mean.f_mul_scalar(-step.learning_rate / correction1)?;
    let _ = parameter.f_addcdiv_(&numerator, &denominator)?;
    Ok(())
}
