//! Initial signatures that are fitted to a graph, before a run starts. See [`nac_core::graph::signature_fit`].

use nac_core::rng::Streams;
use nac_modules::model::{Model, ModelKind};
use tch::Tensor;

use crate::config::ValidConfig;
use crate::error::{Result, TrainError};

/// Overwrites the signatures of each set of modules that is to be fitted to a graph. The graph and the start of the
/// fit come from the seed.
///
/// # Errors
/// The model has no free signatures of such a set, or the fit does not go with their number.
pub fn fit_signatures(config: &ValidConfig, model: &dyn Model) -> Result<()> {
    if config.model.kind != ModelKind::Nac {
        return Ok(());
    }
    for (group, fit) in config.signature_fit.iter() {
        let name = format!("signature_fit.{group}");
        let refuse = |reason: String| TrainError::setting(&name, fit.graph.name(), reason);
        let signatures = model.free_signatures(group).ok_or_else(|| {
            refuse("the circuit has no such modules, or computes their signatures".into())
        })?;
        let size = signatures.size();
        let sizes = size.iter().map(|&size| usize::try_from(size).unwrap_or(0));
        let [modules, dim] = sizes.collect::<Vec<_>>()[..] else {
            return Err(refuse(format!(
                "signatures are {size:?}, not [modules, dim]"
            )));
        };
        let streams = Streams::new(config.seed).child(&name);
        let fit = fit.signatures(modules, dim, streams)?;
        let values: Vec<f64> = fit.signatures.iter().copied().collect();
        let values = Tensor::f_from_slice(&values)?.f_view(size.as_slice())?;
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
    use nac_core::graph::signature_fit::SignatureFitConfig;
    use nac_data::testing::InMemory;
    use tch::{Device, Kind};

    #[test]
    fn fits_change_their_signatures_only_and_make_links_follow_the_graph() {
        let mut config = RunConfig::default();
        let circuit = &mut config.model.circuit;
        (circuit.modules, circuit.read_out_modules) = (12, 3);
        (circuit.state_dim, circuit.propagators) = (16, 1);
        let info = InMemory::images(4, 1, 8, 8, 3).info_owned();
        let build = |config: &RunConfig| {
            let config = config.check().unwrap();
            let model = build_model(&config, &info, Device::Cpu).unwrap();
            fit_signatures(&config, model.as_ref()).unwrap();
            model.params().export().unwrap()
        };
        let plain = build(&config);
        config.signature_fit.processors = Some(SignatureFitConfig {
            learning_rate: 0.01,
            ..SignatureFitConfig::new(GraphGenerator::RingOfCliques { cliques: 3 })
        });
        let fitted = build(&config);
        let changed: Vec<&String> = plain
            .keys()
            .filter(|name| plain[*name] != fitted[*name])
            .collect();
        assert_eq!(changed, ["latent_graphs.0.mediator_latents.signatures_"]);
        assert_eq!(fitted, build(&config), "fixed by the seed");
        let signatures = fitted[changed[0]].to_kind(Kind::Double);
        let norms = signatures.norm_scalaropt_dim(2.0, [1_i64].as_slice(), true);
        let unit = signatures / norms;
        let distance: Tensor = 1.0 - unit.matmul(&unit.transpose(0, 1));
        // Modules 0 and 3 share a clique, 3 and 9 do not.
        assert!(distance.double_value(&[0, 3]) < 0.81);
        assert!(distance.double_value(&[3, 9]) > 0.79);
    }

    #[test]
    fn graphs_that_do_not_fit_are_named() {
        let mut config = RunConfig::default();
        config.signature_fit.read_out =
            Some(SignatureFitConfig::new(GraphGenerator::BarabasiAlbert {
                m: 64,
            }));
        let error = config.check().unwrap_err().to_string();
        assert!(error.starts_with("signature_fit.read_out = "), "{error}");
        config.signature_fit = Default::default();
        config.model.circuit.wiring.separate_read_in_modules = false;
        config.signature_fit.read_in = Some(SignatureFitConfig::new(GraphGenerator::Complete {}));
        let error = config.check().unwrap_err().to_string();
        assert!(error.starts_with("signature_fit.read_in = "), "{error}");
    }
}
