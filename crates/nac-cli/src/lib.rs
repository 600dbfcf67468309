//! What the program `nac` adds to the crates below it: the paper's experiments and reports of runs.
//!
//! - [`reproduce`]: the main experiments, as `nac reproduce-paper` runs them;
//! - [`init`]: settings for a user's own data;
//! - [`processes`]: starting and joining several processes that train one model;
//! - [`report`]: tables and pages of several runs.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod init;
pub mod processes;
pub mod report;
pub mod reproduce;

/// The Rust on the pages for people, compiled and run as doc tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../ARCHITECTURE.md")]
    struct Architecture;
    #[doc = include_str!("../../nac-core/README.md")]
    struct NacCore;
    #[doc = include_str!("../../nac-engine/README.md")]
    struct NacEngine;
    #[doc = include_str!("../../nac-data/README.md")]
    struct NacData;
    #[doc = include_str!("../../nac-modules/README.md")]
    struct NacModules;
    #[doc = include_str!("../../nac-dist/README.md")]
    struct NacDist;
    #[doc = include_str!("../../nac-train/README.md")]
    struct NacTrain;
    #[doc = include_str!("../../../docs/src/quick-start.md")]
    struct QuickStart;
    #[doc = include_str!("../../../docs/src/model.md")]
    struct Model;
    #[doc = include_str!("../../../docs/src/presets.md")]
    struct Presets;
    #[doc = include_str!("../../../docs/src/engine.md")]
    struct WithoutLibtorch;
    #[doc = include_str!("../../../docs/src/data.md")]
    struct Data;
    #[doc = include_str!("../../../docs/src/extending.md")]
    struct Extending;
    #[doc = include_str!("../../../docs/src/troubleshooting.md")]
    struct Troubleshooting;
}
