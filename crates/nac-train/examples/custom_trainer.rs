//! An optimizer and a metric of your own: `cargo run -p nac-train --example custom_trainer`.
//!
//! A linear model learns by gradient descent with momentum, and the gap between the two greatest scores is measured in
//! training as in evaluation.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::collections::BTreeMap;
use std::sync::Arc;

use nac_data::testing::InMemory;
use nac_modules::testing::LinearModel;
use nac_train::metrics::{Predictions, Sums};
use nac_train::prelude::*;
use tch::{Device, Kind, Tensor};

/// `v ← 0.9·v + g`, `θ ← θ − η·v`.
#[derive(Default)]
struct Momentum {
    velocity: BTreeMap<String, Tensor>,
}

impl Optimizer for Momentum {
    fn name(&self) -> &str {
        "momentum"
    }

    fn step(
        &mut self,
        parameters: &ParamStore,
        gradients: &[Tensor],
        learning_rate: f64,
    ) -> Result<(), TrainError> {
        tch::no_grad(|| {
            for ((name, parameter), gradient) in parameters.parameters().zip(gradients) {
                if !gradient.defined() {
                    continue;
                }
                let velocity = match self.velocity.remove(name) {
                    Some(velocity) => (velocity * 0.9).f_add(gradient)?,
                    None => gradient.copy(),
                };
                let _ = parameter
                    .shallow_clone()
                    .f_sub_(&velocity.f_mul_scalar(learning_rate)?)?;
                self.velocity.insert(name.to_owned(), velocity);
            }
            Ok(())
        })
    }

    fn state(&self) -> Result<BTreeMap<String, Tensor>, TrainError> {
        let copy = |(name, v): (&String, &Tensor)| (name.clone(), v.to_device(Device::Cpu).copy());
        Ok(self.velocity.iter().map(copy).collect())
    }

    fn restore(
        &mut self,
        parameters: &ParamStore,
        state: &BTreeMap<String, Tensor>,
    ) -> Result<(), TrainError> {
        let device = parameters.device();
        for (name, velocity) in state {
            if parameters.get(name).map(Tensor::size) != Some(velocity.size()) {
                let reason = format!("momentum of `{name}` does not fit");
                return Err(TrainError::State(reason));
            }
        }
        let to_device = |(name, v): (&String, &Tensor)| (name.clone(), v.to_device(device).copy());
        self.velocity = state.iter().map(to_device).collect();
        Ok(())
    }
}

/// Mean gap between the two greatest scores.
struct Margin;

impl Metric for Margin {
    fn name(&self) -> &str {
        "margin"
    }

    fn update(&self, batch: &Predictions<'_>, sums: &mut Sums) -> Result<(), TrainError> {
        for scores in batch.outputs.rows() {
            let mut sorted = scores.to_vec();
            sorted.sort_by(|a, b| b.total_cmp(a));
            if let [first, second, ..] = sorted[..] {
                sums.add(&[first - second, 1.0]);
            }
        }
        Ok(())
    }

    fn value(&self, sums: &Sums) -> f64 {
        sums.ratio()
    }
}

fn main() -> Result<(), TrainError> {
    let data: Arc<dyn Dataset> = Arc::new(InMemory::images(64, 1, 4, 4, 2));
    let store = ParamStore::new(Device::Cpu, Kind::Float, 0);
    let model = LinearModel::new(store, "image", 16, 2)?;
    let mut trainer = Trainer::builder(Box::new(model), data.clone())
        .metric(Accuracy)
        .metric(Margin)
        .optimizer(Momentum::default())
        .schedule(1e-5)
        .steps(200)
        .build()?;
    let before = trainer.evaluate(&data)?;
    let _ = trainer.train()?;
    let after = trainer.evaluate(&data)?;
    for (name, found) in [("before", &before), ("after", &after)] {
        println!("{name}: loss {:.3}, {:?}", found.loss, found.metrics);
    }
    if after.loss < 0.5 * before.loss && after.metric("accuracy") > before.metric("accuracy") {
        return Ok(());
    }
    let reason = format!("nothing was learned: {before:?}, then {after:?}");
    Err(TrainError::State(reason))
}
