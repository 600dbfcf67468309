//! Training of Neural Attentive Circuits (NAC, arXiv 2210.08031).
//!
//! ```text
//! config ──► run ──► data, model ──► trainer ──► checkpoint, metrics ──► summary
//!                                    │  batch → loss terms → optim
//! ```
//!
//! - [`config`]: settings from TOML, checked once;
//! - [`run`]: a whole run in a folder, as `nac train` does it;
//! - [`trainer`]: the loop, for your own model, data, losses;
//! - [`loss`], [`metrics`], [`checkpoint`]: the seams, one trait each; [`testing`] has their doubles;
//! - [`optim`], [`batch`]: AdamW, learning rate, and the way from buffers to tensors and plain arrays;
//! - [`summary`]: what a finished run says about itself; [`storage`]: files that are whole or not there.
//!
//! Weights and settings of the authors' PyTorch code are nac-pytorch's, reports and the program `nac` nac-cli's.
//!
//! A linear model on pictures in memory:
//!
//! ```
//! use std::sync::Arc;
//!
//! use nac_data::testing::InMemory;
//! use nac_modules::params::ParamStore;
//! use nac_modules::testing::LinearModel;
//! use nac_train::loss::CrossEntropy;
//! use nac_train::testing::MemoryMetrics;
//! use nac_train::trainer::{Outcome, Trainer, TrainerOptions};
//! use tch::{Device, Kind};
//!
//! let data = Arc::new(InMemory::images(64, 1, 4, 4, 2));
//! let model = LinearModel::new(ParamStore::new(Device::Cpu, Kind::Float, 42), "image", 16, 2)?;
//! let metrics = MemoryMetrics::default();
//! let mut options = TrainerOptions { steps: 60, batch_size: 16, ..TrainerOptions::default() };
//! (options.optimizer.learning_rate, options.optimizer.warmup_steps) = (0.05, 0);
//! let mut trainer = Trainer::new(Box::new(model), vec![Box::new(CrossEntropy::new(0.0))], data.clone(), options)?
//!     .with_metrics(metrics.clone());
//! assert_eq!(trainer.train()?, Outcome::Finished);
//! assert!(trainer.evaluate(&(data as Arc<dyn nac_data::Dataset>))?.accuracy > 0.9);
//! assert_eq!(metrics.events().len(), 6);
//! # Ok::<(), nac_train::TrainError>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod batch;
pub mod checkpoint;
pub mod config;
mod error;
pub mod loss;
pub mod metrics;
pub mod optim;
pub mod run;
pub mod scheduled;
pub mod storage;
pub mod summary;
pub mod testing;
pub mod trainer;

pub use error::{Result, TrainError};
