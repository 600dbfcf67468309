//! Graph-prior regulariser: draws the circuit's link probabilities towards a prior's.
//!
//! With `P` the link probabilities between the modules and `G` the prior's: modules are matched with the
//! prior's nodes by the assignment `π` of least cost `Σ_t mean_k (G[t,k] − P[π(t),k])²` (without gradient, see
//! [`match_modules`]), and the term is the [`PriorDistance`] of `P[π(t),π(k)]` from `G[t,k]`, by default
//! `mean_{t,k} (P[π(t),π(k)] − G[t,k])²`. Source: reference `objectives/regularization.py:211`.
//! `P` is never sampled. Several graphs with different kernels (propagators with learned bandwidths) give a
//! sum, propagators that share a kernel count once. Of signatures per example, `P` is the mean over the batch.

mod distance;
mod matching;

use std::collections::BTreeMap;

use nac_core::{GraphPrior, Streams};
use tch::Tensor;

pub use distance::{PriorDistance, PriorLoss};
pub use matching::{Matching, match_modules};

use super::module_groups::{ModuleGroups, circuit};
use super::{LossContext, LossTerm};
use crate::error::{Result, TrainError};
use crate::scheduled::ScheduledValue;
use matching::{NAME, failed, is_permutation};

/// Distance of the matched link probabilities from a prior's.
#[derive(Debug)]
pub struct GraphPriorLoss {
    prior: Box<dyn GraphPrior>,
    weight: ScheduledValue,
    progress: f64,
    refresh_every: u64,
    distance: PriorDistance,
    modules: ModuleGroups,
    noise: Option<(f64, Streams)>,
    fixed: Option<Tensor>,
    graphs: BTreeMap<String, Target>,
}

/// The prior's graphon for a graph, and the matching in use.
#[derive(Debug)]
struct Target {
    graphon: Tensor,
    matching: Tensor,
    cost: Option<f64>,
    /// The graphon in the order of the modules, once it was needed.
    permuted: Option<Tensor>,
}

impl Target {
    /// The graphon in the order of the modules, where and as the links are.
    fn permuted(&mut self, links: &Tensor) -> Result<&Tensor> {
        let fits =
            |known: &Tensor| known.device() == links.device() && known.kind() == links.kind();
        let permuted = match self.permuted.take().filter(fits) {
            Some(permuted) => permuted,
            None => distance::permuted(&self.graphon, &self.matching, links)?,
        };
        Ok(self.permuted.insert(permuted))
    }
}

impl GraphPriorLoss {
    /// A term with `weight`, matched anew every `refresh_every` steps (at least 1). It takes processors,
    /// the mean squared error, and no noise.
    pub fn new(
        prior: Box<dyn GraphPrior>,
        weight: impl Into<ScheduledValue>,
        refresh_every: u64,
    ) -> Self {
        Self {
            prior,
            weight: weight.into(),
            progress: 0.0,
            refresh_every: refresh_every.max(1),
            distance: PriorDistance::default(),
            modules: ModuleGroups::PROCESSORS,
            noise: None,
            fixed: None,
            graphs: BTreeMap::new(),
        }
    }

    /// The same term with another distance from the prior.
    #[must_use]
    pub fn with_distance(self, distance: PriorDistance) -> Self {
        Self { distance, ..self }
    }

    /// The same term on other sets of modules, in the order read-in, processor, read-out.
    #[must_use]
    pub fn with_modules(self, modules: ModuleGroups) -> Self {
        Self { modules, ..self }
    }

    /// The same term, matched by links that are multiplied by `1 + scale · n` with `n` standard normal, drawn
    /// anew for each matching from the stream of graph and step.
    #[must_use]
    pub fn with_matching_noise(self, scale: f64, streams: Streams) -> Self {
        let noise = Some((scale, streams));
        Self { noise, ..self }
    }

    /// The same term with a given matching, `[modules]`, of every graph instead of the best: module
    /// `assignment[t]` takes node `t`. For comparisons with another program's matching.
    #[must_use]
    pub fn with_assignment(self, assignment: Tensor) -> Self {
        let fixed = Some(assignment);
        Self { fixed, ..self }
    }

    /// Costs of the matchings in use by graph, as far as they were computed (not given or restored).
    pub fn matching_costs(&self) -> BTreeMap<&str, f64> {
        let graphs = self.graphs.iter();
        graphs
            .filter_map(|(name, target)| Some((name.as_str(), target.cost?)))
            .collect()
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
        let known = self.graphs.remove(name);
        let known = known.filter(|target| target.graphon.size()[0] == links.size()[0]);
        let mut target = match known {
            Some(target) if !step.is_multiple_of(self.refresh_every) => target,
            known => {
                let graphon = known.map_or_else(|| self.graphon(modules), |t| Ok(t.graphon))?;
                let (matching, cost) = self.matched(name, &graphon, links, step)?;
                Target {
                    graphon,
                    matching,
                    cost,
                    permuted: None,
                }
            }
        };
        let value = self.distance.of_permuted(links, target.permuted(links)?);
        self.graphs.insert(name.to_owned(), target);
        value
    }

    fn matched(
        &self,
        name: &str,
        graphon: &Tensor,
        links: &Tensor,
        step: u64,
    ) -> Result<(Tensor, Option<f64>)> {
        if let Some(fixed) = &self.fixed {
            let size = fixed.size();
            if size != [links.size()[0]] || !is_permutation(fixed) {
                let reason = format!(
                    "the given assignment {size:?} is not a permutation of {} modules",
                    links.size()[0]
                );
                return Err(failed(reason));
            }
            return Ok((fixed.copy(), None));
        }
        let noise = match self.noise {
            Some((scale, streams)) => {
                let mut values = vec![0.0; links.numel()];
                let mut stream = streams.child(NAME).stream(&format!("{name}/{step}"));
                stream.fill_normal_f64(&mut values);
                values.iter_mut().for_each(|value| *value *= scale);
                Some(Tensor::f_from_slice(&values)?.f_view(links.size().as_slice())?)
            }
            None => None,
        };
        let found = match_modules(graphon, links, noise.as_ref())?;
        Ok((found.assignment, Some(found.cost)))
    }
}

impl LossTerm for GraphPriorLoss {
    fn name(&self) -> &str {
        NAME
    }

    fn weight(&self) -> f64 {
        self.weight.at(self.progress)
    }

    fn set_progress(&mut self, progress: f64) {
        self.progress = progress;
    }

    fn compute(&mut self, context: &LossContext<'_>) -> Result<Tensor> {
        let circuit = circuit(context.output, NAME)?;
        let signatures = self.modules.signatures(context.output, NAME)?;
        let mut sum: Option<Tensor> = None;
        for graph in circuit.graphs_between(&signatures) {
            let links = graph.mean_link_probabilities()?;
            let term = self.term(graph.name, &links, context.step)?;
            sum = Some(match sum {
                Some(sum) => sum.f_add(&term)?,
                None => term,
            });
        }
        sum.ok_or_else(|| failed("the circuit has no propagator".into()))
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
                cost: None,
                permuted: None,
            };
            self.graphs.insert(name.clone(), target);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
