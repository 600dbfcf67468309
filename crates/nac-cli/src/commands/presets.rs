//! `nac presets`: models by name.

use anyhow::Result;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use nac_data::output;
use nac_modules::model::{InputKind, InputSpec};
use nac_modules::presets::{BuildModel, Preset, names};

/// Arguments of `nac presets`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Preset to print; without it all are listed
    name: Option<String>,
}

pub(crate) fn command(args: &Args) -> Result<()> {
    if let Some(name) = &args.name {
        output::print(Preset::get(name)?.text)?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["preset", "kind", "parameters", "input", "classes"]);
    for name in names() {
        let preset = Preset::get(name)?;
        table.add_row([
            preset.name.to_owned(),
            preset.file.model.kind.to_string(),
            preset.parameter_count()?.to_string(),
            inputs(&preset.file.inputs),
            preset.file.output.width().to_string(),
        ]);
    }
    for column in [2, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    output::print(format_args!("{table}\n"))?;
    Ok(())
}

fn inputs(spec: &InputSpec) -> String {
    let describe = |(name, kind): (&str, &InputKind)| match kind {
        InputKind::Image {
            channels,
            height,
            width,
            ..
        } => format!("{name} {channels}x{height}x{width}"),
        InputKind::Tokens {
            vocabulary,
            max_len,
            ..
        } => format!("at most {max_len} of {vocabulary} symbols"),
        other => format!("{name} {}", other.describe()),
    };
    let all: Vec<String> = spec.iter().map(describe).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use nac_core::model::CircuitConfig;
    use nac_train::config::{from_toml, load};
    use nac_train::scheduled::ScheduledValue;

    #[test]
    fn small_presets_are_the_models_of_the_quick_profile() {
        for name in ["cifar10", "digits", "listops"] {
            let file = format!("{}/configs/quick-{name}.toml", env!("CARGO_MANIFEST_DIR"));
            let config = load(file.as_ref(), &[]).unwrap();
            let preset = Preset::get(&format!("cpu-{name}")).unwrap().file.model;
            let resolved = |circuit: &CircuitConfig| circuit.resolve(1, 1).unwrap();
            let (left, right) = (&preset.circuit, &config.model.circuit);
            assert_eq!(resolved(left), resolved(right), "{name}");
            if name == "listops" {
                assert_eq!(preset.embedding, config.model.embedding, "{name}");
            } else {
                assert_eq!(preset.convnext, config.model.convnext, "{name}");
            }
        }
    }

    #[test]
    fn the_conditional_preset_is_the_model_of_its_configuration() {
        let name = "sort-of-clevr-conditional";
        let file = format!("{}/configs/quick-{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let config = load(file.as_ref(), &[]).unwrap();
        let preset = Preset::get(&format!("cpu-{name}")).unwrap().file;
        let ours = &config.model;
        let theirs = &preset.model;
        let resolved = |model: &nac_core::model::ModelConfig| {
            let model = model.resolve(&preset.inputs, preset.output.width());
            nac_core::model::spec::tree(&model.unwrap(), 9)
        };
        assert_eq!(resolved(ours), resolved(theirs));
        assert_eq!(ours.circuit, theirs.circuit);
        assert_eq!(ours.generator, theirs.generator);
    }

    #[test]
    fn priors_in_headers_are_settings_of_a_run() {
        let mut found = 0;
        for name in names() {
            let lines = Preset::get(name).unwrap().text.lines();
            let table: Vec<&str> = lines
                .map(|line| line.trim_start_matches(['#', ' ']))
                .skip_while(|line| *line != "[loss.graph_prior]")
                .take(3)
                .collect();
            if table.is_empty() {
                continue;
            }
            let config = from_toml(&table.join("\n"), name.as_ref(), &[]).unwrap();
            let prior = config.loss.graph_prior.clone().unwrap();
            assert_eq!(prior.weight, ScheduledValue::Constant(0.1), "{name}");
            assert!(name.ends_with(prior.prior.build().name()), "{name}");
            found += 1;
        }
        assert_eq!(found, 5);
    }
}
