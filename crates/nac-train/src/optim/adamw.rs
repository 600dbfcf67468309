//! AdamW (arXiv 1711.05101) on tensors, with a state that can be saved by name.
//!
//! For gradient `g` in step `t`: `θ ← θ·(1 − η·λ)`, `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`,
//! `θ ← θ − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)`: the order of operations of PyTorch.
//!
//! Written by hand because the optimizers of `tch` cannot save their state, and a resumed run must go on bit for bit.

use std::collections::BTreeMap;

use nac_modules::params::ParamStore;
use tch::Tensor;

use super::groups::decays;
use super::optimizer::Optimizer;
use crate::config::OptimizerConfig;
use crate::error::{Result, TrainError};

/// AdamW with [`decays`] as rule of weight decay. A parameter without gradient stays as it is.
///
/// Its state holds the running means `m.<parameter>` and `v.<parameter>` and the number of updates `t.<parameter>`,
/// `[]`; it is empty before the first step.
#[derive(Debug, Default)]
pub struct AdamW {
    config: OptimizerConfig,
    slots: Vec<Slot>,
}

/// State of one parameter.
#[derive(Debug)]
struct Slot {
    name: String,
    mean: Tensor,
    mean_square: Tensor,
    steps: u64,
    decays: bool,
}

impl AdamW {
    /// An optimizer with the `betas`, `eps` and `weight_decay` of some settings.
    pub fn new(config: &OptimizerConfig) -> Self {
        Self {
            config: config.clone(),
            slots: Vec::new(),
        }
    }

    /// One slot for each parameter, made when the first parameters are seen.
    fn prepare(&mut self, parameters: &ParamStore) -> Result<()> {
        if self.slots.is_empty() {
            self.slots = slots(parameters);
        }
        let known = self.slots.iter().map(|slot| slot.name.as_str());
        if known.eq(parameters.parameters().map(|(name, _)| name)) {
            return Ok(());
        }
        let reason = "AdamW: these are not the parameters of earlier steps";
        Err(TrainError::State(reason.into()))
    }
}

fn slots(parameters: &ParamStore) -> Vec<Slot> {
    let slot = |(name, parameter): (&str, &Tensor)| Slot {
        name: name.to_owned(),
        mean: parameter.zeros_like().detach(),
        mean_square: parameter.zeros_like().detach(),
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
        if gradients.len() != self.slots.len() {
            let (found, expected) = (gradients.len(), self.slots.len());
            return Err(TrainError::State(format!(
                "AdamW: {found} gradients for {expected} parameters"
            )));
        }
        tch::no_grad(|| {
            let slots = self.slots.iter_mut().zip(parameters.parameters());
            for ((slot, (_, parameter)), gradient) in slots.zip(gradients) {
                if gradient.defined() {
                    slot.update(parameter, gradient, learning_rate, &self.config)?;
                }
            }
            Ok(())
        })
    }

    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        for slot in &self.slots {
            for (key, tensor) in [("m", &slot.mean), ("v", &slot.mean_square)] {
                let copy = tensor.f_detach()?.f_to_device(tch::Device::Cpu)?.copy();
                state.insert(format!("{key}.{}", slot.name), copy);
            }
            let steps = i64::try_from(slot.steps).unwrap_or(i64::MAX);
            state.insert(
                format!("t.{}", slot.name),
                Tensor::f_from_slice(&[steps])?.f_view([] as [i64; 0])?,
            );
        }
        Ok(state)
    }

    fn restore(&mut self, parameters: &ParamStore, state: &BTreeMap<String, Tensor>) -> Result<()> {
        if state.is_empty() {
            self.slots.clear();
            return Ok(());
        }
        let mut restored = slots(parameters);
        check(&restored, state)?;
        tch::no_grad(|| {
            for slot in &mut restored {
                for (key, tensor) in [("m", &mut slot.mean), ("v", &mut slot.mean_square)] {
                    if let Some(saved) = state.get(&format!("{key}.{}", slot.name)) {
                        tensor.f_copy_(saved)?;
                    }
                }
                if let Some(saved) = state.get(&format!("t.{}", slot.name)) {
                    slot.steps = u64::try_from(saved.f_int64_value(&[])?).unwrap_or(0);
                }
            }
            Ok::<(), TrainError>(())
        })?;
        self.slots = restored;
        Ok(())
    }
}

/// An error with all names that are missing, unexpected or of another shape.
fn check(slots: &[Slot], state: &BTreeMap<String, Tensor>) -> Result<()> {
    let mut expected = BTreeMap::new();
    for slot in slots {
        for (key, shape) in [
            ("m", slot.mean.size()),
            ("v", slot.mean.size()),
            ("t", vec![]),
        ] {
            expected.insert(format!("{key}.{}", slot.name), shape);
        }
    }
    let mut wrong: Vec<String> = Vec::new();
    for (name, shape) in &expected {
        match state.get(name) {
            None => wrong.push(format!("{name} is missing")),
            Some(found) if found.size() != *shape => {
                wrong.push(format!(
                    "{name}: expected {shape:?}, found {:?}",
                    found.size()
                ));
            }
            Some(_) => {}
        }
    }
    wrong.extend(
        state
            .keys()
            .filter(|k| !expected.contains_key(*k))
            .map(|k| format!("{k} is unexpected")),
    );
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(TrainError::State(format!(
            "optimizer: {}",
            wrong.join(", ")
        )))
    }
}

impl Slot {
    fn update(
        &mut self,
        parameter: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        config: &OptimizerConfig,
    ) -> Result<()> {
        let [beta1, beta2] = config.betas;
        self.steps += 1;
        let steps = self.steps as f64;
        let (correction1, correction2) = (1.0 - beta1.powf(steps), 1.0 - beta2.powf(steps));
        let mut parameter = parameter.shallow_clone();
        let gradient = gradient.f_to_kind(parameter.kind())?;
        if self.decays && config.weight_decay > 0.0 {
            let _ = parameter.f_mul_scalar_(1.0 - learning_rate * config.weight_decay)?;
        }
        let _ = self.mean.f_lerp_(&gradient, 1.0 - beta1)?;
        let _ = self.mean_square.f_mul_scalar_(beta2)?;
        let _ = self
            .mean_square
            .f_addcmul_(&(&gradient * (1.0 - beta2)), &gradient)?;
        let mut denominator = self.mean_square.f_sqrt()?;
        let _ = denominator
            .f_div_scalar_(correction2.sqrt())?
            .f_add_scalar_(config.eps)?;
        let numerator = self.mean.f_mul_scalar(-learning_rate / correction1)?;
        let _ = parameter.f_addcdiv_(&numerator, &denominator)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_core::rng::Streams;
    use nac_modules::params::Init;
    use tch::{Device, Kind};

    fn store() -> ParamStore {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 3);
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
