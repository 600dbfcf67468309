//! Which parameters decay: the paper's rule (reference `templates`, timm's filter with the list
//! `signatures_`, `grid`).

use tch::Tensor;

/// Whether weight decay acts on a parameter: it has two dimensions or more, and its name does not end in
/// `bias`, `signatures_` or `grid`.
pub fn decays(name: &str, parameter: &Tensor) -> bool {
    parameter.dim() > 1
        && !["bias", "signatures_", "grid"]
            .iter()
            .any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_modules::model::{InputSpec, ModelConfig, OutputSpec, build_model};
    use nac_modules::params::ParamStore;
    use tch::{Device, Kind};

    #[test]
    fn of_a_whole_circuit_only_matrices_and_codes_decay() {
        let mut config = ModelConfig::default();
        (
            config.circuit.modules,
            config.circuit.state_dim,
            config.circuit.propagators,
        ) = (4, 8, 1);
        let input = InputSpec::image(1, 8, 8);
        let store = ParamStore::sizes_only(Device::Cpu, Kind::Float);
        let model = build_model(store, &config, &input, &OutputSpec::classes(3)).unwrap();
        let (yes, no): (Vec<_>, Vec<_>) = model
            .params()
            .parameters()
            .partition(|(name, t)| decays(name, t));
        let names = |group: &[(&str, &Tensor)]| {
            group.iter().map(|(n, _)| n.to_string()).collect::<Vec<_>>()
        };
        let (yes, no) = (names(&yes), names(&no));
        let any = |group: &[String], end: &str| group.iter().any(|name| name.ends_with(end));
        for end in ["native_weight", "codes_", "scale.weight"] {
            assert!(any(&yes, end) && !any(&no, end), "{end}");
        }
        for end in ["bias", "signatures_", "grid", "scale_gain"] {
            assert!(any(&no, end) && !any(&yes, end), "{end}");
        }
    }
}
