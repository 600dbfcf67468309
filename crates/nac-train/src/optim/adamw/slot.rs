//! What AdamW knows of a parameter besides its moments.

/// One parameter.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) shape: Vec<i64>,
    pub(super) steps: u64,
    pub(super) decays: bool,
}

impl Slot {
    /// Number of values.
    pub(super) fn count(&self) -> usize {
        self.shape
            .iter()
            .map(|&n| usize::try_from(n).unwrap_or(0))
            .product()
    }
}
