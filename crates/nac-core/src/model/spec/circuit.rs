//! Resolved circuits.

use serde::Serialize;

use super::block::{PropagatorSpec, ReadInSpec, ReadOutSpec};
use super::generator::GeneratorSpec;
use super::head::{HEAD_PATH, HeadSpec};
use super::layer::{BELOW_ONE, Surroundings, in_range, positive};
use super::node::{Node, join};
use crate::model::{CircuitConfig, ConfigError, ReadInSends};

/// One layer of attention between processors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PropagationSpec {
    /// The layers.
    pub propagator: PropagatorSpec,
    /// Whether processors attend to the read-in modules, which come first, as well as to each other.
    pub attends_to_read_in: bool,
    /// Which of the processors' codes are used; 0 if they have one for all propagators.
    pub code_layer: usize,
}

/// A whole circuit: who the modules are, what they do, and who attends to whom.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CircuitSpec {
    /// Path of all layers below but the head.
    pub path: String,
    /// Signatures, codes and initial states, if they are free parameters.
    pub generator: GeneratorSpec,
    /// Modules read tokens.
    pub read_in: ReadInSpec,
    /// Whether processors start with the states of the read-in; if not with their own.
    pub starts_from_read_in: bool,
    /// Layers of attention between processors, in this order.
    pub propagations: Vec<PropagationSpec>,
    /// Read-out modules gather the result from the processors.
    pub read_out: ReadOutSpec,
    /// Whether read-out modules attend to the read-in modules, which come first, as well.
    pub read_out_attends_to_read_in: bool,
    /// Which of the processors' codes the read-out uses.
    pub read_out_code_layer: usize,
    /// From the states of the read-out modules to outputs.
    pub head: HeadSpec,
}

/// Path of the circuit in a whole model, as in the reference.
const CIRCUIT_PATH: &str = "latent_graphs.0";

impl CircuitConfig {
    /// The circuit with these settings in a whole model, for tokens of `token_dim` and `outputs` outputs.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a setting is out of range or settings do not go together.
    pub fn resolve(&self, token_dim: usize, outputs: usize) -> Result<CircuitSpec, ConfigError> {
        self.resolve_at(CIRCUIT_PATH, token_dim, outputs)
    }

    /// As [`resolve`](Self::resolve) with the circuit's parameters, but for those of the head, below `path`.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_at(
        &self,
        path: &str,
        token_dim: usize,
        outputs: usize,
    ) -> Result<CircuitSpec, ConfigError> {
        self.check()?;
        // What layers inherit is checked where it is set.
        self.mod_fc
            .check()
            .map_err(|error| error.within("mod_fc"))?;
        let fits = (0.0..1.0).contains(&self.drop_path);
        in_range("drop_path", self.drop_path, fits, BELOW_ONE)?;
        let wiring = &self.wiring;
        let state_dim = positive("state_dim", self.state_dim)?;
        let generator = self.resolve_generator(path)?;
        let around = Surroundings {
            path,
            state_dim,
            code_dim: self.code_dim(),
            mod_fc: &self.mod_fc,
            drop_path: self.drop_path,
        };
        let (read_in, read_out) = (join(path, "read_in"), join(path, "read_out"));
        let propagations = (0..self.propagators)
            .map(|layer| {
                Ok(PropagationSpec {
                    propagator: self.propagator(&around, layer)?,
                    attends_to_read_in: match wiring.read_in_sends_to_processors {
                        ReadInSends::Never => false,
                        ReadInSends::First => layer == 0,
                        ReadInSends::Every => true,
                    },
                    code_layer: if wiring.codes_per_propagator {
                        layer
                    } else {
                        0
                    },
                })
            })
            .collect::<Result<Vec<_>, ConfigError>>()?;
        let read_out = self.read_out.resolve(&around.at(&read_out), outputs);
        let read_out = read_out.map_err(|error| error.within("read_out"))?;
        let read_in = self.read_in.resolve(&around.at(&read_in), token_dim);
        let head = self.head.resolve(HEAD_PATH, read_out.output_dim, outputs);
        Ok(CircuitSpec {
            path: path.to_owned(),
            generator,
            read_in: read_in.map_err(|error| error.within("read_in"))?,
            starts_from_read_in: wiring.read_in_states_become_processors,
            read_out_code_layer: propagations.last().map_or(0, |last| last.code_layer),
            propagations,
            head: head.map_err(|error| error.within("head"))?,
            read_out,
            read_out_attends_to_read_in: wiring.read_in_sends_to_read_out,
        })
    }

    /// The propagator at `layer`, with what it shares with the first.
    fn propagator(
        &self,
        around: &Surroundings<'_>,
        layer: usize,
    ) -> Result<PropagatorSpec, ConfigError> {
        let path = |layer: usize| join(around.path, &format!("propagators.{layer}"));
        let mut spec = self
            .propagator_at(layer)
            .resolve(&around.at(&path(layer)))
            .map_err(|error| error.within("propagator"))?;
        if layer > 0 && self.wiring.share_propagators {
            spec.shares = Some(path(0));
        } else if layer > 0 && self.wiring.share_propagator_ffn {
            spec.ffn.shares = Some(join(&path(0), "ffn"));
        }
        Ok(spec)
    }
}

impl CircuitSpec {
    /// The propagators with separate tensors, by layer.
    pub fn distinct_propagators(&self) -> impl Iterator<Item = (usize, &PropagatorSpec)> {
        let all = self.propagations.iter().map(|step| &step.propagator);
        all.enumerate().filter(|(_, spec)| spec.shares.is_none())
    }
}

impl Node for CircuitSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let from = if self.starts_from_read_in {
            ""
        } else {
            ", processors with separate states"
        };
        format!("circuit of {} propagators{from}", self.propagations.len())
    }

    fn children(&self) -> Vec<&dyn Node> {
        let mut all: Vec<&dyn Node> = vec![&self.generator, &self.read_in];
        let steps = self.propagations.iter();
        all.extend(steps.map(|step| &step.propagator as &dyn Node));
        all.extend([&self.read_out as &dyn Node, &self.head]);
        all
    }
}
