//! Matching of modules with a graphon's nodes: an assignment of least cost ([`nac_core::assignment`]).
//!
//! `cost[t, i] = mean_k (G[t, k] − P[i, k])²`, and the assignment `π` of least `Σ_t cost[t, π(t)]`. Block and
//! ring graphons have several best assignments, the scale-free one almost: compare costs, not assignments.

use ndarray::ArrayView2;
use tch::{Device, Kind, Tensor};

use crate::error::{Result, TrainError};

/// Name of the term.
pub(super) const NAME: &str = "graph_prior";

pub(super) fn failed(reason: String) -> TrainError {
    TrainError::Loss {
        name: NAME.into(),
        reason,
    }
}

/// A matching of modules with a graphon's nodes.
#[derive(Debug)]
pub struct Matching {
    /// The module that takes each node, `[modules]`, integers on the CPU.
    pub assignment: Tensor,
    /// Sum of the costs of the nodes.
    pub cost: f64,
    /// Cost of each node (row) for each module (column), `[modules, modules]`, `float64` on the CPU.
    pub costs: Tensor,
}

/// The matching of least cost. `noise`, if given, changes the links it is judged by to `links · (1 + noise)`.
///
/// # Shapes
/// - graphon, links, noise: `[modules, modules]`
///
/// # Errors
/// The shapes do not fit, or a number is not finite.
pub fn match_modules(graphon: &Tensor, links: &Tensor, noise: Option<&Tensor>) -> Result<Matching> {
    let (g, p) = (graphon.size(), links.size());
    let fits = matches!(g.as_slice(), [a, b] if a == b) && noise.is_none_or(|n| n.size() == p);
    if g != p || !fits {
        let reason = format!("graphon {g:?} and links {p:?} must be square and of one size");
        return Err(failed(reason));
    }
    let on_cpu = |x: &Tensor| {
        x.f_detach()?
            .f_to_device(Device::Cpu)?
            .f_to_kind(Kind::Double)
    };
    let (graphon, mut links) = (on_cpu(graphon)?, on_cpu(links)?);
    if let Some(noise) = noise {
        links = links.f_mul(&on_cpu(noise)?.f_add_scalar(1.0)?)?;
    }
    let costs = costs(&graphon, &links)?;
    let values = Vec::<f64>::try_from(costs.f_contiguous()?.f_view([-1_i64])?)?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(failed("link probabilities are not numbers".into()));
    }
    let size = usize::try_from(g[0]).unwrap_or(0);
    let square =
        ArrayView2::from_shape((size, size), &values).map_err(|e| failed(e.to_string()))?;
    let found = nac_core::assign(square)?;
    let assignment: Vec<i64> = found.columns.iter().map(|&module| module as i64).collect();
    Ok(Matching {
        assignment: Tensor::f_from_slice(&assignment)?,
        cost: found.cost,
        costs,
    })
}

/// `mean_k (G[t,k] − P[i,k])²`, multiplied out.
fn costs(graphon: &Tensor, links: &Tensor) -> Result<Tensor> {
    let squares = |x: &Tensor| {
        x.f_square()
            .and_then(|x| x.f_mean_dim(Some([1_i64].as_slice()), true, None::<Kind>))
    };
    let modules = graphon.size()[0] as f64;
    let cross = graphon
        .f_matmul(&links.f_transpose(0, 1)?)?
        .f_mul_scalar(-2.0 / modules)?;
    Ok(squares(graphon)?
        .f_add(&squares(links)?.f_transpose(0, 1)?)?
        .f_add(&cross)?)
}

/// Whether the integers of `matching` are `0..n` in some order.
pub(super) fn is_permutation(matching: &Tensor) -> bool {
    let mut seen: Vec<i64> = Vec::try_from(matching.to_kind(Kind::Int64)).unwrap_or_default();
    seen.sort_unstable();
    seen.iter().enumerate().all(|(i, &value)| value == i as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_core::Streams;
    use proptest::prelude::*;

    fn square(n: usize, values: &[f64]) -> Tensor {
        Tensor::from_slice(values).view([n as i64, n as i64])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_matching_is_never_worse_than_a_permutation_tried(
            n in 1_usize..12,
            seed: u64,
            coarse: bool,
            noisy: bool,
        ) {
            let mut stream = Streams::new(seed).stream("matrices");
            let mut draw = || {
                let mut values = vec![0.0; n * n];
                stream.fill_uniform_f64(&mut values);
                if coarse {
                    // Many ties.
                    values.iter_mut().for_each(|value| *value = (*value * 3.0).floor() / 2.0);
                }
                values
            };
            let (graphon, links, noise) = (draw(), draw(), draw());
            let found = match_modules(
                &square(n, &graphon),
                &square(n, &links),
                noisy.then(|| square(n, &noise)).as_ref(),
            ).unwrap();
            let cost = |t: usize, i: usize| {
                (0..n).map(|k| {
                    let scale = if noisy { 1.0 + noise[i * n + k] } else { 1.0 };
                    (graphon[t * n + k] - links[i * n + k] * scale).powi(2)
                }).sum::<f64>() / n as f64
            };
            prop_assert!(is_permutation(&found.assignment));
            let taken: Vec<i64> = Vec::try_from(&found.assignment).unwrap();
            let sum: f64 = taken.iter().enumerate().map(|(t, &i)| cost(t, i as usize)).sum();
            prop_assert!((found.cost - sum).abs() < 1e-9);
            let mut order: Vec<usize> = (0..n).collect();
            let mut tries = Streams::new(seed).stream("tries");
            for _ in 0..200 {
                let tried: f64 = order.iter().enumerate().map(|(t, &i)| cost(t, i)).sum();
                prop_assert!(found.cost <= tried + 1e-9, "{} {tried}", found.cost);
                tries.shuffle(&mut order);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (two, three) = (square(2, &[0.0; 4]), square(3, &[0.0; 9]));
        assert!(match_modules(&two, &three, None).is_err());
        assert!(match_modules(&two, &two, Some(&three)).is_err());
        let bad = square(2, &[0.0, f64::NAN, 0.0, 0.0]);
        assert!(
            match_modules(&two, &bad, None)
                .unwrap_err()
                .to_string()
                .contains("not numbers")
        );
    }
}
