//! [`Corpus`]: texts one after another in one allocation, and their classes.

/// Texts and classes.
#[derive(Debug, Default, Clone)]
pub(super) struct Corpus {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    classes: Vec<u32>,
}

impl Corpus {
    pub(super) fn push(&mut self, text: &[u8], class: u32) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
        self.classes.push(class);
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of an index below [`len`](Self::len).
    pub(super) fn text(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let before = index.checked_sub(1).and_then(|index| self.ends.get(index));
        self.bytes.get(before.copied().unwrap_or(0)..end)
    }

    pub(super) fn class(&self, index: usize) -> Option<u32> {
        self.classes.get(index).copied()
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.text(index))
    }

    /// The texts of `indices`, in that order; those beyond the end are left out.
    pub(super) fn select(&self, indices: &[usize]) -> Self {
        let mut chosen = Self::default();
        for &index in indices {
            if let (Some(text), Some(class)) = (self.text(index), self.class(index)) {
                chosen.push(text, class);
            }
        }
        chosen
    }

    /// Indices by class, for [`split::choose`](crate::split::choose).
    pub(super) fn by_class(&self, classes: usize) -> Vec<Vec<usize>> {
        let mut groups = vec![Vec::new(); classes];
        for (index, &class) in self.classes.iter().enumerate() {
            if let Some(group) = groups.get_mut(class as usize) {
                group.push(index);
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        let mut corpus = Corpus::default();
        for (text, class) in [("one", 1), ("", 0), ("three", 1)] {
            corpus.push(text.as_bytes(), class);
        }
        assert_eq!(
            corpus.texts().collect::<Vec<_>>(),
            [&b"one"[..], b"", b"three"]
        );
        assert_eq!((corpus.text(3), corpus.class(1)), (None, Some(0)));
        assert_eq!(corpus.by_class(2), [vec![1], vec![0, 2]]);
        let chosen = corpus.select(&[2, 7, 0]);
        assert_eq!(chosen.texts().collect::<Vec<_>>(), [&b"three"[..], b"one"]);
    }
}
