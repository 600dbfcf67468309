//! [`ImageFiles`]: images that are read when they are asked for.

use std::sync::{Arc, OnceLock};

use super::file::ImageFile;
use super::unreadable;
use crate::source::Request;
use crate::{
    Buffer, DataError, Dataset, DatasetInfo, Example, Resize, ResizeFilter, SharedDataset, Target,
    Values, image_file,
};

/// Image files of any size, resized to one.
pub(crate) struct ImageFiles {
    info: DatasetInfo,
    size: [usize; 3],
    how: Resize,
    filter: ResizeFilter,
    files: Vec<ImageFile>,
    answers: Option<Arc<[usize]>>,
    /// Pixels of images that were read before, if all of them fit.
    kept: Option<Vec<OnceLock<Box<[u8]>>>>,
}

impl ImageFiles {
    /// The files of a part (`training`, `test`). With `data.skip_unreadable` those without a readable header are left
    /// out and named. With `answers`, only these classes are answers, see [`Dataset::answers`].
    ///
    /// # Errors
    /// [`DataError::Config`] for a description without an image or if no file is left.
    pub(crate) fn open(
        info: &DatasetInfo,
        part: &str,
        files: Vec<ImageFile>,
        answers: Option<Arc<[usize]>>,
        request: &Request<'_>,
    ) -> Result<SharedDataset, DataError> {
        let size = info
            .inputs
            .single_image()
            .ok_or_else(|| DataError::Config {
                field: info.name.clone(),
                reason: "is no set of images".into(),
            })?;
        let settings = &request.config.image;
        let files = if request.config.skip_unreadable {
            unreadable::leave_out(files, part, request.progress)?
        } else {
            files
        };
        let bytes: usize = size.iter().product::<usize>().saturating_mul(files.len());
        let fits = bytes >> 20 < settings.cache_mb;
        let kept = fits.then(|| files.iter().map(|_| OnceLock::new()).collect());
        Ok(Arc::new(Self {
            info: info.clone(),
            size,
            how: settings.resize,
            filter: settings.filter,
            files,
            answers,
            kept,
        }))
    }

    fn read(&self, file: &ImageFile) -> Result<Buffer, DataError> {
        let Some([left, top, width, height]) = file.part else {
            return image_file::prepare(&file.path, self.size, self.how, self.filter);
        };
        let picture = image_file::read(&file.path)?.crop(left, top, width, height);
        let [channels, height, width] = self.size;
        image_file::resize(&picture, [height, width], self.how, self.filter)?.to_buffer(channels)
    }
}

impl Dataset for ImageFiles {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.files.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let file = &self.files[index];
        let place = self.kept.as_ref().and_then(|kept| kept.get(index));
        let image = match place.and_then(OnceLock::get) {
            Some(pixels) => Buffer::new(self.size.to_vec(), Values::U8(pixels.to_vec()))?,
            None => self.read(file)?,
        };
        if let (Some(place), Values::U8(pixels)) = (place, image.values()) {
            place.get_or_init(|| pixels.clone().into_boxed_slice());
        }
        let target = Target::Class(file.class as usize);
        Ok(Example::new("image", image, target))
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.files.get(index).map(|file| file.class as usize)
    }

    fn answers(&self) -> Option<&[usize]> {
        self.answers.as_deref()
    }

    fn file(&self, index: usize) -> Option<&std::path::Path> {
        self.files.get(index).map(|file| file.path.as_path())
    }
}
