//! The built-in graph priors as configuration: a name and that prior's parameters.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{
    Complete, ErdosRenyi, GraphPrior, PlantedPartition, RingOfCliques, ScaleFree, WattsStrogatz,
};
use crate::CoreError;

/// A graph prior by name. In a file it is a table with the key `name` and, optionally, the prior's
/// parameters: `{ name = "planted-partition", clusters = 8 }`. Unknown names and keys are errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PriorConfig {
    /// `complete`
    Complete(Complete),
    /// `erdos-renyi`
    ErdosRenyi(ErdosRenyi),
    /// `planted-partition`
    PlantedPartition(PlantedPartition),
    /// `scale-free`
    ScaleFree(ScaleFree),
    /// `ring-of-cliques`
    RingOfCliques(RingOfCliques),
    /// `watts-strogatz`
    WattsStrogatz(WattsStrogatz),
}

impl PriorConfig {
    /// The names that [`from_name`](Self::from_name) and configuration files accept.
    pub const NAMES: [&str; 6] = [
        "complete",
        "erdos-renyi",
        "planted-partition",
        "scale-free",
        "ring-of-cliques",
        "watts-strogatz",
    ];

    /// The prior called `name`, with its default parameters.
    ///
    /// # Errors
    /// [`CoreError::InvalidParameter`] for a name that is not in [`NAMES`](Self::NAMES).
    pub fn from_name(name: &str) -> Result<Self, CoreError> {
        Ok(match name {
            "complete" => Self::Complete(Complete::default()),
            "erdos-renyi" => Self::ErdosRenyi(ErdosRenyi::default()),
            "planted-partition" => Self::PlantedPartition(PlantedPartition::default()),
            "scale-free" => Self::ScaleFree(ScaleFree::default()),
            "ring-of-cliques" => Self::RingOfCliques(RingOfCliques::default()),
            "watts-strogatz" => Self::WattsStrogatz(WattsStrogatz::default()),
            _ => {
                return Err(CoreError::parameter(
                    "PriorConfig",
                    "name",
                    format!("{name:?}"),
                    "complete, erdos-renyi, planted-partition, scale-free, ring-of-cliques or \
                     watts-strogatz",
                ));
            }
        })
    }

    /// The prior as a trait object.
    #[must_use]
    pub fn build(&self) -> Box<dyn GraphPrior> {
        match *self {
            Self::Complete(prior) => Box::new(prior),
            Self::ErdosRenyi(prior) => Box::new(prior),
            Self::PlantedPartition(prior) => Box::new(prior),
            Self::ScaleFree(prior) => Box::new(prior),
            Self::RingOfCliques(prior) => Box::new(prior),
            Self::WattsStrogatz(prior) => Box::new(prior),
        }
    }

    /// [`build`](Self::build) and [`GraphPrior::link_probabilities`] in one.
    ///
    /// # Shapes
    /// - result: `[n, n]`
    ///
    /// # Errors
    /// As [`GraphPrior::link_probabilities`].
    pub fn link_probabilities(&self, n: usize) -> Result<Array2<f64>, CoreError> {
        self.build().link_probabilities(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_name_builds_the_prior_of_that_name() {
        for name in PriorConfig::NAMES {
            let config = PriorConfig::from_name(name).unwrap();
            assert_eq!(config.build().name(), name);
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<PriorConfig>(&text).unwrap(), config);
            let short = format!(r#"{{"name": "{name}"}}"#);
            assert_eq!(serde_json::from_str::<PriorConfig>(&short).unwrap(), config);
        }
        let message = PriorConfig::from_name("ring").unwrap_err().to_string();
        assert!(message.contains("\"ring\"") && message.contains("ring-of-cliques"));
    }

    #[test]
    fn wrong_configurations_are_refused() {
        let read = serde_json::from_str::<PriorConfig>;
        assert!(read(r#"{"name": "nope"}"#).is_err());
        for text in [
            r#"{"name": "erdos-renyi", "q": 0.1}"#,
            r#"{"name": "complete", "p": 0.1}"#,
            r#"{"name": "scale-free", "m": 2}"#,
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains("unknown field"), "{message}");
        }
        for text in [
            r#"{"name": "erdos-renyi", "p": 1.5}"#,
            r#"{"name": "planted-partition", "clusters": 0}"#,
            r#"{"name": "planted-partition", "clusters": 33}"#,
            r#"{"name": "planted-partition", "p_out": -0.1}"#,
            r#"{"name": "ring-of-cliques", "p_in": 2}"#,
            r#"{"name": "ring-of-cliques", "cliques": 0}"#,
            r#"{"name": "watts-strogatz", "k": 32}"#,
        ] {
            assert!(
                read(text).unwrap().link_probabilities(32).is_err(),
                "{text}"
            );
        }
        for name in PriorConfig::NAMES {
            let config = PriorConfig::from_name(name).unwrap();
            assert!(config.link_probabilities(0).is_err(), "{name}");
        }
    }

    #[test]
    fn a_closed_ring_adds_only_the_last_link() {
        let open = RingOfCliques {
            cliques: 4,
            ..Default::default()
        };
        let closed = RingOfCliques {
            closed: true,
            ..open
        };
        let a = open.link_probabilities(20).unwrap();
        let b = closed.link_probabilities(20).unwrap();
        for ((i, j), &value) in b.indexed_iter() {
            let bridge = (i.max(j) == 15 && i.min(j) < 5) || a[[i, j]] == 1.0;
            assert_eq!(value, if bridge { 1.0 } else { a[[i, j]] }, "{i} {j}");
        }
        assert_eq!(b[[15, 4]], 1.0);
        assert_eq!(a[[15, 4]], 0.05);
    }

    proptest! {
        #[test]
        fn graphons_are_symmetric_probabilities(
            n in 1_usize..60,
            parts in 1_usize..60,
            p in 0.0_f64..=1.0,
            q in 0.0_f64..=1.0,
            closed: bool,
        ) {
            let parts = parts.min(n);
            let priors: [Box<dyn GraphPrior>; 6] = [
                Box::new(Complete {}),
                Box::new(ErdosRenyi { p }),
                Box::new(PlantedPartition { clusters: parts, p_in: p, p_out: q }),
                Box::new(ScaleFree {}),
                Box::new(RingOfCliques { cliques: parts, p_in: p, p_out: q, closed }),
                Box::new(WattsStrogatz { k: parts - 1, p, symmetric: true }),
            ];
            for prior in priors {
                let graphon = prior.link_probabilities(n).unwrap();
                prop_assert_eq!(graphon.dim(), (n, n));
                for ((i, j), value) in graphon.indexed_iter() {
                    prop_assert!((0.0..=1.0).contains(value), "{}", prior.name());
                    prop_assert_eq!(*value, graphon[[j, i]], "{}", prior.name());
                }
            }
        }

        #[test]
        fn clusters_are_contiguous_and_even(n in 1_usize..80, clusters in 1_usize..80) {
            let clusters = clusters.min(n);
            let mut sizes = vec![0_usize; clusters];
            for i in 0..n {
                sizes[super::super::cluster_of(i, n, clusters)] += 1;
            }
            let (small, large) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            prop_assert!(large - small <= 1 && *small >= 1);
        }
    }
}
