//! AdamW (arXiv 1711.05101) on tensors, with a state that can be saved by name.
//!
//! Weights in single precision on the CPU are updated by [`nac_engine::optimizer`], all in one pass, with running means
//! in two flat buffers; others by operations of libtorch. Both follow the order of operations of PyTorch.
//!
//! Written by hand because the optimizers of `tch` cannot save their state, and a resumed run must go on bit for bit.

mod moments;
mod slot;
mod state;

use std::collections::BTreeMap;

use nac_engine::optimizer::AdamWStep;
use nac_modules::params::ParamStore;
use tch::Tensor;

use super::clip::scale;
use super::groups::decays;
use super::optimizer::Optimizer;
use crate::config::OptimizerConfig;
use crate::error::{Result, TrainError};
use moments::Moments;
use slot::Slot;

/// AdamW with [`decays`] as rule of weight decay. A parameter without gradient stays as it is.
///
/// Its state holds the running means `m.<parameter>` and `v.<parameter>` and the number of updates `t.<parameter>`,
/// `[]`; it is empty before the first step.
#[derive(Debug, Default)]
pub struct AdamW {
    config: OptimizerConfig,
    slots: Vec<Slot>,
    moments: Moments,
}

impl AdamW {
    /// An optimizer with the `betas`, `eps` and `weight_decay` of some settings.
    pub fn new(config: &OptimizerConfig) -> Self {
        Self {
            config: config.clone(),
            ..Self::default()
        }
    }

    /// One slot for each parameter, made when the first parameters are seen.
    fn prepare(&mut self, parameters: &ParamStore) -> Result<()> {
        if self.slots.is_empty() {
            self.slots = slots(parameters);
            self.moments = Moments::new(parameters);
        }
        let known = self.slots.iter().map(|slot| slot.name.as_str());
        if known.eq(parameters.parameters().map(|(name, _)| name)) {
            return Ok(());
        }
        let reason = "AdamW: these are not the parameters of earlier steps";
        Err(TrainError::State(reason.into()))
    }

    /// Constants of the next step of a parameter.
    fn constants(&self, slot: &Slot, learning_rate: f64, gradient_scale: f64) -> AdamWStep {
        AdamWStep {
            learning_rate,
            betas: self.config.betas,
            eps: self.config.eps,
            weight_decay: match slot.decays {
                true => self.config.weight_decay.max(0.0),
                false => 0.0,
            },
            step: slot.steps,
            gradient_scale,
        }
    }
}

fn slots(parameters: &ParamStore) -> Vec<Slot> {
    let slot = |(name, parameter): (&str, &Tensor)| Slot {
        name: name.to_owned(),
        shape: parameter.size(),
        steps: 0,
        decays: decays(name, parameter),
    };
    parameters.parameters().map(slot).collect()
}

impl Optimizer for AdamW {
    fn name(&self) -> &str {
        "adamw"
    }

    fn step(
        &mut self,
        parameters: &ParamStore,
        gradients: &[Tensor],
        learning_rate: f64,
    ) -> Result<()> {
        self.prepare(parameters)?;
        self.update(parameters, gradients, 1.0, learning_rate)
    }

    fn step_scaled(
        &mut self,
        parameters: &ParamStore,
        gradients: &mut [Tensor],
        factor: f64,
        learning_rate: f64,
    ) -> Result<()> {
        self.prepare(parameters)?;
        if self.moments.are_flat() {
            return self.update(parameters, gradients, factor, learning_rate);
        }
        scale(gradients, factor)?;
        self.update(parameters, gradients, 1.0, learning_rate)
    }

    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        state::save(&self.slots, &self.moments)
    }

    fn restore(&mut self, parameters: &ParamStore, state: &BTreeMap<String, Tensor>) -> Result<()> {
        if state.is_empty() {
            self.slots.clear();
            self.moments = Moments::default();
            return Ok(());
        }
        let mut slots = slots(parameters);
        let mut moments = Moments::new(parameters);
        state::load(&mut slots, &mut moments, state)?;
        (self.slots, self.moments) = (slots, moments);
        Ok(())
    }
}

impl AdamW {
    /// One step of all parameters that have a gradient.
    fn update(
        &mut self,
        parameters: &ParamStore,
        gradients: &[Tensor],
        factor: f64,
        learning_rate: f64,
    ) -> Result<()> {
        if gradients.len() != self.slots.len() {
            let (found, expected) = (gradients.len(), self.slots.len());
            return Err(TrainError::State(format!(
                "AdamW: {found} gradients for {expected} parameters"
            )));
        }
        for (slot, gradient) in self.slots.iter_mut().zip(gradients) {
            slot.steps += u64::from(gradient.defined());
        }
        let steps = self.slots.iter();
        let steps: Vec<AdamWStep> = steps
            .map(|slot| self.constants(slot, learning_rate, factor))
            .collect();
        let parameters = parameters.parameters().map(|(_, tensor)| tensor);
        let parameters: Vec<&Tensor> = parameters.collect();
        tch::no_grad(|| self.moments.update(&parameters, gradients, &steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_core::rng::Streams;
    use nac_modules::params::Init;
    use tch::{Device, Kind};

    fn store() -> ParamStore {
        store_of(Kind::Float)
    }

    fn store_of(kind: Kind) -> ParamStore {
        let mut store = ParamStore::new(Device::Cpu, kind, 3);
        let start = Init::Normal { std: 1.0 };
        for name in ["a.bias", "b.weight", "c.signatures_", "d.unused"] {
            let _ = store.root().parameter(name, &[3, 2], start).unwrap();
        }
        store
    }

    fn gradients(step: u64) -> Vec<Tensor> {
        let mut values = [0.0_f32; 6];
        let mut draw = |i: usize| {
            Streams::new(step)
                .stream(&i.to_string())
                .fill_normal(&mut values);
            Tensor::from_slice(&values).view([3, 2])
        };
        vec![draw(0), draw(1), draw(2), Tensor::new()]
    }

    fn values(store: &ParamStore) -> Vec<Vec<f64>> {
        let values = |t: &Tensor| t.detach().to_kind(Kind::Double).flatten(0, -1);
        let values = |(_, t): (&str, &Tensor)| Vec::try_from(values(t)).unwrap();
        store.parameters().map(values).collect()
    }

    /// The update of one scalar in f64, written out as in the paper.
    fn reference(
        start: f64,
        gradients: &[f64],
        rates: &[f64],
        decay: f64,
        config: &OptimizerConfig,
    ) -> f64 {
        let [b1, b2] = config.betas;
        let (mut theta, mut m, mut v) = (start, 0.0, 0.0);
        for (t, (g, rate)) in gradients.iter().zip(rates).enumerate() {
            m = b1 * m + (1.0 - b1) * g;
            v = b2 * v + (1.0 - b2) * g * g;
            let m_hat = m / (1.0 - b1.powi(t as i32 + 1));
            let v_hat = v / (1.0 - b2.powi(t as i32 + 1));
            theta -= rate * decay * theta + rate * m_hat / (v_hat.sqrt() + config.eps);
        }
        theta
    }

    #[test]
    fn agrees_with_a_scalar_reference_and_decays_matrices_only() {
        let store = store();
        let config = OptimizerConfig {
            weight_decay: 0.3,
            ..Default::default()
        };
        let mut optimizer = AdamW::new(&config);
        let start = values(&store);
        let rates = [0.1, 0.05, 0.2, 0.01];
        let all: Vec<Vec<Tensor>> = (0..4).map(gradients).collect();
        for (gradients, rate) in all.iter().zip(rates) {
            optimizer.step(&store, gradients, rate).unwrap();
        }
        let end = values(&store);
        for (p, slot) in optimizer.slots.iter().enumerate().take(3) {
            assert_eq!(slot.decays, slot.name == "b.weight");
            let decay = if slot.decays { 0.3 } else { 0.0 };
            for (i, found) in end[p].iter().enumerate() {
                let at = [i as i64 / 2, i as i64 % 2];
                let g: Vec<f64> = all.iter().map(|step| step[p].double_value(&at)).collect();
                let expected = reference(start[p][i], &g, &rates, decay, &config);
                assert!(
                    (found - expected).abs() < 2e-6,
                    "{}[{i}]: {found}, expected {expected}",
                    slot.name
                );
            }
        }
        assert_eq!(end[3], start[3], "no gradient, no change");
        let changes = |(_, parameter): (&str, &Tensor)| parameter.internal_version();
        let versions: Vec<i64> = store.parameters().map(changes).collect();
        optimizer.step(&store, &all[0], 0.1).unwrap();
        for (before, after) in versions.into_iter().zip(store.parameters().map(changes)) {
            assert!(after > before, "libtorch counts the change");
        }
        assert_eq!(optimizer.slots[3].steps, 0);
    }

    #[test]
    fn a_saved_state_goes_on_bit_for_bit() {
        let (a, mut b) = (store(), store());
        let mut one = AdamW::default();
        one.step(&a, &gradients(0), 0.1).unwrap();
        b.import("a", &a.export().unwrap()).unwrap();
        let mut other = AdamW::default();
        other.restore(&b, &one.state().unwrap()).unwrap();
        one.step(&a, &gradients(1), 0.1).unwrap();
        other.step(&b, &gradients(1), 0.1).unwrap();
        assert_eq!(a.export().unwrap(), b.export().unwrap());
        // The state before the first step is a state, too.
        other
            .restore(&b, &AdamW::default().state().unwrap())
            .unwrap();
        assert!(other.state().unwrap().is_empty());
    }

    #[test]
    fn plain_memory_and_libtorch_agree_and_read_the_same_state() {
        let (single, mut double) = (store(), store_of(Kind::Double));
        double.import("single", &single.export().unwrap()).unwrap();
        let config = OptimizerConfig {
            weight_decay: 0.3,
            ..Default::default()
        };
        let (mut a, mut b) = (AdamW::new(&config), AdamW::new(&config));
        for step in 0..3 {
            let scaled = |optimizer: &mut AdamW, store: &ParamStore| {
                let mut gradients = gradients(step);
                // A gradient that is not contiguous, too.
                gradients[1] = gradients[1].view([2, 3]).tr();
                optimizer
                    .step_scaled(store, &mut gradients, 0.25, 0.1)
                    .unwrap();
            };
            scaled(&mut a, &single);
            scaled(&mut b, &double);
        }
        assert!(a.moments.are_flat() && !b.moments.are_flat());
        let all = values(&single).into_iter().zip(values(&double));
        for (single, double) in all.flat_map(|(a, b)| a.into_iter().zip(b)) {
            assert!((single - double).abs() < 1e-5, "{single} and {double}");
        }
        let mut other = AdamW::new(&config);
        other.restore(&double, &a.state().unwrap()).unwrap();
        other.restore(&single, &a.state().unwrap()).unwrap();
        assert_eq!(other.state().unwrap(), a.state().unwrap());
    }

    #[test]
    fn a_foreign_state_is_refused_with_all_names() {
        let store = store();
        let mut optimizer = AdamW::default();
        optimizer.step(&store, &gradients(0), 0.1).unwrap();
        let before = optimizer.state().unwrap();
        let mut state = optimizer.state().unwrap();
        state.remove("m.a.bias");
        state.insert("v.b.weight".into(), Tensor::from_slice(&[1.0_f32]));
        state.insert("m.z".into(), Tensor::from_slice(&[1.0_f32]));
        let error = optimizer.restore(&store, &state).unwrap_err().to_string();
        for part in [
            "m.a.bias is missing",
            "v.b.weight: expected [3, 2], found [1]",
            "m.z is unexpected",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(optimizer.state().unwrap(), before);
    }

    #[test]
    fn other_parameters_and_missing_gradients_are_refused() {
        let store = store();
        let mut optimizer = AdamW::default();
        assert!(optimizer.step(&store, &[], 0.1).is_err());
        let mut other = ParamStore::new(Device::Cpu, Kind::Float, 3);
        let start = Init::Normal { std: 1.0 };
        let _ = other.root().parameter("a.bias", &[3, 2], start).unwrap();
        let error = optimizer.step(&other, &gradients(0), 0.1).unwrap_err();
        assert!(error.to_string().contains("earlier steps"), "{error}");
    }
}
