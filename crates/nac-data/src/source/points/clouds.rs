//! [`Clouds`]: point clouds held in memory.

use crate::{
    Buffer, DataError, Dataset, DatasetInfo, Example, InputKind, InputSpec, OutputSpec,
    Preprocessing, Target,
};

/// What a data set of `count` points an example looks like.
#[must_use]
pub fn info(name: &str, count: usize, classes: &[String]) -> DatasetInfo {
    let kind = InputKind::Points {
        points: count,
        dims: 3,
    };
    DatasetInfo {
        name: name.into(),
        inputs: InputSpec::new("points", kind),
        output: OutputSpec::named(classes.iter().cloned()),
        preprocessing: [("points".into(), Preprocessing::Points {})].into(),
    }
}

/// Point clouds with classes, each `f32 [points, 3]`.
#[derive(Clone, Debug)]
pub struct Clouds {
    info: DatasetInfo,
    clouds: Vec<Buffer>,
    classes: Vec<u32>,
}

impl Clouds {
    /// One class for each cloud.
    ///
    /// # Errors
    /// [`DataError::Shape`] if there are not as many classes as clouds.
    pub fn new(
        info: DatasetInfo,
        clouds: Vec<Buffer>,
        classes: Vec<u32>,
    ) -> Result<Self, DataError> {
        if clouds.len() != classes.len() {
            return Err(DataError::Shape {
                operation: format!("point clouds of `{}`", info.name),
                expected: format!("{} classes", clouds.len()),
                found: format!("{} classes", classes.len()),
            });
        }
        Ok(Self {
            info,
            clouds,
            classes,
        })
    }
}

impl Dataset for Clouds {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.clouds.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let target = Target::Class(self.classes[index] as usize);
        Ok(Example::new("points", self.clouds[index].clone(), target))
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.classes.get(index).map(|&class| class as usize)
    }
}
