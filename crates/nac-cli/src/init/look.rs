//! What a user's files are: counts, sizes, balance, and what cannot be read.

use std::sync::Mutex;

use nac_core::model::{InputKind, OutputSpec};
use nac_data::source::csv_table;
use nac_data::{
    Buffer, DataConfig, DataDirs, DataError, Dataset, DatasetInfo, Progress, Splits, Values,
};

use super::modality::Modality;

/// Examples of a part that are read; of more, only the first are.
const MOST_READ: usize = 20_000;
/// Files that are named if they cannot be read.
const NAMED: usize = 5;
/// Symbols of a text that are looked at.
const MOST_SYMBOLS: usize = 1 << 16;

/// What the files are.
#[derive(Debug, Clone)]
pub struct Found {
    /// The `[data]` table that opens them, sizes chosen.
    pub data: DataConfig,
    /// What examples look like with that.
    pub info: DatasetInfo,
    /// The parts that there are: train, validation, test.
    pub parts: Vec<Part>,
    /// Sizes of the inputs as they are in the files.
    pub sizes: Option<Sizes>,
    /// What cannot be read, and what else the reader said.
    pub notes: Vec<String>,
    /// Whether something cannot be read.
    pub unreadable: bool,
}

/// A part of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `train`, `validation` or `test`.
    pub name: &'static str,
    /// Number of examples.
    pub examples: usize,
    /// Examples of each class; empty if answers are numbers.
    pub classes: Vec<usize>,
}

/// Least, middle and greatest size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Of what, and in what unit.
    pub what: &'static str,
    /// The least.
    pub least: usize,
    /// Half are at most this.
    pub median: usize,
    /// Nineteen of twenty are at most this.
    pub most: usize,
    /// The greatest.
    pub greatest: usize,
}

impl Sizes {
    fn of(what: &'static str, mut all: Vec<usize>) -> Option<Self> {
        all.sort_unstable();
        let at = |share: usize| all.get((all.len().checked_sub(1)?) * share / 100).copied();
        Some(Self {
            what,
            least: at(0)?,
            median: at(50)?,
            most: at(95)?,
            greatest: at(100)?,
        })
    }
}

impl Found {
    /// Examples to train on.
    #[must_use]
    pub fn train(&self) -> usize {
        self.parts.first().map_or(0, |part| part.examples)
    }

    /// Share of the most frequent class among the training examples, and how many times the rarest it is; none if answers
    /// are numbers.
    #[must_use]
    pub fn balance(&self) -> Option<(f64, f64)> {
        let classes = &self.parts.first()?.classes;
        let (most, least) = (*classes.iter().max()?, *classes.iter().min()?);
        let total: usize = classes.iter().sum();
        Some((
            most as f64 / total.max(1) as f64,
            most as f64 / least.max(1) as f64,
        ))
    }
}

/// Passes progress on and keeps what is said.
struct Listening<'a> {
    progress: &'a dyn Progress,
    notes: Mutex<Vec<String>>,
}

impl Progress for Listening<'_> {
    fn start(&self, what: &str, total: Option<u64>, unit: &'static str) {
        self.progress.start(what, total, unit);
    }

    fn at(&self, done: u64) {
        self.progress.at(done);
    }

    fn finish(&self) {
        self.progress.finish();
    }

    fn note(&self, text: &str) {
        let notes = self.notes.lock();
        let mut notes = notes.unwrap_or_else(std::sync::PoisonError::into_inner);
        notes.push(text.to_owned());
    }
}

/// Opens the files and reads them through.
pub(super) fn look(
    modality: Modality,
    data: &DataConfig,
    progress: &dyn Progress,
) -> Result<Found, DataError> {
    let listening = Listening {
        progress,
        notes: Mutex::default(),
    };
    let dirs = DataDirs::discover(None)?;
    let mut data = data.clone();
    let mut notes = Vec::new();
    if modality == Modality::Table {
        notes = table(&mut data)?;
    }
    if modality == Modality::Texts {
        data.text.max_len = MOST_SYMBOLS;
    }
    let splits = nac_data::open_with_progress(&data, &dirs, 0, &listening)?;
    let (parts, sizes, unread) = read(&splits, progress);
    let said = listening.notes.into_inner();
    let said = said.unwrap_or_else(std::sync::PoisonError::into_inner);
    let unreadable = !unread.is_empty() || said.iter().any(|note| note.contains("read"));
    notes.extend(said);
    notes.extend(unread);
    data.skip_unreadable = unreadable;
    choose_sizes(&mut data, splits.train.info(), sizes.as_ref());
    let info = nac_data::describe(&data, &dirs)?;
    Ok(Found {
        data,
        info,
        parts,
        sizes,
        notes,
        unreadable,
    })
}

/// Chooses the columns of a table and says which are left out.
fn table(data: &mut DataConfig) -> Result<Vec<String>, DataError> {
    let path = data.path.clone().unwrap_or_default();
    let label = &data.table.label_column;
    let columns = csv_table::survey(&path, label)?;
    data.table.columns = columns.numbers;
    data.table.regression = columns.label_is_measured;
    let left_out =
        |name| format!("column `{name}` is left out: it holds something else than numbers");
    Ok(columns.others.iter().map(left_out).collect())
}

/// Counts, sizes, and what cannot be read.
fn read(splits: &Splits, progress: &dyn Progress) -> (Vec<Part>, Option<Sizes>, Vec<String>) {
    let all = [
        ("train", Some(&splits.train)),
        ("validation", splits.validation.as_ref()),
        ("test", Some(&splits.test)),
    ];
    let (mut parts, mut lengths, mut unread, mut failed) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (name, dataset) in all {
        let Some(dataset) = dataset else { continue };
        parts.push(part(name, dataset.as_ref()));
        let count = dataset.len().min(MOST_READ);
        if count < dataset.len() {
            unread.push(format!(
                "{name}: only the first {count} files were read through"
            ));
        }
        progress.start(
            &format!("reading {name} files"),
            Some(count as u64),
            "files",
        );
        for index in 0..count {
            match dataset.get(index) {
                Ok(example) => {
                    lengths.extend(example.inputs.iter().filter_map(|(_, input)| length(input)));
                }
                Err(error) => {
                    failed += 1;
                    if failed <= NAMED {
                        unread.push(format!("cannot be read: {error}"));
                    }
                }
            }
            progress.at(index as u64 + 1);
        }
        progress.finish();
    }
    if failed > NAMED {
        unread.push(format!("{} more cannot be read", failed - NAMED));
    }
    (parts, Sizes::of("texts, in symbols", lengths), unread)
}

/// Symbols of a text.
fn length(input: &Buffer) -> Option<usize> {
    matches!(input.values(), Values::I64(_)).then(|| input.values().len())
}

fn part(name: &'static str, dataset: &dyn Dataset) -> Part {
    let count = match dataset.info().output {
        OutputSpec::Classes { count, .. } => count,
        _ => 0,
    };
    let mut classes = vec![0; count];
    for index in 0..dataset.len() {
        if let Some(count) = dataset
            .class(index)
            .and_then(|class| classes.get_mut(class))
        {
            *count += 1;
        }
    }
    Part {
        name,
        examples: dataset.len(),
        classes,
    }
}

/// Sizes that a circuit on two cores trains on in minutes.
fn choose_sizes(data: &mut DataConfig, info: &DatasetInfo, sizes: Option<&Sizes>) {
    for (_, kind) in info.inputs.iter() {
        match *kind {
            InputKind::Image { height, width, .. } => {
                data.image.size = Some([height, width].map(|side| side.clamp(8, 64)));
            }
            InputKind::Tokens { .. } => {
                let most = sizes.map_or(256, |sizes| sizes.most);
                data.text.max_len = most.next_multiple_of(64).min(1024);
            }
            InputKind::Points { .. } => data.points.count = 256,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_quantiles() {
        let sizes = Sizes::of("x", (0..=100).rev().collect()).unwrap();
        assert_eq!(
            (sizes.least, sizes.median, sizes.most, sizes.greatest),
            (0, 50, 95, 100)
        );
        assert_eq!(Sizes::of("x", vec![7]).unwrap().most, 7);
        assert_eq!(Sizes::of("x", Vec::new()), None);
    }
}
