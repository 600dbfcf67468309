//! Writing a file that `torch.load(path, weights_only=True)` opens: an `OrderedDict` of tensors, protocol 2.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use tch::Tensor;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::weights::bytes_of;
use crate::weights::pickle::Function;

/// Storages begin at multiples of this, so that PyTorch can map them.
const ALIGNMENT: u16 = 64;

/// The bytes of a file with these tensors. Each has a storage of its own.
///
/// # Errors
/// A description of what cannot be stored.
pub(in crate::weights) fn to_bytes(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, String> {
    let mut pickle = Pickler::default();
    let mut storages = Vec::with_capacity(tensors.len());
    pickle.begin();
    for (name, tensor) in tensors {
        let kind = tensor.kind();
        let class = Function::storage_name(kind).ok_or_else(|| {
            format!("`{name}` has the element type {kind:?}, which PyTorch's files lack")
        })?;
        pickle.tensor(name, class, storages.len(), &tensor.size())?;
        storages.push(bytes_of(tensor).map_err(|e| format!("`{name}`: {e}"))?);
    }
    let pickle = pickle.end();

    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut entry = |name: &str, bytes: &[u8]| -> Result<(), String> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(u32::try_from(bytes.len()).is_err())
            .with_alignment(ALIGNMENT);
        zip.start_file(format!("weights/{name}"), options)
            .map_err(|e| e.to_string())?;
        zip.write_all(bytes).map_err(|e| e.to_string())
    };
    entry("data.pkl", &pickle)?;
    entry("byteorder", b"little")?;
    for (number, bytes) in storages.iter().enumerate() {
        entry(&format!("data/{number}"), bytes)?;
    }
    entry("version", b"3\n")?;
    Ok(zip.finish().map_err(|e| e.to_string())?.into_inner())
}

/// Writes the pickle.
#[derive(Debug, Default)]
struct Pickler(Vec<u8>);

impl Pickler {
    fn begin(&mut self) {
        self.0.extend([0x80, 2]);
        self.empty_ordered_dict();
        self.0.push(b'(');
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend(b"u.");
        self.0
    }

    fn empty_ordered_dict(&mut self) {
        self.0.extend(b"ccollections\nOrderedDict\n)R");
    }

    /// `name: _rebuild_tensor_v2(storage, 0, shape, stride, False, OrderedDict())`
    fn tensor(
        &mut self,
        name: &str,
        class: &str,
        number: usize,
        shape: &[i64],
    ) -> Result<(), String> {
        self.text(name)?;
        self.0.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage")?;
        self.0.extend(format!("ctorch\n{class}\n").bytes());
        self.text(&number.to_string())?;
        self.text("cpu")?;
        self.int(shape.iter().product());
        self.0.extend(b"tQ");
        self.int(0);
        let mut strides = vec![1_i64; shape.len()];
        for dimension in (1..shape.len()).rev() {
            strides[dimension - 1] = strides[dimension] * shape[dimension].max(1);
        }
        for sizes in [shape, &strides] {
            self.0.push(b'(');
            sizes.iter().for_each(|&size| self.int(size));
            self.0.push(b't');
        }
        self.0.push(0x89);
        self.empty_ordered_dict();
        self.0.extend(b"tR");
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        let length = u32::try_from(text.len()).map_err(|_| "a name of more than 4 GiB")?;
        self.0.push(b'X');
        self.0.extend(length.to_le_bytes());
        self.0.extend(text.bytes());
        Ok(())
    }

    fn int(&mut self, number: i64) {
        if let Ok(number) = i32::try_from(number) {
            self.0.push(b'J');
            self.0.extend(number.to_le_bytes());
        } else {
            self.0.extend([0x8a, 8]);
            self.0.extend(number.to_le_bytes());
        }
    }
}
