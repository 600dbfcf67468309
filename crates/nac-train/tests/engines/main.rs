//! The engine without libtorch computes what models on libtorch compute, for presets and for every option.
#![allow(missing_docs, clippy::unwrap_used)]

mod baselines;
mod both;
mod circuits;
mod ends;
mod errors;
mod inputs;

mod runs;
mod texts;
mod tokenizers;
