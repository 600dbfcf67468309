//! A sparse graph in compressed sparse rows: row = receiver, column = sender.
//!
//! The columns of row `i` are `columns[offsets[i]..offsets[i + 1]]`, strictly increasing. Edges may
//! carry a weight each. Every constructor, and reading a `Csr` from a
//! file, checks these rules.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::{CoreError, Real};

/// A checked sparse matrix of shape `[receivers, senders]`, with or without edge weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawCsr", into = "RawCsr")]
pub struct Csr {
    senders: usize,
    offsets: Vec<usize>,
    columns: Vec<usize>,
    values: Option<Vec<f64>>,
}

impl Csr {
    /// Builds a graph from its parts.
    ///
    /// # Shapes
    /// - offsets: `[receivers + 1]`, from 0 to the number of edges, never decreasing
    /// - columns: `[edges]`, strictly increasing within a row and less than `senders`
    /// - values: `[edges]` if given, finite
    ///
    /// # Errors
    /// [`CoreError::InvalidGraph`] naming the first part that breaks these rules.
    pub fn new(
        senders: usize,
        offsets: Vec<usize>,
        columns: Vec<usize>,
        values: Option<Vec<f64>>,
    ) -> Result<Self, CoreError> {
        check(senders, &offsets, &columns, values.as_deref()).map_err(|reason| {
            CoreError::InvalidGraph {
                op: "Csr::new",
                reason,
            }
        })?;
        Ok(Self {
            senders,
            offsets,
            columns,
            values,
        })
    }

    /// Joins rows that are already sorted and unique (what the samplers make).
    pub(crate) fn from_sorted_rows(senders: usize, rows: impl Iterator<Item = Vec<usize>>) -> Self {
        let (mut offsets, mut columns) = (vec![0], Vec::new());
        for row in rows {
            columns.extend_from_slice(&row);
            offsets.push(columns.len());
        }
        debug_assert_eq!(check(senders, &offsets, &columns, None), Ok(()));
        Self {
            senders,
            offsets,
            columns,
            values: None,
        }
    }

    /// The non-zero entries of a dense matrix, as weighted edges.
    ///
    /// # Shapes
    /// - dense: `[receivers, senders]`
    ///
    /// # Errors
    /// [`CoreError::InvalidValue`] if an entry is NaN or infinite.
    pub fn from_dense<T: Real>(dense: ArrayView2<'_, T>) -> Result<Self, CoreError> {
        let (mut offsets, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for (i, row) in dense.rows().into_iter().enumerate() {
            for (j, &value) in row.iter().enumerate() {
                if !value.is_finite() {
                    let op = "Csr::from_dense";
                    return Err(CoreError::value(op, "dense", (i, j), value, "finite"));
                }
                if value != T::zero() {
                    columns.push(j);
                    values.push(value.as_f64());
                }
            }
            offsets.push(columns.len());
        }
        Self::new(dense.ncols(), offsets, columns, Some(values))
    }

    /// The dense matrix: the weight (1 if there are no weights) at an edge, 0 elsewhere.
    ///
    /// # Shapes
    /// - result: `[receivers, senders]`
    #[must_use]
    pub fn to_dense<T: Real>(&self) -> Array2<T> {
        let mut out = Array2::zeros(self.shape());
        for (i, j, value) in self.iter() {
            out[[i, j]] = T::from_f64(value);
        }
        out
    }

    /// The transposed graph: sender → receiver.
    #[must_use]
    pub fn transpose(&self) -> Self {
        // Counting sort by column; visiting rows in order keeps each new row sorted.
        let mut offsets = vec![0; self.senders + 1];
        for &j in &self.columns {
            offsets[j + 1] += 1;
        }
        for j in 0..self.senders {
            offsets[j + 1] += offsets[j];
        }
        let mut next = offsets.clone();
        let mut columns = vec![0; self.edges()];
        let mut values = self.values.as_ref().map(|v| vec![0.0; v.len()]);
        for (i, j, value) in self.iter() {
            let slot = next[j];
            next[j] += 1;
            columns[slot] = i;
            if let Some(values) = &mut values {
                values[slot] = value;
            }
        }
        Self {
            senders: self.receivers(),
            offsets,
            columns,
            values,
        }
    }

    /// The same edges without weights.
    #[must_use]
    pub fn without_values(self) -> Self {
        Self {
            values: None,
            ..self
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn receivers(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Number of columns.
    #[must_use]
    pub fn senders(&self) -> usize {
        self.senders
    }

    /// `(receivers, senders)`.
    #[must_use]
    pub fn shape(&self) -> (usize, usize) {
        (self.receivers(), self.senders)
    }

    /// Number of edges.
    #[must_use]
    pub fn edges(&self) -> usize {
        self.columns.len()
    }

    /// Where each row starts in [`columns`](Self::columns): `[receivers + 1]`.
    #[must_use]
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// The sender of every edge, row after row: `[edges]`.
    #[must_use]
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The weight of every edge, if edges have weights: `[edges]`.
    #[must_use]
    pub fn values(&self) -> Option<&[f64]> {
        self.values.as_deref()
    }

    /// The senders that `receiver` attends to, in increasing order; `None` if there is no such row.
    #[must_use]
    pub fn row(&self, receiver: usize) -> Option<&[usize]> {
        let end = *self.offsets.get(receiver.checked_add(1)?)?;
        Some(&self.columns[self.offsets[receiver]..end])
    }

    /// The rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[usize]> {
        self.offsets
            .windows(2)
            .map(|ends| &self.columns[ends[0]..ends[1]])
    }

    /// Every edge as `(receiver, sender, weight)`, the weight being 1 if edges have none.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        self.offsets
            .windows(2)
            .enumerate()
            .flat_map(move |(i, ends)| {
                (ends[0]..ends[1]).map(move |edge| {
                    let value = self.values.as_ref().map_or(1.0, |values| values[edge]);
                    (i, self.columns[edge], value)
                })
            })
    }

    /// Whether there is an edge from `sender` to `receiver`.
    #[must_use]
    pub fn contains(&self, receiver: usize, sender: usize) -> bool {
        self.row(receiver)
            .is_some_and(|row| row.binary_search(&sender).is_ok())
    }

    /// How many senders each receiver attends to: `[receivers]`.
    #[must_use]
    pub fn receiver_degrees(&self) -> Vec<usize> {
        self.rows().map(<[usize]>::len).collect()
    }

    /// How many receivers attend to each sender: `[senders]`.
    #[must_use]
    pub fn sender_degrees(&self) -> Vec<usize> {
        let mut degrees = vec![0; self.senders];
        for &j in &self.columns {
            degrees[j] += 1;
        }
        degrees
    }
}

fn check(
    senders: usize,
    offsets: &[usize],
    columns: &[usize],
    values: Option<&[f64]>,
) -> Result<(), String> {
    let edges = columns.len();
    let (Some(&first), Some(&last)) = (offsets.first(), offsets.last()) else {
        return Err("offsets is empty, but must hold receivers + 1 numbers".into());
    };
    if first != 0 || last != edges {
        return Err(format!(
            "offsets goes from {first} to {last}, but must go from 0 to the {edges} edges"
        ));
    }
    if let Some(row) = offsets.windows(2).position(|ends| ends[0] > ends[1]) {
        return Err(format!("offsets decreases after row {row}"));
    }
    for (row, ends) in offsets.windows(2).enumerate() {
        let columns = &columns[ends[0]..ends[1]];
        if let Some(pair) = columns.windows(2).find(|pair| pair[0] >= pair[1]) {
            let (a, b) = (pair[0], pair[1]);
            return Err(format!(
                "row {row} has column {b} after {a}, but columns must increase strictly"
            ));
        }
        if let Some(&column) = columns.last().filter(|&&column| column >= senders) {
            return Err(format!(
                "row {row} has column {column}, but there are {senders} senders"
            ));
        }
    }
    let Some(values) = values else { return Ok(()) };
    if values.len() != edges {
        return Err(format!("{} values for {edges} edges", values.len()));
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(edge) => Err(format!("value of edge {edge} is {}", values[edge])),
        None => Ok(()),
    }
}

/// [`Csr`] as written in a file, before it is checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCsr {
    senders: usize,
    offsets: Vec<usize>,
    columns: Vec<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Vec<f64>>,
}

impl TryFrom<RawCsr> for Csr {
    type Error = CoreError;

    fn try_from(raw: RawCsr) -> Result<Self, CoreError> {
        Self::new(raw.senders, raw.offsets, raw.columns, raw.values)
    }
}

impl From<Csr> for RawCsr {
    fn from(csr: Csr) -> Self {
        Self {
            senders: csr.senders,
            offsets: csr.offsets,
            columns: csr.columns,
            values: csr.values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    fn dense() -> impl Strategy<Value = Array2<f64>> {
        (0_usize..9, 0_usize..9).prop_flat_map(|(rows, columns)| {
            let entry = prop_oneof![2 => Just(0.0), 1 => -5.0_f64..5.0];
            prop::collection::vec(entry, rows * columns)
                .prop_map(move |v| Array2::from_shape_vec((rows, columns), v).unwrap())
        })
    }

    #[test]
    fn small_graph() {
        let csr = Csr::from_dense(array![[0.0_f32, 2.0, 0.0], [1.0, 0.0, 3.0]].view()).unwrap();
        assert_eq!(csr.shape(), (2, 3));
        assert_eq!(csr.row(1), Some(&[0, 2][..]));
        assert_eq!(csr.row(2), None);
        assert_eq!(csr.row(usize::MAX), None);
        assert_eq!(csr.receiver_degrees(), [1, 2]);
        assert_eq!(csr.sender_degrees(), [1, 1, 1]);
        assert!(csr.contains(0, 1) && !csr.contains(0, 0) && !csr.contains(7, 0));
        let plain = csr.without_values();
        assert_eq!(
            plain.to_dense::<f32>(),
            array![[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
        );
    }

    #[test]
    fn every_broken_part_is_refused() {
        type Parts = (Vec<usize>, Vec<usize>, Option<Vec<f64>>);
        let cases: [(&str, Parts); 8] = [
            ("empty", (vec![], vec![], None)),
            ("from 1", (vec![1, 1], vec![0], None)),
            ("to 3", (vec![0, 3], vec![0], None)),
            ("decreases", (vec![0, 2, 1, 2], vec![0, 1], None)),
            ("increase strictly", (vec![0, 2], vec![1, 1], None)),
            ("senders", (vec![0, 1], vec![4], None)),
            ("values for", (vec![0, 1], vec![0], Some(vec![]))),
            ("edge 0", (vec![0, 1], vec![0], Some(vec![f64::NAN]))),
        ];
        for (part, (offsets, columns, values)) in cases {
            let message = Csr::new(4, offsets, columns, values)
                .unwrap_err()
                .to_string();
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(Csr::from_dense(array![[f64::INFINITY]].view()).is_err());
    }

    #[test]
    fn a_broken_file_is_refused() {
        let good = r#"{"senders": 2, "offsets": [0, 1], "columns": [1]}"#;
        let csr: Csr = serde_json::from_str(good).unwrap();
        assert!(csr.contains(0, 1));
        let bad = good.replace("\"columns\": [1]", "\"columns\": [2]");
        let message = serde_json::from_str::<Csr>(&bad).unwrap_err().to_string();
        assert!(message.contains("column 2"), "{message}");
    }

    proptest! {
        #[test]
        fn dense_round_trip(dense in dense()) {
            let csr = Csr::from_dense(dense.view()).unwrap();
            prop_assert_eq!(csr.to_dense::<f64>(), dense);
            let text = serde_json::to_string(&csr).unwrap();
            let back: Csr = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(back.columns(), csr.columns());
            prop_assert_eq!(back.offsets(), csr.offsets());
        }

        #[test]
        fn transpose_is_the_dense_transpose_and_its_own_inverse(dense in dense()) {
            let csr = Csr::from_dense(dense.view()).unwrap();
            let turned = csr.transpose();
            prop_assert_eq!(turned.to_dense::<f64>(), dense.t().to_owned());
            prop_assert_eq!(turned.receiver_degrees(), csr.sender_degrees());
            prop_assert_eq!(turned.transpose(), csr);
        }
    }
}
