//! Texts as numbered words, the same for training and for [`Preprocessing::Words`].

use std::collections::HashMap;

use crate::{InputKind, Preprocessing};

/// Number of the first word; 0 is padding, 1 a word that is not known.
const FIRST: i64 = 2;
/// A word that is not known.
const UNKNOWN: i64 = 1;

/// The words of a text: its longest runs of letters, digits and apostrophes, in lower case.
pub(crate) fn split(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(str::to_lowercase)
}

/// Words with their numbers.
#[derive(Clone, Debug)]
pub(crate) struct Vocabulary {
    words: Vec<String>,
    numbers: HashMap<String, i64>,
}

impl Vocabulary {
    /// These words, in order.
    pub(crate) fn new<T: Into<String>>(words: impl IntoIterator<Item = T>) -> Self {
        let words: Vec<String> = words.into_iter().map(Into::into).collect();
        let numbers = words.iter().cloned().zip(FIRST..).collect();
        Self { words, numbers }
    }

    /// The `most` most frequent words of those that occur at least `least` times in `texts`, the most frequent first.
    pub(crate) fn learn(
        texts: impl IntoIterator<Item = impl AsRef<str>>,
        most: usize,
        least: u64,
    ) -> Self {
        let mut counts = HashMap::<String, u64>::new();
        for text in texts {
            for word in split(text.as_ref()) {
                *counts.entry(word).or_default() += 1;
            }
        }
        let frequent = counts.into_iter().filter(|(_, count)| *count >= least);
        let mut counts: Vec<(String, u64)> = frequent.collect();
        counts.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
        counts.truncate(most);
        Self::new(counts.into_iter().map(|(word, _)| word))
    }

    /// The words, in order.
    pub(crate) fn into_words(self) -> Vec<String> {
        self.words
    }

    /// Numbers of the first `max_len` words of a text; one unknown word if it has none.
    pub(crate) fn encode(&self, text: &str, max_len: usize) -> Vec<i64> {
        let number = |word: String| self.numbers.get(&word).copied().unwrap_or(UNKNOWN);
        let mut ids: Vec<i64> = split(text).take(max_len).map(number).collect();
        if ids.is_empty() {
            ids.push(UNKNOWN);
        }
        ids
    }

    /// The input of such words.
    pub(crate) fn input(&self, max_len: usize) -> InputKind {
        InputKind::Tokens {
            vocabulary: self.words.len() + FIRST as usize,
            max_len,
            pad: 0,
        }
    }

    /// How a text becomes the input.
    pub(crate) fn preprocessing(&self) -> Preprocessing {
        Preprocessing::Words {
            words: self.words.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Values;
    use crate::preprocess::read_text;

    #[test]
    fn words_are_learnt_by_frequency_and_read_as_in_predictions() {
        let texts = [
            "The box's red item.",
            "a RED box's item",
            "a red one, twice",
        ];
        let vocabulary = Vocabulary::learn(texts, 10, 2);
        assert_eq!(vocabulary.words, ["red", "a", "box's", "item"]);
        assert_eq!(Vocabulary::learn(texts, 2, 1).words, ["red", "a"]);
        let text = "Red item - 'the' (a) box's?";
        let ids = vocabulary.encode(text, 5);
        assert_eq!(ids, [2, 5, 1, 3, 4]);
        let read = read_text(
            text,
            "sentence",
            &vocabulary.input(5),
            &vocabulary.preprocessing(),
        );
        assert_eq!(*read.unwrap().values(), Values::I64(ids));
        assert_eq!(vocabulary.encode(text, 2), [2, 5]);
        assert_eq!(vocabulary.encode(" -- ' ", 2), [1]);
    }
}
