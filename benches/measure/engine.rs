//! The engines that can run a model, behind one trait.
//!
//! To add one: a name in [`EngineKind`], a type that is a [`MeasuredModel`], an arm in [`open`].

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nac_core::model::ModelFile;
use nac_core::rng::Streams;
use nac_engine::{CoreEngine, Engine as _, EngineOptions, Precision};
use nac_modules::context::{ForwardContext, StreamNoise};
use nac_modules::model::{BuildModel, Model};
use nac_modules::params::{ParamStore, TensorFile};
use nac_train::config::{Executor, Precision as TrainingPrecision};
use nac_train::optim::{AdamW, Frozen, Optimizer, clip_factor, global_norm};
use nac_train::trainer::{Trainer, TrainerOptions};
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use super::batch::Batch;
use super::named::Named;
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
    Gradients,
    /// The same, then clipping and AdamW: a whole step.
    Train,
}

/// Learning rate of measured steps: small, so that the weights stay about what they are.
const RATE: f64 = 1e-6;
/// Greatest norm of the gradients of measured steps.
const CLIP_NORM: f64 = 1.0;

/// A model and what runs it on batches.
pub trait MeasuredModel {
    /// Logits in evaluation mode, `[batch, classes]`.
    ///
    /// # Errors
    /// The batch does not fit the model.
    fn forward(&mut self, batch: &Batch) -> Result<Tensor>;

    /// The gradients of the cross-entropy in training mode, all at once, and what the optimizer makes of them; for
    /// [`Pass::Gradients`] nothing. Gives the cross-entropy, `[1]`.
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
    /// What it is opened for.
    pub pass: Pass,
    /// What runs the blocks in training.
    pub executor: Executor,
    /// Numbers that products of training are computed in.
    pub precision: TrainingPrecision,
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
        EngineKind::Torch => match source.pass {
            Pass::Forward => Box::new(TorchEngine(source.build()?)),
            Pass::Gradients | Pass::Train => Box::new(Training::new(source)?),
        },
        EngineKind::Core => Box::new(core(source)?),
        EngineKind::Naive => {
            let model = source.build()?;
            Box::new(NaiveEngine {
                naive: Naive::new(model.params(), &source.model.model)?,
                optimizer: optimizer(source.pass),
                step: 0,
                model,
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

/// Noise of a step, as the trainer draws it.
fn noise(step: u64) -> StreamNoise {
    StreamNoise::new(Streams::new(0).child(&format!("noise/step/{step}")))
}

fn optimizer(pass: Pass) -> Box<dyn Optimizer> {
    match pass {
        Pass::Train => Box::new(AdamW::default()),
        Pass::Forward | Pass::Gradients => Box::new(Frozen),
    }
}

/// Evaluation of our layers.
struct TorchEngine(Box<dyn Model>);

impl MeasuredModel for TorchEngine {
    fn forward(&mut self, batch: &Batch) -> Result<Tensor> {
        let mut noise = noise(0);
        tch::no_grad(|| {
            let mut ctx = ForwardContext::evaluation().with_noise(&mut noise);
            Ok(self.0.forward(&batch.inputs, &mut ctx)?.logits)
        })
    }

    fn train(&mut self, _: &Batch) -> Result<Tensor> {
        bail!("this engine was opened to evaluate")
    }
}

/// Training of our layers, by the trainer of runs.
struct Training {
    named: Named,
    /// Until the first batch.
    model: Option<Box<dyn Model>>,
    optimizer: Option<Box<dyn Optimizer>>,
    options: TrainerOptions,
    /// From the first batch on.
    trainer: Option<Trainer>,
}

impl Training {
    fn new(source: &ModelSource<'_>) -> Result<Self> {
        Ok(Self {
            named: Named {
                name: "measured".into(),
                file: source.model.clone(),
            },
            model: Some(source.build()?),
            optimizer: Some(optimizer(source.pass)),
            options: TrainerOptions {
                steps: u64::MAX,
                clip_norm: (source.pass == Pass::Train).then_some(CLIP_NORM),
                executor: source.executor,
                precision: source.precision,
                threads: source.threads,
                ..TrainerOptions::default()
            },
            trainer: None,
        })
    }

    /// The trainer, made for the first batch.
    fn trainer(&mut self, batch: &Batch) -> Result<&mut Trainer> {
        if let (Some(model), Some(optimizer)) = (self.model.take(), self.optimizer.take()) {
            let options = TrainerOptions {
                batch_size: batch.size(),
                ..self.options.clone()
            };
            let trainer = Trainer::builder(model, Arc::new(batch.dataset(&self.named)?))
                .boxed_optimizer(optimizer)
                .schedule(RATE)
                .options(options)
                .build()?;
            self.trainer = Some(trainer);
        }
        self.trainer.as_mut().context("the model cannot be trained")
    }
}

impl MeasuredModel for Training {
    fn forward(&mut self, _: &Batch) -> Result<Tensor> {
        bail!("this engine was opened to train")
    }

    fn train(&mut self, batch: &Batch) -> Result<Tensor> {
        let trainer = self.trainer(batch)?;
        let gradients = trainer.gradients(&batch.buffers)?;
        let loss = trainer.update(gradients)?.loss;
        Ok(Tensor::f_from_slice(&[loss])?)
    }
}

struct NaiveEngine {
    naive: Naive,
    model: Box<dyn Model>,
    optimizer: Box<dyn Optimizer>,
    step: u64,
}

impl MeasuredModel for NaiveEngine {
    fn forward(&mut self, batch: &Batch) -> Result<Tensor> {
        let (naive, image) = (&self.naive, batch.image()?);
        Ok(tch::no_grad(|| naive.forward(image, false, &mut noise(0)))?)
    }

    fn train(&mut self, batch: &Batch) -> Result<Tensor> {
        let mut noise = noise(self.step);
        self.step += 1;
        let logits = self.naive.forward(batch.image()?, true, &mut noise)?;
        let (logits, mean) = (logits.f_to_kind(Kind::Float)?, tch::Reduction::Mean);
        let loss = logits.f_cross_entropy_loss::<Tensor>(&batch.labels, None, mean, -100, 0.0)?;
        let store = self.model.params();
        let parameters: Vec<&Tensor> = store.parameters().map(|(_, tensor)| tensor).collect();
        let mut gradients = Tensor::f_run_backward(&[&loss], &parameters, false, false)?;
        let factor = clip_factor(global_norm(&gradients)?, CLIP_NORM);
        self.optimizer
            .step_scaled(store, &mut gradients, factor, RATE)?;
        Ok(loss.f_detach()?.f_view([1])?)
    }
}

struct Core(CoreEngine);

impl MeasuredModel for Core {
    fn forward(&mut self, batch: &Batch) -> Result<Tensor> {
        let logits = self.0.infer(&batch.arrays())?;
        let (classes, values) = (logits.ncols() as i64, logits.into_raw_vec_and_offset().0);
        Ok(Tensor::f_from_slice(&values)?.f_view([batch.size() as i64, classes])?)
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
            pass: Pass::Forward,
            executor: Executor::default(),
            precision: TrainingPrecision::default(),
        };
        let logits = |kind| open(kind, &source).unwrap().forward(&batch).unwrap();
        let expected = logits(EngineKind::Naive);
        assert_eq!(expected.size(), [2, 200]);
        for kind in [EngineKind::Torch, EngineKind::Core] {
            assert!(
                logits(kind).allclose(&expected, 1e-4, 1e-5, false),
                "{kind:?}"
            );
        }
        let passes = [Pass::Gradients, Pass::Train];
        for (pass, executor) in passes.into_iter().zip([Executor::Torch, Executor::Fused]) {
            let source = ModelSource {
                pass,
                executor,
                ..source
            };
            let losses = |kind| -> Result<Vec<f64>> {
                let mut engine = open(kind, &source)?;
                let step = |_| Ok(engine.train(&batch)?.double_value(&[0]));
                (0..2).map(step).collect()
            };
            let expected = losses(EngineKind::Naive).unwrap();
            assert_ne!(expected[0], expected[1], "links are sampled");
            let found = losses(EngineKind::Torch).unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found / expected - 1.0).abs() < 1e-4,
                    "{found} and {expected}"
                );
            }
            assert!(losses(EngineKind::Core).is_err());
        }
        let source = ModelSource {
            weights: Precision::Int8,
            ..source
        };
        assert!(open(EngineKind::Torch, &source).is_err());
    }
}
