//! Values of a block against the reference, and its gradients against finite differences of the reference.

use std::collections::BTreeMap;

use nac_engine::training::{
    Compute, NormGradient, NormOperand, ProjectionGradient, ProjectionOperand, TrainingPrecision,
};

use crate::reference::{Tensors, normal};

/// Tensors in single precision, by name.
pub(crate) type Singles = BTreeMap<String, Vec<f32>>;

/// A block with operands.
pub(crate) trait Case {
    /// All that is differentiable.
    fn tensors(&self) -> Tensors;

    /// The result, in double precision.
    fn reference(&self, tensors: &Tensors) -> Vec<f64>;

    /// The result of the engine; with the gradient of the result also those of tensors.
    fn engine(&self, compute: &Compute, tensors: &Singles, d_y: &[f32]) -> (Vec<f32>, Singles);
}

pub(crate) fn singles(tensors: &Tensors) -> Singles {
    let convert = |values: &Vec<f64>| values.iter().map(|x| *x as f32).collect();
    tensors
        .iter()
        .map(|(name, values)| (name.clone(), convert(values)))
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Compares values, and gradients along single numbers and along random directions.
pub(crate) fn check(case: &impl Case, label: &str) {
    let tensors: Tensors = singles(&case.tensors())
        .into_iter()
        .map(|(name, values)| (name, values.into_iter().map(f64::from).collect()))
        .collect();
    let expected = case.reference(&tensors);
    let d_y = normal("gradient", expected.len());
    let d_y_single: Vec<f32> = d_y.iter().map(|x| *x as f32).collect();
    let compute = Compute::new(1, TrainingPrecision::F32).unwrap();
    let (y, gradients) = case.engine(&compute, &singles(&tensors), &d_y_single);
    for (index, (y, expected)) in y.iter().zip(&expected).enumerate() {
        let error = (f64::from(*y) - expected).abs();
        assert!(
            error < 2e-5 * (1.0 + expected.abs()),
            "{label}: y[{index}] {y} {expected}"
        );
    }
    assert_eq!(y.len(), expected.len(), "{label}");
    for (name, gradient) in &gradients {
        let size = tensors[name].len();
        assert_eq!(gradient.len(), size, "{label}: {name}");
        let gradient: Vec<f64> = gradient.iter().map(|x| f64::from(*x)).collect();
        let step = (size / 12).max(1);
        let mut directions: Vec<(String, Vec<f64>)> = (0..size)
            .step_by(step)
            .map(|index| {
                let mut direction = vec![0.0; size];
                direction[index] = 1.0;
                (format!("{name}[{index}]"), direction)
            })
            .collect();
        directions.extend((0..2).map(|i| {
            (
                format!("{name} along {i}"),
                normal(&format!("{name}{i}"), size),
            )
        }));
        for (which, direction) in directions {
            let along = |step: f64| {
                let mut moved = tensors.clone();
                for (x, d) in moved.get_mut(name).unwrap().iter_mut().zip(&direction) {
                    if d.abs() > 0.0 {
                        *x += step * d;
                    }
                }
                dot(&case.reference(&moved), &d_y)
            };
            let h = 1e-5;
            let slope = (along(h) - along(-h)) / (2.0 * h);
            let found = dot(&gradient, &direction);
            let size = dot(&gradient, &gradient).sqrt() * dot(&direction, &direction).sqrt();
            let bound = 2e-4 * slope.abs() + 3e-5 * (1.0 + size);
            assert!(
                (found - slope).abs() < bound,
                "{label}: {which} is {found}, not {slope}"
            );
        }
    }
    for name in tensors.keys() {
        let finite = gradients
            .get(name)
            .is_some_and(|all| all.iter().all(|x| x.is_finite()));
        assert!(finite, "{label}: gradient of {name}");
    }
}

/// The same bits for any number of threads; and what mixed precision gives is close.
pub(crate) fn check_threads(case: &impl Case, label: &str) {
    let tensors = singles(&case.tensors());
    let count = case.reference(&case.tensors()).len();
    let d_y: Vec<f32> = normal("gradient", count)
        .iter()
        .map(|x| *x as f32)
        .collect();
    let run = |threads, precision| {
        let compute = Compute::new(threads, precision).unwrap();
        case.engine(&compute, &tensors, &d_y)
    };
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for precision in [TrainingPrecision::F32, TrainingPrecision::Mixed] {
        let one = run(1, precision);
        for threads in [2, 3] {
            let more = run(threads, precision);
            assert_eq!(bits(&more.0), bits(&one.0), "{label}: {threads} threads");
            for (name, gradient) in &one.1 {
                assert_eq!(
                    bits(&more.1[name]),
                    bits(gradient),
                    "{label}: {name}, {threads} threads"
                );
            }
        }
    }
    let (single, mixed) = (
        run(1, TrainingPrecision::F32),
        run(1, TrainingPrecision::Mixed),
    );
    let mut pairs = vec![("y", &single.0, &mixed.0)];
    pairs.extend(
        single
            .1
            .iter()
            .map(|(name, gradient)| (name.as_str(), gradient, &mixed.1[name])),
    );
    for (name, single, mixed) in pairs {
        let size: f32 = single.iter().map(|x| x * x).sum::<f32>().sqrt();
        let off: f32 = single
            .iter()
            .zip(mixed)
            .map(|(a, b)| (a - b).powi(2))
            .sum::<f32>()
            .sqrt();
        assert!(
            off <= 0.03 * size + 1e-6,
            "{label}: {name} in mixed precision {off} of {size}"
        );
    }
}

/// Adds the layer norm `name`.
pub(crate) fn add_norm(tensors: &mut Tensors, name: &str, features: usize) {
    let gain = normal(name, features)
        .iter()
        .map(|x| 1.0 + 0.3 * x)
        .collect();
    tensors.insert(format!("{name}.gain"), gain);
    tensors.insert(
        format!("{name}.bias"),
        normal(&format!("{name}.bias"), features),
    );
}

/// Rows of a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scaled {
    No,
    Shared,
    PerExample,
}

impl Scaled {
    pub(crate) const ALL: [Self; 3] = [Self::No, Self::Shared, Self::PerExample];
}

/// Adds the projection `name`.
pub(crate) fn add_projection(
    tensors: &mut Tensors,
    name: &str,
    (outputs, inputs): (usize, usize),
    (scaled, batch, modules): (Scaled, usize, usize),
    bias: bool,
) {
    let weight = normal(name, outputs * inputs);
    let weight = weight.iter().map(|x| x / (inputs as f64).sqrt()).collect();
    tensors.insert(format!("{name}.weight"), weight);
    if bias {
        tensors.insert(
            format!("{name}.bias"),
            normal(&format!("{name}.bias"), outputs),
        );
    }
    let rows = match scaled {
        Scaled::No => return,
        Scaled::Shared => modules,
        Scaled::PerExample => batch * modules,
    };
    let scale = normal(&format!("{name}.scale"), rows * inputs);
    let scale = scale.iter().map(|x| 1.0 + 0.5 * x).collect();
    tensors.insert(format!("{name}.scale"), scale);
}

pub(crate) fn norm_operand<'a>(tensors: &'a Singles, name: &str) -> NormOperand<'a> {
    NormOperand {
        gain: &tensors[&format!("{name}.gain")],
        bias: &tensors[&format!("{name}.bias")],
    }
}

pub(crate) fn projection_operand<'a>(tensors: &'a Singles, name: &str) -> ProjectionOperand<'a> {
    ProjectionOperand {
        weight: &tensors[&format!("{name}.weight")],
        bias: tensors.get(&format!("{name}.bias")).map(Vec::as_slice),
        scale: tensors.get(&format!("{name}.scale")).map(Vec::as_slice),
    }
}

/// Memory for the gradients of some tensors, not a number until it is written.
pub(crate) struct Memory(BTreeMap<String, Option<Vec<f32>>>);

impl Memory {
    pub(crate) fn new(tensors: &Singles) -> Self {
        let empty = |values: &Vec<f32>| Some(vec![f32::NAN; values.len()]);
        Self(
            tensors
                .iter()
                .map(|(name, values)| (name.clone(), empty(values)))
                .collect(),
        )
    }

    /// Slices of the tensors with these names, in their order, where there are such.
    pub(crate) fn slices<const N: usize>(&mut self, names: [&str; N]) -> [Option<&mut [f32]>; N] {
        let mut all: BTreeMap<&str, &mut [f32]> = self
            .0
            .iter_mut()
            .filter_map(|(name, values)| Some((name.as_str(), values.as_mut()?.as_mut_slice())))
            .collect();
        names.map(|name| all.remove(name))
    }

    pub(crate) fn into_singles(self) -> Singles {
        let all = self.0.into_iter();
        all.filter_map(|(name, values)| Some((name, values?)))
            .collect()
    }
}

/// The gradient of a projection from slices of weight, bias and scale.
pub(crate) fn projection_gradient<'a>(
    slices: [Option<&'a mut [f32]>; 3],
) -> ProjectionGradient<'a> {
    let [weight, bias, scale] = slices;
    ProjectionGradient {
        weight: weight.unwrap(),
        bias,
        scale,
    }
}

/// The gradient of a norm from slices of gain and bias.
pub(crate) fn norm_gradient<'a>(slices: [Option<&'a mut [f32]>; 2]) -> NormGradient<'a> {
    let [gain, bias] = slices;
    NormGradient {
        gain: gain.unwrap(),
        bias: bias.unwrap(),
    }
}
