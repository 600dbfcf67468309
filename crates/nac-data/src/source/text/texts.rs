//! [`Texts`]: a corpus as a data set.

use std::sync::Arc;

use super::corpus::Corpus;
use super::vocabulary;
use crate::preprocess::text::{symbol_count, symbols};
use crate::{
    DataError, Dataset, DatasetInfo, Example, InputSpec, OutputSpec, Preprocessing, SharedDataset,
    Splits, Target, TextLevel, TextSettings, split,
};

/// Name of the input.
const INPUT: &str = "tokens";
const TEST_SEED: u64 = 0;

/// The parts of a data set of texts as they were read.
pub(super) struct Parts {
    pub(super) train: Corpus,
    pub(super) validation: Option<Corpus>,
    /// If there is none, a fifth of the training texts becomes it, the classes in proportion, by a fixed rule that no
    /// seed changes.
    pub(super) test: Option<Corpus>,
}

/// One part.
struct Texts {
    info: Arc<DatasetInfo>,
    how: Arc<Preprocessing>,
    max_len: usize,
    corpus: Corpus,
}

/// Puts the description on the parts; a vocabulary is learnt from the training texts.
pub(super) fn splits(
    name: &str,
    classes: &[String],
    settings: &TextSettings,
    parts: Parts,
) -> Result<Splits, DataError> {
    let (train, test) = match parts.test {
        Some(test) => (parts.train, test),
        None => divide(name, classes.len(), &parts.train)?,
    };
    let how = match settings.level {
        TextLevel::Bytes => Preprocessing::Bytes {},
        TextLevel::Words => Preprocessing::Words {
            words: vocabulary::learn(&train, settings.vocabulary, settings.min_count),
        },
    };
    let info = Arc::new(info(name, classes, settings.max_len, how.clone()));
    let how = Arc::new(how);
    let dataset = |corpus: Corpus| -> SharedDataset {
        Arc::new(Texts {
            info: info.clone(),
            how: how.clone(),
            max_len: settings.max_len,
            corpus,
        })
    };
    Ok(Splits {
        train: dataset(train),
        validation: parts.validation.map(dataset),
        test: dataset(test),
    })
}

/// What the examples look like.
pub(super) fn info(
    name: &str,
    classes: &[String],
    max_len: usize,
    how: Preprocessing,
) -> DatasetInfo {
    DatasetInfo {
        name: name.into(),
        inputs: InputSpec::tokens(symbol_count(&how), max_len, 0),
        output: OutputSpec::named(classes),
        preprocessing: [(INPUT.to_owned(), how)].into(),
    }
}

/// Training texts and a fifth of them for testing.
fn divide(name: &str, classes: usize, all: &Corpus) -> Result<(Corpus, Corpus), DataError> {
    if all.len() < 2 {
        return Err(DataError::Config {
            field: "data.path".into(),
            reason: format!("`{name}` has {} texts, too few to divide", all.len()),
        });
    }
    let mut stream = crate::random::Stream::new(TEST_SEED, "test part of texts", &[]);
    let groups = all.by_class(classes);
    let held = split::choose(&groups, all.len(), (all.len() / 5).max(1), &mut stream);
    let (test, train): (Vec<usize>, Vec<usize>) =
        (0..all.len()).partition(|&index| held.get(index) == Some(&true));
    Ok((all.select(&train), all.select(&test)))
}

impl Dataset for Texts {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.corpus.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let text = self.corpus.text(index).unwrap_or_default();
        let class = self.corpus.class(index).unwrap_or_default();
        let name = format!("text {index} of `{}`", self.info.name);
        let tokens = symbols(text, &name, self.max_len, &self.how)?;
        Ok(Example::new(INPUT, tokens, Target::Class(class as usize)))
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.corpus.class(index).map(|class| class as usize)
    }
}
