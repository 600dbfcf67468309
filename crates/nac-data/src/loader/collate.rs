//! Stacks examples into a [`Batch`]; token sequences of unequal length are padded at the end.

use crate::{
    Batch, Buffer, DataError, DatasetInfo, Example, InputKind, OutputSpec, Target, Targets, Values,
};

/// One batch of the examples with the given indices, as `info` describes them.
///
/// # Shapes
/// Each input gets the batch as its first axis; sequences and feature vectors are padded to the longest of the batch.
///
/// # Errors
/// [`DataError::Shape`] or [`DataError::Class`] naming the example that is not as described.
pub fn collate(
    info: &DatasetInfo,
    examples: Vec<Example>,
    indices: &[usize],
) -> Result<Batch, DataError> {
    let targets = targets(info, &examples, indices)?;
    let mut columns: Vec<Vec<Buffer>> = info.inputs.iter().map(|_| Vec::new()).collect();
    for (example, index) in examples.into_iter().zip(indices) {
        let mut inputs = example.inputs;
        inputs.sort_by(|(a, _), (b, _)| a.cmp(b));
        if !inputs.iter().map(|(name, _)| name).eq(info.inputs.names()) {
            let wanted: Vec<&str> = info.inputs.names().collect();
            let names: Vec<&str> = inputs.iter().map(|(name, _)| name.as_str()).collect();
            let (expected, found) = (format!("inputs {wanted:?}"), format!("{names:?}"));
            return Err(mismatch(info, *index, expected, found));
        }
        for (column, (_, buffer)) in columns.iter_mut().zip(inputs) {
            column.push(buffer);
        }
    }
    let mut inputs = Vec::with_capacity(columns.len());
    for ((name, kind), column) in info.inputs.iter().zip(columns) {
        let stacked = match kind {
            InputKind::Tokens {
                pad,
                vocabulary,
                max_len,
            } => tokens(info, name, column, indices, (*pad, *vocabulary, *max_len))?,
            InputKind::Image {
                channels,
                height,
                width,
                ..
            } => stack(info, name, column, indices, &[*channels, *height, *width])?,
            InputKind::Features {
                items,
                dim,
                padded: false,
            } => stack(info, name, column, indices, &[*items, *dim])?,
            InputKind::Features {
                items,
                dim,
                padded: true,
            } => vectors(info, name, column, indices, [*items, *dim])?,
            InputKind::Voxels { size } => stack(info, name, column, indices, size)?,
            InputKind::Points { points, dims } => {
                stack(info, name, column, indices, &[*points, *dims])?
            }
            other => {
                return Err(DataError::Config {
                    field: format!("inputs.{name}"),
                    reason: format!("batches of kind `{}` are not built", other.name()),
                });
            }
        };
        inputs.push((name.to_owned(), stacked));
    }
    Ok(Batch {
        inputs,
        targets,
        indices: indices.to_vec(),
    })
}

/// Targets of the kind that the data set declares.
fn targets(
    info: &DatasetInfo,
    examples: &[Example],
    indices: &[usize],
) -> Result<Targets, DataError> {
    let (mut classes, mut all) = (Vec::new(), Vec::new());
    for (example, &index) in examples.iter().zip(indices) {
        match (&info.output, &example.target) {
            (OutputSpec::Classes { count, .. }, &Target::Class(class)) if class < *count => {
                classes.push(class as i64);
            }
            (OutputSpec::Classes { count, .. }, &Target::Class(class)) => {
                return Err(DataError::Class {
                    dataset: info.name.clone(),
                    index,
                    class,
                    classes: *count,
                });
            }
            (OutputSpec::Values { dim }, Target::Values(values)) if values.len() == *dim => {
                all.extend(values);
            }
            (output, target) => {
                let expected = match output {
                    OutputSpec::Values { dim } => format!("a target of {dim} values"),
                    _ => "a class".into(),
                };
                let found = match target {
                    Target::Class(class) => format!("class {class}"),
                    Target::Values(values) => format!("{} values", values.len()),
                };
                return Err(mismatch(info, index, expected, found));
            }
        }
    }
    Ok(match info.output {
        OutputSpec::Values { dim } => Targets::Values { values: all, dim },
        _ => Targets::Classes(classes),
    })
}

fn mismatch(info: &DatasetInfo, index: usize, expected: String, found: String) -> DataError {
    let operation = format!("batch of `{}`, example {index}", info.name);
    DataError::Shape {
        operation,
        expected,
        found,
    }
}

/// Buffers of the declared shape and of one type, one after another.
fn stack(
    info: &DatasetInfo,
    name: &str,
    column: Vec<Buffer>,
    indices: &[usize],
    shape: &[usize],
) -> Result<Buffer, DataError> {
    let mut all: Option<Values> = None;
    for (buffer, &index) in column.into_iter().zip(indices) {
        let found = format!("{name} {}", buffer.describe());
        if buffer.shape() != shape {
            return Err(mismatch(info, index, format!("{name} {shape:?}"), found));
        }
        let (_, values) = buffer.into_parts();
        match (&mut all, values) {
            (None, values) => all = Some(values),
            (Some(Values::U8(a)), Values::U8(v)) => a.extend(v),
            (Some(Values::F32(a)), Values::F32(v)) => a.extend(v),
            (Some(Values::I64(a)), Values::I64(v)) => a.extend(v),
            (Some(a), _) => {
                return Err(mismatch(info, index, format!("{name} {}", a.kind()), found));
            }
        }
    }
    let mut full = vec![indices.len()];
    full.extend(shape);
    Buffer::new(full, all.unwrap_or(Values::U8(Vec::new())))
}

/// Vectors, padded with NaN to the greatest number of them.
fn vectors(
    info: &DatasetInfo,
    name: &str,
    column: Vec<Buffer>,
    indices: &[usize],
    [items, dim]: [usize; 2],
) -> Result<Buffer, DataError> {
    let most = column.iter().map(|b| b.shape().first().copied());
    let most = most.flatten().max().unwrap_or(0);
    let mut all = Vec::with_capacity(most * dim * column.len());
    for (row, (buffer, &index)) in column.into_iter().zip(indices).enumerate() {
        let found = format!("{name} {}", buffer.describe());
        match buffer.into_parts() {
            (shape, Values::F32(values))
                if shape.len() == 2 && shape[1] == dim && (1..=items).contains(&shape[0]) =>
            {
                all.extend(values);
                all.resize((row + 1) * most * dim, f32::NAN);
            }
            _ => {
                let expected = format!("{name} f32 [items, {dim}], 1 <= items <= {items}");
                return Err(mismatch(info, index, expected, found));
            }
        }
    }
    Buffer::new(vec![indices.len(), most, dim], Values::F32(all))
}

/// Sequences, padded to the longest of them.
fn tokens(
    info: &DatasetInfo,
    name: &str,
    column: Vec<Buffer>,
    indices: &[usize],
    (pad, vocabulary, max_len): (i64, usize, usize),
) -> Result<Buffer, DataError> {
    let longest = column.iter().map(|b| b.values().len()).max().unwrap_or(0);
    let mut all = Vec::with_capacity(longest * column.len());
    for (row, (buffer, &index)) in column.into_iter().zip(indices).enumerate() {
        let found = format!("{name} {}", buffer.describe());
        match buffer.into_parts() {
            (shape, Values::I64(ids)) if shape.len() == 1 && (1..=max_len).contains(&ids.len()) => {
                if let Some(id) = ids.iter().find(|&&id| id < 0 || id >= vocabulary as i64) {
                    let expected = format!("{name} ids in 0..{vocabulary}");
                    return Err(mismatch(info, index, expected, format!("id {id}")));
                }
                all.extend(ids);
                all.resize((row + 1) * longest, pad);
            }
            _ => {
                let expected = format!("{name} i64 [len], 1 <= len <= {max_len}");
                return Err(mismatch(info, index, expected, found));
            }
        }
    }
    Buffer::new(vec![indices.len(), longest], Values::I64(all))
}
