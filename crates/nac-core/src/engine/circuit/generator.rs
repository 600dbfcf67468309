//! Modules of a trained circuit: signatures, codes and initial states, which depend on no input.
//!
//! Source: reference `model/nc/latents.py`, `seeding.py`; in evaluation neither code nor state noise is drawn.

use ndarray::{Array1, Array2, ArrayView2};

use crate::config::{FreeGeneratorConfig, StateMean};
use crate::engine::error::{EngineError, Result};
use crate::engine::layer::{Norm, matrix};
use crate::engine::weights::Scope;

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
    pub(crate) fn count(&self) -> usize {
        self.signatures.nrows()
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
    pub(crate) fn load(scope: &Scope<'_, '_>, config: &FreeGeneratorConfig) -> Result<Self> {
        let code_dim = config.code_dim.unwrap_or(config.state_dim);
        config.seeder.check(config.state_dim, code_dim)?;
        if config.seeder.state_noise && config.seeder.noise_in_evaluation {
            let reason = "noise for each input needs a source of noise";
            let setting = "seeder.noise_in_evaluation";
            return Err(EngineError::unsupported(setting, true, reason));
        }
        let set = |name: &str, count: usize, layers: Option<usize>| {
            modules(scope, name, count, layers, code_dim, config)
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

fn modules(
    scope: &Scope<'_, '_>,
    name: &str,
    count: usize,
    layers: Option<usize>,
    code_dim: usize,
    config: &FreeGeneratorConfig,
) -> Result<Modules> {
    let latents = scope.sub(name);
    let signatures = latents.tensor("signatures_", &[count, config.signature_dim])?;
    let codes: Vec<Array2<f32>> = match layers {
        None => vec![matrix(
            &latents.tensor("codes_", &[count, code_dim])?,
            code_dim,
        )],
        Some(layers) => latents
            .tensor("codes_", &[layers, count, code_dim])?
            .chunks_exact(count * code_dim)
            .map(|codes| matrix(codes, code_dim))
            .collect(),
    };
    let states = match config.seeder.mean {
        StateMean::Code => codes[0].clone(),
        StateMean::Learned => {
            let size = [count, config.state_dim];
            matrix(&latents.tensor("initial_states_", &size)?, config.state_dim)
        }
        StateMean::Projection => projected(&scope.sub("latent_seeder"), &codes[0], config)?,
    };
    Ok(Modules {
        signatures: matrix(&signatures, config.signature_dim),
        codes,
        states,
    })
}

/// `W_μ · LN(c) + b`.
fn projected(
    scope: &Scope<'_, '_>,
    codes: &Array2<f32>,
    config: &FreeGeneratorConfig,
) -> Result<Array2<f32>> {
    let (code, state) = (codes.ncols(), config.state_dim);
    let linear = |name: &str| {
        let scope = scope.sub(name);
        let weight = scope.tensor("weight", &[state, code])?;
        Ok::<_, EngineError>((weight, scope.tensor("bias", &[state])?))
    };
    if config.seeder.state_noise {
        // Only noise in training has this scale; it is part of the file all the same.
        let _ = linear("code_to_state_logvar")?;
    }
    let (weight, bias) = linear("code_to_state_mu")?;
    let normal = Norm::load(&scope.sub("layernorm"), code)?.lines(codes.view());
    Ok(normal.dot(&matrix(&weight, code).t()) + Array1::from(bias.to_vec()))
}
