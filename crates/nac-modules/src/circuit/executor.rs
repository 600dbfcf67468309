//! Runs a circuit on tokens.

use nac_core::model::spec::CircuitSpec;
use tch::Tensor;

use super::{ModuleStates, Propagator, ReadIn, ReadOut};
use crate::attention::SignatureKernel;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::generator::{Circuit, ModuleSet, join_modules};
use crate::params::Scope;
use crate::tokens::Tokens;

/// Read-in, propagators and read-out. Parameters under `read_in`, `propagators.<layer>`, `read_out`.
///
/// Shared propagators, or their shared feed-forward blocks, are saved under every layer's name.
#[derive(Debug)]
pub struct CircuitExecutor {
    read_in: ReadIn,
    steps: Vec<Step>,
    read_out: ReadOut,
    starts_from_read_in: bool,
    read_out_attends_to_read_in: bool,
    read_out_code_layer: usize,
}

/// One step in which processors talk.
#[derive(Debug)]
struct Step {
    propagator: Propagator,
    attends_to_read_in: bool,
    code_layer: usize,
    /// Whether the tensors are those of an earlier step.
    shared: bool,
}

impl CircuitExecutor {
    /// The executor of `spec`, whose generator and head are not looked at.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &CircuitSpec) -> Result<Self> {
        let read_in = ReadIn::new(scope, &spec.read_in)?;
        let steps = spec.propagations.iter().map(|step| {
            Ok(Step {
                propagator: Propagator::new(scope, &step.propagator)?,
                attends_to_read_in: step.attends_to_read_in,
                code_layer: step.code_layer,
                shared: step.propagator.shares.is_some(),
            })
        });
        let steps = steps.collect::<Result<_>>()?;
        Ok(Self {
            read_in,
            steps,
            read_out: ReadOut::new(scope, &spec.read_out)?,
            starts_from_read_in: spec.starts_from_read_in,
            read_out_attends_to_read_in: spec.read_out_attends_to_read_in,
            read_out_code_layer: spec.read_out_code_layer,
        })
    }

    /// What the read-out modules give: their states, or outputs if the read-out has a head.
    ///
    /// Records `read_in.states`, `propagator.<layer>.states`, `processor.states` (after the last propagator)
    /// and `read_out.states`.
    ///
    /// # Shapes
    /// - tokens: `[batch, tokens, token_dim]`
    /// - output: `[batch, read_out, state]`, or with a head `[batch, read_out, output]`
    ///
    /// # Errors
    /// The shapes do not fit, or the source of noise fails.
    pub fn forward(
        &self,
        tokens: &Tokens,
        circuit: &Circuit,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let batch = tokens.values().size()[0];
        let circuit = &leaves(circuit, ctx)?;
        let (reader, processors) = (&circuit.read_in, &circuit.processors);
        let reading = ModuleStates {
            shared_states: reader.shared_states(),
            states: &reader.batched_states(batch),
            signatures: &reader.signatures,
            codes: &reader.codes,
        };
        let read = self.read_in.forward(&reading, tokens, ctx)?;
        ctx.record("read_in.states", &read);
        let mut states = if self.starts_from_read_in {
            read.shallow_clone()
        } else {
            processors.batched_states(batch)
        };
        for (layer, step) in self.steps.iter().enumerate() {
            let receivers = ModuleStates {
                shared_states: match layer {
                    0 if !self.starts_from_read_in => processors.shared_states(),
                    _ => None,
                },
                states: &states,
                signatures: &processors.signatures,
                codes: processors.codes_at(step.code_layer),
            };
            let next = if step.attends_to_read_in {
                let senders = Senders::new(reader, &read, &receivers)?;
                step.propagator.forward(&receivers, &senders.view(), ctx)?
            } else {
                step.propagator.forward(&receivers, &receivers, ctx)?
            };
            states = next;
            ctx.record(&format!("propagator.{layer}.states"), &states);
        }
        ctx.record("processor.states", &states);
        let receivers = ModuleStates {
            shared_states: circuit.read_out.shared_states(),
            states: &circuit.read_out.batched_states(batch),
            signatures: &circuit.read_out.signatures,
            codes: &circuit.read_out.codes,
        };
        let sources = ModuleStates {
            shared_states: None,
            states: &states,
            signatures: &processors.signatures,
            codes: processors.codes_at(self.read_out_code_layer),
        };
        let result = if self.read_out_attends_to_read_in {
            let senders = Senders::new(reader, &read, &sources)?;
            self.read_out.forward(&receivers, &senders.view(), ctx)?
        } else {
            self.read_out.forward(&receivers, &sources, ctx)?
        };
        ctx.record("read_out.states", &result);
        Ok(result)
    }

    /// Dimension of what the read-out gives.
    pub fn output_dim(&self) -> usize {
        self.read_out.output_dim()
    }

    /// Kernels of the propagators in order; one if all propagators are one.
    pub fn kernels(&self) -> impl Iterator<Item = &SignatureKernel> {
        let distinct = self.steps.iter().filter(|step| !step.shared);
        distinct.map(|step| step.propagator.kernel())
    }

    /// Kernels of the propagators that differ, each under the name of the first propagator that has it.
    ///
    /// Equal kernels count once if their bandwidth is fixed.
    pub fn distinct_kernels(&self) -> Vec<(String, SignatureKernel)> {
        let differs = |layer: usize, kernel: &SignatureKernel| {
            kernel.config().learnable_bandwidth
                || !self
                    .kernels()
                    .take(layer)
                    .any(|earlier| earlier.config() == kernel.config())
        };
        self.kernels()
            .enumerate()
            .filter(|(layer, kernel)| differs(*layer, kernel))
            .map(|(layer, kernel)| (format!("propagator.{layer}"), kernel.shallow_clone()))
            .collect()
    }

    /// Kernel between processors and read-out modules.
    pub fn read_out_kernel(&self) -> &SignatureKernel {
        self.read_out.kernel()
    }
}

/// The circuit with codes and states that are leaves on the tape, if fused blocks run: each of them adds to their
/// gradients, and what made them is then walked once.
fn leaves(circuit: &Circuit, ctx: &mut ForwardContext<'_>) -> Result<Circuit> {
    let mut set = |modules: &ModuleSet| -> Result<ModuleSet> {
        let layer_codes = modules.layer_codes.iter();
        Ok(ModuleSet {
            signatures: modules.signatures.shallow_clone(),
            codes: ctx.fused_leaf(&modules.codes)?,
            layer_codes: layer_codes
                .map(|codes| ctx.fused_leaf(codes))
                .collect::<Result<_>>()?,
            states: ctx.fused_leaf(&modules.states)?,
        })
    };
    Ok(Circuit {
        read_in: set(&circuit.read_in)?,
        processors: set(&circuit.processors)?,
        read_out: set(&circuit.read_out)?,
        texts: circuit.texts.as_ref().map(Tensor::shallow_clone),
    })
}

/// Read-in modules and processors together, in this order.
struct Senders {
    states: Tensor,
    signatures: Tensor,
    codes: Tensor,
}

impl Senders {
    fn new(reader: &ModuleSet, read: &Tensor, processors: &ModuleStates<'_>) -> Result<Self> {
        Ok(Self {
            states: Tensor::f_cat(&[read, processors.states], 1)?,
            signatures: join_modules("signatures", &reader.signatures, processors.signatures)?,
            codes: join_modules("codes", &reader.codes, processors.codes)?,
        })
    }

    fn view(&self) -> ModuleStates<'_> {
        ModuleStates {
            shared_states: None,
            states: &self.states,
            signatures: &self.signatures,
            codes: &self.codes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::{CircuitConfig, WiringConfig};
    use crate::context::{Noise, StreamNoise};
    use crate::generator::{CircuitGenerator, FreeGenerator, SeederConfig, StateMean};
    use crate::inputs::Inputs;
    use crate::params::ParamStore;
    use nac_core::model::ReadInSends;
    use nac_core::rng::Streams;
    use tch::{Device, Kind};

    fn small() -> CircuitConfig {
        let mut config = CircuitConfig {
            modules: 6,
            read_out_modules: 2,
            state_dim: 8,
            signature_dim: 3,
            propagators: 3,
            ..Default::default()
        };
        config.read_in.attention.head_dim = 4;
        config.propagator.attention.heads = Some(2);
        config.propagator.attention.head_dim = 4;
        config.read_out.attention.head_dim = 4;
        config
    }

    /// Read-out and processor states of a circuit on fixed tokens, after `change` to its parameters.
    fn run(
        config: &CircuitConfig,
        training: bool,
        change: impl Fn(&ParamStore),
    ) -> (ParamStore, Tensor, Tensor) {
        let mut store = ParamStore::new(Device::Cpu, Kind::Double, 1);
        let spec = config.resolve_at("", 5, 4).unwrap();
        let generator = FreeGenerator::new(&mut store.root(), &spec.generator).unwrap();
        let executor = CircuitExecutor::new(&mut store.root(), &spec).unwrap();
        tch::no_grad(|| change(&store));
        let tokens = Tensor::linspace(-1.0, 1.0, 2 * 7 * 5, (Kind::Double, Device::Cpu));
        let tokens = (tokens * 9.0).sin().view([2, 7, 5]);
        let mut noise = StreamNoise::new(Streams::new(3));
        let ctx = if training {
            ForwardContext::training(&mut noise)
        } else {
            ForwardContext::evaluation().with_noise(&mut noise)
        };
        let mut ctx = ctx.with_intermediates();
        let inputs = Inputs::tokens(tokens.shallow_clone());
        let circuit = generator.generate(&inputs, &mut ctx).unwrap();
        let tokens = Tokens::new(tokens).unwrap();
        let result = executor.forward(&tokens, &circuit, &mut ctx).unwrap();
        let processors = ctx.take_intermediates().remove("processor.states").unwrap();
        (store, result, processors)
    }

    #[test]
    fn permuting_modules_permutes_their_states_and_nothing_else() {
        let order = Tensor::from_slice(&[3_i64, 0, 5, 1, 4, 2]);
        let permute = |store: &ParamStore| {
            for set in ["input_latents", "mediator_latents"] {
                for what in ["codes_", "signatures_"] {
                    let tensor = store.get(&format!("{set}.{what}")).unwrap();
                    let permuted = tensor.index_select(0, &order);
                    tensor.shallow_clone().copy_(&permuted);
                }
            }
        };
        let (_, result, states) = run(&small(), false, |_| ());
        let (_, permuted_result, permuted_states) = run(&small(), false, permute);
        assert!(result.allclose(&permuted_result, 1e-12, 1e-12, false));
        let expected = states.index_select(1, &order);
        assert!(expected.allclose(&permuted_states, 1e-12, 1e-12, false));
        assert!(!states.allclose(&permuted_states, 1e-3, 1e-3, false));
    }

    #[test]
    fn every_wiring_trains_what_it_uses() {
        let own_states =
            |wiring: &mut WiringConfig| wiring.read_in_states_become_processors = false;
        let wirings: [&dyn Fn(&mut CircuitConfig); 6] = [
            &|_| (),
            &|c| {
                own_states(&mut c.wiring);
                c.wiring.read_in_sends_to_processors = ReadInSends::Every;
                c.read_in_modules = Some(4);
            },
            &|c| {
                own_states(&mut c.wiring);
                c.wiring.read_in_sends_to_read_out = true;
                c.wiring.codes_per_propagator = true;
            },
            &|c| c.wiring.separate_read_in_modules = false,
            &|c| c.wiring.share_propagators = true,
            &|c| {
                c.wiring.share_propagator_ffn = true;
                c.code_dim = Some(5);
                c.seeder = SeederConfig {
                    mean: StateMean::Projection,
                    state_noise: true,
                    ..Default::default()
                };
            },
        ];
        let mut counts = Vec::new();
        for change in wirings {
            let mut config = small();
            change(&mut config);
            let (store, result, _) = run(&config, true, |_| ());
            result.square().sum(Kind::Double).backward();
            for (name, tensor) in store.parameters() {
                let unused = name == "input_latents.signatures_"
                    && config.wiring.read_in_sends_to_processors == ReadInSends::Never
                    && !config.wiring.read_in_sends_to_read_out;
                assert_eq!(tensor.grad().defined(), !unused, "{name}");
            }
            let saved = store.export().unwrap();
            assert!(saved.contains_key("propagators.2.ffn.layernorm.weight"));
            counts.push(store.parameter_count());
        }
        assert!(counts[4] < counts[0], "one propagator instead of three");
    }

    /// Remembers who asked for draws.
    struct Asked(Vec<String>, StreamNoise);

    impl Noise for Asked {
        fn uniform(&mut self, name: &str, shape: &[i64], kind: Kind, to: Device) -> Result<Tensor> {
            self.0.push(name.to_owned());
            self.1.uniform(name, shape, kind, to)
        }

        fn normal(&mut self, name: &str, shape: &[i64], kind: Kind, to: Device) -> Result<Tensor> {
            self.0.push(name.to_owned());
            self.1.normal(name, shape, kind, to)
        }
    }

    #[test]
    fn shared_propagators_draw_links_of_their_own() {
        let mut config = small();
        config.wiring.share_propagators = true;
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 1);
        let spec = config.resolve_at("", 5, 4).unwrap();
        let generator = FreeGenerator::new(&mut store.root(), &spec.generator).unwrap();
        let executor = CircuitExecutor::new(&mut store.root(), &spec).unwrap();
        assert_eq!(executor.kernels().count(), 1);
        let tokens = Tensor::ones([2, 7, 5], (Kind::Float, Device::Cpu));
        let mut noise = Asked(Vec::new(), StreamNoise::new(Streams::new(3)));
        let mut ctx = ForwardContext::training(&mut noise);
        let inputs = Inputs::tokens(tokens.shallow_clone());
        let circuit = generator.generate(&inputs, &mut ctx).unwrap();
        let tokens = Tokens::new(tokens).unwrap();
        let _ = executor.forward(&tokens, &circuit, &mut ctx).unwrap();
        let different: std::collections::BTreeSet<&String> = noise.0.iter().collect();
        assert_eq!((noise.0.len(), different.len()), (4, 4), "{:?}", noise.0);
    }
}
