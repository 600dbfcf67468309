//! The reference's YAML settings, in and out.
//!
//! A settings file of the reference has its model under `model: {name, kwargs}`;
//! [`crate::settings`] knows what the options mean. Going out, settings are written as the reference
//! would have them, read again, and both are resolved: what does not come back the same is an error, not a loss.

mod circuit;
mod export;
mod import;
mod lost;

pub use export::export_config;
pub use import::{ReferenceConfig, import_config};
