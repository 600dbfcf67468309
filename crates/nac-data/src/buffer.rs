//! [`Buffer`]: numbers with a shape, row-major. The only form in which this crate returns data.

use crate::DataError;

/// The values of a [`Buffer`], in the dtype of the source.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Values {
    /// Bytes, for example pixels 0–255.
    U8(Vec<u8>),
    /// Real numbers.
    F32(Vec<f32>),
    /// Integers, for example token ids.
    I64(Vec<i64>),
}

impl Values {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Values::U8(v) => v.len(),
            Values::F32(v) => v.len(),
            Values::I64(v) => v.len(),
        }
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name of the element type: `u8`, `f32` or `i64`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Values::U8(_) => "u8",
            Values::F32(_) => "f32",
            Values::I64(_) => "i64",
        }
    }
}

/// Numbers with a shape, row-major (the last axis is contiguous).
///
/// The number of values always equals the product of the shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    shape: Vec<usize>,
    values: Values,
}

impl Buffer {
    /// A buffer of these values with a shape.
    ///
    /// # Errors
    /// [`DataError::Shape`] if the product of `shape` is not the number of values.
    pub fn new(shape: Vec<usize>, values: Values) -> Result<Self, DataError> {
        let product = shape.iter().try_fold(1usize, |p, &d| p.checked_mul(d));
        if product != Some(values.len()) {
            return Err(DataError::Shape {
                operation: "Buffer::new".into(),
                expected: format!("as many values as shape {shape:?} has elements"),
                found: format!("{} {} values", values.len(), values.kind()),
            });
        }
        Ok(Self { shape, values })
    }

    /// A one-axis buffer of integers, shape `[len]`.
    #[must_use]
    pub fn tokens(ids: Vec<i64>) -> Self {
        Self {
            shape: vec![ids.len()],
            values: Values::I64(ids),
        }
    }

    /// The shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values, row-major.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The values, mutable in place; their number is fixed.
    #[must_use]
    pub fn values_mut(&mut self) -> ValuesMut<'_> {
        match &mut self.values {
            Values::U8(v) => ValuesMut::U8(v),
            Values::F32(v) => ValuesMut::F32(v),
            Values::I64(v) => ValuesMut::I64(v),
        }
    }

    /// Shape and values.
    #[must_use]
    pub fn into_parts(self) -> (Vec<usize>, Values) {
        (self.shape, self.values)
    }

    /// Type and shape in words, for error messages: `u8 [3, 32, 32]`.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} {:?}", self.values.kind(), self.shape)
    }
}

/// The values of a [`Buffer`], borrowed mutably.
#[derive(Debug)]
#[non_exhaustive]
pub enum ValuesMut<'a> {
    /// Bytes.
    U8(&'a mut [u8]),
    /// Real numbers.
    F32(&'a mut [f32]),
    /// Integers.
    I64(&'a mut [i64]),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_shape_is_an_error_with_both_sides() {
        let error = Buffer::new(vec![2, 3], Values::U8(vec![0; 5]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("[2, 3]") && error.contains("5 u8 values"),
            "{error}"
        );
        assert!(Buffer::new(vec![usize::MAX, 2], Values::U8(vec![])).is_err());
        assert!(Buffer::new(vec![0, 7], Values::F32(vec![])).is_ok());
    }

    #[test]
    fn parts_come_back() {
        let buffer = Buffer::new(vec![1, 2], Values::I64(vec![3, 4])).unwrap();
        assert_eq!(buffer.describe(), "i64 [1, 2]");
        assert_eq!(buffer.into_parts(), (vec![1, 2], Values::I64(vec![3, 4])));
    }
}
