//! Ten kinds of solids as point clouds: generated, unlimited, no download.
//!
//! Not a benchmark: made for tests, tutorials and quick comparisons of models of points. An example is the surface of a
//! box, capsule, cone, cylinder, ellipsoid, helix, prism, pyramid, sphere or torus with random proportions: points drawn
//! by area, turned at random (all rotations equally likely), with Gaussian noise, centred and scaled into the unit sphere.
//! Example `i` is of class `i mod 10`, so classes are equally frequent. It follows from the seed, the part and `i` alone.

mod config;
mod solids;

use std::sync::Arc;

pub use config::Shapes3dConfig;

use super::points::{self, folder};
use super::{Entry, Origin, Request};
use crate::random::Stream;
use crate::{
    Buffer, DataError, Dataset, DatasetInfo, Example, SharedDataset, Splits, Target, Values,
};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "shapes3d",
    title: "generated solids (box, cone, torus, …) as point clouds, 10 classes",
    licence: "generated",
    origin: Origin::Generated,
    counts: None,
    describe,
    open,
};

fn describe(request: &Request<'_>) -> Result<DatasetInfo, DataError> {
    request.config.shapes3d.check()?;
    let count = folder::count(request)?;
    Ok(points::info(
        ENTRY.name,
        count,
        &solids::NAMES.map(String::from),
    ))
}

fn open(request: &Request<'_>) -> Result<Splits, DataError> {
    let info = describe(request)?;
    let config = &request.config.shapes3d;
    let part = |part: &'static str, len: usize| -> SharedDataset {
        Arc::new(Solids {
            info: info.clone(),
            part,
            len,
            count: request.config.points.count,
            noise: config.noise,
            seed: config.seed,
        })
    };
    let validation = part("shapes3d validation", config.validation);
    Ok(Splits {
        train: part("shapes3d train", config.train),
        validation: Some(validation).filter(|part| !part.is_empty()),
        test: part("shapes3d test", config.test),
    })
}

/// Solids of one part, made when they are asked for.
struct Solids {
    info: DatasetInfo,
    part: &'static str,
    len: usize,
    count: usize,
    noise: f64,
    seed: u64,
}

impl Solids {
    fn cloud(&self, index: usize) -> Vec<[f32; 3]> {
        let mut stream = Stream::new(self.seed, self.part, &[index as u64]);
        let mesh = solids::solid(index % solids::NAMES.len(), &mut stream);
        let shape = points::Shape::Mesh(mesh);
        // Every solid has an area.
        let mut cloud = points::draw(&shape, self.count, &mut stream).unwrap_or_default();
        points::to_unit_sphere(&mut cloud);
        let rotation = rotation(&mut stream);
        for point in &mut cloud {
            let turned = rotation.map(|row| {
                let products = row.iter().zip(*point).map(|(r, x)| r * f64::from(x));
                products.sum::<f64>()
            });
            *point = turned.map(|x| (x + self.noise * gaussian(&mut stream)) as f32);
        }
        points::to_unit_sphere(&mut cloud);
        cloud
    }
}

/// A rotation, all equally likely: the matrix of a random unit quaternion (Shoemake 1992).
fn rotation(stream: &mut Stream) -> [[f64; 3]; 3] {
    let [w, x, y, z] = loop {
        let q = [(); 4].map(|()| gaussian(stream));
        let norm = q.iter().map(|c| c * c).sum::<f64>().sqrt();
        if norm > 1e-9 {
            break q.map(|c| c / norm);
        }
    };
    [
        [
            1.0 - 2.0 * (y * y + z * z),
            2.0 * (x * y - w * z),
            2.0 * (x * z + w * y),
        ],
        [
            2.0 * (x * y + w * z),
            1.0 - 2.0 * (x * x + z * z),
            2.0 * (y * z - w * x),
        ],
        [
            2.0 * (x * z - w * y),
            2.0 * (y * z + w * x),
            1.0 - 2.0 * (x * x + y * y),
        ],
    ]
}

/// A standard normal number (Box–Muller).
fn gaussian(stream: &mut Stream) -> f64 {
    let radius = (-2.0 * (1.0 - stream.uniform()).ln()).sqrt();
    radius * (std::f64::consts::TAU * stream.uniform()).cos()
}

impl Dataset for Solids {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let values = self.cloud(index).into_iter().flatten().collect();
        let cloud = Buffer::new(vec![self.count, 3], Values::F32(values))?;
        Ok(Example::new(
            "points",
            cloud,
            Target::Class(index % solids::NAMES.len()),
        ))
    }

    fn class(&self, index: usize) -> Option<usize> {
        (index < self.len).then_some(index % solids::NAMES.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataConfig, DataDirs};

    fn open_with(change: impl FnOnce(&mut DataConfig), seed: u64) -> Result<Splits, DataError> {
        let mut config = DataConfig {
            name: ENTRY.name.into(),
            ..DataConfig::default()
        };
        config.points.count = 200;
        change(&mut config);
        crate::open(&config, &DataDirs::new(None, None, "cache".into()), seed)
    }

    fn values(dataset: &dyn Dataset, index: usize) -> Vec<f32> {
        let example = dataset.get(index).unwrap();
        match example.input("points").unwrap().values() {
            Values::F32(values) => values.clone(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn parts_differ_classes_are_balanced_and_the_run_s_seed_changes_nothing() {
        let splits = open_with(|_| (), 0).unwrap();
        let validation = splits.validation.clone().unwrap();
        assert_eq!(
            (splits.train.len(), validation.len(), splits.test.len()),
            (4_000, 500, 1_000)
        );
        let mut counts = [0; 10];
        (0..1_000).for_each(|index| counts[splits.test.class(index).unwrap()] += 1);
        assert_eq!(counts, [100; 10]);
        let first = values(splits.train.as_ref(), 3);
        assert_eq!(first.len(), 600);
        assert_ne!(first, values(splits.test.as_ref(), 3));
        assert_ne!(first, values(splits.train.as_ref(), 13));
        assert_eq!(
            first,
            values(open_with(|_| (), 7).unwrap().train.as_ref(), 3)
        );
        let other = open_with(|config| config.shapes3d.seed = 1, 0).unwrap();
        assert_ne!(first, values(other.train.as_ref(), 3));
        assert!(splits.train.get(4_000).is_err() && splits.train.class(4_000).is_none());
        assert!(
            open_with(|config| config.shapes3d.validation = 0, 0)
                .unwrap()
                .validation
                .is_none()
        );
    }

    /// Without noise every point of a sphere has norm 1; with it, the deviation is about that of the noise.
    #[test]
    fn noise_has_its_deviation() {
        let sphere = solids::NAMES
            .iter()
            .position(|&name| name == "sphere")
            .unwrap();
        let deviation = |noise: f64| {
            let splits = open_with(
                |config| {
                    config.shapes3d.noise = noise;
                    config.points.count = 5_000;
                },
                0,
            );
            let cloud = values(splits.unwrap().train.as_ref(), sphere);
            let norms: Vec<f32> = cloud
                .chunks(3)
                .map(|p| p.iter().map(|x| x * x).sum::<f32>().sqrt())
                .collect();
            let mean = norms.iter().sum::<f32>() / 5_000.0;
            let variance = norms.iter().map(|n| (n / mean - 1.0).powi(2)).sum::<f32>() / 5_000.0;
            assert!(norms.iter().all(|&n| n <= 1.0 + 1e-5));
            variance.sqrt()
        };
        assert!(deviation(0.0) < 0.02, "{}", deviation(0.0));
        let found = deviation(0.1);
        assert!((found - 0.1).abs() < 0.01, "{found}");
    }

    #[test]
    fn rotations_are_orthogonal_and_point_everywhere() {
        let mut stream = Stream::new(0, "rotations", &[]);
        let mut mean = [0.0; 3];
        for _ in 0..2_000 {
            let rows = rotation(&mut stream);
            for (i, a) in rows.iter().enumerate() {
                for (j, b) in rows.iter().enumerate() {
                    let dot: f64 = a.iter().zip(b).map(|(x, y)| x * y).sum();
                    assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-12);
                }
                mean[i] += a[0] / 2_000.0;
            }
        }
        // The standard deviation of a mean is 0.013.
        assert!(mean.iter().all(|m| m.abs() < 0.06), "{mean:?}");
    }

    #[test]
    fn impossible_settings_are_named() {
        for (change, part) in [
            (
                (|c| c.train = 0) as fn(&mut Shapes3dConfig),
                "data.shapes3d.train",
            ),
            (|c| c.test = usize::MAX, "data.shapes3d.test"),
            (|c| c.noise = f64::NAN, "data.shapes3d.noise"),
            (|c| c.noise = -0.1, "data.shapes3d.noise"),
        ] {
            let error = open_with(|config| change(&mut config.shapes3d), 0)
                .unwrap_err()
                .to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(open_with(|config| config.points.count = 0, 0).is_err());
    }
}
