//! Presets for the data sets here carry the inputs and outputs that the data sets have.
#![allow(clippy::unwrap_used)]

use nac_core::model::Preset;
use nac_data::{DataConfig, DataDirs, describe};

#[test]
fn presets_describe_their_data_sets() {
    for name in ["digits", "cifar10"] {
        let config = DataConfig {
            name: name.into(),
            ..DataConfig::default()
        };
        let info = describe(&config, &DataDirs::new(None, None, "cache".into())).unwrap();
        let file = Preset::get(&format!("cpu-{name}")).unwrap().file;
        assert_eq!(file.inputs, info.inputs, "{name}");
        assert_eq!(file.output, info.output, "{name}");
    }
}
