//! Adds a data set through the [`Dataset`] trait and reads it in batches.
//!
//! The task: do the brackets of a short sequence match? `cargo run -p nac-data --example
//! custom_dataset`
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;

use nac_data::random::Stream;
use nac_data::{
    Buffer, DataError, Dataset, DatasetInfo, Example, InputSpec, Loader, LoaderOptions, OutputSpec,
    Target, Values, split,
};

/// Random sequences of `(` (id 1) and `)` (id 2); class 1 if they match.
struct Brackets {
    info: DatasetInfo,
    len: usize,
}

impl Brackets {
    fn new(len: usize, max_len: usize) -> Self {
        Self {
            info: DatasetInfo {
                name: "brackets".into(),
                inputs: InputSpec::tokens(3, max_len, 0),
                output: OutputSpec::named(["no match", "match"]),
                preprocessing: Default::default(),
            },
            len,
        }
    }
}

impl Dataset for Brackets {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let mut stream = Stream::new(0, "brackets", &[index as u64]);
        let length = 2 * (1 + stream.below(3));
        let ids: Vec<i64> = (0..length).map(|_| 1 + stream.below(2) as i64).collect();
        let depths = ids.iter().scan(0i64, |depth, id| {
            *depth += if *id == 1 { 1 } else { -1 };
            Some(*depth)
        });
        let depths: Vec<i64> = depths.collect();
        let matched = depths.iter().all(|&d| d >= 0) && depths.last() == Some(&0);
        let target = Target::Class(matched.into());
        Ok(Example::new("tokens", Buffer::tokens(ids), target))
    }
}

fn main() -> Result<(), DataError> {
    let all: Arc<dyn Dataset> = Arc::new(Brackets::new(1_000, 6));
    let (train, validation) = split::held_out(all, 200, 0)?;
    assert_eq!((train.len(), validation.len()), (800, 200));

    let options = LoaderOptions {
        batch_size: 50,
        shuffle: true,
        workers: 2,
        ..Default::default()
    };
    let loader = Loader::new(Arc::new(train), options)?;
    let (mut seen, mut matched) = (0, 0);
    for batch in loader.epoch(0, 0) {
        let batch = batch?;
        let tokens = batch.input("tokens")?;
        assert_eq!(
            tokens.shape(),
            &[50, 6],
            "padded to the longest of the batch"
        );
        assert!(matches!(tokens.values(), Values::I64(_)));
        seen += batch.len();
        matched += batch.targets.classes()?.iter().sum::<i64>();
    }
    assert_eq!(seen, 800);
    println!("{matched} of {seen} training sequences match");
    assert!((1..seen as i64).contains(&matched));
    Ok(())
}

#[test]
fn the_example_runs() -> Result<(), DataError> {
    main()
}
