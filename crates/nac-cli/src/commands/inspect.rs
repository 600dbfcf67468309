//! `nac inspect`: the boxes of a model with their sizes, parameters and operations.

use nac_data::output;
use std::path::Path;

use anyhow::Result;
use nac_core::model::spec::{Algorithm, Node, table, tree};
use nac_core::model::{ModelFile, Preset};
use nac_data::DataDirs;
use nac_train::config::{RunConfig, load};
use nac_train::run::{RunFolder, model_file};

/// Arguments of `nac inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of a preset (see `nac presets`), a model.toml, a settings file, or the folder of a run
    model: String,
    /// Levels of boxes to show
    #[arg(long, value_name = "LEVELS", default_value_t = 3)]
    depth: usize,
    /// List every tensor with its shape instead
    #[arg(long)]
    parameters: bool,
}

pub(crate) fn command(args: &Args) -> Result<()> {
    output::print(describe(args)?)?;
    Ok(())
}

fn describe(args: &Args) -> Result<String> {
    let model = read(&args.model)?.resolve()?;
    if args.parameters {
        let all = model.parameters();
        let line = |p: &nac_core::model::spec::ParameterSpec| match &p.shared_with {
            Some(target) => format!("{} {:?} is {target}\n", p.name, p.shape),
            None if p.trained => format!("{} {:?}\n", p.name, p.shape),
            None => format!("{} {:?} not trained\n", p.name, p.shape),
        };
        return Ok(all.iter().map(line).collect());
    }
    let [reference, folded] =
        [Algorithm::Reference, Algorithm::Folded].map(|algorithm| model.operations(algorithm));
    let boxes = tree(&model, args.depth);
    let operations = table(&reference, &folded);
    Ok(format!(
        "Path: box (trained parameters)\n\n{boxes}\n{operations}"
    ))
}

/// The model that a name or a path stands for.
fn read(name: &str) -> Result<ModelFile> {
    let path = Path::new(name);
    if path.is_dir() {
        let exported = path.join("model.toml");
        if exported.is_file() {
            return Ok(ModelFile::read(&exported)?);
        }
        return of_run(RunFolder::new(path.to_owned()).config()?);
    }
    if !path.is_file() {
        return Ok(Preset::get(name)?.file);
    }
    let text = std::fs::read_to_string(path)?;
    if text.lines().any(|line| line.starts_with("[inputs")) {
        return Ok(ModelFile::from_toml_of(&text, path)?);
    }
    of_run(load(path, &[])?)
}

fn of_run(config: RunConfig) -> Result<ModelFile> {
    let config = config.check()?;
    Ok(model_file(
        &config,
        &nac_data::describe(&config.data, &DataDirs::discover(None)?)?,
    )?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn shown(model: &str, parameters: bool) -> String {
        let args = Args {
            model: model.into(),
            depth: 3,
            parameters,
        };
        describe(&args).unwrap()
    }

    #[test]
    fn presets_and_settings_files_are_the_same_model() {
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/quick-digits.toml");
        let preset = shown("cpu-digits", false);
        assert!(
            preset.contains(": model of 10 outputs (451359)"),
            "{preset}"
        );
        assert!(preset.contains("latent_graphs.0.propagators.3.ffn: ModFFN 64 -> 128 -> 64"));
        assert!(preset.contains("| propagators ffn |"), "{preset}");
        assert_eq!(preset, shown(config, false));
        let core = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../nac-core/presets/cpu-digits.toml"
        );
        assert_eq!(preset, shown(core, false));
    }

    #[test]
    fn tensors_are_listed_with_their_shapes() {
        let all = shown("cpu-digits", true);
        assert!(
            all.contains("latent_graphs.0.mediator_latents.codes_ [32, 64]\n"),
            "{all}"
        );
        let kernel =
            "latent_graphs.0.propagators.0.latent_attention.kernel.bandwidth [] not trained\n";
        assert!(all.contains(kernel), "{all}");
    }

    #[test]
    fn unknown_models_are_refused() {
        assert!(read("chonker").unwrap_err().to_string().contains("preset"));
    }
}
