//! Images per second of the loader on JPEG files, decoded and augmented: the Rust side of `benches/loader/compare.py`.
//!
//! ```sh
//! cargo run --release -p nac-data --example loader_throughput -- LIST SIZE SECONDS WORKERS [TRANSFORM…]
//! ```
//!
//! `LIST` names the files, one a line; `SIZE` is the side of the images that come out; without workers, everything happens
//! in one thread. Prints one number.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nac_data::image_file::{prepare, read};
use nac_data::transform::from_specs;
use nac_data::{
    DataError, Dataset, DatasetInfo, Example, InputKind, InputSpec, Loader, LoaderOptions,
    OutputSpec, Resize, ResizeFilter, Target,
};

struct Files {
    info: DatasetInfo,
    files: Vec<PathBuf>,
    side: usize,
}

impl Dataset for Files {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.files.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let size = [3, self.side, self.side];
        let image = prepare(
            &self.files[index],
            size,
            Resize::Crop,
            ResizeFilter::Bilinear,
        )?;
        Ok(Example::new("image", image, Target::Class(0)))
    }

    fn get_original(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let image = read(&self.files[index])?.to_buffer(3)?;
        Ok(Example::new("image", image, Target::Class(0)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list, size, seconds, workers, specs @ ..] = arguments.as_slice() else {
        println!("usage: loader_throughput LIST SIZE SECONDS WORKERS [TRANSFORM…]");
        return Ok(());
    };
    let side: usize = size.parse()?;
    let kind = InputKind::Image {
        channels: 3,
        height: side,
        width: side,
        normalization: None,
    };
    let info = DatasetInfo {
        name: "files".into(),
        inputs: InputSpec::new("image", kind),
        output: OutputSpec::classes(1),
        preprocessing: Default::default(),
    };
    let files = std::fs::read_to_string(list)?
        .lines()
        .map(PathBuf::from)
        .collect();
    let options = LoaderOptions {
        batch_size: 32,
        shuffle: true,
        workers: workers.parse()?,
        transform: from_specs(specs, &info)?,
        ..LoaderOptions::default()
    };
    let loader = Loader::new(Arc::new(Files { info, files, side }), options)?;
    let limit = Duration::from_secs_f64(seconds.parse()?);
    // The first batch is for warming up.
    let mut batches = (0..).flat_map(|epoch| loader.epoch(epoch, 0));
    batches.next().transpose()?;
    let (start, mut images) = (Instant::now(), 0);
    for batch in batches {
        images += batch?.len();
        if start.elapsed() >= limit {
            break;
        }
    }
    println!("{:.1}", images as f64 / start.elapsed().as_secs_f64());
    Ok(())
}
