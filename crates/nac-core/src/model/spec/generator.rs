//! Resolved circuit generators: free parameters, and perhaps a text that changes them.

use serde::Serialize;

use super::condition::{ConditionSpec, ConditionedSizes};
use super::layer::{LinearSpec, NormSpec, positive};
use super::node::{Node, OwnTensor, join, trained};
use super::tokenizer::TokenizerSpec;
use crate::model::{
    CircuitConfig, ConfigError, InputSpec, LatentsConfig, ModelConfig, SeederConfig, StateMean,
};

/// Signatures and codes of a set of modules.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModuleSetSpec {
    /// Path of `codes_`, `[modules, code]` or `[code_layers, modules, code]`, `signatures_`,
    /// `[modules, signature]`, and `initial_states_`, `[modules, state]`.
    pub path: String,
    /// Number of modules.
    pub modules: usize,
    /// Dimension of signatures.
    pub signature_dim: usize,
    /// Dimension of codes.
    pub code_dim: usize,
    /// How many codes each module has, one per propagator; `None` for one code for all.
    pub code_layers: Option<usize>,
    /// Dimension of learned initial states; `None` if states come from codes.
    pub learned_states: Option<usize>,
    /// What is trained, and how it starts.
    pub config: LatentsConfig,
}

impl Node for ModuleSetSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let Self {
            modules,
            signature_dim,
            code_dim,
            ..
        } = self;
        format!("{modules} modules, signature {signature_dim}, code {code_dim}")
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let mut codes = vec![self.modules, self.code_dim];
        if let Some(layers) = self.code_layers {
            codes.insert(0, layers);
        }
        let tensor = |name, shape, trained| OwnTensor {
            name,
            shape,
            trained,
        };
        let signatures = vec![self.modules, self.signature_dim];
        let mut all = vec![
            tensor("codes_", codes, self.config.learnable_codes),
            tensor("signatures_", signatures, self.config.learnable_signatures),
        ];
        let states = self.learned_states;
        all.extend(states.map(|dim| trained("initial_states_", &[self.modules, dim])));
        all
    }
}

/// Initial states from codes by a projection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StateProjectionSpec {
    /// Layer norm of codes.
    pub norm: NormSpec,
    /// Mean of the states.
    pub mean: LinearSpec,
    /// Logarithm of their variance, if there is state noise.
    pub log_variance: Option<LinearSpec>,
}

/// Initial states from codes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeederSpec {
    /// Path of the layers below; noise draws from its `code_noise` and `state_noise`.
    pub path: String,
    /// From codes to states; `None` if codes are the states, or states are learned.
    pub projection: Option<StateProjectionSpec>,
    /// Whether state noise is drawn in evaluation too.
    pub noise_in_evaluation: bool,
    /// Share of each entry of a code that noise may add or take away in training.
    pub code_noise: f64,
}

impl SeederConfig {
    /// The seeder at `path` for states of `state_dim` from codes of `code_dim`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if settings do not go together.
    pub fn resolve(
        &self,
        path: &str,
        state_dim: usize,
        code_dim: usize,
    ) -> Result<SeederSpec, ConfigError> {
        self.check(state_dim, code_dim)?;
        let linear = |name| LinearSpec::new(join(path, name), code_dim, state_dim, true);
        let projection = (self.mean == StateMean::Projection).then(|| StateProjectionSpec {
            norm: NormSpec::new(join(path, "layernorm"), code_dim),
            mean: linear("code_to_state_mu"),
            log_variance: self.state_noise.then(|| linear("code_to_state_logvar")),
        });
        Ok(SeederSpec {
            path: path.to_owned(),
            projection,
            noise_in_evaluation: self.noise_in_evaluation,
            code_noise: self.code_noise,
        })
    }
}

impl Node for SeederSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        "initial states".into()
    }

    fn children(&self) -> Vec<&dyn Node> {
        let Some(projection) = &self.projection else {
            return Vec::new();
        };
        let mut all: Vec<&dyn Node> = vec![&projection.norm, &projection.mean];
        let noise = projection.log_variance.as_ref();
        all.extend(noise.map(|layer| layer as &dyn Node));
        all
    }
}

/// All modules of a circuit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GeneratorSpec {
    /// Path of the sets below.
    pub path: String,
    /// Modules that read, `input_latents`; `None` if the processors do.
    pub read_in: Option<ModuleSetSpec>,
    /// Modules that attend to each other, `mediator_latents`.
    pub processors: ModuleSetSpec,
    /// Modules that gather the result, `output_latents`.
    pub read_out: ModuleSetSpec,
    /// Initial states, `latent_seeder`.
    pub seeder: SeederSpec,
    /// Whether processors need initial states; if not they take over those of the read-in.
    pub seeds_processors: bool,
    /// What a text changes about signatures and codes, `text_generator`; `None` if the sets above are the circuit of
    /// every example.
    pub condition: Option<ConditionSpec>,
}

impl CircuitConfig {
    pub(super) fn resolve_generator(&self, path: &str) -> Result<GeneratorSpec, ConfigError> {
        let wiring = &self.wiring;
        let learned = self.seeder.mean == StateMean::Learned;
        let set = |name, modules, config: &LatentsConfig| {
            Ok::<_, ConfigError>(ModuleSetSpec {
                path: join(path, name),
                modules: positive("modules", modules)?,
                signature_dim: positive("signature_dim", self.signature_dim)?,
                code_dim: positive("code_dim", self.code_dim())?,
                code_layers: None,
                learned_states: learned.then_some(self.state_dim),
                config: config.clone(),
            })
        };
        let read_in = |count| set("input_latents", count, &self.read_in_latents);
        let seeder_path = join(path, "latent_seeder");
        let (state, code) = (self.state_dim, self.code_dim());
        Ok(GeneratorSpec {
            path: path.to_owned(),
            read_in: self.separate_readers().map(read_in).transpose()?,
            processors: ModuleSetSpec {
                code_layers: wiring.codes_per_propagator.then_some(self.propagators),
                ..set("mediator_latents", self.modules, &self.processor_latents)?
            },
            read_out: set(
                "output_latents",
                self.read_out_modules,
                &self.read_out_latents,
            )?,
            seeder: self.seeder.resolve(&seeder_path, state, code)?,
            seeds_processors: !wiring.read_in_states_become_processors,
            condition: None,
        })
    }
}

impl ModelConfig {
    /// What the settings let a text change about the circuit of `generator`; `None` for a free generator.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a setting is out of range or does not suit the inputs.
    pub fn resolve_condition(
        &self,
        generator: &GeneratorSpec,
        inputs: &InputSpec,
    ) -> Result<Option<ConditionSpec>, ConfigError> {
        let Some((name, kind)) = self.generator.condition(inputs)? else {
            return Ok(None);
        };
        let path = join(&generator.path, "text_generator");
        let config = self.tokenizer(name, kind)?;
        let tokenizer = TokenizerSpec::new(&join(&path, "tokenizer"), &config, kind)?;
        let processors = &generator.processors;
        let sizes = ConditionedSizes {
            modules: generator.sets().map(|set| set.modules).sum(),
            signature: processors.signature_dim,
            code: processors.code_dim,
        };
        let (input, config) = ((name, kind), &self.generator);
        let condition = config.resolve_condition(&path, input, tokenizer, sizes)?;
        Ok(Some(condition))
    }
}

impl GeneratorSpec {
    /// Read-in modules, if they are separate, processors and read-out modules.
    pub fn sets(&self) -> impl Iterator<Item = &ModuleSetSpec> {
        let read_in = self.read_in.iter();
        read_in.chain([&self.processors, &self.read_out])
    }

    /// The modules that read.
    pub fn readers(&self) -> &ModuleSetSpec {
        self.read_in.as_ref().unwrap_or(&self.processors)
    }
}

impl Node for GeneratorSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        match &self.condition {
            None => "generator".into(),
            Some(condition) => format!("generator, {}", condition.describe()),
        }
    }

    fn children(&self) -> Vec<&dyn Node> {
        let mut all: Vec<&dyn Node> = Vec::new();
        all.extend(self.read_in.as_ref().map(|set| set as &dyn Node));
        all.extend([&self.processors as &dyn Node, &self.read_out, &self.seeder]);
        all.extend(
            self.condition
                .as_ref()
                .map(|condition| condition as &dyn Node),
        );
        all
    }
}
