//! The links that truncation left of a matrix of links, where these are few.

use nac_core::Csr;
use nac_engine::training::attention::EdgeGraph;

use crate::error::Result;

/// Share of pairs up to which attention goes along edges. The engine takes as much in evaluation.
const DENSITY: f64 = 0.1;

/// The kept links of `[receivers, senders]`.
#[derive(Debug)]
pub(super) struct Edges {
    pub(super) graph: EdgeGraph,
    /// Logarithms of the kept links, `[edges]`.
    pub(super) log: Vec<f32>,
    /// Place of each in the matrix.
    places: Vec<usize>,
}

impl Edges {
    /// The links of `log_links` that are not `−∞`, if they are few; `last` is what an earlier step found.
    pub(super) fn find(
        log_links: &[f32],
        senders: usize,
        last: Option<Self>,
    ) -> Result<Option<Self>> {
        let kept = |log: &f32| *log != f32::NEG_INFINITY; // NaN is kept: it must be seen
        let count = log_links.iter().filter(|log| kept(log)).count();
        if senders == 0 || count as f64 > DENSITY * log_links.len() as f64 {
            return Ok(None);
        }
        if let Some(mut same) = last.filter(|last| last.fits(log_links, count)) {
            for (log, place) in same.log.iter_mut().zip(&same.places) {
                *log = log_links[*place];
            }
            return Ok(Some(same));
        }
        let with_places = log_links.iter().enumerate();
        let places = with_places.filter(|(_, log)| kept(log));
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        let mut offsets = vec![0];
        for row in log_links.chunks(senders) {
            let before = offsets.last().copied().unwrap_or(0);
            offsets.push(before + row.iter().filter(|log| kept(log)).count());
        }
        let columns = places.iter().map(|place| place % senders).collect();
        let graph = Csr::new(senders, offsets, columns, None)?;
        Ok(Some(Self {
            graph: EdgeGraph::new(&graph)?,
            log: places.iter().map(|place| log_links[*place]).collect(),
            places,
        }))
    }

    /// Whether the kept links of `log_links`, so many, are these.
    fn fits(&self, log_links: &[f32], count: usize) -> bool {
        let kept = |place: &usize| {
            log_links
                .get(*place)
                .is_some_and(|log| *log != f32::NEG_INFINITY)
        };
        self.places.len() == count && self.places.iter().all(kept)
    }

    /// The gradient of the matrix from that of the kept links.
    pub(super) fn spread(&self, gradient: &[f32], matrix: &mut [f32]) {
        matrix.fill(0.0);
        for (value, place) in gradient.iter().zip(&self.places) {
            if let Some(entry) = matrix.get_mut(*place) {
                *entry = *value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_links_are_edges_whose_gradients_go_back_to_their_places() {
        let mut links = vec![f32::NEG_INFINITY; 40];
        (links[3], links[37]) = (-1.0, -2.0);
        let found = Edges::find(&links, 20, None).unwrap().unwrap();
        assert_eq!((found.graph.receivers(), found.graph.edges()), (2, 2));
        assert_eq!(found.log, [-1.0, -2.0]);
        let mut matrix = vec![9.0; 40];
        found.spread(&[5.0, 6.0], &mut matrix);
        assert_eq!((matrix[3], matrix[37]), (5.0, 6.0));
        assert_eq!(matrix.iter().sum::<f32>(), 11.0);
        links[37] = -7.0;
        let again = Edges::find(&links, 20, Some(found)).unwrap().unwrap();
        assert_eq!(again.log, [-1.0, -7.0]);
        (links[37], links[0]) = (f32::NEG_INFINITY, -3.0);
        let moved = Edges::find(&links, 20, Some(again)).unwrap().unwrap();
        assert_eq!(moved.log, [-3.0, -1.0]);
        links.fill(-1.0);
        assert!(Edges::find(&links, 20, Some(moved)).unwrap().is_none());
    }
}
