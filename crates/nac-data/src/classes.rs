//! Some of the classes of a data set, numbered again: `data.classes`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset, DatasetInfo, Example, OutputSpec, SharedDataset, Splits, Target};

/// A class by its number, counted from 0, or by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClassChoice {
    /// Number within all classes of the data set.
    Number(usize),
    /// Name, as in [`OutputSpec`].
    Name(String),
}

impl From<usize> for ClassChoice {
    fn from(number: usize) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for ClassChoice {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

/// The examples of some classes. The class chosen first becomes class 0, and so on. The name of the data set says which
/// were chosen: `digits, classes 6-9`.
pub struct ClassSubset {
    dataset: SharedDataset,
    info: DatasetInfo,
    indices: Vec<usize>,
    /// New number of each chosen class.
    numbers: BTreeMap<usize, usize>,
    answers: Option<Vec<usize>>,
}

impl ClassSubset {
    /// The examples of `dataset` that are of `classes`, in the order of the data set. Examples are read where their
    /// class is not known without.
    ///
    /// # Errors
    /// [`DataError::Config`] if answers are not classes, a class does not exist or is chosen twice; errors of reading.
    pub fn new(dataset: SharedDataset, classes: &[ClassChoice]) -> Result<Self, DataError> {
        let numbers = numbers(dataset.info(), classes)?;
        let mut info = dataset.info().clone();
        describe(&mut info, classes)?;
        let mut indices = Vec::new();
        for index in 0..dataset.len() {
            let class = match dataset.class(index) {
                Some(class) => Some(class),
                None => dataset.get(index)?.target.class(),
            };
            if class.is_some_and(|class| numbers.contains_key(&class)) {
                indices.push(index);
            }
        }
        let renumbered = |answers: &[usize]| {
            let kept = answers.iter().filter_map(|class| numbers.get(class));
            kept.copied().collect()
        };
        Ok(Self {
            answers: dataset.answers().map(renumbered),
            dataset,
            info,
            indices,
            numbers,
        })
    }

    fn renumbered(&self, mut example: Example) -> Example {
        if let Target::Class(class) = &mut example.target
            && let Some(number) = self.numbers.get(class)
        {
            *class = *number;
        }
        example
    }

    fn whole(&self, index: usize) -> Option<usize> {
        self.indices.get(index).copied()
    }
}

impl Dataset for ClassSubset {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        Ok(self.renumbered(self.dataset.get(self.indices[index])?))
    }

    fn get_original(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        Ok(self.renumbered(self.dataset.get_original(self.indices[index])?))
    }

    fn class(&self, index: usize) -> Option<usize> {
        let class = self.dataset.class(self.whole(index)?)?;
        self.numbers.get(&class).copied()
    }

    fn group(&self, index: usize) -> Option<&str> {
        self.dataset.group(self.whole(index)?)
    }

    fn unit(&self, index: usize) -> Option<u64> {
        self.dataset.unit(self.whole(index)?)
    }

    fn answers(&self) -> Option<&[usize]> {
        self.answers.as_deref()
    }

    fn file(&self, index: usize) -> Option<&Path> {
        self.dataset.file(self.whole(index)?)
    }
}

/// Every part of a data set with its examples of `classes` alone.
///
/// # Errors
/// As [`ClassSubset::new`], or a part has no example of these classes.
pub fn select(splits: Splits, classes: &[ClassChoice]) -> Result<Splits, DataError> {
    let of = |part: SharedDataset| -> Result<SharedDataset, DataError> {
        let subset = ClassSubset::new(part, classes)?;
        if subset.is_empty() {
            return Err(refused("a part has no example of these classes".into()));
        }
        Ok(Arc::new(subset))
    };
    Ok(Splits {
        train: of(splits.train)?,
        validation: splits.validation.map(of).transpose()?,
        test: of(splits.test)?,
    })
}

/// Makes `info` the description of a data set with `classes` alone.
///
/// # Errors
/// [`DataError::Config`] as of [`ClassSubset::new`].
pub(crate) fn describe(info: &mut DatasetInfo, classes: &[ClassChoice]) -> Result<(), DataError> {
    let numbers = numbers(info, classes)?;
    let mut order = vec![0; numbers.len()];
    for (class, number) in numbers {
        if let Some(place) = order.get_mut(number) {
            *place = class;
        }
    }
    let named = matches!(&info.output, OutputSpec::Classes { names, .. } if !names.is_empty());
    let output = match named {
        true => OutputSpec::named(order.iter().map(|&class| info.output.class_name(class))),
        false => OutputSpec::classes(order.len()),
    };
    info.name = format!("{}, classes {}", info.name, ranges(&order));
    info.output = output;
    Ok(())
}

/// From number to new number.
fn numbers(
    info: &DatasetInfo,
    classes: &[ClassChoice],
) -> Result<BTreeMap<usize, usize>, DataError> {
    let Some(count) = info.output.class_count() else {
        return Err(refused(format!(
            "answers of `{}` are not classes",
            info.name
        )));
    };
    let mut numbers = BTreeMap::new();
    for (new, choice) in classes.iter().enumerate() {
        let class = match choice {
            ClassChoice::Number(number) => Some(*number).filter(|number| *number < count),
            ClassChoice::Name(name) => {
                (0..count).find(|&class| info.output.class_name(class) == *name)
            }
        };
        let shown = match choice {
            ClassChoice::Number(number) => number.to_string(),
            ClassChoice::Name(name) => format!("`{name}`"),
        };
        let Some(class) = class else {
            return Err(refused(format!(
                "`{}` has no class {shown}; there are {count}, counted from 0",
                info.name
            )));
        };
        if numbers.insert(class, new).is_some() {
            return Err(refused(format!("class {shown} is chosen twice")));
        }
    }
    if numbers.is_empty() {
        return Err(refused("at least one class is needed".into()));
    }
    Ok(numbers)
}

fn refused(reason: String) -> DataError {
    DataError::Config {
        field: "data.classes".into(),
        reason,
    }
}

/// `0-3 7` for 0, 1, 2, 3, 7.
fn ranges(classes: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &class in classes {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(class) => *last = class,
            _ => runs.push((class, class)),
        }
    }
    let text = runs.iter().map(|&(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    text.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::InMemory;
    use crate::{DataConfig, DataDirs};

    fn numbered(classes: &[usize]) -> Vec<ClassChoice> {
        classes.iter().map(|&class| class.into()).collect()
    }

    #[test]
    fn examples_of_the_chosen_classes_are_numbered_in_their_order() {
        for known in [true, false] {
            let whole = InMemory::images(10, 1, 2, 2, 3);
            let whole: SharedDataset = match known {
                true => Arc::new(whole),
                false => Arc::new(whole.without_known_classes()),
            };
            let subset = ClassSubset::new(whole.clone(), &numbered(&[2, 0])).unwrap();
            let expected: Vec<usize> = (0..10)
                .filter(|&i| whole.get(i).unwrap().target != Target::Class(1))
                .collect();
            assert_eq!(subset.len(), expected.len());
            for (index, &from) in expected.iter().enumerate() {
                let (ours, theirs) = (subset.get(index).unwrap(), whole.get(from).unwrap());
                assert_eq!(ours.inputs, theirs.inputs);
                let class = theirs.target.class().map(|class| usize::from(class == 0));
                assert_eq!(ours.target.class(), class);
                assert_eq!(subset.class(index), class.filter(|_| known));
            }
            assert!(subset.get(subset.len()).is_err());
            assert_eq!(subset.info().output.class_count(), Some(2));
        }
    }

    #[test]
    fn a_config_selects_in_all_parts_and_in_the_description() {
        let dirs = DataDirs::new(None, None, std::env::temp_dir());
        let text = "name = \"digits\"\nclasses = [6, \"7\", 8, 9]";
        let config: DataConfig = toml::from_str(text).unwrap();
        let splits = crate::open(&config, &dirs, 0).unwrap();
        let whole = crate::open(&DataConfig::default(), &dirs, 0).unwrap();
        for (part, all) in [(&splits.train, &whole.train), (&splits.test, &whole.test)] {
            let count = (0..all.len()).filter(|&i| all.class(i) >= Some(6)).count();
            assert_eq!(part.len(), count);
            assert!((0..part.len()).all(|i| part.class(i) < Some(4)));
        }
        let info = splits.test.info();
        assert_eq!(info.name, "digits, classes 6-9");
        assert_eq!(info.output, OutputSpec::named(["6", "7", "8", "9"]));
        assert_eq!(&crate::describe(&config, &dirs).unwrap(), info);
    }

    #[test]
    fn impossible_choices_are_refused() {
        let refused = |classes: &[ClassChoice]| {
            let whole = Arc::new(InMemory::images(6, 1, 2, 2, 3));
            let error = ClassSubset::new(whole, classes).err().unwrap().to_string();
            assert!(error.contains("data.classes"), "{error}");
            error
        };
        assert!(refused(&numbered(&[3])).contains("has no class 3; there are 3"));
        assert!(refused(&["cat".into()]).contains("no class `cat`"));
        assert!(refused(&numbered(&[1, 1])).contains("chosen twice"));
        refused(&[]);
        let values = Arc::new(InMemory::regression(4, 1, 1));
        assert!(ClassSubset::new(values, &numbered(&[0])).is_err());
        assert_eq!(ranges(&[0, 1, 2, 5, 4]), "0-2 5 4");
    }
}
