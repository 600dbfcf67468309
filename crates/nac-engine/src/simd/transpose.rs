//! From a feature-major block of 32 items to an item-major one, and back.
//!
//! Sparse attention reads few senders, each of them alone, so the features of a sender should be contiguous.

use pulp::{Simd, WithSimd};

use super::row::{GROUP, Row, WIDTH};

/// Heads of an item start at multiples of this, the length of the longest vector.
pub(crate) const ALIGN: usize = 16;

/// How the features of rows lie in items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ItemMajorLayout {
    /// Rows of one head, a multiple of 8.
    pub(crate) rows: usize,
    /// Distance from one head of an item to the next, at least as many.
    pub(crate) head: usize,
    /// Distance from one item to the next.
    pub(crate) stride: usize,
    /// Where the first head of an item starts.
    pub(crate) first: usize,
}

impl ItemMajorLayout {
    /// Where the group of rows `group` starts in the first item.
    fn start(self, group: usize) -> usize {
        let groups = self.rows / GROUP;
        self.first + group / groups * self.head + group % groups * GROUP
    }
}

/// Writes items; padding between two heads becomes zero.
pub(crate) struct ToItemMajor<'a> {
    pub(crate) layout: ItemMajorLayout,
    /// Whole heads.
    pub(crate) rows: &'a [Row],
    /// `[32][stride]`.
    pub(crate) items: &'a mut [f32],
}

impl WithSimd for ToItemMajor<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let ItemMajorLayout {
            rows, head, stride, ..
        } = self.layout;
        for (group, features) in self.rows.as_chunks::<GROUP>().0.iter().enumerate() {
            let start = self.layout.start(group);
            let last = (group + 1) % (rows / GROUP) == 0;
            let gap = if last { head - rows } else { 0 };
            for part in 0..WIDTH / GROUP {
                let items = self.items.chunks_exact_mut(stride).skip(part * GROUP);
                for (features, item) in transposed(features, part).iter().zip(items) {
                    let slot = &mut item[start..start + GROUP + gap];
                    slot[..GROUP].copy_from_slice(features);
                    slot[GROUP..].fill(0.0);
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
pub(crate) struct ToFeatureMajor<'a> {
    pub(crate) layout: ItemMajorLayout,
    /// `[32][stride]`.
    pub(crate) items: &'a [f32],
    /// Whole heads.
    pub(crate) rows: &'a mut [Row],
}

impl WithSimd for ToFeatureMajor<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let groups = self.rows.as_chunks_mut::<GROUP>().0.iter_mut();
        for (group, features) in groups.enumerate() {
            let start = self.layout.start(group);
            let items = self.items.chunks_exact(self.layout.stride);
            for (index, item) in items.enumerate() {
                for (row, value) in features.iter_mut().zip(&item[start..start + GROUP]) {
                    row.0[index] = *value;
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
    fn item_major_and_back_is_the_same() {
        // Two heads of 24 rows, 32 floats apart, behind 16 unrelated floats.
        let layout = ItemMajorLayout {
            rows: 24,
            head: 32,
            stride: 96,
            first: 16,
        };
        let value = |row: usize, item: usize| (100 * row + item + 1) as f32;
        let rows: Vec<Row> = (0..48)
            .map(|row| Row(std::array::from_fn(|item| value(row, item))))
            .collect();
        let mut items = vec![-1.0; 96 * WIDTH];
        Arch::new().dispatch(ToItemMajor {
            layout,
            rows: &rows,
            items: &mut items,
        });
        for item in 0..WIDTH {
            let found = &items[item * 96..][..96];
            assert!(found[..16].iter().chain(&found[80..]).all(|x| *x == -1.0));
            for (slot, found) in found[16..80].iter().enumerate() {
                let (head, row) = (slot / 32, slot % 32);
                let expected = if row < 24 {
                    value(24 * head + row, item)
                } else {
                    0.0
                };
                assert_eq!(*found, expected, "{item} {slot}");
            }
        }
        let mut back = vec![Row::ZERO; 48];
        Arch::new().dispatch(ToFeatureMajor {
            layout,
            items: &items,
            rows: &mut back,
        });
        assert!(back.iter().zip(&rows).all(|(a, b)| a.0 == b.0));
    }
}
