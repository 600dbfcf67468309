//! Stages of a circuit.

use super::work::{Work, attention, linear, product, special};
use super::{Algorithm, Stage};
use crate::model::ProjectionKind;
use crate::model::spec::{
    CircuitSpec, HeadSpec, InputMixerSpec, LinearSpec, ModFfnSpec, ProjectionSpec, SkmdpaSpec,
};

impl LinearSpec {
    /// Work for so many items.
    pub(super) fn work(&self, items: usize) -> Work {
        linear(items, self.input, self.output)
    }
}

impl ProjectionSpec {
    /// Work for so many items, given the factors that come from codes.
    pub(super) fn work(&self, items: usize) -> Work {
        linear(items, self.input, self.output)
    }

    /// Work for the factors of so many modules.
    fn modulation(&self, modules: usize) -> Work {
        let codes = linear(modules, self.code, self.input);
        match self.mod_fc.kind {
            ProjectionKind::ModFc => codes,
            ProjectionKind::Fc => Work::default(),
            ProjectionKind::WModFc => codes + product(modules, self.input, self.output),
        }
    }
}

impl ModFfnSpec {
    fn work(&self, modules: usize) -> Work {
        self.expand.work(modules) + special(modules * self.hidden) + self.contract.work(modules)
    }

    fn modulation(&self, modules: usize) -> Work {
        self.expand.modulation(modules) + self.contract.modulation(modules)
    }
}

impl SkmdpaSpec {
    fn modulation(&self, receivers: usize, senders: usize) -> Work {
        let sending = self.key.modulation(senders) + self.value.modulation(senders);
        self.query.modulation(receivers) + sending + self.exit.modulation(receivers)
    }
}

impl CircuitSpec {
    /// Stages after the tokenizer.
    pub(super) fn stages(&self, tokens: usize, algorithm: Algorithm) -> Vec<Stage> {
        let mut stages = self.reading(tokens, algorithm);
        stages.extend(self.propagating());
        stages.push(self.reading_out(algorithm));
        stages.push(Stage::of_examples("head", self.head_work()));
        let seeding = self.seeding();
        if seeding != Work::default() {
            stages.push(Stage::of_calls("initial states", seeding));
        }
        stages.push(Stage::of_calls("modulation", self.modulation()));
        stages.push(Stage::of_calls("links", self.links(algorithm)));
        if let Some(condition) = &self.generator.condition {
            // Signatures and codes are those of an example, and so is all that is made of them.
            for stage in &mut stages {
                stage.per_example = stage.per_example + std::mem::take(&mut stage.per_call);
            }
            stages.insert(0, Stage::of_examples("generator", condition.work()));
        }
        stages
    }

    /// Modules that send, if read-in modules send beside the processors or not.
    fn senders(&self, with_read_in: bool) -> usize {
        let readers = self.generator.readers().modules;
        self.generator.processors.modules + if with_read_in { readers } else { 0 }
    }

    fn reading(&self, tokens: usize, algorithm: Algorithm) -> Vec<Stage> {
        let modules = self.generator.readers().modules;
        let mixer = match &self.read_in.mixer {
            InputMixerSpec::Projection(spec) => {
                Stage::of_examples("read-in projection", spec.work(modules))
            }
            InputMixerSpec::Attention(spec) => {
                let (heads, head_dim) = (spec.heads, spec.head_dim);
                let (inner, token_dim) = (heads * head_dim, spec.sender_norm.dim);
                let (query, exit) = (spec.query.work(modules), spec.exit.work(modules));
                let softmax = special(heads * modules * tokens);
                let (per_example, per_call) = match algorithm {
                    Algorithm::Reference => {
                        let pairs =
                            spec.key.work(modules * tokens) + spec.value.work(modules * tokens);
                        let weighing = product(modules, inner, tokens);
                        let all = query + pairs + weighing + weighing + softmax + exit;
                        (all, Work::default())
                    }
                    Algorithm::Folded => {
                        // Initial states are parameters, so the queries, and what they fold to, are those of the model.
                        let fold = linear(modules, head_dim, token_dim) * heads;
                        let scores = product(modules, token_dim, tokens) * heads;
                        (scores + scores + softmax + fold + exit, query + fold)
                    }
                };
                Stage {
                    name: "read-in attention",
                    per_example,
                    per_call,
                }
            }
        };
        let ffn = self.read_in.ffn.work(modules);
        vec![mixer, Stage::of_examples("read-in ffn", ffn)]
    }

    fn propagating(&self) -> [Stage; 4] {
        let modules = self.generator.processors.modules;
        let [mut qkv, mut attend, mut exits, mut ffns] = [Work::default(); 4];
        for step in &self.propagations {
            let layer = &step.propagator.attention;
            let senders = self.senders(step.attends_to_read_in);
            qkv = qkv + layer.query.work(modules);
            qkv = qkv + layer.key.work(senders) + layer.value.work(senders);
            attend = attend + attention(modules, senders, layer.heads, layer.head_dim);
            exits = exits + layer.exit.work(modules);
            ffns = ffns + step.propagator.ffn.work(modules);
        }
        [
            Stage::of_examples("propagators qkv", qkv),
            Stage::of_examples("propagators attention", attend),
            Stage::of_examples("propagators exit", exits),
            Stage::of_examples("propagators ffn", ffns),
        ]
    }

    fn reading_out(&self, algorithm: Algorithm) -> Stage {
        let (spec, modules) = (&self.read_out.propagator, self.generator.read_out.modules);
        let layer = &spec.attention;
        let senders = self.senders(self.read_out_attends_to_read_in);
        let query = layer.query.work(modules);
        let projection = self.read_out.projection.as_ref();
        let gather = layer.key.work(senders)
            + layer.value.work(senders)
            + attention(modules, senders, layer.heads, layer.head_dim)
            + layer.exit.work(modules)
            + spec.ffn.work(modules)
            + projection.map_or(Work::default(), |output| output.projection.work(modules));
        match algorithm {
            Algorithm::Reference => Stage::of_examples("read-out", query + gather),
            Algorithm::Folded => Stage {
                name: "read-out",
                per_example: gather,
                per_call: query,
            },
        }
    }

    fn head_work(&self) -> Work {
        match &self.head {
            HeadSpec::FirstSlot => Work::default(),
            HeadSpec::ConfidencePooling(head) => {
                let modules = self.generator.read_out.modules;
                head.confidence_scorer.work(modules)
                    + product(1, modules, head.to_logits.input)
                    + head.to_logits.work(1)
            }
        }
    }

    fn seeding(&self) -> Work {
        let generator = &self.generator;
        let Some(projection) = &generator.seeder.projection else {
            return Work::default();
        };
        let seeded = [
            Some(generator.readers().modules),
            generator
                .seeds_processors
                .then_some(generator.processors.modules),
            Some(generator.read_out.modules),
        ];
        let each = seeded.into_iter().flatten();
        each.map(|modules| projection.mean.work(modules)).sum()
    }

    fn modulation(&self) -> Work {
        let sets = &self.generator;
        let (readers, modules) = (sets.readers().modules, sets.processors.modules);
        let reading = match &self.read_in.mixer {
            InputMixerSpec::Projection(spec) => spec.modulation(readers),
            InputMixerSpec::Attention(spec) => [&spec.query, &spec.key, &spec.value, &spec.exit]
                .map(|layer| layer.modulation(readers))
                .into_iter()
                .sum(),
        };
        let steps = self.propagations.iter().map(|step| {
            let senders = self.senders(step.attends_to_read_in);
            let layer = &step.propagator;
            layer.attention.modulation(modules, senders) + layer.ffn.modulation(modules)
        });
        let (last, receivers) = (&self.read_out.propagator, sets.read_out.modules);
        let senders = self.senders(self.read_out_attends_to_read_in);
        let output = self.read_out.projection.as_ref();
        reading
            + self.read_in.ffn.modulation(readers)
            + steps.sum()
            + last.attention.modulation(receivers, senders)
            + last.ffn.modulation(receivers)
            + output.map_or(Work::default(), |o| o.projection.modulation(receivers))
    }

    /// Links of kernels that are the same are computed once after folding.
    fn links(&self, algorithm: Algorithm) -> Work {
        let signature = self.generator.processors.signature_dim;
        let of = |receivers: usize, senders: usize| {
            product(receivers, signature, senders) + special(receivers * senders)
        };
        let key = |step: &super::super::PropagationSpec| {
            let kernel = step.propagator.attention.kernel.config.clone();
            (kernel, step.attends_to_read_in)
        };
        let steps = self
            .propagations
            .iter()
            .enumerate()
            .filter(|(layer, step)| {
                let mut earlier = self.propagations[..*layer].iter();
                algorithm == Algorithm::Reference || !earlier.any(|other| key(other) == key(step))
            });
        let modules = self.generator.processors.modules;
        let propagators = steps.map(|(_, step)| of(modules, self.senders(step.attends_to_read_in)));
        let senders = self.senders(self.read_out_attends_to_read_in);
        propagators.sum::<Work>() + of(self.generator.read_out.modules, senders)
    }
}
