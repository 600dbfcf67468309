//! [`Corpus`]: many expressions with their answers, packed one after another.

use super::vocabulary::Symbol;

/// Expressions and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corpus {
    symbols: Vec<Symbol>,
    /// `ends[i]` is the end of expression `i` in `symbols`.
    ends: Vec<usize>,
    answers: Vec<u8>,
}

impl Corpus {
    /// No expressions yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            symbols: Vec::new(),
            ends: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Appends an expression and its answer 0–9.
    pub fn push(&mut self, symbols: &[Symbol], answer: u8) {
        self.symbols.extend_from_slice(symbols);
        self.ends.push(self.symbols.len());
        self.answers.push(answer);
    }

    /// Number of expressions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Symbols and answer of an expression, if the index is below the length.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<(&[Symbol], u8)> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some((&self.symbols[start..end], self.answers[index]))
    }

    /// All expressions in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[Symbol], u8)> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl Default for Corpus {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let mut corpus = Corpus::new();
        corpus.push(&[1], 1);
        corpus.push(&[10, 2, 3, 14], 2);
        assert_eq!(corpus.get(1), Some((&[10, 2, 3, 14][..], 2)));
        assert_eq!(corpus.get(2), None);
        assert_eq!(corpus.iter().count(), 2);
    }
}
