//! Signatures, codes and, if asked for, initial states of one set of modules, as parameters.
//!
//! Source: reference `model/nc/latents.py`, class `Latents`.

use tch::Tensor;

use super::{LatentsConfig, SignatureStart};
use crate::error::Result;
use crate::params::{Init, Scope};
use crate::shape;

/// Sizes of a set of modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatentSizes {
    /// Number of modules.
    pub modules: usize,
    /// Dimension of signatures.
    pub signature_dim: usize,
    /// Dimension of codes.
    pub code_dim: usize,
    /// How many codes each module has, one per propagator; `None` for one code for all.
    pub code_layers: Option<usize>,
    /// Dimension of learned initial states; `None` if states come from codes.
    pub state_dim: Option<usize>,
}

/// A set of modules. Parameters (or buffers, if not trained): `codes_` `[modules, code]` or
/// `[layers, modules, code]`, `signatures_` `[modules, signature]`, and `initial_states_` `[modules, state]`.
#[derive(Debug)]
pub struct ModuleLatents {
    codes: Tensor,
    signatures: Tensor,
    initial_states: Option<Tensor>,
}

impl ModuleLatents {
    /// A set of modules.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(mut scope: Scope<'_>, sizes: LatentSizes, config: &LatentsConfig) -> Result<Self> {
        let modules = shape::positive("modules", sizes.modules)?;
        let signature_dim = shape::positive("signature_dim", sizes.signature_dim)?;
        let mut code_shape = vec![modules, shape::positive("code_dim", sizes.code_dim)?];
        if let Some(layers) = sizes.code_layers {
            code_shape.insert(0, shape::positive("propagators", layers)?);
        }
        let start = Init::Normal { std: 1.0 };
        let codes = scope.tensor("codes_", &code_shape, start, config.learnable_codes)?;
        let trained = config.learnable_signatures;
        let signatures = scope.tensor("signatures_", &[modules, signature_dim], start, trained)?;
        let initial_states = sizes
            .state_dim
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
    use crate::params::{ParamStore, Role};
    use tch::{Device, Kind};

    #[test]
    fn frozen_identical_and_complete() {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 3);
        let sizes = LatentSizes {
            modules: 4,
            signature_dim: 3,
            code_dim: 5,
            code_layers: Some(2),
            state_dim: Some(6),
        };
        let config = LatentsConfig {
            learnable_codes: false,
            learnable_signatures: false,
            identical_codes: true,
            signatures: SignatureStart::Complete,
        };
        let latents = ModuleLatents::new(store.root(), sizes, &config).unwrap();
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
