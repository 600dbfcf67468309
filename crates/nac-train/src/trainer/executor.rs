//! What a training pass runs on: fused blocks, libtorch's layers, or those under autocast.

use nac_modules::autocast_bf16;
use nac_modules::context::ForwardContext;
use nac_modules::fused::{FusedExecutor, TrainingPrecision};
use nac_modules::model::{Inputs, Model, ModelOutput};
use nac_modules::tape::Tape;
use tch::{Device, Kind};

use super::options::TrainerOptions;
use crate::config::{Executor, Precision};
use crate::error::Result;

/// How forward passes of training run.
#[derive(Debug)]
pub(super) struct Passes {
    device: Device,
    fused: Option<FusedExecutor>,
    /// libtorch's layers compute in bfloat16 where it is safe.
    autocast: bool,
}

impl Passes {
    /// What the options ask for on `device`.
    pub(super) fn new(options: &TrainerOptions, device: Device) -> Result<Self> {
        let mixed = options.precision == Precision::Mixed;
        let precision = if mixed {
            TrainingPrecision::Mixed
        } else {
            TrainingPrecision::F32
        };
        let threads = match options.threads {
            0 => usize::try_from(tch::get_num_threads()).unwrap_or(0),
            threads => threads,
        };
        let fused = (device == Device::Cpu && options.executor != Executor::Torch)
            .then(|| FusedExecutor::new(threads, precision))
            .transpose()?;
        Ok(Self {
            device,
            autocast: mixed && fused.is_none(),
            fused,
        })
    }

    /// The output of `model` in training, with logits in single precision at least.
    ///
    /// On CUDA libtorch's own attention keeps little for its backward pass, and the graph of autocast holds its casts:
    /// both go without a tape. On the CPU libtorch would keep every score.
    pub(super) fn forward<'a>(
        &self,
        model: &dyn Model,
        inputs: &Inputs,
        mut ctx: ForwardContext<'a>,
        tape: &'a mut Tape,
    ) -> Result<ModelOutput> {
        if self.autocast {
            let pass = || model.forward(inputs, &mut ctx);
            let mut output = autocast_bf16(self.device, pass)?;
            output.logits = output.logits.f_to_kind(Kind::Float)?;
            return Ok(output);
        }
        if !self.device.is_cuda() {
            ctx = ctx.with_tape(tape);
        }
        if let Some(executor) = &self.fused {
            ctx = ctx.with_fused(executor);
        }
        Ok(model.forward(inputs, &mut ctx)?)
    }

    /// Leaves the gradients of the pass before to whoever holds them.
    pub(super) fn keep_gradients(&self) {
        if let Some(executor) = &self.fused {
            executor.keep_tensors();
        }
    }
}
