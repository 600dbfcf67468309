//! The state of AdamW as named tensors, and back.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use super::moments::Moments;
use super::slot::Slot;
use crate::error::{Result, TrainError};

/// `m.<parameter>`, `v.<parameter>` and `t.<parameter>` of every slot.
pub(super) fn save(slots: &[Slot], moments: &Moments) -> Result<BTreeMap<String, Tensor>> {
    let mut state = BTreeMap::new();
    let mut start = 0;
    for (index, slot) in slots.iter().enumerate() {
        let count = slot.count();
        let pair = match moments {
            Moments::Flat {
                mean, mean_square, ..
            } => {
                let part = |values: &[f32]| -> Result<Tensor> {
                    let values = values.get(start..start + count).unwrap_or_default();
                    Ok(Tensor::f_from_slice(values)?.f_view(slot.shape.as_slice())?)
                };
                [part(mean)?, part(mean_square)?]
            }
            Moments::Tensors(pairs) => {
                let copy = |tensor: &Tensor| -> Result<Tensor> {
                    Ok(tensor.f_detach()?.f_to_device(Device::Cpu)?.copy())
                };
                let Some([mean, mean_square]) = pairs.get(index) else {
                    continue;
                };
                [copy(mean)?, copy(mean_square)?]
            }
        };
        start += count;
        let steps = i64::try_from(slot.steps).unwrap_or(i64::MAX);
        let steps = Tensor::f_from_slice(&[steps])?.f_view([] as [i64; 0])?;
        let [mean, mean_square] = pair;
        for (key, tensor) in [("m", mean), ("v", mean_square), ("t", steps)] {
            state.insert(format!("{key}.{}", slot.name), tensor);
        }
    }
    Ok(state)
}

/// Takes back what [`save`] gave, into fresh slots and moments.
pub(super) fn load(
    slots: &mut [Slot],
    moments: &mut Moments,
    state: &BTreeMap<String, Tensor>,
) -> Result<()> {
    check(slots, state)?;
    let mut start = 0;
    for (index, slot) in slots.iter_mut().enumerate() {
        let saved = |key: &str| state.get(&format!("{key}.{}", slot.name));
        let count = slot.count();
        if let (Some(mean), Some(mean_square)) = (saved("m"), saved("v")) {
            match moments {
                Moments::Flat {
                    mean: means,
                    mean_square: squares,
                    ..
                } => {
                    for (values, tensor) in [(means, mean), (squares, mean_square)] {
                        if let Some(values) = values.get_mut(start..start + count) {
                            let tensor = tensor.f_to_kind(Kind::Float)?.f_contiguous()?;
                            tensor.f_copy_data(values, count)?;
                        }
                    }
                }
                Moments::Tensors(pairs) => {
                    if let Some([m, v]) = pairs.get_mut(index) {
                        tch::no_grad(|| m.f_copy_(mean).and_then(|()| v.f_copy_(mean_square)))?;
                    }
                }
            }
        }
        if let Some(steps) = saved("t") {
            slot.steps = u64::try_from(steps.f_int64_value(&[])?).unwrap_or(0);
        }
        start += count;
    }
    Ok(())
}

/// An error with all names that are missing, unexpected or of another shape.
fn check(slots: &[Slot], state: &BTreeMap<String, Tensor>) -> Result<()> {
    let mut expected = BTreeMap::new();
    for slot in slots {
        for (key, shape) in [("m", &slot.shape), ("v", &slot.shape), ("t", &vec![])] {
            expected.insert(format!("{key}.{}", slot.name), shape.clone());
        }
    }
    let mut wrong: Vec<String> = Vec::new();
    for (name, shape) in &expected {
        match state.get(name) {
            None => wrong.push(format!("{name} is missing")),
            Some(found) if found.size() != *shape => {
                wrong.push(format!(
                    "{name}: expected {shape:?}, found {:?}",
                    found.size()
                ));
            }
            Some(_) => {}
        }
    }
    wrong.extend(
        state
            .keys()
            .filter(|k| !expected.contains_key(*k))
            .map(|k| format!("{k} is unexpected")),
    );
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(TrainError::State(format!(
            "optimizer: {}",
            wrong.join(", ")
        )))
    }
}
