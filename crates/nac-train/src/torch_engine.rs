//! Models on libtorch behind the interface of engines, so that they can be swapped with nac-engine's in one line.
//!
//! ```no_run
//! use nac_engine::{CoreEngine, Engine};
//! use nac_train::TorchEngine;
//!
//! let engine: Box<dyn Engine> = Box::new(CoreEngine::load("model.toml", "model.safetensors", Default::default())?);
//! let engine: Box<dyn Engine> = Box::new(TorchEngine::load("model.toml", "model.safetensors", tch::Device::Cpu)?);
//! # Ok::<(), nac_engine::EngineError>(())
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use nac_core::model::{InputSpec, ModelFile, OutputSpec};
use nac_engine::{Engine, EngineError, ModelWeights};
use nac_modules::context::ForwardContext;
use nac_modules::model::{Inputs, Model};
use nac_modules::params::ParamStore;
use nac_modules::presets::BuildModel;
use nac_modules::{ModuleError, Result as ModuleResult};
use ndarray::ArrayViewMut2;
use tch::{Device, Kind, Tensor};

use crate::batch::input_tensors;

const OP: &str = "TorchEngine";

/// A model on libtorch, in evaluation.
///
/// The model lives in a separate thread; callers wait for each other.
#[derive(Debug)]
pub struct TorchEngine {
    inputs: InputSpec,
    output: OutputSpec,
    device: Device,
    orders: Option<Mutex<SyncSender<Order>>>,
    worker: Option<JoinHandle<()>>,
}

/// An input, and where its logits go.
struct Order {
    inputs: Inputs,
    reply: SyncSender<ModuleResult<Tensor>>,
}

impl TorchEngine {
    /// Reads settings (TOML, see [`ModelFile`]) and weights (safetensors).
    ///
    /// # Errors
    /// A file cannot be read, or as [`TorchEngine::new`].
    pub fn load(
        settings: impl AsRef<Path>,
        weights: impl AsRef<Path>,
        device: Device,
    ) -> Result<Self, EngineError> {
        let file = ModelFile::read(settings.as_ref())?;
        Self::new(file, &ModelWeights::read(weights)?, device)
    }

    /// A model of given settings and weights.
    ///
    /// # Errors
    /// A tensor is missing, has another shape or is not part of the model; a setting is out of range.
    pub fn new(
        file: ModelFile,
        weights: &ModelWeights,
        device: Device,
    ) -> Result<Self, EngineError> {
        let (inputs, output) = (file.inputs.clone(), file.output.clone());
        let tensors = tensors(weights).map_err(failed)?;
        let (orders, taken) = sync_channel::<Order>(0);
        let (ready, built) = sync_channel(1);
        let work = move || {
            let model = match build(&file, &tensors, device) {
                Ok(model) => model,
                Err(error) => return drop(ready.send(Err(error))),
            };
            drop(tensors);
            // Whoever waits for the model is still there: it is the constructor.
            let _ = ready.send(Ok(()));
            serve(model.as_ref(), &taken);
        };
        let worker = std::thread::Builder::new()
            .name("nac-torch".into())
            .spawn(work)
            .map_err(|error| EngineError::Other(format!("{OP}: {error}")))?;
        built.recv().map_err(|_| stopped())?.map_err(failed)?;
        Ok(Self {
            inputs,
            output,
            device,
            orders: Some(Mutex::new(orders)),
            worker: Some(worker),
        })
    }
}

impl Drop for TorchEngine {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has told its caller already.
            let _ = worker.join();
        }
    }
}

impl Engine for TorchEngine {
    fn inputs(&self) -> &InputSpec {
        &self.inputs
    }

    fn output(&self) -> &OutputSpec {
        &self.output
    }

    fn infer_into(
        &self,
        inputs: &nac_engine::Inputs<'_>,
        mut logits: ArrayViewMut2<'_, f32>,
    ) -> Result<(), EngineError> {
        let expected = [inputs.batch(), self.output.width()];
        if logits.shape() != expected {
            return Err(EngineError::OutputShape {
                op: OP,
                expected: expected.to_vec(),
                found: logits.shape().to_vec(),
            });
        }
        inputs.check(&self.inputs)?;
        if inputs.batch() == 0 {
            return Ok(());
        }
        let inputs = input_tensors(inputs, self.device).map_err(|error| failed(error.into()))?;
        let (reply, answer) = sync_channel(1);
        let orders = self.orders.as_ref().ok_or_else(stopped)?;
        let orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders
            .send(Order { inputs, reply })
            .map_err(|_| stopped())?;
        drop(orders);
        let found = answer.recv().map_err(|_| stopped())?.map_err(failed)?;
        let values = Vec::<f32>::try_from(found.flatten(0, -1))
            .map_err(|error| EngineError::Other(format!("{OP}: {error}")))?;
        for (logit, value) in logits.iter_mut().zip(values) {
            *logit = value;
        }
        Ok(())
    }
}

fn serve(model: &dyn Model, orders: &Receiver<Order>) {
    for Order { inputs, reply } in orders {
        let logits = tch::no_grad(|| {
            let mut ctx = ForwardContext::evaluation();
            let logits = model.forward(&inputs, &mut ctx)?.logits;
            Ok(logits
                .f_to_device(Device::Cpu)?
                .f_to_kind(Kind::Float)?
                .f_contiguous()?)
        });
        // A caller that no longer waits does not need it.
        let _ = reply.send(logits);
    }
}

fn build(
    file: &ModelFile,
    tensors: &BTreeMap<String, Tensor>,
    device: Device,
) -> ModuleResult<Box<dyn Model>> {
    let mut model = file.build(ParamStore::sizes_only(device, Kind::Float))?;
    model.params_mut().import("weights", tensors)?;
    Ok(model)
}

fn tensors(weights: &ModelWeights) -> ModuleResult<BTreeMap<String, Tensor>> {
    let names = weights.iter().map(|(name, _)| name);
    names
        .filter_map(|name| weights.get(name).map(|found| (name, found)))
        .map(|(name, (shape, values))| Ok((name.to_owned(), shaped(values, shape)?)))
        .collect()
}

fn shaped<T: tch::kind::Element>(values: &[T], shape: &[usize]) -> ModuleResult<Tensor> {
    let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
    Ok(Tensor::f_from_slice(values)?.f_reshape(shape)?)
}

fn failed(error: ModuleError) -> EngineError {
    EngineError::Other(format!("{OP}: {error}"))
}

fn stopped() -> EngineError {
    EngineError::Other(format!("{OP}: the thread of the model has stopped"))
}
