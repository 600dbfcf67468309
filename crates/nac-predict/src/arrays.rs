//! Batches as engines read them.

use nac_data::{Batch, DataError, Values};
use nac_engine::Inputs;
use ndarray::{ArrayViewD, IxDyn};

/// The inputs of a batch as engines read them; nothing is copied.
///
/// # Errors
/// [`DataError::Shape`]: a buffer has values of a type that engines do not read.
pub fn arrays(batch: &Batch) -> Result<Inputs<'_>, DataError> {
    let mut inputs = Inputs::new();
    for (name, buffer) in &batch.inputs {
        let refused = || DataError::Shape {
            operation: format!("input `{name}` of a batch"),
            expected: "an array of u8, f32 or i64".into(),
            found: buffer.describe(),
        };
        let shape = IxDyn(buffer.shape());
        inputs = match buffer.values() {
            Values::U8(v) => inputs.with(name, view(&shape, v).ok_or_else(refused)?),
            Values::F32(v) => inputs.with(name, view(&shape, v).ok_or_else(refused)?),
            Values::I64(v) => inputs.with(name, view(&shape, v).ok_or_else(refused)?),
            _ => return Err(refused()),
        };
    }
    Ok(inputs)
}

fn view<'a, T>(shape: &IxDyn, values: &'a [T]) -> Option<ArrayViewD<'a, T>> {
    ArrayViewD::from_shape(shape.clone(), values).ok()
}
