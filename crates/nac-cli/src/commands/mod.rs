//! One file per command.

pub(crate) mod adapt;
pub(crate) mod config;
pub(crate) mod data;
pub(crate) mod engine_args;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod parity;
pub(crate) mod predict;
pub(crate) mod presets;
pub(crate) mod reproduce;
pub(crate) mod robustness;
pub(crate) mod train;
pub(crate) mod weights;
