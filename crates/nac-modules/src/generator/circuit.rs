//! What a generator gives: the modules of a circuit.

use nac_core::model::ModuleGroup;
use tch::Tensor;

use crate::error::{ModuleError, Result};

/// Signatures, codes and initial states of a set of modules.
///
/// Each is `[modules, dim]`, shared by the batch, or `[batch, modules, dim]`, one per example.
#[derive(Debug)]
pub struct ModuleSet {
    /// Signatures, `[modules, signature]`.
    pub signatures: Tensor,
    /// Codes, `[modules, code]`.
    pub codes: Tensor,
    /// Codes of each propagator, as `codes`, if they differ; empty if `codes` serve all.
    pub layer_codes: Vec<Tensor>,
    /// Initial states, `[modules, state]`. Not used for processors that take over the states of the read-in.
    pub states: Tensor,
}

impl ModuleSet {
    /// Codes in propagator `layer`.
    pub fn codes_at(&self, layer: usize) -> &Tensor {
        self.layer_codes.get(layer).unwrap_or(&self.codes)
    }

    /// Initial states if every example has the same.
    pub(crate) fn shared_states(&self) -> Option<&Tensor> {
        (self.states.dim() == 2).then_some(&self.states)
    }

    /// Initial states for a batch.
    ///
    /// # Shapes
    /// - output: `[batch, modules, state]`
    pub fn batched_states(&self, batch: i64) -> Tensor {
        if self.states.dim() == 2 {
            self.states.unsqueeze(0).expand([batch, -1, -1], false)
        } else {
            self.states.shallow_clone()
        }
    }
}

/// The configuration of a circuit: all its modules.
#[derive(Debug)]
pub struct Circuit {
    /// Modules that read the input; in the final configuration their states become the processors'.
    pub read_in: ModuleSet,
    /// Modules that exchange messages in the propagators. As many as `read_in` if they take its states over.
    pub processors: ModuleSet,
    /// Modules that gather the result.
    pub read_out: ModuleSet,
    /// Which text each example has, `[batch]`, numbers from 0 on that count the different texts of the batch; `None` if no
    /// text changes the circuit.
    pub texts: Option<Tensor>,
}

impl Circuit {
    /// One of the sets.
    pub fn group(&self, group: ModuleGroup) -> &ModuleSet {
        match group {
            ModuleGroup::ReadIn => &self.read_in,
            ModuleGroup::Processors => &self.processors,
            ModuleGroup::ReadOut => &self.read_out,
        }
    }

    /// Whether the processors read the input themselves, so that `read_in` are the same modules.
    pub fn processors_read(&self) -> bool {
        let (reader, processors) = (&self.read_in.signatures, &self.processors.signatures);
        reader.data_ptr() == processors.data_ptr() && reader.size() == processors.size()
    }
}

/// Modules of `first`, then those of `second`; where one of the two is per example, the result is.
///
/// # Shapes
/// - first, second: `[modules, dim]` or `[batch, modules, dim]`
///
/// # Errors
/// Dimensions or batches differ; `name` is named in the message.
pub fn join_modules(name: &str, first: &Tensor, second: &Tensor) -> Result<Tensor> {
    let (f, s) = (first.size(), second.size());
    let ranks_fit = (2..=3).contains(&f.len()) && (2..=3).contains(&s.len());
    let batches_fit = f.len() != s.len() || f.len() == 2 || f[0] == s[0];
    if !(ranks_fit && batches_fit && f.last() == s.last()) {
        return Err(ModuleError::Shape {
            op: "join_modules",
            name: name.to_owned(),
            expected: format!("to go with those of other modules, {f:?}"),
            found: s,
        });
    }
    let batched = |t: &Tensor, batch: i64| t.unsqueeze(0).expand([batch, -1, -1], false);
    Ok(match (f.len(), s.len()) {
        (2, 3) => Tensor::f_cat(&[&batched(first, s[0]), second], 1)?,
        (3, 2) => Tensor::f_cat(&[first, &batched(second, f[0])], 1)?,
        _ => Tensor::f_cat(&[first, second], -2)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn modules_of_both_ranks_join() {
        let ones = |size: &[i64]| Tensor::ones(size, (Kind::Float, Device::Cpu));
        let size =
            |a: &[i64], b: &[i64]| join_modules("codes", &ones(a), &ones(b)).map(|t| t.size());
        assert_eq!(size(&[2, 5], &[3, 5]).unwrap(), [5, 5]);
        assert_eq!(size(&[4, 2, 5], &[3, 5]).unwrap(), [4, 5, 5]);
        assert_eq!(size(&[2, 5], &[4, 3, 5]).unwrap(), [4, 5, 5]);
        assert!(size(&[2, 5], &[3, 6]).is_err());
        assert!(size(&[4, 2, 5], &[3, 3, 5]).is_err());
    }
}
