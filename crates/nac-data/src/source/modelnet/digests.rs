//! MD5 of the published HDF5 files of ModelNet40.

use std::io::Read as _;
use std::path::Path;

use fs_err as fs;
use md5::{Digest, Md5};

use crate::{DataError, Progress};

/// MD5 of the published files, as several public loaders check them; their authors give none.
const DIGESTS: [(&str, &str); 7] = [
    ("ply_data_train0.h5", "3176385ffc31a7b6b5af22191fd920d1"),
    ("ply_data_train1.h5", "e3f613fb500559403b34925112754dc4"),
    ("ply_data_train2.h5", "0c56e233a090ff87c3049d4ce08e7d8b"),
    ("ply_data_train3.h5", "9d2af465adfa33a3285c369f3ca66c45"),
    ("ply_data_train4.h5", "dff38de489b2c41bfaeded86c2208984"),
    ("ply_data_test0.h5", "e9732e6d83b09e79e9a7617df058adee"),
    ("ply_data_test1.h5", "aba4b12a67c34391cc3c015a6f08ed4b"),
];

/// Checks that the folder's HDF5 files are the published ones.
pub(super) fn check(folder: &Path, progress: &dyn Progress) -> Result<(), DataError> {
    progress.start("checking shapes", Some(DIGESTS.len() as u64), "files");
    for (number, (name, expected)) in (1..).zip(DIGESTS) {
        let path = folder.join(name);
        let mut file = fs::File::open(&path)?;
        let mut hash = Md5::new();
        let mut block = vec![0; 1 << 16];
        loop {
            match file.read(&mut block)? {
                0 => break,
                read => hash.update(block.get(..read).unwrap_or_default()),
            }
        }
        let found: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if found != expected {
            return Err(DataError::CorruptFile {
                path,
                offset: 0,
                reason: format!("the MD5 is {found}, that of the published file {expected}"),
            });
        }
        progress.at(number);
    }
    progress.finish();
    Ok(())
}
