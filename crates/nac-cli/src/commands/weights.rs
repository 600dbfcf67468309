//! `nac weights`: looks into files of weights, converts them, and checks them against a model.

use nac_data::output;
use std::path::{Path, PathBuf};

use anyhow::Result;
use nac_pytorch::weights::{
    Contents, Format, Names, Pattern, StateDict, TensorPart, check, inspect, read, write,
    write_text,
};
use nac_pytorch::yaml::{export_config, import_config};
use nac_train::config::{Override, RunConfig, load};
use nac_train::run::RunFolder;

use crate::about::About as _;

/// Arguments of `nac weights`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the tensors of a .safetensors, checkpoint, .pt or .pth file
    Inspect {
        /// The file
        file: PathBuf,
    },
    /// Copy weights from one format to another, bit for bit
    Convert {
        /// File to read: .safetensors, a checkpoint of a run, .pt or .pth
        input: PathBuf,
        /// File to write
        output: PathBuf,
        /// Format to write [default: by the name of the file]
        #[arg(long, value_enum)]
        to: Option<To>,
        #[command(flatten)]
        part: Part,
        /// Settings file of the reference (YAML): the weights must fit its model
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Write that model's settings as TOML
        #[arg(long, value_name = "FILE", requires = "config")]
        config_out: Option<PathBuf>,
        /// Replace existing files
        #[arg(long)]
        force: bool,
    },
    /// Turn the model in a settings file of the reference (YAML) into ours (TOML), or the other way round
    ConvertConfig {
        /// File to read: .yml, .yaml or .toml
        input: PathBuf,
        /// File to write
        output: PathBuf,
        /// Replace an existing file
        #[arg(long)]
        force: bool,
    },
    /// Say whether weights fit the model of a run or of a settings file
    Check {
        /// File with weights
        file: PathBuf,
        /// Folder of a run
        #[arg(long, value_name = "DIR", required_unless_present = "config")]
        run: Option<PathBuf>,
        /// Settings file
        #[arg(long, value_name = "FILE", conflicts_with = "run")]
        config: Option<PathBuf>,
        /// Change a setting, such as model.circuit.modules=64; may be repeated
        #[arg(long, value_name = "KEY=VALUE", requires = "config")]
        set: Vec<Override>,
        #[command(flatten)]
        part: Part,
    },
}

/// Which tensors of a file.
#[derive(Debug, clap::Args)]
struct Part {
    /// Which part of the file, such as model or state_dict_ema
    #[arg(long)]
    key: Option<String>,
    /// Leave out tensors with this name, such as n_averaged; `*` stands for any text. May be repeated
    #[arg(long, value_name = "NAME")]
    drop: Vec<Pattern>,
    /// Take this from the start of names, such as module. or _orig_mod.; repeat it for several, which are taken off one
    /// after another
    #[arg(long, value_name = "PREFIX")]
    strip_prefix: Vec<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum To {
    Safetensors,
    Pt,
}

impl Part {
    fn read(&self, file: &Path) -> Result<StateDict> {
        let weights = read(file, self.key.as_deref())?;
        let names = Names {
            drop: self.drop.clone(),
            prefixes: self.strip_prefix.clone(),
        };
        Ok(weights.rename(file, &names)?)
    }
}

pub(crate) fn command(args: &Args) -> Result<()> {
    match &args.command {
        Command::Inspect { file } => show(&inspect(file)?)?,
        Command::Convert {
            input,
            output,
            to,
            part,
            config,
            config_out,
            force,
        } => {
            let format = match to {
                Some(To::Safetensors) => Format::Safetensors,
                Some(To::Pt) => Format::Torch,
                None => Format::from_name(output)?,
            };
            let weights = part.read(input)?;
            if let Some(path) = config {
                let reference = import_config(path)?;
                reference.check(input, &weights)?;
                if let Some(out) = config_out {
                    write_text(out, &reference.to_toml()?, *force)?;
                    output::report(format_args!("{}: the model's settings", out.display()));
                }
            }
            write(output, &weights.tensors, format, *force)?;
            output::report(format_args!(
                "{}: {} tensors{} written as {format}",
                output.display(),
                weights.tensors.len(),
                under(&weights.key)
            ));
        }
        Command::ConvertConfig {
            input,
            output,
            force,
        } => convert_config(input, output, *force)?,
        Command::Check {
            file,
            run,
            config,
            set,
            part,
        } => {
            let config = settings(run.as_deref(), config.as_deref(), set)?.check()?;
            let weights = part.read(file)?;
            let model = check(&config, file, &weights)?;
            output::report(format_args!(
                "{}: {} tensors{} fit the model {} with {} parameters",
                file.display(),
                weights.tensors.len(),
                under(&weights.key),
                config.model.kind,
                model.params().parameter_count()
            ));
        }
    }
    Ok(())
}

fn convert_config(input: &Path, output: &Path, force: bool) -> Result<()> {
    let extension = input.extension().and_then(|e| e.to_str()).unwrap_or("");
    let text = match extension.to_ascii_lowercase().as_str() {
        "yml" | "yaml" => import_config(input)?.to_toml()?,
        "toml" => export_config(input, &load(input, &[])?.check()?)?,
        _ => anyhow::bail!(
            "{}: expected a settings file that ends with .yml, .yaml or .toml",
            input.display()
        ),
    };
    write_text(output, &text, force)?;
    output::report(format_args!("{}: the model's settings", output.display()));
    Ok(())
}

fn settings(run: Option<&Path>, config: Option<&Path>, set: &[Override]) -> Result<RunConfig> {
    match (run, config) {
        (Some(folder), _) => RunFolder::new(folder.to_owned())
            .config()
            .about("reading the run", folder),
        (None, Some(path)) => Ok(load(path, set)?),
        (None, None) => anyhow::bail!("give --run or --config"),
    }
}

fn under(key: &str) -> String {
    if key.is_empty() {
        String::new()
    } else {
        format!(" under `{key}`")
    }
}

fn show(contents: &Contents) -> Result<()> {
    output::print(format_args!("format: {}\n", contents.format))?;
    for (key, value) in &contents.metadata {
        output::print(format_args!("{key}: {}\n", shortened(value)))?;
    }
    for part in &contents.parts {
        show_part(part)?;
    }
    Ok(())
}

fn show_part(part: &TensorPart) -> Result<()> {
    output::print("\n")?;
    if !part.key.is_empty() {
        output::print(format_args!("--key {}\n", part.key))?;
    }
    let shape = |shape: &[u64]| format!("{shape:?}");
    let widest = |width: fn(&nac_pytorch::weights::TensorHeader) -> usize| {
        part.tensors.iter().map(width).max().unwrap_or(0)
    };
    let (names, shapes) = (
        widest(|tensor| tensor.name.chars().count()),
        widest(|tensor| format!("{:?}", tensor.shape).len()),
    );
    for tensor in &part.tensors {
        output::print(format_args!(
            "{:names$}  {:shapes$}  {:4}  {:>12} bytes\n",
            tensor.name,
            shape(&tensor.shape),
            tensor.kind,
            tensor.bytes
        ))?;
    }
    output::print(format_args!(
        "{} tensors, {} parameters, {} bytes\n",
        part.tensors.len(),
        part.elements(),
        part.bytes()
    ))?;
    Ok(())
}

/// Metadata may hold the whole state of a run.
fn shortened(value: &str) -> String {
    const MOST: usize = 100;
    if value.chars().count() <= MOST {
        return value.to_owned();
    }
    let start: String = value.chars().take(MOST).collect();
    format!("{start}… ({} bytes)", value.len())
}
