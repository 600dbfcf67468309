//! Views of ListOps that tell more than the task does: for finding out which part of a model is at fault.
//!
//! A number on one of them is not a number on ListOps. The name of the data set says which view it is, and so does every
//! report.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::Corpus;
use super::vocabulary::{CLOSE, Symbol, VOCABULARY, is_operator, token_id};

/// What a model is given beside the expressions and answers of the task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListOpsView {
    /// Nothing: the task itself.
    #[default]
    Plain,
    /// The depth of each symbol: extra input, in training and in tests.
    Depth,
    /// The answer of each operator within a training expression: extra supervision, in training alone.
    Subtrees,
}

impl ListOpsView {
    /// Name of the data set.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "listops",
            Self::Depth => "listops+depth",
            Self::Subtrees => "listops+subtrees",
        }
    }

    /// Number of token ids for expressions of up to `max_depth`.
    pub(super) fn vocabulary(self, max_depth: usize) -> usize {
        match self {
            Self::Depth => 1 + (VOCABULARY - 1) * max_depth,
            Self::Plain | Self::Subtrees => VOCABULARY,
        }
    }

    /// Token ids of an expression. With depths, those of a symbol at depth `d` (the root has 1, deeper ones than
    /// `max_depth` have that) are `15 (d − 1)` above its plain id.
    pub(super) fn ids(self, symbols: &[Symbol], max_depth: usize) -> Vec<i64> {
        if self != Self::Depth {
            return symbols.iter().map(|&symbol| token_id(symbol)).collect();
        }
        let mut open = 0_usize;
        let id = |&symbol: &Symbol| {
            let depth = match symbol {
                // The bracket is as deep as its operator.
                CLOSE => {
                    open = open.saturating_sub(1);
                    open
                }
                _ => open,
            };
            if is_operator(symbol) {
                open += 1;
            }
            let depth = depth.min(max_depth.saturating_sub(1));
            token_id(symbol) + (depth * (VOCABULARY - 1)) as i64
        };
        symbols.iter().map(id).collect()
    }
}

/// Training expressions, each followed by those within it, with their answers; without any that `held_out` has, and
/// without repetitions.
pub(super) fn with_subtrees(
    train: &Corpus,
    held_out: &[&Corpus],
    answer: impl Fn(&[Symbol]) -> Option<u8>,
) -> Corpus {
    let mut seen: HashSet<&[Symbol]> = HashSet::new();
    for corpus in held_out {
        seen.extend(corpus.iter().map(|(symbols, _)| symbols));
    }
    let mut all = Corpus::new();
    for (symbols, value) in train.iter() {
        if seen.insert(symbols) {
            all.push(symbols, value);
        }
        let mut starts = Vec::new();
        for (place, &symbol) in symbols.iter().enumerate() {
            if is_operator(symbol) {
                starts.push(place);
            }
            let start = if symbol == CLOSE { starts.pop() } else { None };
            let Some(part) = start.and_then(|start| symbols.get(start..=place)) else {
                continue;
            };
            if seen.insert(part)
                && let Some(value) = answer(part)
            {
                all.push(part, value);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::{evaluate, parse};
    use super::*;

    #[test]
    fn depths_are_those_of_the_nodes() {
        let symbols = parse("[MAX 2 [SM 9 ] 1 ]").unwrap();
        let plain = ListOpsView::Plain.ids(&symbols, 10);
        let deep = ListOpsView::Depth.ids(&symbols, 10);
        let depths: Vec<i64> = plain.iter().zip(&deep).map(|(a, b)| (b - a) / 15).collect();
        assert_eq!(depths, [0, 1, 1, 2, 1, 1, 0]);
        let flat = ListOpsView::Depth.ids(&symbols, 2);
        assert!(
            flat.iter()
                .all(|&id| (id as usize) < ListOpsView::Depth.vocabulary(2))
        );
        assert_eq!(ListOpsView::Subtrees.ids(&symbols, 2), plain);
    }

    #[test]
    fn parts_of_training_expressions_are_examples_and_held_out_ones_are_not() {
        let corpus = |texts: &[&str]| {
            let mut corpus = Corpus::new();
            for text in texts {
                let symbols = parse(text).unwrap();
                corpus.push(&symbols, evaluate(&symbols).unwrap());
            }
            corpus
        };
        let train = corpus(&["[MAX 2 [SM 9 9 ] [MIN 3 4 ] ]", "[SM [SM 9 9 ] 1 ]"]);
        let test = corpus(&["[MIN 3 4 ]"]);
        let all = with_subtrees(&train, &[&test], |part| evaluate(part).ok());
        let expected = corpus(&[
            "[MAX 2 [SM 9 9 ] [MIN 3 4 ] ]",
            "[SM 9 9 ]",
            "[SM [SM 9 9 ] 1 ]",
        ]);
        assert_eq!(all, expected);
    }
}
