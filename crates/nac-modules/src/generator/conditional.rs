//! Circuit generator that a text conditions.
//!
//! The text changes the free signatures and codes of every set of modules, for each example by itself, and initial states
//! follow the codes; no token of it reaches the executor. With its gates closed, as they are at the start, the circuit is
//! that of the free generator. Source: figure 1 of the paper; the layers are ours, see [`super::text_reader`].

use nac_core::model::spec::{ConditionSpec, GeneratorSpec};
use tch::Tensor;

use super::free::{Change, Changes};
use super::text_reader::TextReader;
use super::{Circuit, CircuitGenerator, FreeGenerator, ModuleGroup};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::params::Scope;

/// Signatures and codes as parameters, to which a text adds.
///
/// Parameters as those of [`FreeGenerator`], and below `text_generator`.
#[derive(Debug)]
pub struct ConditionalGenerator {
    prior: FreeGenerator,
    reader: TextReader,
    /// Modules of each set.
    read_in: i64,
    processors: i64,
    read_out: i64,
}

impl ConditionalGenerator {
    /// The generator of `spec`, changed by the text of `condition`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(
        scope: &mut Scope<'_>,
        spec: &GeneratorSpec,
        condition: &ConditionSpec,
    ) -> Result<Self> {
        let count = |modules: usize| modules as i64;
        Ok(Self {
            prior: FreeGenerator::new(scope, spec)?,
            reader: TextReader::new(scope, condition)?,
            read_in: spec.read_in.as_ref().map_or(0, |set| count(set.modules)),
            processors: count(spec.processors.modules),
            read_out: count(spec.read_out.modules),
        })
    }
}

impl CircuitGenerator for ConditionalGenerator {
    /// # Shapes
    /// - inputs: the text, `[batch, symbols]`, integers
    /// - output: signatures or codes or both `[batch, modules, dim]`, as the settings say
    fn generate(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Circuit> {
        let added = self.reader.forward(inputs, ctx)?;
        let part = |all: &Option<Tensor>, first: i64, count: i64| {
            let part = all.as_ref().map(|all| all.f_narrow(1, first, count));
            part.transpose()
        };
        let change = |first: i64, count: i64| -> Result<Change> {
            Ok(Change {
                signatures: part(&added.signatures, first, count)?,
                codes: part(&added.codes, first, count)?,
            })
        };
        let changes = Changes {
            read_in: change(0, self.read_in)?,
            processors: change(self.read_in, self.processors)?,
            read_out: change(self.read_in + self.processors, self.read_out)?,
        };
        let circuit = self.prior.changed(&changes, inputs.batch_size(), ctx)?;
        Ok(Circuit {
            texts: Some(added.texts),
            ..circuit
        })
    }

    /// Those of the prior.
    fn free_signatures(&self, group: ModuleGroup) -> Option<&Tensor> {
        self.prior.free_signatures(group)
    }
}
