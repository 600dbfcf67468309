//! Options that choose what computes a model in evaluation.

use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use nac_engine::{EngineOptions, Precision};
use nac_train::run::EngineChoice;
use strum::VariantNames as _;

/// What computes a model.
#[derive(Debug, clap::Args)]
pub(crate) struct EngineArgs {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    /// Run the model through the common interface of engines: on nac-engine, or on libtorch [default: the trainer's
    /// evaluation on libtorch]
    #[arg(long, value_enum)]
    engine: Option<Runner>,
    /// Precision of matrix products of the core engine [default: f32]
    #[arg(long, value_parser = precision(), requires = "engine")]
    precision: Option<Precision>,
    /// Threads of the engine; 0: as many as the machine has [default: 0, libtorch: `threads` of the run]
    #[arg(long, requires = "engine", value_parser = nac_predict::program::threads)]
    threads: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Runner {
    Core,
    Torch,
}

impl EngineArgs {
    /// The engine, if one was named.
    pub(crate) fn choice(&self) -> Result<Option<EngineChoice>> {
        let Some(runner) = self.engine else {
            return Ok(None);
        };
        Ok(Some(match (runner, self.precision) {
            (Runner::Torch, Some(_)) => bail!("--precision is for --engine core"),
            (Runner::Torch, None) => EngineChoice::Torch {
                device: self.device.clone(),
                threads: self.threads,
            },
            (Runner::Core, _) if !["auto", "cpu"].contains(&self.device.as_str()) => {
                bail!("--engine core runs on the CPU, not on `{}`", self.device)
            }
            (Runner::Core, precision) => {
                let mut options = EngineOptions::default();
                if let Some(threads) = self.threads {
                    options.threads = threads;
                }
                if let Some(precision) = precision {
                    options.precision = precision;
                }
                EngineChoice::Core(options)
            }
        }))
    }
}

fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(Precision::VARIANTS).try_map(|name| name.parse::<Precision>())
}
