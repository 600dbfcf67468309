//! Finds or installs the libtorch that the nac crates need, and tells cargo where it is.
//!
//! [`Search`] looks for libtorch 2.11.0 in the usual locations, and builds it in the cache from the published
//! wheels where it is missing. [`project::plan`] works out the lines of `.cargo/config.toml` that a project
//! needs to build against it. The program `nac-setup` does both; nothing here links libtorch.
//!
//! ```no_run
//! use nac_setup::{Console, Search, project};
//!
//! # fn main() -> Result<(), nac_setup::SetupError> {
//! let found = Search::new(None).install(false, &Console::new())?;
//! let edit = project::plan(std::path::Path::new("."), &found.libtorch)?;
//! print!("{}", edit.lines());
//! edit.write()?;
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod build;
pub mod cache;
pub mod command;
mod contents;
pub mod driver;
mod error;
mod index;
mod kind;
pub mod layout;
mod lock;
pub mod prerequisites;
mod progress;
pub mod project;
pub mod python;
mod search;
mod sources;
#[cfg(test)]
mod tests;
mod wheel;

pub use error::{PIP_FIX, SetupError, chain};
pub use kind::{Kind, VERSION};
pub use layout::Libtorch;
pub use progress::{Console, amount};
pub use search::{Found, Origin, Search, linked};
