//! States of a set of modules together with what makes each module itself.

use tch::Tensor;

use crate::error::Result;
use crate::shape;

/// Borrowed view of modules at one point of the execution.
#[derive(Debug, Clone, Copy)]
pub struct ModuleStates<'a> {
    /// States, `[batch, modules, state]`.
    pub states: &'a Tensor,
    /// `[modules, state]` if every example has these states and `states` is their expansion.
    pub shared_states: Option<&'a Tensor>,
    /// Signatures, `[modules, signature]` or `[batch, modules, signature]`.
    pub signatures: &'a Tensor,
    /// Codes, `[modules, code]` or `[batch, modules, code]`.
    pub codes: &'a Tensor,
}

impl ModuleStates<'_> {
    /// Checks that the three describe the same modules.
    pub(crate) fn check(&self, op: &'static str) -> Result<()> {
        shape::check(
            op,
            "states",
            self.states,
            &[("batch", None), ("modules", None), ("state", None)],
        )?;
        let size = self.states.size();
        shape::check_per_module(op, "signatures", self.signatures, size[0], size[1], None)?;
        shape::check_per_module(op, "codes", self.codes, size[0], size[1], None)
    }
}
