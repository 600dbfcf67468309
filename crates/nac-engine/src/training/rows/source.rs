//! Rows that are there once for each example, or once for all.

/// Rows of `width` numbers; row numbers beyond the last start again from the first, so that `[modules, width]` serves
/// every example of `[batch, modules]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) width: usize,
}

impl<'a> Rows<'a> {
    /// The longest stretches without a gap that make up `rows` rows from `first` on, each with the place of its first
    /// number among all of them.
    #[inline(always)]
    pub(crate) fn stretches(
        self,
        first: usize,
        rows: usize,
    ) -> impl Iterator<Item = (usize, &'a [f32])> {
        let len = self.data.len();
        let (mut done, mut at) = (
            0,
            if len == 0 {
                0
            } else {
                first * self.width % len
            },
        );
        let all = if len == 0 { 0 } else { rows * self.width };
        std::iter::from_fn(move || {
            let take = (len - at).min(all - done);
            if take == 0 {
                return None;
            }
            let stretch = (done, &self.data[at..at + take]);
            (done, at) = (done + take, 0);
            Some(stretch)
        })
    }

    /// `rows` rows from `first` on, one by one.
    #[inline(always)]
    pub(super) fn each(self, first: usize, rows: usize) -> impl Iterator<Item = &'a [f32]> {
        self.stretches(first, rows)
            .flat_map(move |(_, stretch)| stretch.chunks_exact(self.width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_start_again_after_the_last() {
        let data: Vec<f32> = (0..6_u8).map(f32::from).collect();
        let rows = Rows {
            data: &data,
            width: 2,
        };
        let seen: Vec<&[f32]> = rows.each(2, 5).collect();
        let expected: [&[f32]; 5] = [
            &[4.0, 5.0],
            &[0.0, 1.0],
            &[2.0, 3.0],
            &[4.0, 5.0],
            &[0.0, 1.0],
        ];
        assert_eq!(seen, expected);
        let starts: Vec<usize> = rows.stretches(4, 4).map(|(at, _)| at).collect();
        assert_eq!(starts, [0, 4]);
    }
}
