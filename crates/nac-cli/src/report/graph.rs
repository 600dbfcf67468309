//! What the report shows of a [`GraphSnapshot`]: an order of its modules and their expected degrees.
//!
//! With link probabilities `P`, the expected degree of module `i` is `Σ_{j ≠ i} P_ij`.

use nac_train::summary::GraphSnapshot;

/// A graph whose sizes were checked; entries that are not finite count as 0.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    modules: usize,
    links: Vec<f64>,
}

impl Graph {
    /// `None` if there are no modules or not `modules · modules` values.
    pub(super) fn new(snapshot: &GraphSnapshot) -> Option<Self> {
        let modules = snapshot.modules;
        if modules == 0 || modules.checked_mul(modules)? != snapshot.link_probabilities.len() {
            return None;
        }
        let finite = |&p: &f32| if p.is_finite() { f64::from(p) } else { 0.0 };
        Some(Self {
            modules,
            links: snapshot.link_probabilities.iter().map(finite).collect(),
        })
    }

    /// Number of modules.
    pub(super) fn modules(&self) -> usize {
        self.modules
    }

    /// Probability of the link from `sender` to `receiver`.
    pub(super) fn link(&self, receiver: usize, sender: usize) -> f64 {
        self.links[receiver * self.modules + sender]
    }

    /// Row sums without the self edge.
    pub(super) fn expected_degrees(&self) -> Vec<f64> {
        let degree = |i| {
            (0..self.modules)
                .filter(|&j| j != i)
                .map(|j| self.link(i, j))
                .sum()
        };
        (0..self.modules).map(degree).collect()
    }

    /// Least and greatest link probability without self edges; `None` for a single module.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        let pairs = (0..self.modules).flat_map(|i| (0..self.modules).map(move |j| (i, j)));
        let links = pairs.filter(|(i, j)| i != j).map(|(i, j)| self.link(i, j));
        links.fold(None, |range, p| {
            let (low, high) = range.unwrap_or((p, p));
            Some((low.min(p), high.max(p)))
        })
    }

    /// Greedy order: first the module of greatest expected degree, then again and again the module
    /// with the greatest sum of links (both directions) to those placed before it. Ties go
    /// to the lower number. Hubs come first and the members of a cluster follow one another.
    pub(super) fn greedy_order(&self) -> Vec<usize> {
        let mut pull = self.expected_degrees();
        let mut free: Vec<usize> = (0..self.modules).collect();
        let mut order = Vec::with_capacity(self.modules);
        while !free.is_empty() {
            let mut best = 0;
            for at in 1..free.len() {
                if pull[free[at]] > pull[free[best]] {
                    best = at;
                }
            }
            let chosen = free.remove(best);
            if order.is_empty() {
                pull.fill(0.0);
            }
            for &module in &free {
                pull[module] += self.link(module, chosen) + self.link(chosen, module);
            }
            order.push(chosen);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(modules: usize, link: impl Fn(usize, usize) -> f32) -> Graph {
        let pairs = (0..modules).flat_map(|i| (0..modules).map(move |j| (i, j)));
        let link_probabilities = pairs.map(|(i, j)| link(i, j)).collect();
        Graph::new(&GraphSnapshot {
            name: "g".into(),
            modules,
            link_probabilities,
        })
        .unwrap()
    }

    #[test]
    fn clusters_that_were_mixed_come_together() {
        let graph = graph(9, |i, j| {
            if i == j {
                1.0
            } else if i % 3 == j % 3 {
                0.9
            } else {
                0.05
            }
        });
        let clusters: Vec<usize> = graph.greedy_order().iter().map(|m| m % 3).collect();
        assert_eq!(clusters, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn hubs_come_first() {
        let weight = |i: usize| 0.1 + 0.1 * i as f32;
        let graph = graph(5, |i, j| weight(i) * weight(j));
        assert_eq!(graph.greedy_order(), [4, 3, 2, 1, 0]);
    }

    #[test]
    fn degrees_leave_the_self_edge_out() {
        let graph = graph(3, |i, j| if i == j { 1.0 } else { (i + j) as f32 / 8.0 });
        assert_eq!(graph.expected_degrees(), [0.375, 0.5, 0.625]);
        assert_eq!(graph.range(), Some((0.125, 0.375)));
    }

    #[test]
    fn odd_graphs_are_safe() {
        let of = |modules, link_probabilities| {
            Graph::new(&GraphSnapshot {
                name: "g".into(),
                modules,
                link_probabilities,
            })
        };
        assert!(of(0, vec![]).is_none());
        assert!(of(2, vec![0.5; 3]).is_none());
        assert!(of(usize::MAX, vec![]).is_none());
        let single = of(1, vec![1.0]).unwrap();
        assert_eq!((single.range(), single.greedy_order()), (None, vec![0]));
        let nan = of(2, vec![f32::NAN; 4]).unwrap();
        assert_eq!(
            (nan.expected_degrees(), nan.greedy_order()),
            (vec![0.0, 0.0], vec![0, 1])
        );
    }
}
