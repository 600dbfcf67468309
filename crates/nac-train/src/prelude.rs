//! What most programs that train need: `use nac_train::prelude::*;`.

pub use nac_data::Dataset;
pub use nac_modules::model::Model;
pub use nac_modules::params::ParamStore;

pub use crate::checkpoint::FolderStore;
pub use crate::error::TrainError;
pub use crate::loss::{CrossEntropy, LossContext, LossTerm};
pub use crate::metrics::{Accuracy, Metric, TopK};
pub use crate::optim::{AdamW, Optimizer, Schedule, WarmupCosine};
pub use crate::render::{ProgressMode, Renderer};
pub use crate::trainer::{Interrupt, Outcome, StopSignal, Trainer, TrainerOptions};
