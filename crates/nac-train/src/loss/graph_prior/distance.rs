//! How far matched link probabilities `P` are from a graphon `G`, link by link, and their mean.
//!
//! - Mean squared error: `(P − G)²`.
//! - Divergence: `KL(Bern(G) ‖ Bern(P)) = G·log(G/P) + (1 − G)·log((1 − G)/(1 − P))`, with `P` clamped to
//!   `[ε, 1 − ε]`, `ε = 1e-6`; no gradient passes where it is clamped.
//!
//! With a floor, each link counts at least that much, and a link below it has no gradient.
//! Source: reference `objectives/regularization.py`.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::Result;

const LOWEST: f64 = 1e-6;
/// As the reference computes it, in `float32`: 1.3 % farther from 1 than `1e-6`. The logarithm shows it.
const HIGHEST: f64 = (1.0_f32 - 1e-6_f32) as f64;

/// What is measured of a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PriorLoss {
    /// Squared difference of the two probabilities.
    #[default]
    Mse,
    /// Divergence of the link from the prior's.
    Kl,
}

/// Distance of link probabilities from a graphon.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PriorDistance {
    /// What is measured of a link.
    pub loss_type: PriorLoss,
    /// Least value of a link, if any.
    pub clip: Option<f64>,
}

impl PriorDistance {
    /// Mean distance of the links of matched modules from the graphon.
    ///
    /// # Shapes
    /// - links, graphon: `[modules, modules]`
    /// - assignment: `[modules]`, the module that takes each of the graphon's nodes
    /// - output: `[]`, differentiable by `links`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn value(&self, links: &Tensor, graphon: &Tensor, assignment: &Tensor) -> Result<Tensor> {
        self.of_permuted(links, &permuted(graphon, assignment, links)?)
    }

    /// As [`value`](Self::value), of a graphon in the order of the modules.
    pub(super) fn of_permuted(&self, links: &Tensor, graphon: &Tensor) -> Result<Tensor> {
        let each = match self.loss_type {
            PriorLoss::Mse => links.f_sub(graphon)?.f_square()?,
            PriorLoss::Kl => divergence(links, graphon)?,
        };
        let each = match self.clip {
            Some(floor) => each.f_clamp_min(floor)?,
            None => each,
        };
        Ok(each.f_mean(None::<Kind>)?)
    }
}

/// The graphon in the order of the modules, on the device and in the kind of the links.
///
/// Permuting the graphon once for each matching, and not the links in every step, gives the same pairs, and nothing to differentiate.
pub(super) fn permuted(graphon: &Tensor, assignment: &Tensor, links: &Tensor) -> Result<Tensor> {
    let node = assignment
        .f_to_device(graphon.device())?
        .f_argsort(0, false)?;
    Ok(graphon
        .f_index_select(0, &node)?
        .f_index_select(1, &node)?
        .f_to_device(links.device())?
        .f_to_kind(links.kind())?)
}

fn divergence(links: &Tensor, graphon: &Tensor) -> Result<Tensor> {
    let links = links.f_clamp(LOWEST, HIGHEST)?;
    let absent = |x: &Tensor| x.f_neg()?.f_add_scalar(1.0);
    let (no_link, no_edge) = (absent(&links)?, absent(graphon)?);
    // `xlogy` is 0 for a probability of 0.
    let entropy = graphon
        .f_xlogy(graphon)?
        .f_add(&no_edge.f_xlogy(&no_edge)?)?;
    let cross = graphon
        .f_mul(&links.f_log()?)?
        .f_add(&no_edge.f_mul(&no_link.f_log()?)?)?;
    Ok(entropy.f_sub(&cross)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(distance: PriorDistance, link: f64, edge: f64) -> (f64, f64) {
        let links = Tensor::from_slice(&[link])
            .view([1, 1])
            .set_requires_grad(true);
        let graphon = Tensor::from_slice(&[edge]).view([1, 1]);
        let value = distance
            .value(&links, &graphon, &Tensor::from_slice(&[0_i64]))
            .unwrap();
        value.backward();
        (value.double_value(&[]), links.grad().double_value(&[0, 0]))
    }

    #[test]
    fn both_kinds_agree_with_their_definitions() {
        for clip in [None, Some(0.2)] {
            for (p, g) in [
                (0.3, 0.9),
                (0.9, 0.05),
                (0.4, 0.4),
                (0.2, 1.0),
                (0.7, 0.0),
                (0.5, 0.4),
            ] {
                let kl = |p: f64| {
                    let term = |g: f64, p: f64| if g == 0.0 { 0.0 } else { g * (g / p).ln() };
                    term(g, p) + term(1.0 - g, 1.0 - p)
                };
                let mse = |p: f64| (p - g) * (p - g);
                let kinds: [(PriorLoss, &dyn Fn(f64) -> f64); 2] =
                    [(PriorLoss::Mse, &mse), (PriorLoss::Kl, &kl)];
                for (loss_type, slow) in kinds {
                    let (found, gradient) = value(PriorDistance { loss_type, clip }, p, g);
                    let floored = |p: f64| clip.map_or(slow(p), |floor: f64| slow(p).max(floor));
                    assert!((found - floored(p)).abs() < 1e-12, "{loss_type:?} {p} {g}");
                    let slope = (floored(p + 1e-6) - floored(p - 1e-6)) / 2e-6;
                    assert!(
                        (gradient - slope).abs() < 1e-6,
                        "{loss_type:?} {p} {g}: {gradient}, {slope}"
                    );
                }
            }
        }
    }

    #[test]
    fn modules_are_compared_with_their_nodes() {
        let n = 7;
        let draw = |seed: &str| {
            let mut values = vec![0.0; n * n];
            let mut stream = nac_core::Streams::new(3).stream(seed);
            stream.fill_uniform_f64(&mut values);
            values
        };
        let (links, graphon) = (draw("links"), draw("graphon"));
        let assignment = [3_usize, 0, 6, 1, 2, 5, 4];
        let mut expected = 0.0;
        for t in 0..n {
            for k in 0..n {
                let link = links[assignment[t] * n + assignment[k]];
                expected += (link - graphon[t * n + k]).powi(2) / (n * n) as f64;
            }
        }
        let square = |values: &[f64]| Tensor::from_slice(values).view([n as i64, n as i64]);
        let index = Tensor::from_slice(&assignment.map(|module| module as i64));
        let found = PriorDistance::default().value(&square(&links), &square(&graphon), &index);
        assert!((found.unwrap().double_value(&[]) - expected).abs() < 1e-12);
    }

    #[test]
    fn certain_links_stay_finite_and_have_no_gradient() {
        let kl = PriorDistance {
            loss_type: PriorLoss::Kl,
            clip: None,
        };
        for (link, edge) in [(0.0, 0.5), (1.0, 0.5), (0.0, 1.0), (1.0, 0.0)] {
            let (value, gradient) = value(kl, link, edge);
            assert!(
                value.is_finite() && value > 1.0 && gradient == 0.0,
                "{link} {edge}: {value}, {gradient}"
            );
        }
    }
}
