//! Graph-prior regulariser: draws the circuit's link probabilities towards a prior's.
//!
//! With `P` the link probabilities between the processor modules and `G` the prior's: modules are matched with
//! the prior's nodes by the assignment `π` of least cost `Σ_t mean_k (G[t,k] − P[π(t),k])²` (without gradient),
//! and the term is `mean_{t,k} (P[π(t),π(k)] − G[t,k])²`. Source: reference `objectives/regularization.py:211`.
//! Several graphs with kernels of their own give a sum.

use std::collections::BTreeMap;

use nac_core::GraphPrior;
use ordered_float::OrderedFloat;
use pathfinding::kuhn_munkres::kuhn_munkres_min;
use pathfinding::matrix::Matrix;
use tch::{Device, Kind, Tensor};

use super::{LossContext, LossTerm};
use crate::error::{Result, TrainError};

const NAME: &str = "graph_prior";

/// Mean squared distance of the matched link probabilities from a prior's.
#[derive(Debug)]
pub struct GraphPriorLoss {
    prior: Box<dyn GraphPrior>,
    weight: f64,
    refresh_every: u64,
    graphs: BTreeMap<String, Target>,
}

/// The prior's graphon for a graph, and the matching in use.
#[derive(Debug)]
struct Target {
    graphon: Tensor,
    matching: Tensor,
}

impl GraphPriorLoss {
    /// A term with `weight`, matched anew every `refresh_every` steps (at least 1).
    pub fn new(prior: Box<dyn GraphPrior>, weight: f64, refresh_every: u64) -> Self {
        Self {
            prior,
            weight,
            refresh_every: refresh_every.max(1),
            graphs: BTreeMap::new(),
        }
    }

    fn graphon(&self, modules: usize) -> Result<Tensor> {
        let graphon = self.prior.link_probabilities(modules)?;
        if graphon.dim() != (modules, modules) {
            let found = graphon.dim();
            return Err(failed(format!(
                "prior `{}` gave {found:?} for {modules} modules",
                self.prior.name()
            )));
        }
        let values: Vec<f64> = graphon.iter().copied().collect();
        Ok(Tensor::f_from_slice(&values)?.f_view([modules as i64, modules as i64])?)
    }

    fn term(&mut self, name: &str, links: &Tensor, step: u64) -> Result<Tensor> {
        let modules = usize::try_from(links.size()[0]).unwrap_or(0);
        let known = self
            .graphs
            .get(name)
            .map(|t| (t.graphon.shallow_clone(), t.matching.shallow_clone()));
        let (graphon, matching) = match known {
            Some((graphon, matching)) if !step.is_multiple_of(self.refresh_every) => {
                (graphon, matching)
            }
            Some((graphon, _)) => {
                let matching = match_modules(&graphon, links)?;
                (graphon, matching)
            }
            None => {
                let graphon = self.graphon(modules)?;
                let matching = match_modules(&graphon, links)?;
                (graphon, matching)
            }
        };
        let index = matching.f_to_device(links.device())?;
        let permuted = links.f_index_select(0, &index)?.f_index_select(1, &index)?;
        let target = graphon
            .f_to_device(links.device())?
            .f_to_kind(links.kind())?;
        self.graphs
            .insert(name.to_owned(), Target { graphon, matching });
        Ok(permuted.f_sub(&target)?.f_square()?.f_mean(None::<Kind>)?)
    }
}

impl LossTerm for GraphPriorLoss {
    fn name(&self) -> &str {
        NAME
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn compute(&mut self, context: &LossContext<'_>) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for graph in context.model.signature_graphs() {
            let term = self.term(&graph.name, &graph.link_probabilities()?, context.step)?;
            sum = Some(match sum {
                Some(sum) => sum.f_add(&term)?,
                None => term,
            });
        }
        sum.ok_or_else(|| failed("the model has no graph of signatures".into()))
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        self.graphs
            .iter()
            .map(|(name, target)| (name.clone(), target.matching.copy()))
            .collect()
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        for (name, matching) in state {
            let found = matching.size();
            let modules = match found.as_slice() {
                [modules] if is_permutation(matching) => usize::try_from(*modules).unwrap_or(0),
                _ => {
                    return Err(TrainError::State(format!(
                        "{NAME}: {name} is not a permutation, {found:?}"
                    )));
                }
            };
            let target = Target {
                graphon: self.graphon(modules)?,
                matching: matching.copy(),
            };
            self.graphs.insert(name.clone(), target);
        }
        Ok(())
    }
}

fn is_permutation(matching: &Tensor) -> bool {
    let mut seen: Vec<i64> = Vec::try_from(matching.to_kind(Kind::Int64)).unwrap_or_default();
    seen.sort_unstable();
    seen.iter().enumerate().all(|(i, &value)| value == i as i64)
}

fn failed(reason: String) -> TrainError {
    TrainError::Loss {
        name: NAME.into(),
        reason,
    }
}

/// Module for each node of the graphon, `[modules]`, by the Hungarian method.
fn match_modules(graphon: &Tensor, links: &Tensor) -> Result<Tensor> {
    let links = links
        .f_detach()?
        .f_to_device(Device::Cpu)?
        .f_to_kind(Kind::Double)?;
    // mean_k (G[t,k] − P[i,k])², multiplied out.
    let squares = |x: &Tensor| {
        x.f_square()
            .and_then(|x| x.f_mean_dim(Some([1_i64].as_slice()), true, None::<Kind>))
    };
    let n = graphon.size()[0];
    let cross = graphon
        .f_matmul(&links.f_transpose(0, 1)?)?
        .f_mul_scalar(-2.0 / n as f64)?;
    let cost = squares(graphon)?
        .f_add(&squares(&links)?.f_transpose(0, 1)?)?
        .f_add(&cross)?;
    let values = Vec::<f64>::try_from(cost.f_contiguous()?.f_view([-1_i64])?)?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(failed("link probabilities are not numbers".into()));
    }
    let size = usize::try_from(n).unwrap_or(0);
    let matrix = Matrix::from_vec(size, size, values.into_iter().map(OrderedFloat).collect())
        .map_err(|error| failed(error.to_string()))?;
    let (_, assignment) = kuhn_munkres_min(&matrix);
    let assignment: Vec<i64> = assignment.into_iter().map(|module| module as i64).collect();
    Ok(Tensor::f_from_slice(&assignment)?)
}

#[cfg(test)]
mod tests;
