//! ListOps as a [`Dataset`]: symbols become token ids.

use std::sync::Arc;

use super::evaluate::evaluate;
use super::generate::Parts;
use super::view::{ListOpsView, with_subtrees};
use super::vocabulary::{CLOSE, PAD, symbol_text};
use super::{Corpus, ListOpsConfig};
use crate::{
    Buffer, DataError, Dataset, DatasetInfo, Example, InputSpec, OutputSpec, Preprocessing, Splits,
    Target,
};

struct Expressions {
    info: DatasetInfo,
    corpus: Corpus,
    view: ListOpsView,
    max_depth: usize,
}

/// Longest expression of checked settings.
fn longest(config: &ListOpsConfig) -> usize {
    config.max_length - 1
}

/// What the examples look like.
pub(super) fn info(config: &ListOpsConfig) -> DatasetInfo {
    let symbols = (0..=CLOSE).map(|symbol| symbol_text(symbol).to_owned());
    // Depths are not in a text.
    let preprocessing = (config.view != ListOpsView::Depth).then(|| {
        let symbols = symbols.collect();
        ("tokens".into(), Preprocessing::Symbols { symbols })
    });
    DatasetInfo {
        name: config.view.name().into(),
        inputs: InputSpec::tokens(
            config.view.vocabulary(config.max_depth),
            longest(config),
            PAD,
        ),
        output: OutputSpec::named((0..10).map(|answer: u8| answer.to_string())),
        preprocessing: preprocessing.into_iter().collect(),
    }
}

/// Puts the description on the three parts and checks that no expression is too long for it.
pub(super) fn splits(config: &ListOpsConfig, parts: Parts) -> Result<Splits, DataError> {
    let info = info(config);
    let max_len = longest(config);
    let dataset = |corpus: Corpus| -> Result<Arc<dyn Dataset>, DataError> {
        if let Some(len) = corpus
            .iter()
            .map(|(s, _)| s.len())
            .find(|&len| len > max_len)
        {
            return Err(DataError::Config {
                field: "data.listops.max_length".into(),
                reason: format!("an expression of the files has {len} symbols, not below it"),
            });
        }
        Ok(Arc::new(Expressions {
            info: info.clone(),
            corpus,
            view: config.view,
            max_depth: config.max_depth,
        }))
    };
    let train = match config.view {
        ListOpsView::Subtrees => {
            let held_out = [&parts.validation, &parts.test];
            with_subtrees(&parts.train, &held_out, |part| evaluate(part).ok())
        }
        ListOpsView::Plain | ListOpsView::Depth => parts.train,
    };
    let validation = if parts.validation.is_empty() {
        None
    } else {
        Some(dataset(parts.validation)?)
    };
    Ok(Splits {
        train: dataset(train)?,
        validation,
        test: dataset(parts.test)?,
    })
}

impl Dataset for Expressions {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.corpus.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let (symbols, answer) = self.corpus.get(index).unwrap_or_default();
        let tokens = Buffer::tokens(self.view.ids(symbols, self.max_depth));
        Ok(Example::new("tokens", tokens, Target::Class(answer.into())))
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.corpus.get(index).map(|(_, answer)| answer.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Values;

    #[test]
    fn texts_are_read_as_the_examples_are() {
        let info = info(&ListOpsConfig::default());
        let kind = info.inputs.get("tokens").unwrap();
        let how = &info.preprocessing["tokens"];
        let found = crate::preprocess::read_text("[MAX 2 [SM 9 9 ] ]", "tokens", kind, how);
        let expected = Values::I64(vec![12, 3, 14, 10, 10, 15, 15]);
        assert_eq!(*found.unwrap().values(), expected);
    }

    #[test]
    fn symbols_become_ids_above_the_pad() {
        let mut corpus = Corpus::new();
        corpus.push(&[10, 2, 3, 14], 2);
        let parts = Parts {
            train: corpus.clone(),
            validation: Corpus::new(),
            test: corpus,
        };
        let config = ListOpsConfig {
            min_length: 1,
            max_length: 5,
            ..ListOpsConfig::default()
        };
        let splits = splits(&config, parts.clone()).unwrap();
        assert!(splits.validation.is_none());
        let example = splits.train.get(0).unwrap();
        assert_eq!(example.target, Target::Class(2));
        assert_eq!(
            example.inputs[0].1.values(),
            &Values::I64(vec![11, 3, 4, 15])
        );
        let short = ListOpsConfig {
            min_length: 1,
            max_length: 4,
            ..ListOpsConfig::default()
        };
        assert!(super::splits(&short, parts).is_err());
    }
}
