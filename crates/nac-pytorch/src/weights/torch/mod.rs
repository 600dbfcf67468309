//! PyTorch's own files (`.pt`, `.pth`): a zip archive with a pickle and one entry for each storage.
//!
//! ```text
//! <root>/data.pkl      containers; tensors as views of storages
//! <root>/data/<key>    elements of a storage, not compressed
//! <root>/byteorder     little or big; little if missing
//! <root>/version       3
//! ```
//!
//! The name of the root folder is arbitrary. Source: `torch/serialization.py`,
//! `caffe2/serialize/inline_container.cc`.

mod archive;
mod select;
mod view;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

use tch::Tensor;

pub(super) use select::Part;
pub(super) use write::to_bytes;

use super::error::{Result, WeightsError};
use super::pickle::{self, Pickle, Value};
use archive::Archive;

/// An opened file whose tensors are still on disk.
#[derive(Debug)]
pub(super) struct TorchFile {
    archive: Archive,
    value: Value,
    pickle: Pickle,
}

impl TorchFile {
    /// Opens a file and reads its pickle.
    ///
    /// # Errors
    /// It is no such file, damaged, or refused.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut archive = Archive::open(path)?;
        let bytes = archive.pickle()?;
        let (value, pickle) = pickle::load(&bytes).map_err(|cause| WeightsError::Pickle {
            path: path.to_owned(),
            cause,
        })?;
        Ok(Self {
            archive,
            value,
            pickle,
        })
    }

    /// The dictionaries of the file that hold nothing but named tensors.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn parts(&self) -> Result<Vec<Part>> {
        select::parts(&self.value, &self.pickle).map_err(|reason| self.archive.fail(reason))
    }

    /// Numbers, strings and the like that stand beside the tensors, as text.
    pub(super) fn notes(&self) -> BTreeMap<String, String> {
        select::notes(&self.value, &self.pickle)
    }

    /// Type and shape of each tensor of a part.
    pub(super) fn headers(&self, part: &Part) -> Vec<(String, tch::Kind, Vec<u64>)> {
        let fact = |(name, tensor): &(String, usize)| {
            let tensor = &self.pickle.tensors[*tensor];
            let kind = self.pickle.storages[tensor.storage].kind;
            (name.clone(), kind, tensor.shape.clone())
        };
        part.tensors.iter().map(fact).collect()
    }

    /// Reads the tensors of a part.
    ///
    /// # Errors
    /// A storage is missing, or a tensor reaches beyond its storage.
    pub(super) fn read(&mut self, part: &Part) -> Result<BTreeMap<String, Tensor>> {
        view::read(&mut self.archive, &self.pickle, part)
    }
}
