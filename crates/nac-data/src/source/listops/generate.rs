//! [`generate`]: as many different expressions as asked for, in three parts.
//!
//! Expression `k` is the first accepted attempt of its own random stream, so threads share the
//! work without changing the result. Of equal expressions the first counts. As in the original,
//! the first are for training, the next for validation, the last for test; since no expression
//! occurs twice in all, no part shares one with another.

use std::collections::HashSet;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::sampler::Sampler;
use super::vocabulary::Symbol;
use super::{Corpus, ListOpsConfig};
use crate::random::Stream;
use crate::{DataError, Progress};

/// Attempts at one expression before the limits are called impossible. By the arena's own limits
/// one attempt in about 12 is accepted.
const MAX_ATTEMPTS: usize = 1_000_000;
/// Expressions drawn at a time.
const CHUNK: usize = 4_096;

/// The three parts of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Training expressions.
    pub train: Corpus,
    /// Validation expressions, possibly none.
    pub validation: Corpus,
    /// Test expressions.
    pub test: Corpus,
}

/// Generates the parts. The same settings and seed give the same expressions everywhere.
///
/// # Errors
/// [`DataError::Config`] if the settings are impossible, or allow too few different expressions.
pub fn generate(
    config: &ListOpsConfig,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Parts, DataError> {
    config.check()?;
    let total = config.total();
    progress.start("generating ListOps", Some(total as u64), "examples");
    let mut parts = [Corpus::new(), Corpus::new(), Corpus::new()];
    let mut ends = [config.train, config.validation, config.test];
    ends[1] += ends[0];
    ends[2] += ends[1];

    let mut seen = HashSet::with_capacity(total.min(1 << 20));
    let mut drawn = 0;
    while seen.len() < total {
        if drawn > total.saturating_mul(100).saturating_add(10_000) {
            return Err(DataError::Config {
                field: "data.listops.train".into(),
                reason: format!(
                    "only {} different expressions were found in {drawn}; {total} were asked for",
                    seen.len()
                ),
            });
        }
        let count = (total - seen.len()).clamp(64, CHUNK);
        let chunk = (drawn..drawn + count)
            .into_par_iter()
            .map_init(Sampler::default, |sampler, k| {
                draw(config, seed, k, sampler)
            })
            .collect::<Result<Vec<_>, _>>()?;
        drawn += count;
        for (symbols, answer, digest) in chunk {
            if seen.len() == total {
                break;
            }
            if seen.insert(digest) {
                let part = ends.iter().filter(|&&end| end < seen.len()).count();
                parts[part].push(&symbols, answer);
            }
        }
        progress.at(seen.len() as u64);
    }
    progress.finish();
    let [train, validation, test] = parts;
    Ok(Parts {
        train,
        validation,
        test,
    })
}

type Drawn = (Vec<Symbol>, u8, [u8; 32]);

/// Expression `k`, its answer, and its SHA-256 for detecting duplicates.
fn draw(
    config: &ListOpsConfig,
    seed: u64,
    k: usize,
    sampler: &mut Sampler,
) -> Result<Drawn, DataError> {
    let mut stream = Stream::new(seed, "listops", &[k as u64]);
    for _ in 0..MAX_ATTEMPTS {
        if let Some((symbols, answer)) = sampler.attempt(config, &mut stream, true) {
            return Ok((symbols.to_vec(), answer, Sha256::digest(symbols).into()));
        }
    }
    Err(DataError::Config {
        field: "data.listops.min_length".into(),
        reason: format!(
            "no expression longer than {} and shorter than {} came up in {MAX_ATTEMPTS} attempts \
             with max_depth {} and max_args {}",
            config.min_length, config.max_length, config.max_depth, config.max_args
        ),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::evaluate::evaluate;
    use super::super::vocabulary::is_operator;
    use super::*;
    use crate::Silent;

    fn small() -> ListOpsConfig {
        ListOpsConfig {
            min_length: 10,
            max_length: 100,
            train: 300,
            validation: 50,
            test: 60,
            ..ListOpsConfig::default()
        }
    }

    #[test]
    fn parts_have_their_sizes_and_share_nothing() {
        let parts = generate(&small(), 3, &Silent).unwrap();
        assert_eq!(
            (parts.train.len(), parts.validation.len(), parts.test.len()),
            (300, 50, 60)
        );
        let all = [&parts.train, &parts.validation, &parts.test];
        let different: HashSet<_> = all.iter().flat_map(|c| c.iter()).map(|(s, _)| s).collect();
        assert_eq!(different.len(), 410);
        assert_ne!(parts, generate(&small(), 4, &Silent).unwrap());
    }

    #[test]
    fn thread_count_changes_nothing() {
        let wide = generate(&small(), 3, &Silent).unwrap();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let narrow = pool.install(|| generate(&small(), 3, &Silent)).unwrap();
        assert_eq!(wide, narrow);
    }

    #[test]
    fn more_examples_keep_the_first_ones() {
        let few = generate(
            &ListOpsConfig {
                train: 100,
                ..small()
            },
            3,
            &Silent,
        )
        .unwrap();
        let many = generate(&small(), 3, &Silent).unwrap();
        assert!(few.train.iter().eq(many.train.iter().take(100)));
    }

    #[test]
    fn full_lengths_have_the_known_statistics() {
        // Measured on 40,000 expressions of the original: mean length 1,035 to 1,060, deepest
        // operator always at depth 9, answers 0 and 9 about 17 % each, the others 7 to 9 %.
        let config = ListOpsConfig {
            train: 2_000,
            validation: 0,
            test: 1,
            ..Default::default()
        };
        let parts = generate(&config, 0, &Silent).unwrap();
        let n = parts.train.len() as f64;
        let mean = parts.train.iter().map(|(s, _)| s.len()).sum::<usize>() as f64 / n;
        assert!((1_005.0..1_090.0).contains(&mean), "{mean}");
        let mut answers = [0.0; 10];
        let mut depth_nine = 0;
        for (symbols, answer) in parts.train.iter() {
            answers[usize::from(answer)] += 1.0 / n;
            let (mut depth, mut deepest) = (0, 0);
            for &symbol in symbols {
                depth += i32::from(is_operator(symbol)) - i32::from(symbol == 14);
                deepest = deepest.max(depth);
            }
            depth_nine += usize::from(deepest == 9);
            assert!(deepest <= 9);
        }
        assert!(depth_nine > 1_950, "{depth_nine}");
        for answer in [0, 9] {
            assert!((0.14..0.20).contains(&answers[answer]), "{answers:?}");
        }
        assert!(
            answers[1..9].iter().all(|a| (0.05..0.11).contains(a)),
            "{answers:?}"
        );
    }

    #[test]
    fn settings_without_enough_expressions_end_with_an_error() {
        // Lengths 1 to 3: only the ten digits exist.
        let tiny = ListOpsConfig {
            min_length: 0,
            max_length: 4,
            train: 20,
            ..small()
        };
        let error = generate(&tiny, 0, &Silent).unwrap_err().to_string();
        assert!(error.contains("only 10 different"), "{error}");
        // At most 2 + 3 symbols with depth 2 and 3 arguments.
        let short = ListOpsConfig {
            min_length: 50,
            max_depth: 2,
            max_args: 3,
            ..small()
        };
        let error = generate(&short, 0, &Silent).unwrap_err().to_string();
        assert!(error.contains("data.listops.min_length"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn answers_and_lengths_hold_for_any_settings(
            seed in any::<u64>(),
            min_length in 5usize..30,
            more in 20usize..200,
            max_depth in 5usize..14,
            max_args in 5usize..12,
        ) {
            let config = ListOpsConfig {
                min_length, max_length: min_length + more, max_depth, max_args,
                train: 20, validation: 0, test: 5, ..ListOpsConfig::default()
            };
            let parts = generate(&config, seed, &Silent).unwrap();
            for (symbols, answer) in parts.train.iter().chain(parts.test.iter()) {
                prop_assert!(min_length < symbols.len() && symbols.len() < min_length + more);
                prop_assert_eq!(evaluate(symbols).unwrap(), answer);
            }
        }
    }
}
