//! [`ImageFiles`]: images that are read when they are asked for.

use std::sync::{Arc, OnceLock};

use super::file::ImageFile;
use super::unreadable;
use crate::source::Request;
use crate::{
    Buffer, DataError, Dataset, DatasetInfo, Example, Resize, ResizeFilter, SharedDataset, Target,
    Values,
    image_file::{self, Picture},
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

    /// The used part of a file at its own size.
    fn picture(file: &ImageFile) -> Result<Picture, DataError> {
        let picture = image_file::read(&file.path)?;
        Ok(match file.part {
            Some([left, top, width, height]) => picture.crop(left, top, width, height),
            None => picture,
        })
    }

    fn example(file: &ImageFile, image: Buffer) -> Example {
        Example::new("image", image, Target::Class(file.class as usize))
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
            None => {
                let [channels, height, width] = self.size;
                let picture = Self::picture(file)?;
                image_file::resize(&picture, [height, width], self.how, self.filter)?
                    .to_buffer(channels)?
            }
        };
        if let (Some(place), Values::U8(pixels)) = (place, image.values()) {
            place.get_or_init(|| pixels.clone().into_boxed_slice());
        }
        Ok(Self::example(file, image))
    }

    fn get_original(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let file = &self.files[index];
        let image = Self::picture(file)?.to_buffer(self.size[0])?;
        Ok(Self::example(file, image))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        DataConfig, DataDirs, Loader, LoaderOptions, Silent, source::image_files, transform,
    };

    /// A photograph of 200 x 100 pixels; right of column 100 it is white, left of it fine stripes.
    fn photograph(part: Option<[usize; 4]>) -> (tempfile::TempDir, SharedDataset) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wide.ppm");
        let mut bytes = b"P6 200 100 255\n".to_vec();
        let row = (0..200_usize).flat_map(|x| [if x < 100 { 255 * (x % 2) as u8 } else { 255 }; 3]);
        let row: Vec<u8> = row.collect();
        (0..100).for_each(|_| bytes.extend(&row));
        fs_err::write(&path, bytes).unwrap();
        let file = ImageFile {
            part,
            ..ImageFile::whole(path, 1)
        };
        let config = DataConfig::default();
        let dirs = DataDirs::new(None, None, "cache".into());
        let request = Request {
            config: &config,
            dirs: &dirs,
            seed: 0,
            progress: &Silent,
        };
        let info = image_files::info("photographs", ["a", "b"], &config.image);
        let set = ImageFiles::open(&info, "training", vec![file], None, &request).unwrap();
        (dir, set)
    }

    #[test]
    fn originals_have_the_size_of_the_file_or_its_part() {
        let shape = |example: &Example| example.inputs[0].1.shape().to_vec();
        let (_dir, set) = photograph(None);
        assert_eq!(shape(&set.get(0).unwrap()), [3, 64, 64]);
        let original = set.get_original(0).unwrap();
        assert_eq!(shape(&original), [3, 100, 200]);
        assert_eq!(original.target, Target::Class(1));
        assert!(set.get_original(1).is_err());

        let (_dir, set) = photograph(Some([98, 10, 40, 30]));
        assert_eq!(shape(&set.get(0).unwrap()), [3, 64, 64]);
        let original = set.get_original(0).unwrap();
        assert_eq!(shape(&original), [3, 30, 40]);
        let Values::U8(pixels) = original.inputs[0].1.values() else {
            panic!("no bytes")
        };
        assert_eq!(pixels[..4], [0, 255, 255, 255]);
    }

    /// Stripes of one pixel survive only where they were not shrunk before the cut.
    #[test]
    fn windows_are_cut_from_the_file_and_not_from_the_resized_image() {
        let (_dir, set) = photograph(None);
        let stripes = |spec: &str| {
            let transform = transform::from_specs(&[spec.into()], set.info()).unwrap();
            let options = LoaderOptions {
                batch_size: 1,
                transform,
                ..LoaderOptions::default()
            };
            let loader = Loader::new(set.clone(), options).unwrap();
            let batches = (0..40).flat_map(|epoch| loader.epoch(epoch, 0));
            let dark = batches.map(|batch| {
                let batch = batch.unwrap();
                let image = &batch.inputs[0].1;
                assert_eq!(image.shape(), [1, 3, 64, 64]);
                let Values::U8(pixels) = image.values() else {
                    panic!("no bytes")
                };
                pixels.iter().copied().min().unwrap()
            });
            dark.min().unwrap()
        };
        // Windows of about 32 x 32 are enlarged.
        assert!(stripes("random_resized_crop:0.05-0.05") < 40);
        // The data set's images have the stripes as grey.
        assert!(stripes("horizontal_flip") > 80);
    }
}
