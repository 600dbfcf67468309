//! Signatures, codes and, if asked for, initial states of one set of modules, as parameters.
//!
//! Source: reference `model/nc/latents.py`, class `Latents`.

use nac_core::model::spec::ModuleSetSpec;
use tch::Tensor;

use super::SignatureStart;
use crate::error::Result;
use crate::params::{Init, Scope};
use crate::shape;

/// A set of modules. Parameters (or buffers, if not trained): `codes_` `[modules, code]` or
/// `[layers, modules, code]`, `signatures_` `[modules, signature]`, and `initial_states_` `[modules, state]`.
#[derive(Debug)]
pub struct ModuleLatents {
    codes: Tensor,
    signatures: Tensor,
    initial_states: Option<Tensor>,
}

impl ModuleLatents {
    /// The set of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &ModuleSetSpec) -> Result<Self> {
        let (mut scope, config) = (scope.sub(&spec.path), &spec.config);
        let modules = shape::positive("modules", spec.modules)?;
        let signature_dim = shape::positive("signature_dim", spec.signature_dim)?;
        let mut code_shape = vec![modules, shape::positive("code_dim", spec.code_dim)?];
        if let Some(layers) = spec.code_layers {
            code_shape.insert(0, shape::positive("propagators", layers)?);
        }
        let start = Init::Normal { std: 1.0 };
        let codes = scope.tensor("codes_", &code_shape, start, config.learnable_codes)?;
        let trained = config.learnable_signatures;
        let signatures = scope.tensor("signatures_", &[modules, signature_dim], start, trained)?;
        let initial_states = spec
            .learned_states
            .map(|dim| {
                let size = [modules, shape::positive("state_dim", dim)?];
                scope.parameter("initial_states_", &size, start)
            })
            .transpose()?;
        tch::no_grad(|| -> Result<()> {
            if config.identical_codes {
                let first = codes
                    .f_narrow(-2, 0, 1)?
                    .f_expand(&code_shape, false)?
                    .copy();
                codes.shallow_clone().f_copy_(&first)?;
            }
            if config.signatures == SignatureStart::Complete {
                let mut signatures = signatures.shallow_clone();
                let _ = signatures.f_zero_()?;
                let _ = signatures.f_narrow(1, 0, 1)?.f_fill_(1.0)?;
            }
            Ok(())
        })?;
        Ok(Self {
            codes,
            signatures,
            initial_states,
        })
    }

    /// Signatures, `[modules, signature]`.
    pub fn signatures(&self) -> &Tensor {
        &self.signatures
    }

    /// All codes, `[modules, code]` or `[layers, modules, code]`.
    pub fn codes(&self) -> &Tensor {
        &self.codes
    }

    /// Codes before the first propagator, `[modules, code]`.
    pub fn first_codes(&self) -> Tensor {
        if self.codes.dim() == 3 {
            self.codes.select(0, 0)
        } else {
            self.codes.shallow_clone()
        }
    }

    /// Codes of each propagator; empty if all use the same.
    pub fn layer_codes(&self) -> Vec<Tensor> {
        if self.codes.dim() == 3 {
            self.codes.unbind(0)
        } else {
            Vec::new()
        }
    }

    /// Learned initial states, `[modules, state]`.
    pub fn initial_states(&self) -> Option<&Tensor> {
        self.initial_states.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::LatentsConfig;
    use crate::params::{ParamStore, Role};
    use tch::{Device, Kind};

    #[test]
    fn frozen_identical_and_complete() {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 3);
        let spec = ModuleSetSpec {
            path: String::new(),
            modules: 4,
            signature_dim: 3,
            code_dim: 5,
            code_layers: Some(2),
            learned_states: Some(6),
            config: LatentsConfig {
                learnable_codes: false,
                learnable_signatures: false,
                identical_codes: true,
                signatures: SignatureStart::Complete,
            },
        };
        let latents = ModuleLatents::new(&mut store.root(), &spec).unwrap();
        let layers = latents.layer_codes();
        assert_eq!(layers.len(), 2);
        assert_eq!(layers[0].get(0), layers[0].get(3));
        assert_ne!(layers[0].get(0), layers[1].get(0));
        let expected = Tensor::from_slice(&[1.0_f32, 0.0, 0.0]);
        assert_eq!(latents.signatures().get(2), expected);
        let trained: Vec<_> = store
            .iter()
            .filter(|(_, entry)| entry.role == Role::Parameter)
            .map(|(name, _)| name.to_owned())
            .collect();
        assert_eq!(trained, ["initial_states_"]);
        assert_eq!(store.iter().count(), 3, "frozen tensors are saved too");
    }
}
