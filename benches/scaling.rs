//! The exponent of a cost: costs by size, fitted by a straight line in their logarithms.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::path::Path;

use serde::Serialize;

/// Least cost by size.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Scaling {
    /// What costs, such as `chonker forward, core`.
    pub name: String,
    /// What grows, such as `modules`.
    pub size: String,
    /// Size and least cost, in the order in which sizes came.
    pub points: Vec<(f64, f64)>,
}

impl Scaling {
    /// No costs yet.
    pub fn new(name: impl Into<String>, size: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            size: size.into(),
            points: Vec::new(),
        }
    }

    /// Adds a cost, or lowers the one there is for this size.
    pub fn add(&mut self, size: f64, cost: f64) {
        match self.points.iter_mut().find(|(known, _)| *known == size) {
            Some((_, least)) => *least = least.min(cost),
            None => self.points.push((size, cost)),
        }
    }

    /// `b` of the least-squares fit `log cost = a + b · log size`; none with fewer than two sizes.
    pub fn exponent(&self) -> Option<f64> {
        let count = self.points.len() as f64;
        let logs: Vec<(f64, f64)> = self
            .points
            .iter()
            .map(|(size, cost)| (size.ln(), cost.ln()))
            .collect();
        let mean_size = logs.iter().map(|(size, _)| size).sum::<f64>() / count;
        let mean_cost = logs.iter().map(|(_, cost)| cost).sum::<f64>() / count;
        let spread: f64 = logs
            .iter()
            .map(|(size, _)| (size - mean_size).powi(2))
            .sum();
        let joint: f64 = logs
            .iter()
            .map(|(size, cost)| (size - mean_size) * (cost - mean_cost))
            .sum();
        (self.points.len() > 1 && spread > 0.0).then(|| joint / spread)
    }

    /// Prints the exponent and writes it with its points to `<folder>/scaling-<name>.json`; nothing without an exponent.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn report(&self, folder: &Path) -> std::io::Result<()> {
        let Some(exponent) = self.exponent() else {
            return Ok(());
        };
        let (name, size) = (&self.name, &self.size);
        println!("{name}: time grows with {size} to the power of {exponent:.2}");
        let file = format!("scaling-{name}-{size}.json").replace([' ', ',', '/'], "-");
        let content = serde_json::json!({ "exponent": exponent, "scaling": self });
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join(file), format!("{content:#}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_gives_its_exponent() {
        let mut scaling = Scaling::new("x", "modules");
        assert_eq!(scaling.exponent(), None);
        for size in [10.0_f64, 40.0, 90.0] {
            scaling.add(size, 99.0 * size.powf(1.5));
            scaling.add(size, 3.0 * size.powf(1.5));
            scaling.add(size, 98.0 * size.powf(1.5));
        }
        assert!((scaling.exponent().unwrap() - 1.5).abs() < 1e-12);
        assert_eq!(scaling.points.len(), 3);
    }

    #[test]
    fn a_report_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut scaling = Scaling::new("a b", "edges");
        scaling.report(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        scaling.add(1.0, 2.0);
        scaling.add(2.0, 4.0);
        scaling.report(folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("scaling-a-b-edges.json")).unwrap();
        assert!(text.contains("\"exponent\": 1.0"), "{text}");
    }
}
