//! One layer of message passing between modules.

use super::step::Step;
use crate::attention::KeyValueProjection;
use crate::scratch::ScratchSize;

/// What the senders of a layer store, and what its receivers do with that.
#[derive(Debug, Clone)]
pub(crate) struct Propagation {
    /// Keys and values of the read-in modules, if they are attended to.
    pub(crate) read_in: Option<KeyValueProjection>,
    /// Keys and values of the processors.
    pub(crate) processors: KeyValueProjection,
    pub(crate) step: Step,
}

impl Propagation {
    pub(crate) fn scratch_size(&self) -> ScratchSize {
        let size = self.step.scratch_size().max(self.processors.scratch_size());
        match &self.read_in {
            Some(read_in) => size.max(read_in.scratch_size()),
            None => size,
        }
    }
}
