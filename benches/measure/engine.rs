//! The engines that can run a model, behind one trait.
//!
//! To add one: a name in [`EngineKind`], a type that is a [`MeasuredModel`], an arm in [`open`].

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nac_core::model::ModelFile;
use nac_core::rng::Streams;
use nac_engine::{CoreEngine, Engine as _, EngineOptions, Precision};
use nac_modules::context::{ForwardContext, StreamNoise};
use nac_modules::model::{BuildModel, Inputs, Model};
use nac_modules::params::{ParamStore, TensorFile};
use nac_modules::tape::Tape;
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use super::batch::Batch;
use crate::naive::Naive;

/// What runs the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum EngineKind {
    /// The transcription of the authors' code.
    Naive,
    /// Our layers on libtorch.
    Torch,
    /// nac-engine, which needs no libtorch; it does not train.
    Core,
}

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pass {
    /// Logits in evaluation mode.
    Forward,
    /// Logits in training mode, cross-entropy, gradients of all parameters.
    Train,
}

/// A model and what runs it on batches.
pub trait MeasuredModel {
    /// Logits in evaluation mode, `[batch, classes]`.
    ///
    /// # Errors
    /// The batch does not fit the model.
    fn forward(&mut self, batch: &Batch) -> Result<Tensor>;

    /// Logits in training mode, after the gradients of their cross-entropy were computed, all at once, and dropped.
    ///
    /// # Errors
    /// The batch does not fit the model, or this engine cannot train.
    fn train(&mut self, batch: &Batch) -> Result<Tensor>;
}

/// What an engine is made of.
#[derive(Debug, Clone, Copy)]
pub struct ModelSource<'a> {
    /// The model.
    pub model: &'a ModelFile,
    /// Where it runs.
    pub device: Device,
    /// Precision of its weights.
    pub weights: Precision,
    /// Threads of an engine that starts its threads itself.
    pub threads: usize,
    /// A safetensors file of weights; without it they are drawn from seed 0.
    pub load: Option<&'a Path>,
}

impl ModelSource<'_> {
    /// Our model on libtorch.
    fn build(&self) -> Result<Box<dyn Model>> {
        let kind = match self.weights {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
            Precision::Int8 => bail!("libtorch's layers here do not run on 8-bit weights"),
        };
        let mut model = self.model.build(ParamStore::new(self.device, kind, 0))?;
        if let Some(path) = self.load {
            let file = TensorFile::read(path)?;
            let name = path.display().to_string();
            model.params_mut().import(&name, &file.tensors)?;
        }
        Ok(model)
    }
}

/// The engine of this kind. Links of every training pass are sampled from the same streams.
///
/// # Errors
/// The engine does not know this model or these weights.
pub fn open(kind: EngineKind, source: &ModelSource<'_>) -> Result<Box<dyn MeasuredModel>> {
    Ok(match kind {
        EngineKind::Torch => Box::new(TorchEngine {
            model: source.build()?,
        }),
        EngineKind::Core => Box::new(core(source)?),
        EngineKind::Naive => {
            let model = source.build()?;
            Box::new(NaiveEngine {
                naive: Naive::new(model.params(), &source.model.model)?,
                parameters: parameters(model.as_ref()),
            })
        }
    })
}

/// Writes the weights that engines draw from seed 0 to a safetensors file.
///
/// # Errors
/// The model cannot be built, or the file cannot be written.
pub fn write_weights(model: &ModelFile, path: &Path) -> Result<()> {
    std::fs::write(path, drawn(model)?).with_context(|| path.display().to_string())
}

/// A safetensors file of the weights of seed 0.
fn drawn(model: &ModelFile) -> Result<Vec<u8>> {
    let model = model.build(ParamStore::new(Device::Cpu, Kind::Float, 0))?;
    let file = TensorFile {
        tensors: model.params().export()?,
        ..TensorFile::default()
    };
    Ok(file.to_bytes()?)
}

/// nac-engine.
fn core(source: &ModelSource<'_>) -> Result<Core> {
    if source.device != Device::Cpu {
        bail!("nac-engine runs on the CPU only");
    }
    let precision = source.weights;
    let threads = source.threads;
    let options = EngineOptions {
        threads,
        precision,
        ..Default::default()
    };
    let file = source.model.clone();
    let weights = match source.load {
        Some(path) => nac_engine::ModelWeights::read(path)?,
        None => nac_engine::ModelWeights::from_bytes(&drawn(&file)?)?,
    };
    Ok(Core(CoreEngine::new(file, &weights, options)?))
}

fn parameters(model: &dyn Model) -> Vec<Tensor> {
    let tensors = model.params().parameters();
    tensors.map(|(_, tensor)| tensor.shallow_clone()).collect()
}

fn noise() -> StreamNoise {
    StreamNoise::new(Streams::new(0))
}

fn cross_entropy(logits: &Tensor, batch: &Batch) -> Result<Tensor> {
    let (logits, mean) = (logits.f_to_kind(Kind::Float)?, tch::Reduction::Mean);
    Ok(logits.f_cross_entropy_loss::<Tensor>(&batch.labels, None, mean, -100, 0.0)?)
}

struct TorchEngine {
    model: Box<dyn Model>,
}

impl TorchEngine {
    fn logits(&self, batch: &Batch, mut ctx: ForwardContext<'_>) -> Result<Tensor> {
        let inputs = Inputs::image(batch.image.shallow_clone());
        Ok(self.model.forward(&inputs, &mut ctx)?.logits)
    }
}

impl MeasuredModel for TorchEngine {
    fn forward(&mut self, batch: &Batch) -> Result<Tensor> {
        let mut noise = noise();
        tch::no_grad(|| self.logits(batch, ForwardContext::evaluation().with_noise(&mut noise)))
    }

    fn train(&mut self, batch: &Batch) -> Result<Tensor> {
        let mut noise = noise();
        let mut tape = Tape::new();
        let mut ctx = ForwardContext::training(&mut noise);
        if !self.model.params().device().is_cuda() {
            ctx = ctx.with_tape(&mut tape);
        }
        let logits = self.logits(batch, ctx)?;
        let loss = cross_entropy(&logits, batch)?;
        let parameters = parameters(self.model.as_ref());
        let parameters: Vec<&Tensor> = parameters.iter().collect();
        let _gradients = tape.backward(&loss, &parameters)?;
        Ok(logits.detach())
    }
}

struct NaiveEngine {
    naive: Naive,
    parameters: Vec<Tensor>,
}

impl MeasuredModel for NaiveEngine {
    fn forward(&mut self, batch: &Batch) -> Result<Tensor> {
        let naive = &self.naive;
        Ok(tch::no_grad(|| {
            naive.forward(&batch.image, false, &mut noise())
        })?)
    }

    fn train(&mut self, batch: &Batch) -> Result<Tensor> {
        let logits = self.naive.forward(&batch.image, true, &mut noise())?;
        let loss = cross_entropy(&logits, batch)?;
        let _gradients = Tensor::f_run_backward(&[&loss], &self.parameters, false, false)?;
        Ok(logits.detach())
    }
}

struct Core(CoreEngine);

impl MeasuredModel for Core {
    fn forward(&mut self, batch: &Batch) -> Result<Tensor> {
        let size = batch.image.size();
        let image = &nac_engine::Inputs::image(batch.pixels.view());
        let logits = self.0.infer(image)?;
        let (classes, values) = (logits.ncols() as i64, logits.into_raw_vec_and_offset().0);
        Ok(Tensor::f_from_slice(&values)?.f_view([size[0], classes])?)
    }

    fn train(&mut self, _: &Batch) -> Result<Tensor> {
        bail!("nac-engine does not train")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Named;
    use super::*;

    #[test]
    fn engines_agree_and_only_those_on_libtorch_train() {
        let mut model = Named::resolve("tiny-nac").unwrap();
        let circuit = &mut model.file.model.circuit;
        (circuit.modules, circuit.read_out_modules) = (24, 8);
        (circuit.state_dim, circuit.propagators) = (32, 2);
        let batch = Batch::random(&model, 2, Device::Cpu, Precision::F32).unwrap();
        let source = ModelSource {
            model: &model.file,
            device: Device::Cpu,
            weights: Precision::F32,
            threads: 1,
            load: None,
        };
        let mut baseline = open(EngineKind::Naive, &source).unwrap();
        let (logits, trained) = (baseline.forward(&batch), baseline.train(&batch));
        let (logits, trained) = (logits.unwrap(), trained.unwrap());
        assert_eq!(logits.size(), [2, 200]);
        assert!(
            !logits.allclose(&trained, 1e-6, 1e-6, false),
            "links are sampled"
        );
        for kind in [EngineKind::Torch, EngineKind::Core] {
            let mut engine = open(kind, &source).unwrap();
            let ours = engine.forward(&batch).unwrap();
            assert!(ours.allclose(&logits, 1e-4, 1e-5, false), "{kind:?}");
            match engine.train(&batch) {
                Ok(ours) => assert!(ours.allclose(&trained, 1e-4, 1e-5, false)),
                Err(error) => assert!(kind == EngineKind::Core, "{error}"),
            }
        }
        let source = ModelSource {
            weights: Precision::Int8,
            ..source
        };
        assert!(open(EngineKind::Torch, &source).is_err());
    }
}
