//! Says which blocks of a run's model libtorch runs although fused blocks were wanted, and why.

use std::collections::BTreeMap;

use nac_core::model::spec::ModelSpec;
use nac_modules::fused::{BlockCoverage, coverage};
use tch::{Device, Kind};

use crate::config::{Executor, TrainingConfig};
use crate::error::{Result, TrainError};

/// Blocks of one reason that are named; more are counted.
const NAMED: usize = 3;

/// What to say at the start of a run, if anything.
///
/// # Errors
/// `training.executor` is `fused` and a block is not covered.
pub(crate) fn uncovered_blocks(
    training: &TrainingConfig,
    model: &ModelSpec,
    device: Device,
) -> Result<Option<String>> {
    let blocks = coverage(model, Kind::Float, device);
    let Some(reasons) = by_reason(&blocks) else {
        return Ok(None);
    };
    match training.executor {
        Executor::Fused => Err(TrainError::setting(
            "training.executor",
            "fused",
            format!("libtorch has to run {reasons}; use auto"),
        )),
        Executor::Auto if device == Device::Cpu => {
            Ok(Some(format!("libtorch, not a fused block, runs {reasons}")))
        }
        Executor::Auto | Executor::Torch => Ok(None),
    }
}

/// `2 of 10 blocks: a, b (why)`; `None` if all are covered.
fn by_reason(blocks: &[BlockCoverage]) -> Option<String> {
    let mut reasons = BTreeMap::<&str, Vec<&str>>::new();
    for block in blocks {
        if let Some(reason) = &block.reason {
            reasons.entry(reason).or_default().push(&block.block);
        }
    }
    let count: usize = reasons.values().map(Vec::len).sum();
    let parts = reasons.iter().map(|(reason, names)| {
        let more = names.len().saturating_sub(NAMED);
        let more = (more > 0).then(|| format!(" and {more} more"));
        let named = names[..names.len().min(NAMED)].join(", ");
        format!("{named}{} ({reason})", more.unwrap_or_default())
    });
    let parts: Vec<String> = parts.collect();
    (count > 0).then(|| format!("{count} of {} blocks: {}", blocks.len(), parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use nac_core::model::{InputSpec, ProjectionKind};

    fn said(change: impl Fn(&mut RunConfig), device: Device) -> Result<Option<String>> {
        let mut config = RunConfig::default();
        change(&mut config);
        let model = config
            .model
            .resolve(&InputSpec::image(1, 8, 8), 10)
            .unwrap();
        uncovered_blocks(&config.training, &model, device)
    }

    #[test]
    fn uncovered_blocks_are_named_with_the_setting() {
        let demodulated = |config: &mut RunConfig| {
            config.model.circuit.mod_fc.kind = ProjectionKind::WModFc;
        };
        assert_eq!(said(|_| (), Device::Cpu).unwrap(), None);
        let text = said(demodulated, Device::Cpu).unwrap().unwrap();
        assert!(text.contains("read_in_attention"), "{text}");
        assert!(text.contains("more (mod_fc.kind = \"wmod_fc\")"), "{text}");
        assert_eq!(said(demodulated, Device::Cuda(0)).unwrap(), None);
        let torch = |config: &mut RunConfig| {
            demodulated(config);
            config.training.executor = Executor::Torch;
        };
        assert_eq!(said(torch, Device::Cpu).unwrap(), None);
    }

    #[test]
    fn wanting_fused_blocks_only_is_an_error_where_they_cannot_be() {
        let fused = |config: &mut RunConfig| config.training.executor = Executor::Fused;
        assert_eq!(said(fused, Device::Cpu).unwrap(), None);
        let error = said(fused, Device::Cuda(0)).unwrap_err().to_string();
        assert!(error.contains("training.executor"), "{error}");
        assert!(error.contains("Cuda(0)"), "{error}");
    }
}
