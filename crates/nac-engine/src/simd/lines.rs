//! From features of 32 items side by side to a line of numbers for each item, and back.
//!
//! Where few senders are heard, each of them is read alone, so its numbers should lie together.

use pulp::{Simd, WithSimd};

use super::rows::{GROUP, Row, WIDTH};

/// Heads of a line start at multiples of this, the longest vector there is.
pub(crate) const ALIGN: usize = 16;

/// How rows of features lie in lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    /// Rows of one head, a multiple of 8.
    pub(crate) rows: usize,
    /// Numbers from one head of a line to the next, at least as many.
    pub(crate) head: usize,
    /// Numbers from one line to the next.
    pub(crate) line: usize,
    /// Where the first head starts in a line.
    pub(crate) first: usize,
}

impl Places {
    /// Where the row group `group` starts in the first line.
    fn start(self, group: usize) -> usize {
        let groups = self.rows / GROUP;
        self.first + group / groups * self.head + group % groups * GROUP
    }
}

/// Writes lines; what lies between two heads becomes zero.
pub(crate) struct ToLines<'a> {
    pub(crate) places: Places,
    /// Whole heads.
    pub(crate) rows: &'a [Row],
    /// `[32][line]`.
    pub(crate) lines: &'a mut [f32],
}

impl WithSimd for ToLines<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Places {
            rows, head, line, ..
        } = self.places;
        for (group, features) in self.rows.as_chunks::<GROUP>().0.iter().enumerate() {
            let start = self.places.start(group);
            let last = (group + 1) % (rows / GROUP) == 0;
            let gap = if last { head - rows } else { 0 };
            for part in 0..WIDTH / GROUP {
                let lines = self.lines.chunks_exact_mut(line).skip(part * GROUP);
                for (i, numbers) in transposed(features, part).iter().zip(lines) {
                    let place = &mut numbers[start..start + GROUP + gap];
                    place[..GROUP].copy_from_slice(i);
                    place[GROUP..].fill(0.0);
                }
            }
        }
    }
}

/// Features `8 × 32` → those of eight items, `[item][feature]`.
#[inline(always)]
fn transposed(features: &[Row; GROUP], part: usize) -> [[f32; GROUP]; GROUP] {
    let mut items = [[0.0; GROUP]; GROUP];
    for (f, row) in features.iter().enumerate() {
        for (item, value) in items.iter_mut().zip(&row.0[part * GROUP..][..GROUP]) {
            item[f] = *value;
        }
    }
    items
}

/// Writes rows back.
pub(crate) struct ToRows<'a> {
    pub(crate) places: Places,
    /// `[32][line]`.
    pub(crate) lines: &'a [f32],
    /// Whole heads.
    pub(crate) rows: &'a mut [Row],
}

impl WithSimd for ToRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let groups = self.rows.as_chunks_mut::<GROUP>().0.iter_mut();
        for (group, features) in groups.enumerate() {
            let start = self.places.start(group);
            for (item, numbers) in self.lines.chunks_exact(self.places.line).enumerate() {
                for (row, value) in features.iter_mut().zip(&numbers[start..start + GROUP]) {
                    row.0[item] = *value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::Arch;

    use super::*;

    #[test]
    fn lines_hold_the_features_of_each_item_and_come_back() {
        // Two heads of 24 rows, 32 numbers apart, behind 16 numbers of something else.
        let places = Places {
            rows: 24,
            head: 32,
            line: 96,
            first: 16,
        };
        let value = |row: usize, item: usize| (100 * row + item + 1) as f32;
        let rows: Vec<Row> = (0..48)
            .map(|row| Row(std::array::from_fn(|item| value(row, item))))
            .collect();
        let mut lines = vec![-1.0; 96 * WIDTH];
        Arch::new().dispatch(ToLines {
            places,
            rows: &rows,
            lines: &mut lines,
        });
        for item in 0..WIDTH {
            let line = &lines[item * 96..][..96];
            assert!(line[..16].iter().chain(&line[80..]).all(|x| *x == -1.0));
            for (place, found) in line[16..80].iter().enumerate() {
                let (head, row) = (place / 32, place % 32);
                let expected = if row < 24 {
                    value(24 * head + row, item)
                } else {
                    0.0
                };
                assert_eq!(*found, expected, "{item} {place}");
            }
        }
        let mut back = vec![Row::ZERO; 48];
        Arch::new().dispatch(ToRows {
            places,
            lines: &lines,
            rows: &mut back,
        });
        assert!(back.iter().zip(&rows).all(|(a, b)| a.0 == b.0));
    }
}
