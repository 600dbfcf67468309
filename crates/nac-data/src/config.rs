//! [`DataConfig`]: the `[data]` table of a run's TOML file.

use serde::{Deserialize, Serialize};

use crate::ListOpsConfig;

/// Which data, and how they are changed for training.
///
/// ```toml
/// [data]
/// name = "cifar10"                                  # "cifar10", "digits" or "listops"
/// augment = ["random_crop:4", "horizontal_flip"]    # training only; default none
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Data set, one of [`names`](crate::names()). Default `"digits"`.
    pub name: String,
    /// Random changes of training examples, in order, as `name` or `name:number`; see
    /// [`transform`](crate::transform). Default none.
    pub augment: Vec<String>,
    /// Settings of the ListOps generator; used if `name` is `"listops"`.
    pub listops: ListOpsConfig,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            name: "digits".into(),
            augment: Vec::new(),
            listops: ListOpsConfig::default(),
        }
    }
}
