//! A training step of a whole circuit: read-in, propagators, read-out, with modulations and sampled links.

#![allow(clippy::unwrap_used, reason = "tests and benchmarks")]
#![allow(clippy::wildcard_imports, reason = "all blocks")]

use std::time::{Duration, Instant};

use nac_engine::training::attention::Links;
use nac_engine::training::links::{relax, relax_gradient};
use nac_engine::training::*;

/// Sizes of a circuit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) modules: usize,
    pub(crate) state: usize,
    pub(crate) codes: usize,
    pub(crate) heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) hidden: usize,
    pub(crate) tokens: usize,
    pub(crate) token_dim: usize,
    pub(crate) readout: usize,
    pub(crate) layers: usize,
}

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    let mut state = seed as u32 ^ 0x9e37_79b9;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

struct Norm {
    gain: Vec<f32>,
    bias: Vec<f32>,
    d: [Vec<f32>; 2],
}

impl Norm {
    fn new(features: usize) -> Self {
        Self {
            gain: vec![1.0; features],
            bias: vec![0.0; features],
            d: [vec![0.0; features], vec![0.0; features]],
        }
    }

    fn split(&mut self) -> (NormOperand<'_>, NormGradient<'_>) {
        let [gain, bias] = &mut self.d;
        let operand = NormOperand {
            gain: &self.gain,
            bias: &self.bias,
        };
        (operand, NormGradient { gain, bias })
    }
}

struct Projection {
    weight: Vec<f32>,
    bias: Vec<f32>,
    scale: Vec<f32>,
    d: [Vec<f32>; 3],
    modulation: Modulation,
    code_weight: Vec<f32>,
    d_code_weight: Vec<f32>,
    d_codes: Vec<f32>,
    d_gain: f32,
}

impl Projection {
    fn new((outputs, inputs): (usize, usize), modules: usize, codes: usize) -> Self {
        let shape = ModulationShape {
            rows: modules,
            codes,
            features: inputs,
        };
        let bound = 2.0 / (inputs as f32).sqrt();
        let weight: Vec<f32> = numbers(outputs * inputs, inputs)
            .iter()
            .map(|x| x * bound)
            .collect();
        Self {
            bias: vec![0.0; outputs],
            scale: vec![0.0; modules * inputs],
            d: [
                vec![0.0; weight.len()],
                vec![0.0; outputs],
                vec![0.0; modules * inputs],
            ],
            weight,
            modulation: Modulation::new(shape).unwrap(),
            code_weight: numbers(inputs * codes, codes),
            d_code_weight: vec![0.0; inputs * codes],
            d_codes: vec![0.0; modules * codes],
            d_gain: 0.0,
        }
    }

    fn modulate(&mut self, compute: &Compute, codes: &[f32]) {
        let operands = ModulationOperands {
            codes,
            weight: &self.code_weight,
            gain: 0.1,
            add_one: true,
        };
        self.modulation
            .forward(compute, &operands, &mut self.scale)
            .unwrap();
    }

    fn modulate_backward(&mut self, compute: &Compute, codes: &[f32]) {
        let operands = ModulationOperands {
            codes,
            weight: &self.code_weight,
            gain: 0.1,
            add_one: true,
        };
        let mut gradients = ModulationGradients {
            codes: Some(&mut self.d_codes),
            weight: &mut self.d_code_weight,
            gain: Some(&mut self.d_gain),
        };
        self.modulation
            .backward(compute, &operands, &self.d[2], &mut gradients)
            .unwrap();
    }

    fn split(&mut self) -> (ProjectionOperand<'_>, ProjectionGradient<'_>) {
        let [weight, bias, scale] = &mut self.d;
        let operand = ProjectionOperand {
            weight: &self.weight,
            bias: Some(&self.bias),
            scale: Some(&self.scale),
        };
        (
            operand,
            ProjectionGradient {
                weight,
                bias: Some(bias),
                scale: Some(scale),
            },
        )
    }
}

struct ReadIn {
    block: ReadInAttention,
    norms: [Norm; 2],
    projections: [Projection; 4],
    d_states: Vec<f32>,
}

struct Attention {
    block: Skmdpa,
    norms: [Norm; 2],
    projections: [Projection; 4],
    logit: Vec<f32>,
    uniform: Vec<f32>,
    links: Vec<f32>,
    d_links: Vec<f32>,
    d_logit: Vec<f32>,
    /// States of the receivers, if examples share them.
    states: Option<Vec<f32>>,
    d_states: Vec<f32>,
}

struct Network {
    block: FeedForward,
    norm: Norm,
    projections: [Projection; 2],
}

/// Where the time of a step goes.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) modulation: Duration,
    pub(crate) links: Duration,
    pub(crate) read_in: [Duration; 2],
    pub(crate) attention: [Duration; 2],
    pub(crate) feed_forward: [Duration; 2],
    pub(crate) read_out: [Duration; 2],
}

pub(crate) struct Circuit {
    sizes: Sizes,
    codes: Vec<f32>,
    out_codes: Vec<f32>,
    tokens: Vec<f32>,
    d_tokens: Vec<f32>,
    initial: Vec<f32>,
    read_in: ReadIn,
    propagators: Vec<(Attention, Network)>,
    read_out: Attention,
    /// States after the read-in and after each block.
    states: Vec<Vec<f32>>,
    d_states: [Vec<f32>; 2],
    output: Vec<f32>,
    d_output: Vec<f32>,
    pub(crate) times: Times,
}

fn timed(time: &mut Duration, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    *time += start.elapsed();
}

impl Attention {
    fn new(sizes: &Sizes, readout: bool) -> Self {
        let Sizes {
            batch,
            modules,
            state,
            codes,
            heads,
            head_dim,
            ..
        } = *sizes;
        let inner = heads * head_dim;
        let receivers = if readout { sizes.readout } else { modules };
        let shape = SkmdpaShape {
            batch,
            receivers,
            senders: modules,
            state,
            sender_state: state,
            heads,
            head_dim,
            residual: true,
        };
        let pairs = receivers * modules;
        Self {
            block: Skmdpa::new(shape).unwrap(),
            norms: [Norm::new(state), Norm::new(state)],
            projections: [
                Projection::new((inner, state), receivers, codes),
                Projection::new((inner, state), modules, codes),
                Projection::new((inner, state), modules, codes),
                Projection::new((state, inner), receivers, codes),
            ],
            logit: numbers(pairs, 3),
            uniform: numbers(batch * pairs, 4).iter().map(|x| x + 0.5).collect(),
            links: vec![0.0; batch * pairs],
            d_links: vec![0.0; batch * pairs],
            d_logit: vec![0.0; pairs],
            states: readout.then(|| numbers(receivers * state, 8)),
            d_states: vec![0.0; receivers * state],
        }
    }

    /// Forward, or backward with the gradient of the result, and where that of the modules' states goes.
    fn run(
        &mut self,
        compute: &Compute,
        x: &[f32],
        y: Option<&mut [f32]>,
        backward: Option<(&[f32], &mut [f32])>,
    ) {
        let [query, key, value, exit] = &mut self.projections;
        let [first, second] = &mut self.norms;
        let ((query, dq), (key, dk), (value, dv), (exit, de)) =
            (query.split(), key.split(), value.split(), exit.split());
        let ((receiver_norm, d_first), (second, d_second)) = (first.split(), second.split());
        let modules = States {
            values: x,
            shared: false,
        };
        let own = self.states.as_deref().map(|values| States {
            values,
            shared: true,
        });
        let operands = SkmdpaOperands {
            receivers: own.unwrap_or(modules),
            senders: own.map(|_| modules),
            receiver_norm,
            sender_norm: own.map(|_| second),
            query,
            key,
            value,
            exit,
            links: Links::PerExample(&self.links),
            mask: None,
            keep: None,
        };
        if let Some(y) = y {
            self.block.forward(compute, &operands, y).unwrap();
        }
        if let Some((d_y, d_x)) = backward {
            let (receivers, senders) = match own {
                Some(_) => (&mut *self.d_states, Some(d_x)),
                None => (d_x, None),
            };
            let mut gradients = SkmdpaGradients {
                receivers: Some(receivers),
                senders,
                receiver_norm: d_first,
                sender_norm: own.map(|_| d_second),
                query: dq,
                key: dk,
                value: dv,
                exit: de,
                links: Some(&mut self.d_links),
            };
            self.block
                .backward(compute, &operands, d_y, &mut gradients)
                .unwrap();
        }
    }
}

impl Network {
    fn run(
        &mut self,
        compute: &Compute,
        x: &[f32],
        y: Option<&mut [f32]>,
        backward: Option<(&[f32], &mut [f32])>,
    ) {
        let [expand, contract] = &mut self.projections;
        let ((expand, d1), (contract, d2)) = (expand.split(), contract.split());
        let (norm, d_norm) = self.norm.split();
        let operands = FeedForwardOperands {
            states: x,
            norm,
            expand,
            contract,
            keep: None,
        };
        if let Some(y) = y {
            self.block.forward(compute, &operands, y).unwrap();
        }
        if let Some((d_y, d_x)) = backward {
            let mut gradients = FeedForwardGradients {
                states: Some(d_x),
                norm: d_norm,
                expand: d1,
                contract: d2,
            };
            self.block
                .backward(compute, &operands, d_y, &mut gradients)
                .unwrap();
        }
    }
}

impl Circuit {
    pub(crate) fn new(sizes: Sizes) -> Self {
        let Sizes {
            batch,
            modules,
            state,
            codes,
            heads,
            head_dim,
            hidden,
            tokens,
            token_dim,
            readout,
            layers,
        } = sizes;
        let inner = heads * head_dim;
        let read_in = ReadIn {
            block: ReadInAttention::new(ReadInShape {
                batch,
                modules,
                tokens,
                state,
                token_dim,
                heads,
                head_dim,
                residual: true,
            })
            .unwrap(),
            norms: [Norm::new(state), Norm::new(token_dim)],
            projections: [
                Projection::new((inner, state), modules, codes),
                Projection::new((inner, token_dim), modules, codes),
                Projection::new((inner, token_dim), modules, codes),
                Projection::new((state, inner), modules, codes),
            ],
            d_states: vec![0.0; modules * state],
        };
        let network = || Network {
            block: FeedForward::new(FeedForwardShape {
                batch,
                modules,
                state,
                hidden,
                activation: FeedForwardActivation::Geglu,
                residual: true,
            })
            .unwrap(),
            norm: Norm::new(state),
            projections: [
                Projection::new((2 * hidden, state), modules, codes),
                Projection::new((state, hidden), modules, codes),
            ],
        };
        let states = batch * modules * state;
        Self {
            sizes,
            codes: numbers(modules * codes, 1),
            out_codes: numbers(readout * codes, 2),
            tokens: numbers(batch * tokens * token_dim, 5),
            d_tokens: vec![0.0; batch * tokens * token_dim],
            initial: numbers(modules * state, 6),
            read_in,
            propagators: (0..layers)
                .map(|_| (Attention::new(&sizes, false), network()))
                .collect(),
            read_out: Attention::new(&sizes, true),
            states: vec![vec![0.0; states]; 2 * layers + 1],
            d_states: [vec![0.0; states], vec![0.0; states]],
            output: vec![0.0; batch * readout * state],
            d_output: numbers(batch * readout * state, 7),
            times: Times::default(),
        }
    }

    /// Forward and backward of everything.
    pub(crate) fn step(&mut self, compute: &Compute) {
        self.modulate(compute, false);
        self.forward(compute);
        self.backward(compute);
        self.modulate(compute, true);
    }

    fn modulate(&mut self, compute: &Compute, backward: bool) {
        let (codes, out_codes) = (&self.codes, &self.out_codes);
        let times = &mut self.times;
        let mut each = |projection: &mut Projection, codes: &[f32]| {
            timed(&mut times.modulation, || {
                if backward {
                    projection.modulate_backward(compute, codes);
                } else {
                    projection.modulate(compute, codes);
                }
            });
        };
        for projection in &mut self.read_in.projections {
            each(projection, codes);
        }
        for (attention, network) in &mut self.propagators {
            for projection in attention
                .projections
                .iter_mut()
                .chain(&mut network.projections)
            {
                each(projection, codes);
            }
        }
        for (index, projection) in self.read_out.projections.iter_mut().enumerate() {
            each(
                projection,
                if index == 1 || index == 2 {
                    codes
                } else {
                    out_codes
                },
            );
        }
        let attentions = self.propagators.iter_mut().map(|(attention, _)| attention);
        for attention in attentions.chain([&mut self.read_out]) {
            timed(&mut times.links, || {
                let Attention {
                    logit,
                    uniform,
                    links,
                    d_links,
                    d_logit,
                    ..
                } = attention;
                if backward {
                    relax_gradient(compute, links, d_links, 0.5, d_logit).unwrap();
                } else {
                    relax(compute, logit, uniform, 0.5, links).unwrap();
                }
            });
        }
    }

    fn read_in(&mut self, compute: &Compute, backward: Option<&[f32]>) {
        let [query, key, value, exit] = &mut self.read_in.projections;
        let [receiver_norm, sender_norm] = &mut self.read_in.norms;
        let ((query, dq), (key, dk), (value, dv), (exit, de)) =
            (query.split(), key.split(), value.split(), exit.split());
        let ((receiver_norm, d_receiver), (sender_norm, d_sender)) =
            (receiver_norm.split(), sender_norm.split());
        let operands = ReadInOperands {
            states: States {
                values: &self.initial,
                shared: true,
            },
            tokens: &self.tokens,
            mask: None,
            receiver_norm,
            sender_norm,
            query,
            key,
            value,
            exit,
            keep: None,
        };
        let block = &mut self.read_in.block;
        let Some(d_y) = backward else {
            block
                .forward(compute, &operands, &mut self.states[0])
                .unwrap();
            return;
        };
        let mut gradients = ReadInGradients {
            states: Some(&mut self.read_in.d_states),
            tokens: Some(&mut self.d_tokens),
            receiver_norm: d_receiver,
            sender_norm: d_sender,
            query: dq,
            key: dk,
            value: dv,
            exit: de,
        };
        block
            .backward(compute, &operands, d_y, &mut gradients)
            .unwrap();
    }

    fn forward(&mut self, compute: &Compute) {
        let start = Instant::now();
        self.read_in(compute, None);
        self.times.read_in[0] += start.elapsed();
        let times = &mut self.times;
        for (layer, (attention, network)) in self.propagators.iter_mut().enumerate() {
            let (before, after) = self.states.split_at_mut(2 * layer + 1);
            let (middle, end) = after.split_at_mut(1);
            timed(&mut times.attention[0], || {
                attention.run(compute, &before[2 * layer], Some(&mut middle[0]), None);
            });
            timed(&mut times.feed_forward[0], || {
                network.run(compute, &middle[0], Some(&mut end[0]), None);
            });
        }
        let last = &self.states[2 * self.sizes.layers];
        timed(&mut times.read_out[0], || {
            self.read_out
                .run(compute, last, Some(&mut self.output), None);
        });
    }

    fn backward(&mut self, compute: &Compute) {
        let [mut d_y, mut d_x] = std::mem::take(&mut self.d_states);
        let times = &mut self.times;
        let last = &self.states[2 * self.sizes.layers];
        timed(&mut times.read_out[1], || {
            self.read_out
                .run(compute, last, None, Some((&self.d_output, &mut d_y)));
        });
        for (layer, (attention, network)) in self.propagators.iter_mut().enumerate().rev() {
            timed(&mut times.feed_forward[1], || {
                network.run(
                    compute,
                    &self.states[2 * layer + 1],
                    None,
                    Some((&d_y, &mut d_x)),
                );
            });
            timed(&mut times.attention[1], || {
                attention.run(
                    compute,
                    &self.states[2 * layer],
                    None,
                    Some((&d_x, &mut d_y)),
                );
            });
        }
        let start = Instant::now();
        self.read_in(compute, Some(&d_y));
        self.times.read_in[1] += start.elapsed();
        self.d_states = [d_y, d_x];
    }

    /// A number that depends on all results.
    pub(crate) fn checksum(&self) -> f64 {
        let sum = |values: &[f32]| values.iter().map(|x| f64::from(x.abs())).sum::<f64>();
        sum(&self.output) + sum(&self.d_tokens) + sum(&self.read_in.d_states)
    }
}
