//! [`Predictor`]: a trained model with all that is needed to give it files.

use std::path::{Path, PathBuf};

use nac_core::model::{InputKind, ModelFile, OutputSpec, Preprocessing};
use nac_data::loader::collate;
use nac_data::{Buffer, DatasetInfo, Example, Target, preprocess};
use nac_engine::{CoreEngine, Engine, EngineOptions};

use crate::answer::Answer;
use crate::arrays::arrays;
use crate::error::{PredictError, Result};

/// Name of the file of settings in an export.
pub const SETTINGS_FILE: &str = "model.toml";
/// Name of the file of weights in an export.
pub const WEIGHTS_FILE: &str = "model.safetensors";

/// What is given for an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// A file.
    File(PathBuf),
    /// A text itself, for inputs that are texts.
    Text(String),
}

/// A trained model that reads files.
pub struct Predictor {
    /// The inputs as a data set would describe them; its targets are a placeholder that collation needs.
    info: DatasetInfo,
    output: OutputSpec,
    engine: Box<dyn Engine>,
}

impl std::fmt::Debug for Predictor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Predictor")
            .field("info", &self.info)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

impl Predictor {
    /// The model of an export, on nac-engine.
    ///
    /// # Errors
    /// [`PredictError::NoModel`] if the folder holds none; the files do not belong together; else as [`new`](Self::new).
    pub fn load(folder: impl AsRef<Path>, options: EngineOptions) -> Result<Self> {
        let folder = folder.as_ref();
        for missing in [SETTINGS_FILE, WEIGHTS_FILE] {
            if !folder.join(missing).is_file() {
                let folder = folder.to_owned();
                return Err(PredictError::NoModel { folder, missing });
            }
        }
        let file = ModelFile::read(&folder.join(SETTINGS_FILE))?;
        // What cannot be given files is an error before the weights are read.
        check(&file)?;
        let engine = CoreEngine::load(
            folder.join(SETTINGS_FILE),
            folder.join(WEIGHTS_FILE),
            options,
        )?;
        Self::new(&file, Box::new(engine))
    }

    /// A model on an engine; `file` says how files become its inputs.
    ///
    /// # Errors
    /// [`PredictError::NoPreprocessing`] naming an input for which it does not.
    pub fn new(file: &ModelFile, engine: Box<dyn Engine>) -> Result<Self> {
        check(file)?;
        let info = DatasetInfo {
            name: "given files".into(),
            inputs: file.inputs.clone(),
            output: OutputSpec::values(1),
            preprocessing: file.preprocessing.clone(),
        };
        let output = file.output.clone();
        Ok(Self {
            info,
            output,
            engine,
        })
    }

    /// Names of the model's inputs, in order.
    pub fn input_names(&self) -> impl Iterator<Item = &str> {
        self.info.inputs.names()
    }

    /// Whether an input can be given as a text.
    #[must_use]
    pub fn takes_text(&self, name: &str) -> bool {
        (self.info.preprocessing.get(name)).is_some_and(preprocess::takes_text)
    }

    /// The examples of a file or text for the input of a name: one, or one for each row of a table.
    ///
    /// # Errors
    /// [`PredictError::Inputs`] if there is no such input, [`PredictError::Data`] with the file and what is wrong with it.
    pub fn read(&self, name: &str, given: &Given) -> Result<Vec<Buffer>> {
        let (kind, how) = self.input(name)?;
        Ok(match given {
            Given::File(path) => preprocess::read_file(path, name, kind, how)?,
            Given::Text(text) => vec![preprocess::read_text(text, name, kind, how)?],
        })
    }

    fn input(&self, name: &str) -> Result<(&InputKind, &Preprocessing)> {
        let info = &self.info;
        let found = info.inputs.get(name).zip(info.preprocessing.get(name));
        found.ok_or_else(|| PredictError::Inputs {
            reason: format!("there is no input `{name}`"),
            names: self.input_names().map(String::from).collect(),
        })
    }

    /// Answers for a batch of examples, each all inputs by their names. An answer does not depend on the other examples.
    ///
    /// # Errors
    /// An example lacks an input or has one of another shape; the engine fails.
    pub fn predict(&self, examples: Vec<Vec<(String, Buffer)>>) -> Result<Vec<Answer>> {
        if examples.is_empty() {
            return Ok(Vec::new());
        }
        let indices: Vec<usize> = (0..examples.len()).collect();
        let example = |inputs| Example {
            inputs,
            target: Target::Values(vec![0.0]),
        };
        let examples = examples.into_iter().map(example).collect();
        let batch = collate(&self.info, examples, &indices)?;
        let logits = self.engine.infer(&arrays(&batch)?)?;
        let answer = |row: ndarray::ArrayView1<'_, f32>| Answer::new(&self.output, &row.to_vec());
        Ok(logits.outer_iter().map(answer).collect())
    }
}

/// Checks that files can become every input.
fn check(file: &ModelFile) -> Result<()> {
    let unread = |(name, _): &(&str, &InputKind)| !file.preprocessing.contains_key(*name);
    match file.inputs.iter().find(unread) {
        Some((name, kind)) => Err(PredictError::NoPreprocessing {
            input: name.into(),
            expected: kind.describe(),
        }),
        None => Ok(()),
    }
}
