//! Modules of a trained circuit: signatures, codes and initial states, which depend on no input.
//!
//! Source: reference `model/nc/latents.py`, `seeding.py`; in evaluation neither code nor state noise is drawn.

use ndarray::{Array1, Array2, ArrayView2};

use crate::error::{EngineError, Result};
use crate::layer::Norm;
use crate::weights::WeightScope;
use nac_core::model::{FreeGeneratorConfig, StateMean};

/// A set of modules.
#[derive(Debug, Clone)]
pub(crate) struct Modules {
    /// `[modules, signature]`.
    pub(crate) signatures: Array2<f32>,
    /// Codes of each propagator, `[modules, code]`; one if all use the same.
    codes: Vec<Array2<f32>>,
    /// Initial states, `[modules, state]`.
    pub(crate) states: Array2<f32>,
}

impl Modules {
    /// Modules of one code each: `[modules, signature]`, `[modules, code]`, `[modules, state]`.
    pub(crate) fn given(signatures: Array2<f32>, codes: Array2<f32>, states: Array2<f32>) -> Self {
        Self {
            signatures,
            codes: vec![codes],
            states,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.signatures.nrows()
    }

    /// Codes of each propagator; one if all use the same.
    pub(crate) fn all_codes(&self) -> &[Array2<f32>] {
        &self.codes
    }

    /// Codes before the first propagator.
    pub(crate) fn codes(&self) -> ArrayView2<'_, f32> {
        self.codes_at(0)
    }

    /// Codes in the propagator at `layer`.
    pub(crate) fn codes_at(&self, layer: usize) -> ArrayView2<'_, f32> {
        self.codes[layer.min(self.codes.len() - 1)].view()
    }

    /// Codes in the last propagator.
    pub(crate) fn last_codes(&self) -> ArrayView2<'_, f32> {
        self.codes_at(usize::MAX)
    }
}

/// All modules of a circuit.
#[derive(Debug, Clone)]
pub(crate) struct Generated {
    /// Read-in modules, if they are not the processors.
    pub(crate) read_in: Option<Modules>,
    pub(crate) processors: Modules,
    pub(crate) read_out: Modules,
}

impl Generated {
    /// Tensors `input_latents`, `mediator_latents`, `output_latents` and `latent_seeder`.
    pub(crate) fn load(scope: &WeightScope<'_, '_>, config: &FreeGeneratorConfig) -> Result<Self> {
        check(config)?;
        let seeder = scope.sub("latent_seeder");
        let set = |name: &str, count: usize, layers: Option<usize>| {
            modules(&scope.sub(name), &seeder, (count, layers), config)
        };
        Ok(Self {
            read_in: config
                .read_in_modules
                .map(|count| set("input_latents", count, None))
                .transpose()?,
            processors: set("mediator_latents", config.modules, config.code_layers)?,
            read_out: set("output_latents", config.read_out_modules, None)?,
        })
    }

    /// The modules that read.
    pub(crate) fn readers(&self) -> &Modules {
        self.read_in.as_ref().unwrap_or(&self.processors)
    }
}

/// An error if the settings make no sense or need noise in evaluation.
pub(crate) fn check(config: &FreeGeneratorConfig) -> Result<()> {
    config.seeder.check(config.state_dim, code_dim(config))?;
    if config.seeder.state_noise && config.seeder.noise_in_evaluation {
        let reason = "noise for each input needs a source of noise";
        let setting = "seeder.noise_in_evaluation";
        return Err(EngineError::unsupported(setting, true, reason));
    }
    Ok(())
}

fn code_dim(config: &FreeGeneratorConfig) -> usize {
    config.code_dim.unwrap_or(config.state_dim)
}

/// A set of `count` modules, with a code for each of `layers`.
pub(crate) fn modules(
    latents: &WeightScope<'_, '_>,
    seeder: &WeightScope<'_, '_>,
    (count, layers): (usize, Option<usize>),
    config: &FreeGeneratorConfig,
) -> Result<Modules> {
    let code_dim = code_dim(config);
    let signatures = latents.matrix("signatures_", &[count, config.signature_dim])?;
    let codes = match layers {
        None => vec![latents.matrix("codes_", &[count, code_dim])?.into_owned()],
        Some(layers) => {
            let all = latents.matrix("codes_", &[layers, count, code_dim])?;
            let of = |layer| {
                Array2::from_shape_fn((count, code_dim), |(i, j)| all[[layer, i * code_dim + j]])
            };
            (0..layers).map(of).collect()
        }
    };
    Ok(Modules {
        signatures: signatures.into_owned(),
        states: initial_states(latents, seeder, &codes[0], config)?,
        codes,
    })
}

/// Initial states of modules with these codes, `[modules, state]`.
pub(crate) fn initial_states(
    latents: &WeightScope<'_, '_>,
    seeder: &WeightScope<'_, '_>,
    codes: &Array2<f32>,
    config: &FreeGeneratorConfig,
) -> Result<Array2<f32>> {
    Ok(match config.seeder.mean {
        StateMean::Code => codes.clone(),
        StateMean::Learned => {
            let size = [codes.nrows(), config.state_dim];
            latents.matrix("initial_states_", &size)?.into_owned()
        }
        StateMean::Projection => projected(seeder, codes, config)?,
    })
}

/// `W_μ · LN(c) + b`.
fn projected(
    scope: &WeightScope<'_, '_>,
    codes: &Array2<f32>,
    config: &FreeGeneratorConfig,
) -> Result<Array2<f32>> {
    let (code, state) = (codes.ncols(), config.state_dim);
    let linear = |name: &str| {
        let scope = scope.sub(name);
        let weight = scope.matrix("weight", &[state, code])?;
        Ok::<_, EngineError>((weight, scope.tensor("bias", &[state])?))
    };
    if config.seeder.state_noise {
        // Only noise in training has this scale; it is part of the file all the same.
        let _ = linear("code_to_state_logvar")?;
    }
    let (weight, bias) = linear("code_to_state_mu")?;
    let normal = Norm::load(&scope.sub("layernorm"), code)?.apply_to_items(codes.view());
    Ok(normal.dot(&weight.t()) + Array1::from(bias.to_vec()))
}
