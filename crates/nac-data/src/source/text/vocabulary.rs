//! The words of training texts.

use super::corpus::Corpus;
use crate::words::Vocabulary;

/// The `most` most frequent words that occur at least `least` times, the most frequent first, equal ones in the order of
/// the alphabet. Words are those that [`Preprocessing::Words`] reads: lower-case runs of letters, digits and apostrophes.
///
/// [`Preprocessing::Words`]: crate::Preprocessing::Words
pub(super) fn learn(corpus: &Corpus, most: usize, least: u64) -> Vec<String> {
    let texts = corpus.texts().map(String::from_utf8_lossy);
    Vocabulary::learn(texts, most, least).into_words()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_words_come_first_and_rare_ones_not_at_all() {
        let mut corpus = Corpus::default();
        corpus.push(b"A b, c (b)", 0);
        corpus.push(b"a\tb\n d", 1);
        assert_eq!(learn(&corpus, 9, 2), ["b", "a"]);
        assert_eq!(learn(&corpus, 3, 1), ["b", "a", "c"]);
    }
}
