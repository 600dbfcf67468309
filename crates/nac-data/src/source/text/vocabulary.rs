//! The words of training texts.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::corpus::Corpus;

/// The `most` most frequent words that occur at least `least` times, the most frequent first, equal ones in the order of
/// the alphabet. Words are lower case and separated by white space, as [`Preprocessing::Words`] reads them.
///
/// [`Preprocessing::Words`]: crate::Preprocessing::Words
pub(super) fn learn(corpus: &Corpus, most: usize, least: u64) -> Vec<String> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for text in corpus.texts() {
        let text = String::from_utf8_lossy(text).to_lowercase();
        for word in text.split_whitespace() {
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(word.to_owned(), 1);
                }
            }
        }
    }
    let frequent = counts.into_iter().filter(|(_, count)| *count >= least);
    let mut words: Vec<(Reverse<u64>, String)> = frequent
        .map(|(word, count)| (Reverse(count), word))
        .collect();
    words.sort_unstable();
    words.truncate(most);
    words.into_iter().map(|(_, word)| word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_words_come_first_and_rare_ones_not_at_all() {
        let mut corpus = Corpus::default();
        corpus.push(b"A b c b", 0);
        corpus.push(b"a\tb\n d", 1);
        assert_eq!(learn(&corpus, 9, 2), ["b", "a"]);
        assert_eq!(learn(&corpus, 3, 1), ["b", "a", "c"]);
    }
}
