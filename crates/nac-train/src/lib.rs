//! Training of Neural Attentive Circuits (NAC, arXiv 2210.08031).
//!
//! ```text
//! config ──► run ──► data, model ──► trainer ──► checkpoint, metrics, render ──► summary
//!                                    │  batch → loss terms → gradients → optim
//! ```
//!
//! - [`config`]: settings from TOML, checked once;
//! - [`run`]: a whole run in a folder, as `nac train` does it;
//! - [`adapt`]: trained models learn other classes from a few examples;
//! - [`robustness`]: trained models on corrupted images and renditions;
//! - [`trainer`]: the loop, for your own model, data, losses;
//! - [`loss`], [`metrics`], [`optim`], [`checkpoint`], [`render`]: one trait each, with a null
//!   implementation; [`testing`] has test doubles;
//! - [`batch`]: from buffers to tensors and plain arrays;
//! - [`summary`]: the summary of a finished run; [`storage`]: atomic file writes.
//!
//! Weights and settings of the authors' PyTorch code are nac-pytorch's, reports and the program `nac` nac-cli's.
//!
//! A linear model on images in memory:
//!
//! ```
//! use std::sync::Arc;
//!
//! use nac_data::testing::InMemory;
//! use nac_modules::testing::LinearModel;
//! use nac_train::prelude::*;
//! use tch::{Device, Kind};
//!
//! let data = Arc::new(InMemory::images(64, 1, 4, 4, 2));
//! let store = ParamStore::new(Device::Cpu, Kind::Float, 42);
//! let model = LinearModel::new(store, "image", 16, 2)?;
//! let mut trainer = Trainer::builder(Box::new(model), data.clone())
//!     .loss(CrossEntropy::new(0.0))
//!     .metric(Accuracy)
//!     .schedule(0.01)
//!     .steps(300)
//!     .build()?;
//! assert_eq!(trainer.train()?, Outcome::Finished);
//! let data: Arc<dyn Dataset> = data;
//! assert!(trainer.evaluate(&data)?.metric("accuracy") > Some(0.9));
//! # Ok::<(), nac_train::TrainError>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod adapt;
pub mod batch;
pub mod checkpoint;
pub mod config;
mod error;
mod finite;
pub mod loss;
pub mod metrics;
pub mod optim;
pub mod prelude;
pub mod processes;
pub mod render;
pub mod result_folder;
pub mod robustness;
pub mod run;
pub mod scheduled;
pub mod statistics;
pub mod storage;
pub mod summary;
pub mod testing;
mod torch_engine;
pub mod trainer;

pub use error::{Result, TrainError};
pub use torch_engine::TorchEngine;
