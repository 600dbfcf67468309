//! The values of the texts that were used last.

use ndarray::ArrayView1;

/// A limited number of values by text; the one that was not used for longest goes first.
#[derive(Debug)]
pub(super) struct Recent<T> {
    capacity: usize,
    /// In the order of their last use.
    entries: Vec<(Vec<i64>, T)>,
}

impl<T> Recent<T> {
    /// None yet, later at most `capacity`.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: Vec::new(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The value of a text, which is now the one used last.
    pub(super) fn get(&mut self, text: ArrayView1<'_, i64>) -> Option<&T> {
        let entries = self.entries.iter();
        let mut known = entries.map(|(known, _)| known.iter().eq(text.iter()));
        let at = known.position(|is_equal| is_equal)?;
        self.entries[at..].rotate_left(1);
        self.entries.last().map(|(_, value)| value)
    }

    /// Adds the value of a text that is not there.
    pub(super) fn insert(&mut self, text: ArrayView1<'_, i64>, value: T) {
        if self.get(text).is_some() {
            return;
        }
        if self.entries.len() >= self.capacity {
            self.entries.remove(0);
        }
        self.entries.push((text.to_vec(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_not_used_for_longest_goes() {
        let mut recent = Recent::new(2);
        let text = |symbol: &'static i64| ArrayView1::from(std::slice::from_ref(symbol));
        recent.insert(text(&1), 'a');
        recent.insert(text(&2), 'b');
        assert_eq!(recent.get(text(&1)), Some(&'a'));
        recent.insert(text(&1), 'x');
        recent.insert(text(&3), 'c');
        assert_eq!(recent.get(text(&2)), None);
        assert_eq!(recent.get(text(&1)), Some(&'a'));
        assert_eq!(recent.get(text(&3)), Some(&'c'));
    }
}
