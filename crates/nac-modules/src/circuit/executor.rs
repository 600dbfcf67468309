//! Runs a circuit on tokens.

use tch::Tensor;

use super::{CircuitConfig, ModuleStates, Propagator, ReadIn, ReadOut};
use crate::attention::SignatureKernel;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::generator::Circuit;
use crate::params::Scope;
use crate::tokens::Tokens;

/// Read-in, propagators and read-out. Parameters under `read_in`, `propagators.<layer>`, `read_out`.
#[derive(Debug)]
pub struct CircuitExecutor {
    read_in: ReadIn,
    propagators: Vec<Propagator>,
    read_out: ReadOut,
}

impl CircuitExecutor {
    /// An executor for tokens of `token_dim`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(mut scope: Scope<'_>, token_dim: usize, config: &CircuitConfig) -> Result<Self> {
        let (dim, mod_fc, drop) = (config.state_dim, &config.mod_fc, config.drop_path);
        let read_in = ReadIn::new(
            scope.sub("read_in"),
            token_dim,
            dim,
            dim,
            &config.read_in,
            mod_fc,
            drop,
        )?;
        let propagators = (0..config.propagators)
            .map(|layer| {
                let scope = scope.sub(format!("propagators.{layer}"));
                Propagator::new(scope, dim, dim, &config.propagator, mod_fc, drop)
            })
            .collect::<Result<_>>()?;
        let read_out = ReadOut::new(
            scope.sub("read_out"),
            dim,
            dim,
            &config.read_out,
            mod_fc,
            drop,
        )?;
        Ok(Self {
            read_in,
            propagators,
            read_out,
        })
    }

    /// Final states of the read-out modules.
    ///
    /// Records `read_in.states`, `propagator.<layer>.states` and `read_out.states`.
    ///
    /// # Shapes
    /// - tokens: `[batch, tokens, token_dim]`
    /// - output: `[batch, read_out, state]`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(
        &self,
        tokens: &Tokens,
        circuit: &Circuit,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let batch = tokens.values().size()[0];
        let reading = ModuleStates {
            states: &circuit.read_in.batched_states(batch),
            signatures: &circuit.read_in.signatures,
            codes: &circuit.read_in.codes,
        };
        let mut states = self.read_in.forward(&reading, tokens, ctx)?;
        ctx.record("read_in.states", &states);
        let (signatures, codes) = (&circuit.processors.signatures, &circuit.processors.codes);
        for (layer, propagator) in self.propagators.iter().enumerate() {
            let modules = ModuleStates {
                states: &states,
                signatures,
                codes,
            };
            states = propagator.forward(&modules, &modules, ctx)?;
            ctx.record(&format!("propagator.{layer}.states"), &states);
        }
        let gathering = ModuleStates {
            states: &circuit.read_out.batched_states(batch),
            signatures: &circuit.read_out.signatures,
            codes: &circuit.read_out.codes,
        };
        let processors = ModuleStates {
            states: &states,
            signatures,
            codes,
        };
        let result = self.read_out.forward(&gathering, &processors, ctx)?;
        ctx.record("read_out.states", &result);
        Ok(result)
    }

    /// Kernels of the propagators in order.
    pub fn kernels(&self) -> impl Iterator<Item = &SignatureKernel> {
        self.propagators.iter().map(Propagator::kernel)
    }
}
