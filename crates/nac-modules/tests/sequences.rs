//! Tokenizers of sequences: what padding may change, and what a recurrence can count.
#![allow(clippy::unwrap_used)]

use nac_core::model::{NgramPooling, RecurrentConfig, SequenceTokenizer};
use nac_modules::layer::Recurrence;
use nac_modules::prelude::*;
use nac_modules::tokenizer::{ModelTokenizer, Tokenizer};

const VOCABULARY: i64 = 7;
const PAD: i64 = 0;

/// Tokenizers whose windows are no divisors of each other.
fn tokenizers() -> Vec<(&'static str, ModelConfig, usize)> {
    let with = |change: &dyn Fn(&mut ModelConfig)| {
        let mut config = ModelConfig::default();
        change(&mut config);
        config
    };
    let conv = with(&|model| {
        model.sequence_tokenizer = SequenceTokenizer::ConvSequence;
        let conv = &mut model.conv_sequence;
        (conv.dim, conv.widths) = (5, vec![6, 6, 4]);
        (conv.kernels, conv.strides) = (vec![4, 3, 5], vec![2, 1, 3]);
    });
    let ngrams = with(&|model| {
        model.sequence_tokenizer = SequenceTokenizer::Ngrams;
        let ngrams = &mut model.ngrams;
        (ngrams.orders, ngrams.buckets) = (vec![1, 2, 4], 13);
        (ngrams.dim, ngrams.window) = (5, 3);
    });
    let sums = with(&|model| {
        *model = ngrams.clone();
        (model.ngrams.pooling, model.ngrams.norm) = (NgramPooling::Sum, false);
        (model.ngrams.window, model.ngrams.orders) = (5, vec![2]);
    });
    let recurrent = with(&|model| {
        model.sequence_tokenizer = SequenceTokenizer::Recurrent;
        (model.recurrent.dim, model.recurrent.states) = (6, 8);
    });
    let pooled = with(&|model| {
        *model = recurrent.clone();
        model.recurrent.window = 4;
    });
    vec![
        ("convolutions", conv, 6),
        ("n-grams", ngrams, 3),
        ("sums of n-grams", sums, 5),
        ("recurrences", recurrent, 1),
        ("pooled recurrences", pooled, 4),
    ]
}

fn symbols(length: i64, shift: i64) -> Vec<i64> {
    (0..length)
        .map(|t| (t * t + shift * t + shift) % (VOCABULARY - 1) + 1)
        .collect()
}

/// A batch of all lengths at once, the longest first or last, against each sequence alone.
#[test]
fn a_padded_batch_gives_the_tokens_of_single_sequences() {
    const LONGEST: i64 = 25;
    for (name, config, window) in tokenizers() {
        let spec = InputSpec::tokens(VOCABULARY as usize, LONGEST as usize, PAD);
        let mut store = ParamStore::new(Device::Cpu, Kind::Double, 3);
        let tokenizer = ModelTokenizer::new(store.root(), &config, &spec).unwrap();
        let run = |sequences: &[Vec<i64>]| {
            let longest = sequences.iter().map(Vec::len).max().unwrap();
            let mut flat = Vec::new();
            for sequence in sequences {
                flat.extend_from_slice(sequence);
                flat.extend(vec![PAD; longest - sequence.len()]);
            }
            let size = [sequences.len() as i64, longest as i64];
            let inputs = Inputs::tokens(Tensor::from_slice(&flat).view(size));
            let mut ctx = ForwardContext::evaluation();
            let tokens = tokenizer.tokenize(&inputs, &mut ctx).unwrap();
            let mask = tokens.mask().unwrap().copy();
            (tokens.values().copy(), mask)
        };
        let mut all: Vec<Vec<i64>> = (1..=LONGEST).map(|n| symbols(n, n % 5)).collect();
        for order in ["shortest first", "longest first"] {
            let (together, masks) = run(&all);
            for (index, sequence) in all.iter().enumerate() {
                let (alone, mask) = run(std::slice::from_ref(sequence));
                let tokens = sequence.len().div_ceil(window) as i64;
                assert_eq!(alone.size()[1], tokens, "{name}");
                assert!(mask.all().int64_value(&[]) == 1, "{name}");
                let there = masks.get(index as i64);
                assert_eq!(there.sum(Kind::Int64).int64_value(&[]), tokens);
                assert_eq!(there.narrow(0, 0, tokens).all().int64_value(&[]), 1);
                let part = together.get(index as i64).narrow(0, 0, tokens);
                let error = (part - alone.get(0)).abs().max().double_value(&[]);
                assert!(
                    error < 1e-12,
                    "{name}, {order}, {}: {error}",
                    sequence.len()
                );
            }
            all.reverse();
        }
    }
}

/// What must not depend on padding does depend on the symbols before it.
#[test]
fn the_last_symbol_changes_the_last_token() {
    for (name, config, _) in tokenizers() {
        let spec = InputSpec::tokens(VOCABULARY as usize, 25, PAD);
        let mut store = ParamStore::new(Device::Cpu, Kind::Double, 3);
        let tokenizer = ModelTokenizer::new(store.root(), &config, &spec).unwrap();
        let last = |symbol: i64| {
            let mut all = symbols(13, 1);
            all[12] = symbol;
            let inputs = Inputs::tokens(Tensor::from_slice(&all).view([1, 13]));
            let mut ctx = ForwardContext::evaluation();
            let tokens = tokenizer.tokenize(&inputs, &mut ctx).unwrap();
            tokens.values().get(0).get(-1)
        };
        let change = (last(1) - last(2)).abs().max().double_value(&[]);
        assert!(change > 1e-3, "{name}: {change}");
    }
}

/// Weights by hand: the value of an opening bracket is 1, of a closing one −1, of everything else 0; an eigenvalue of 1
/// adds them up. Neither the length nor the depth is bounded.
#[test]
fn a_recurrence_counts_the_depth_of_brackets() {
    let config = RecurrentConfig {
        dim: 3,
        states: 2,
        layers: 1,
        counters: 0.5,
        ..Default::default()
    };
    let spec = config.resolve("", (4, 1, 0)).unwrap();
    let mut store = ParamStore::new(Device::Cpu, Kind::Double, 3);
    let layer = Recurrence::new(&mut store.root(), &spec.layers[0]).unwrap();
    // The norm makes an opening bracket (n, −n, 0) with n² · 2/3 = 1, less its epsilon.
    let n = 1.0 / (2.0_f64 / 3.0 + 1e-5).sqrt();
    // GELU(10) is 10 to the last digit.
    for (name, values) in [
        ("value.weight", vec![0.5 / n, -0.5 / n, 0.0, 0.0, 0.0, 0.0]),
        ("gate.weight", vec![0.0; 6]),
        ("gate.bias", vec![10.0, 10.0]),
        ("output.weight", vec![0.0, 0.0, 0.0, 0.0, 0.1, 0.0]),
        ("output.bias", vec![0.0; 3]),
        ("kernel", vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        ("gain", vec![1.0, 1.0]),
    ] {
        let tensor = store.get(&format!("layers.0.{name}")).unwrap();
        let values = Tensor::from_slice(&values).view_as(tensor);
        tch::no_grad(|| tensor.shallow_clone().copy_(&values));
    }
    let decay = store.get("layers.0.decay").unwrap();
    assert_eq!(decay.double_value(&[0]), 0.0, "counters start at 1");
    let (mut features, mut depths, mut depth) = (Vec::new(), Vec::new(), 0);
    for t in 0..5000_i64 {
        // Opens more than it closes at first, then the reverse.
        let step = match (t * t + 3 * t + t / 7) % 7 {
            0 | 1 => 0,
            2..=4 if t < 2500 => 1,
            5 | 6 if t >= 2500 => -1,
            _ if t % 2 == 0 => 1,
            _ => -1,
        };
        depth += step;
        let x = step as f64;
        features.extend([x, -x, 0.0]);
        depths.push(depth as f64);
    }
    assert!(depths.iter().fold(0.0_f64, |m, d| m.max(*d)) > 300.0);
    let x = Tensor::from_slice(&features).view([1, 5000, 3]);
    let y = layer.forward(&x).unwrap().select(2, 2).get(0);
    let error = (y - Tensor::from_slice(&depths)).abs().max();
    assert!(error.double_value(&[]) < 1e-9, "{error:?}");
}
