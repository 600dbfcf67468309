//! Link probabilities as a heat map with a colour bar.

use plotters::prelude::{Color, ColorMap, IntoFont, PathElement, Rectangle, Text, ViridisRGB};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, RGBColor, TextStyle};

use super::{GREY, svg};
use crate::report::ReportError;
use crate::report::graph::Graph;

/// Larger graphs are shown in blocks, so that there are at most this many cells a side.
const MOST_CELLS: usize = 80;
/// Side of the map in pixels, at most.
const SIDE: usize = 320;
/// Height of a step of the colour bar in pixels, and number of steps.
const BAR_STEP: usize = 5;
const BAR_STEPS: usize = 64;

/// The map of a graph, in greedy order, receivers downwards. A cell that holds no link between two
/// different modules is grey. Each cell is the mean over its block of links without self edges.
pub(in crate::report) fn heat_map(graph: &Graph, name: &str) -> Result<String, ReportError> {
    let order = graph.greedy_order();
    let cells = cells(graph, &order);
    let (low, high) = colour_range(graph);
    let colour = |p: f64| -> RGBColor {
        let share = ((p - low) / (high - low)).clamp(0.0, 1.0);
        ViridisRGB.get_color(share as f32)
    };
    let pixels = (SIDE / cells.len()).max(1);
    let (left, top) = (28_i32, 8_i32);
    let side = (cells.len() * pixels) as i32;
    let bar_left = left + side + 18;
    let bar_height = (BAR_STEP * BAR_STEPS) as i32;
    let size = (
        (bar_left + 70) as u32,
        (top + side.max(bar_height) + 28) as u32,
    );
    let label = format!("link probabilities of {name}, from {low:.2} to {high:.2}");
    svg("heat", size, &label, |root| {
        for (row, line) in cells.iter().enumerate() {
            for (column, cell) in line.iter().enumerate() {
                let (x, y) = (left + (column * pixels) as i32, top + (row * pixels) as i32);
                let style = cell.map_or(GREY, colour).filled();
                root.draw(&Rectangle::new(
                    [(x, y), (x + pixels as i32, y + pixels as i32)],
                    style,
                ))?;
            }
        }
        for step in 0..BAR_STEPS {
            let p = high - (high - low) * (step as f64 + 0.5) / BAR_STEPS as f64;
            let y = top + (step * BAR_STEP) as i32;
            let corners = [(bar_left, y), (bar_left + 14, y + BAR_STEP as i32)];
            root.draw(&Rectangle::new(corners, colour(p).filled()))?;
        }
        let font = |h, v| TextStyle::from(("sans-serif", 15).into_font()).pos(Pos::new(h, v));
        for tick in 0..=4_i32 {
            let y = top + bar_height * tick / 4;
            let p = high - (high - low) * f64::from(tick) / 4.0;
            root.draw(&PathElement::new(
                [(bar_left + 14, y), (bar_left + 19, y)],
                BLACK,
            ))?;
            root.draw(&Text::new(
                format!("{p:.2}"),
                (bar_left + 23, y),
                font(HPos::Left, VPos::Center),
            ))?;
        }
        let middle = left + side / 2;
        root.draw(&Text::new(
            "sender",
            (middle, top + side + 8),
            font(HPos::Center, VPos::Top),
        ))?;
        let sideways =
            font(HPos::Center, VPos::Bottom).transform(plotters::style::FontTransform::Rotate270);
        root.draw(&Text::new("receiver", (left - 4, top + side / 2), sideways))?;
        Ok(())
    })
}

/// Means over blocks of modules in the order given; `None` where a block has only self edges.
fn cells(graph: &Graph, order: &[usize]) -> Vec<Vec<Option<f64>>> {
    let block = order.len().div_ceil(MOST_CELLS).max(1);
    let mean = |receivers: &[usize], senders: &[usize]| {
        let pairs = receivers
            .iter()
            .flat_map(|&i| senders.iter().map(move |&j| (i, j)));
        let links: Vec<f64> = pairs
            .filter(|(i, j)| i != j)
            .map(|(i, j)| graph.link(i, j))
            .collect();
        (!links.is_empty()).then(|| links.iter().sum::<f64>() / links.len() as f64)
    };
    let line = |receivers: &[usize]| {
        order
            .chunks(block)
            .map(|senders| mean(receivers, senders))
            .collect()
    };
    order.chunks(block).map(line).collect()
}

/// Ends of the colour bar: the range without self edges, widened to multiples of 0.05.
fn colour_range(graph: &Graph) -> (f64, f64) {
    let (low, high) = graph.range().unwrap_or((0.0, 1.0));
    let low = (low * 20.0 + 1e-4).floor() / 20.0;
    let high = (high * 20.0 - 1e-4).ceil() / 20.0;
    if high - low < 0.05 {
        (low, low + 0.05)
    } else {
        (low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_train::summary::GraphSnapshot;

    fn graph(modules: usize, p: f32) -> Graph {
        let mut link_probabilities = vec![p; modules * modules];
        link_probabilities
            .iter_mut()
            .step_by(modules + 1)
            .for_each(|link| *link = 1.0);
        Graph::new(&GraphSnapshot {
            name: "g".into(),
            modules,
            link_probabilities,
        })
        .unwrap()
    }

    #[test]
    fn there_is_a_cell_for_each_link() {
        for modules in [1, 2, 7, 80] {
            let text = heat_map(&graph(modules, 0.3), "g").unwrap();
            assert_eq!(
                text.matches("<rect").count(),
                modules * modules + BAR_STEPS,
                "{modules}"
            );
            // The self edges are grey.
            assert_eq!(text.matches("#8A8A8A").count(), modules);
        }
    }

    #[test]
    fn colours_follow_the_values() {
        let links = vec![1.0, 0.2, 0.8, 1.0];
        let snapshot = GraphSnapshot {
            name: "g".into(),
            modules: 2,
            link_probabilities: links,
        };
        let text = heat_map(&Graph::new(&snapshot).unwrap(), "g").unwrap();
        // Ends of the colour map at the ends of the bar; module 1 has more sources, so it comes first.
        let cells: Vec<&str> = text
            .match_indices("fill=\"#")
            .map(|(at, _)| &text[at + 6..at + 13])
            .collect();
        assert_eq!(cells[..4], ["#8A8A8A", "#FEE825", "#440154", "#8A8A8A"]);
        assert!(text.contains("0.20") && text.contains("0.80") && text.contains("0.50"));
    }

    #[test]
    fn large_graphs_are_shown_in_blocks() {
        let graph = graph(161, 0.4);
        let order = graph.greedy_order();
        let cells = cells(&graph, &order);
        assert_eq!((cells.len(), cells[0].len()), (54, 54));
        for (row, line) in cells.iter().enumerate() {
            for (column, cell) in line.iter().enumerate() {
                assert!((cell.unwrap() - 0.4).abs() < 1e-6, "{row} {column}");
            }
        }
    }

    #[test]
    fn ranges_are_round_and_not_empty() {
        let close = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() + (b - d).abs() < 1e-9;
        assert!(close(colour_range(&graph(3, 0.3)), (0.3, 0.35)));
        assert!(close(colour_range(&graph(3, 0.33)), (0.3, 0.35)));
        assert!(close(colour_range(&graph(1, 0.33)), (0.0, 1.0)));
        assert!(close(colour_range(&graph(3, 0.0)), (0.0, 0.05)));
    }
}
