//! The blocks in double precision, written out plainly.

use std::collections::BTreeMap;

/// Tensors by name.
pub(crate) type Tensors = BTreeMap<String, Vec<f64>>;

/// Normal numbers that depend on the name.
pub(crate) fn normal(name: &str, count: usize) -> Vec<f64> {
    let mut values = vec![0.0_f32; count];
    nac_core::Streams::new(11)
        .stream(name)
        .fill_normal(&mut values);
    values.into_iter().map(f64::from).collect()
}

/// Row `row` of `width` numbers; rows start again after the last.
pub(crate) fn row(values: &[f64], width: usize, row: usize) -> &[f64] {
    let rows = values.len() / width;
    &values[row % rows * width..][..width]
}

pub(crate) fn layer_norm(x: &[f64], affine: Option<(&[f64], &[f64])>) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let normal = x.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt());
    match affine {
        None => normal.collect(),
        Some((gain, bias)) => {
            let affine = gain.iter().zip(bias);
            normal.zip(affine).map(|(x, (g, b))| x * g + b).collect()
        }
    }
}

/// The layer norm `name` of row `index`.
pub(crate) fn norm(t: &Tensors, name: &str, x: &[f64]) -> Vec<f64> {
    let part = |part: &str| t[&format!("{name}.{part}")].as_slice();
    layer_norm(x, Some((part("gain"), part("bias"))))
}

/// The projection `name` of features `x` of row `index`.
pub(crate) fn project(t: &Tensors, name: &str, x: &[f64], index: usize) -> Vec<f64> {
    let part = |part: &str| t.get(&format!("{name}.{part}"));
    let x: Vec<f64> = match part("scale") {
        Some(scale) => x
            .iter()
            .zip(row(scale, x.len(), index))
            .map(|(x, s)| x * s)
            .collect(),
        None => x.to_vec(),
    };
    let mut y: Vec<f64> = t[&format!("{name}.weight")]
        .chunks(x.len())
        .map(|weight| weight.iter().zip(&x).map(|(w, x)| w * x).sum())
        .collect();
    if let Some(bias) = part("bias") {
        for (y, b) in y.iter_mut().zip(bias) {
            *y += b;
        }
    }
    y
}

fn erf(x: f64) -> f64 {
    let t = x.abs();
    let value = if t < 3.0 {
        let (mut term, mut sum) = (t, t);
        for n in 1..200 {
            term *= -t * t / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let fraction = (1..60).rev().fold(t, |sum, n| t + f64::from(n) / 2.0 / sum);
        1.0 - (-t * t).exp() / fraction / std::f64::consts::PI.sqrt()
    };
    value.copysign(x)
}

pub(crate) fn gelu(x: f64) -> f64 {
    x / 2.0 * (1.0 + erf(x / std::f64::consts::SQRT_2))
}

/// `[x +] keep · branch`.
pub(crate) fn close(x: Option<&[f64]>, keep: f64, branch: &[f64]) -> Vec<f64> {
    let x = |i| x.map_or(0.0, |x| x[i]);
    branch
        .iter()
        .enumerate()
        .map(|(i, y)| x(i) + keep * y)
        .collect()
}

/// Weights of a softmax; zeros if nothing is finite.
pub(crate) fn softmax(scores: &[f64]) -> Vec<f64> {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return vec![0.0; scores.len()];
    }
    let powers: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// The message of one receiver: `query` and rows of `keys` and `values` hold all heads; `added` goes to every score.
pub(crate) fn attend(
    query: &[f64],
    (keys, values): (&[Vec<f64>], &[Vec<f64>]),
    added: &[f64],
    heads: usize,
) -> Vec<f64> {
    let width = query.len() / heads;
    (0..heads)
        .flat_map(|head| {
            let part = |x: &[f64]| x[head * width..][..width].to_vec();
            let query = part(query);
            let scores: Vec<f64> = keys
                .iter()
                .zip(added)
                .map(|(key, added)| {
                    let dot: f64 = query.iter().zip(part(key)).map(|(q, k)| q * k).sum();
                    dot / (width as f64).sqrt() + added
                })
                .collect();
            let weights = softmax(&scores);
            let values: Vec<Vec<f64>> = values.iter().map(|value| part(value)).collect();
            (0..width)
                .map(|i| weights.iter().zip(&values).map(|(w, v)| w * v[i]).sum())
                .collect::<Vec<f64>>()
        })
        .collect()
}

/// What is added to the scores of padding: nothing for anybody if everything is padding.
pub(crate) fn padding(mask: Option<&[bool]>, senders: usize, example: usize) -> Vec<f64> {
    let Some(mask) = mask else {
        return vec![0.0; senders];
    };
    let mask = &mask[example * senders..][..senders];
    let all = !mask.contains(&true);
    let added = mask
        .iter()
        .map(|real| if *real || all { 0.0 } else { f64::NEG_INFINITY });
    added.collect()
}
