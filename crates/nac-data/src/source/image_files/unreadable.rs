//! Leaving out files that are no images, by their headers.

use rayon::prelude::*;

use super::file::ImageFile;
use crate::progress::note_left_out;
use crate::{DataError, Progress, image_file};

/// Files between two reports.
const BLOCK: usize = 4096;

/// The files whose header is that of an image of a size that is read; the others are named in a note.
///
/// # Errors
/// [`DataError::Config`] if none is left.
pub(super) fn leave_out(
    files: Vec<ImageFile>,
    part: &str,
    progress: &dyn Progress,
) -> Result<Vec<ImageFile>, DataError> {
    let count = files.len();
    let what = format!("checking {part} images");
    progress.start(&what, Some(count as u64), "files");
    let (mut good, mut refused) = (Vec::with_capacity(count), Vec::new());
    let mut done = 0;
    let mut files = files.into_iter();
    loop {
        let block: Vec<ImageFile> = files.by_ref().take(BLOCK).collect();
        if block.is_empty() {
            break;
        }
        done += block.len() as u64;
        let checked: Vec<_> = block
            .into_par_iter()
            .map(|file| (image_file::check_header(&file.path).err(), file))
            .collect();
        for (error, file) in checked {
            match error {
                None => good.push(file),
                Some(error) => refused.push(error.to_string()),
            }
        }
        progress.at(done);
    }
    progress.finish();
    let what = format!("{part} files are no readable images");
    note_left_out(progress, &what, count, &refused);
    if good.is_empty() && count > 0 {
        return Err(DataError::Config {
            field: "data.path".into(),
            reason: format!("none of the {count} {part} files is a readable image"),
        });
    }
    Ok(good)
}
