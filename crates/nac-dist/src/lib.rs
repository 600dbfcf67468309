#![doc = include_str!("../README.md")]

mod environment;
mod error;
mod ffi;
mod gloo;
mod group;
mod launcher;
mod roll_call;

pub use environment::{Environment, Source, Store};
pub use error::{DistError, Result};
pub use gloo::{Gloo, GlooOptions};
pub use group::{Group, Single, all_gather};
pub use launcher::{Ended, Launcher};
