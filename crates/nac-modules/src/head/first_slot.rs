//! The first read-out module's output as logits: reference `tokenizers.py`, class `FirstSlotAsLogits`.

use tch::Tensor;

use crate::error::{ModuleError, Result};

/// Takes the output of the first read-out module as logits. No parameters.
#[derive(Debug, Clone, Copy, Default)]
pub struct FirstSlot;

impl FirstSlot {
    /// Logits.
    ///
    /// # Shapes
    /// - states: `[batch, modules, classes]`, or `[batch, classes]` for a single module
    /// - output: `[batch, classes]`
    ///
    /// # Errors
    /// The rank is another one, or there is no module.
    pub fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let size = states.size();
        match size.len() {
            2 => Ok(states.shallow_clone()),
            3 if size[1] > 0 => Ok(states.select(1, 0)),
            _ => Err(ModuleError::Shape {
                op: "FirstSlot",
                name: "states".into(),
                expected: "[batch, modules>=1, classes] or [batch, classes]".into(),
                found: size,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn takes_the_first_module_or_the_only_one() {
        let states = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([2, 3, 2]);
        let logits = FirstSlot.forward(&states).unwrap();
        assert_eq!(logits, Tensor::from_slice2(&[[0.0_f32, 1.0], [6.0, 7.0]]));
        assert_eq!(FirstSlot.forward(&logits).unwrap(), logits);
        assert!(FirstSlot.forward(&states.flatten(0, 2)).is_err());
    }
}
