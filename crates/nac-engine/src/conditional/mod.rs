//! Circuits that a text changes: one for each different text, kept for later calls.
//!
//! What depends on weights alone is shared by all of them ([`Kept`]); a text costs its own reading, and modulation, links
//! and queries of its circuit.

mod recent;
mod text_reader;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{ArrayView1, ArrayView2};

use crate::backend::Backend;
use crate::circuit::generator::Generated;
use crate::circuit::{Plan, circuit_of};
use crate::connectivity::{Connectivity, Wiring};
use crate::error::Result;
use crate::input::{Inputs, Ready};
use crate::kept::Kept;
use crate::scratch::ScratchSize;
use crate::thread_pool::Workers;
use crate::weights::{ModelWeights, WeightScope, WeightSource};
use nac_core::model::spec::{CircuitSpec, ConditionSpec};
use recent::Recent;
use text_reader::{Text, TextReader};

/// Memory for circuits of earlier texts.
const BUDGET: usize = 256 << 20;

/// A circuit whose signatures and codes depend on a text.
#[derive(Debug)]
pub(crate) struct Conditional {
    spec: CircuitSpec,
    condition: ConditionSpec,
    weights: ModelWeights,
    kept: Kept,
    backend: Backend,
    wiring: Wiring,
    prior: Generated,
    reader: TextReader,
    /// The circuit of the prior; all others are of the same sizes.
    base: Plan,
    recent: Mutex<Recent<Arc<Plan>>>,
}

impl Conditional {
    /// The circuit of `spec`, which `condition` changes.
    pub(crate) fn load(
        scope: &WeightScope<'_, '_>,
        (spec, condition): (CircuitSpec, ConditionSpec),
        (backend, wiring): (&Backend, &Wiring),
    ) -> Result<Self> {
        let mut wiring = wiring.clone();
        if wiring.connectivity == Connectivity::Auto {
            // Circuits of different texts go through a layer side by side, so they store keys and values alike.
            wiring.connectivity = Connectivity::Dense;
        }
        let prior = Generated::load(scope, &spec.generator)?;
        let base = circuit_of(scope, &spec, &prior, (backend, &wiring))?;
        let reader = TextReader::load(scope, &condition, backend)?;
        let source = scope.source();
        Ok(Self {
            recent: Mutex::new(Recent::new((BUDGET / bytes(&spec)).max(1))),
            spec,
            condition,
            weights: source.weights(),
            kept: source.kept().clone(),
            backend: *backend,
            wiring,
            prior,
            reader,
            base,
        })
    }

    /// The circuit of the prior.
    pub(crate) fn base(&self) -> &Plan {
        &self.base
    }

    pub(crate) fn scratch_size(&self) -> ScratchSize {
        self.base.scratch_size().max(self.reader.scratch_size())
    }

    /// The circuits of some examples of checked inputs, into `plans`. A text that several have is read once.
    pub(crate) fn plans(
        &self,
        workers: &Workers<'_>,
        inputs: &Inputs<'_>,
        examples: Range<usize>,
        plans: &mut Vec<Arc<Plan>>,
    ) -> Result<()> {
        plans.clear();
        let mut none = Vec::new();
        let (name, kind) = (&self.condition.input, &self.condition.kind);
        let (ready, examples) = inputs.ready(name, kind, examples, &mut none)?;
        let Ready::Symbols(texts) = ready else {
            unreachable!("the generator's input is checked to be a sequence");
        };
        let missing = self.missing(&texts, examples.clone());
        if !missing.is_empty() {
            let _ = self.generate(workers, inputs, (&texts, &missing))?;
        }
        for example in examples {
            match self.find(texts.row(example)) {
                Some(plan) => plans.push(plan),
                // More texts than are kept, or another call has used up the budget since.
                None => plans.extend(self.generate(workers, inputs, (&texts, &[example]))?),
            }
        }
        Ok(())
    }

    fn find(&self, text: ArrayView1<'_, i64>) -> Option<Arc<Plan>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.get(text).cloned()
    }

    /// The first example of each text of which there is no circuit, as many as are kept.
    fn missing(&self, texts: &ArrayView2<'_, i64>, examples: Range<usize>) -> Vec<usize> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missing: Vec<usize> = Vec::new();
        for example in examples {
            let text = texts.row(example);
            let is_new =
                recent.get(text).is_none() && missing.iter().all(|&other| texts.row(other) != text);
            if is_new && missing.len() < recent.capacity() {
                missing.push(example);
            }
        }
        missing
    }

    /// Makes the circuits of the texts of these examples, and keeps them.
    fn generate(
        &self,
        workers: &Workers<'_>,
        inputs: &Inputs<'_>,
        (texts, examples): (&ArrayView2<'_, i64>, &[usize]),
    ) -> Result<Vec<Arc<Plan>>> {
        let tokens = examples.iter();
        let tokens = tokens.map(|example| self.reader.tokens(workers, inputs, *example));
        let tokens = tokens.collect::<Result<Vec<Text>>>()?;
        let mut made: Vec<Option<Result<Plan>>> = tokens.iter().map(|_| None).collect();
        workers.each(&mut made, 1, |index, made, scratch| {
            let added = self.reader.read(&self.backend, &tokens[index], scratch);
            let source = WeightSource::kept_by(&self.weights, self.kept.clone());
            let scope = WeightScope::root(&source);
            let circuit = self.prior.changed(&scope, &self.spec.generator, &added);
            let options = (&self.backend, &self.wiring);
            made[0] = Some(circuit.and_then(|of| circuit_of(&scope, &self.spec, &of, options)));
        });
        let made = examples.iter().zip(made).map(|(example, made)| {
            let plan = match made {
                Some(made) => Arc::new(made?),
                None => unreachable!("each circuit has been made"),
            };
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.insert(texts.row(*example), plan.clone());
            Ok(plan)
        });
        made.collect()
    }
}

/// About as many bytes as the part of a circuit takes that depends on its codes and signatures.
fn bytes(spec: &CircuitSpec) -> usize {
    let (readers, processors) = (spec.generator.readers(), &spec.generator.processors);
    let modules = processors.modules;
    let steps = spec.propagations.iter().map(|step| {
        let (attention, ffn) = (&step.propagator.attention, &step.propagator.ffn);
        let read_in = if step.attends_to_read_in {
            readers.modules
        } else {
            0
        };
        let factors = 4 * attention.query.input + attention.exit.input + ffn.hidden;
        modules * (factors + modules + read_in) + read_in * 2 * attention.key.input
    });
    let read_in = readers.modules * (4 * spec.read_in.token_dim() + spec.read_in.ffn.hidden);
    4 * (steps.sum::<usize>() + read_in).max(1)
}
