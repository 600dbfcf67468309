//! Modules of a trained circuit: signatures, codes and initial states, of the weights or changed by a text.
//!
//! Source: reference `model/nc/latents.py`, `seeding.py`; in evaluation neither code nor state noise is drawn.

use ndarray::{Array1, Array2, ArrayView2, s};

use crate::error::{EngineError, Result};
use crate::layer::Norm;
use crate::weights::WeightScope;
use nac_core::model::spec::{GeneratorSpec, LinearSpec, ModuleSetSpec, SeederSpec};

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

    /// Codes number `layer`.
    pub(crate) fn codes_at(&self, layer: usize) -> ArrayView2<'_, f32> {
        self.codes[layer].view()
    }
}

/// What a text adds to the modules of all sets: read-in modules, if they are separate, processors, read-out modules.
#[derive(Debug)]
pub(crate) struct Added {
    /// `[modules, signature]`.
    pub(crate) signatures: Option<Array2<f32>>,
    /// `[modules, code]`.
    pub(crate) codes: Option<Array2<f32>>,
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
    /// The sets of `spec`.
    pub(crate) fn load(scope: &WeightScope<'_, '_>, spec: &GeneratorSpec) -> Result<Self> {
        let set = |set: &ModuleSetSpec| modules(scope, set, &spec.seeder);
        Ok(Self {
            read_in: spec.read_in.as_ref().map(set).transpose()?,
            processors: set(&spec.processors)?,
            read_out: set(&spec.read_out)?,
        })
    }

    /// The modules with what a text adds, and the initial states of their codes.
    pub(crate) fn changed(
        &self,
        scope: &WeightScope<'_, '_>,
        spec: &GeneratorSpec,
        added: &Added,
    ) -> Result<Self> {
        let mut first = 0;
        let mut change = |spec_of: &ModuleSetSpec, set: &Modules| {
            let rows = first..first + set.count();
            first = rows.end;
            let add = |values: &Array2<f32>, added: &Option<Array2<f32>>| match added {
                Some(added) => values + &added.slice(s![rows.clone(), ..]),
                None => values.clone(),
            };
            let codes: Vec<_> = set.codes.iter().map(|of| add(of, &added.codes)).collect();
            Ok::<_, EngineError>(Modules {
                signatures: add(&set.signatures, &added.signatures),
                states: initial_states(scope, spec_of, &spec.seeder, &codes[0])?,
                codes,
            })
        };
        let read_in = match (&spec.read_in, &self.read_in) {
            (Some(spec), Some(set)) => Some(change(spec, set)?),
            _ => None,
        };
        Ok(Self {
            read_in,
            processors: change(&spec.processors, &self.processors)?,
            read_out: change(&spec.read_out, &self.read_out)?,
        })
    }

    /// The modules that read.
    pub(crate) fn readers(&self) -> &Modules {
        self.read_in.as_ref().unwrap_or(&self.processors)
    }
}

/// The set of `spec`, with initial states from `seeder`.
pub(crate) fn modules(
    scope: &WeightScope<'_, '_>,
    spec: &ModuleSetSpec,
    seeder: &SeederSpec,
) -> Result<Modules> {
    let own = scope.sub(&spec.path);
    let (count, code_dim) = (spec.modules, spec.code_dim);
    let signatures = own.matrix("signatures_", &[count, spec.signature_dim])?;
    let codes = match spec.code_layers {
        None => vec![own.matrix("codes_", &[count, code_dim])?.into_owned()],
        Some(layers) => {
            let all = own.matrix("codes_", &[layers, count, code_dim])?;
            let of = |layer| {
                Array2::from_shape_fn((count, code_dim), |(i, j)| all[[layer, i * code_dim + j]])
            };
            (0..layers).map(of).collect()
        }
    };
    Ok(Modules {
        signatures: signatures.into_owned(),
        states: initial_states(scope, spec, seeder, &codes[0])?,
        codes,
    })
}

/// Initial states of modules with these codes, `[modules, state]`.
pub(crate) fn initial_states(
    scope: &WeightScope<'_, '_>,
    spec: &ModuleSetSpec,
    seeder: &SeederSpec,
    codes: &Array2<f32>,
) -> Result<Array2<f32>> {
    if let Some(dim) = spec.learned_states {
        let size = [codes.nrows(), dim];
        let states = scope.sub(&spec.path).matrix("initial_states_", &size)?;
        return Ok(states.into_owned());
    }
    let Some(projection) = &seeder.projection else {
        return Ok(codes.clone());
    };
    let linear = |spec: &LinearSpec| {
        let scope = scope.sub(&spec.path);
        let weight = scope.matrix("weight", &[spec.output, spec.input])?;
        Ok::<_, EngineError>((weight, scope.tensor("bias", &[spec.output])?))
    };
    if let Some(log_variance) = &projection.log_variance {
        if seeder.noise_in_evaluation {
            let reason = "noise for each input needs a source of noise";
            let setting = "seeder.noise_in_evaluation";
            return Err(EngineError::unsupported(setting, true, reason));
        }
        // Only noise in training has this scale; it is part of the file all the same.
        let _ = linear(log_variance)?;
    }
    let (weight, bias) = linear(&projection.mean)?;
    let normal = Norm::of(scope, &projection.norm)?.apply_to_items(codes.view());
    Ok(normal.dot(&weight.t()) + Array1::from(bias.to_vec()))
}
