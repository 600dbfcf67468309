//! Initial signatures that are fitted to a graph, before a run starts. See [`nac_core::graph::preset`].

use nac_core::rng::Streams;
use nac_modules::model::{Model, ModelKind};
use tch::Tensor;

use crate::config::ValidConfig;
use crate::error::{Result, TrainError};

/// Overwrites the signatures of each set of modules that has a preset. The graph and the start of the fit come
/// from the seed.
///
/// # Errors
/// The model has no signatures of such a set, or the preset does not go with their number.
pub fn preset_signatures(config: &ValidConfig, model: &mut dyn Model) -> Result<()> {
    if config.model.kind != ModelKind::Nac {
        return Ok(());
    }
    for (set, preset) in config.signature_presets.iter() {
        let suffix = format!("{set}_latents.signatures_");
        let params = model.params();
        let name = params
            .iter()
            .map(|(name, _)| name)
            .find(|name| name.ends_with(&suffix));
        let setting = format!("signature_presets.{set}");
        let graph = preset.graph.name();
        let Some(signatures) = name.and_then(|name| params.get(name)) else {
            let reason = "the circuit has no such modules of its own";
            return Err(TrainError::setting(&setting, graph, reason));
        };
        let sizes: Vec<usize> = signatures
            .size()
            .into_iter()
            .map(|size| usize::try_from(size).unwrap_or(0))
            .collect();
        let [modules, dim] = sizes[..] else {
            let reason = format!("signatures are {sizes:?}, not [modules, dim]");
            return Err(TrainError::setting(&setting, graph, reason));
        };
        let streams = Streams::new(config.seed).child(&format!("signature_presets/{set}"));
        let fit = preset.signatures(modules, dim, streams)?;
        let values: Vec<f64> = fit.signatures.iter().copied().collect();
        let values = Tensor::f_from_slice(&values)?.f_view(signatures.size().as_slice())?;
        tch::no_grad(|| signatures.shallow_clone().f_copy_(&values))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use crate::run::build_model;
    use nac_core::GraphGenerator;
    use nac_core::graph::preset::PresetConfig;
    use nac_data::testing::InMemory;
    use tch::{Device, Kind};

    #[test]
    fn presets_change_their_signatures_only_and_make_links_follow_the_graph() {
        let mut config = RunConfig::default();
        let circuit = &mut config.model.circuit;
        (circuit.modules, circuit.read_out_modules) = (12, 3);
        (circuit.state_dim, circuit.propagators) = (16, 1);
        let info = InMemory::images(4, 1, 8, 8, 3).info_owned();
        let build = |config: &RunConfig| {
            let config = config.check().unwrap();
            let mut model = build_model(&config, &info, Device::Cpu).unwrap();
            preset_signatures(&config, model.as_mut()).unwrap();
            model.params().export().unwrap()
        };
        let plain = build(&config);
        config.signature_presets.mediator = Some(PresetConfig {
            learning_rate: 0.01,
            ..PresetConfig::new(GraphGenerator::RingOfCliques { cliques: 3 })
        });
        let preset = build(&config);
        let changed: Vec<&String> = plain
            .keys()
            .filter(|name| plain[*name] != preset[*name])
            .collect();
        assert_eq!(changed, ["latent_graphs.0.mediator_latents.signatures_"]);
        assert_eq!(preset, build(&config), "fixed by the seed");
        let signatures = preset[changed[0]].to_kind(Kind::Double);
        let norms = signatures.norm_scalaropt_dim(2.0, [1_i64].as_slice(), true);
        let unit = signatures / norms;
        let distance: Tensor = 1.0 - unit.matmul(&unit.transpose(0, 1));
        // Modules 0 and 3 share a clique, 3 and 9 do not.
        assert!(distance.double_value(&[0, 3]) < 0.81);
        assert!(distance.double_value(&[3, 9]) > 0.79);
    }

    #[test]
    fn presets_that_do_not_fit_are_named() {
        let mut config = RunConfig::default();
        config.signature_presets.output =
            Some(PresetConfig::new(GraphGenerator::BarabasiAlbert { m: 64 }));
        let error = config.check().unwrap_err().to_string();
        assert!(error.starts_with("signature_presets.output = "), "{error}");
        config.signature_presets = Default::default();
        config.model.circuit.wiring.separate_read_in_modules = false;
        config.signature_presets.input = Some(PresetConfig::new(GraphGenerator::Complete {}));
        let error = config.check().unwrap_err().to_string();
        assert!(error.starts_with("signature_presets.input = "), "{error}");
    }
}
