//! How many modules have which expected degree.

use plotters::prelude::{ChartBuilder, Color, IntoFont, Rectangle};

use super::{GREY, NAC, svg};
use crate::report::ReportError;

const BINS: usize = 16;

/// The histogram of values that are finite; `None` if there are none.
pub(in crate::report) fn histogram(
    values: &[f64],
    name: &str,
) -> Result<Option<String>, ReportError> {
    let finite: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    let Some((low, high)) = ends(&finite) else {
        return Ok(None);
    };
    let counts = counts(&finite, low, high);
    let most = counts.iter().copied().max().unwrap_or(0) as f64;
    let width = (high - low) / BINS as f64;
    let label = format!("number of modules of {name} by expected degree");
    let drawn = svg("degrees", (420, 356), &label, |root| {
        let mut builder = ChartBuilder::on(root);
        builder
            .margin(6)
            .margin_right(18)
            .x_label_area_size(40)
            .y_label_area_size(52);
        let mut axes = builder.build_cartesian_2d(low..high, 0.0..most * 1.08)?;
        let digits = if high - low >= 5.0 { 0 } else { 2 };
        axes.configure_mesh()
            .disable_x_mesh()
            .light_line_style(GREY.mix(0.0))
            .bold_line_style(GREY.mix(0.25))
            .x_labels(6)
            .y_labels((most as usize + 1).min(6))
            .x_desc("expected degree")
            .y_desc("modules")
            .x_label_formatter(&|degree| format!("{degree:.digits$}"))
            .y_label_formatter(&|count| format!("{count:.0}"))
            .label_style(("sans-serif", 15).into_font())
            .axis_desc_style(("sans-serif", 16).into_font())
            .draw()?;
        let bars = counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(bin, &count)| {
                let left = low + width * bin as f64;
                let mut bar =
                    Rectangle::new([(left, count as f64), (left + width, 0.0)], NAC.filled());
                bar.set_margin(0, 0, 1, 1);
                bar
            });
        axes.draw_series(bars)?;
        Ok(())
    })?;
    Ok(Some(drawn))
}

/// A range that is not empty and holds all values.
fn ends(values: &[f64]) -> Option<(f64, f64)> {
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    let air = ((high - low) * 0.02).max(0.05);
    Some(((low - air).max(0.0), high + air))
}

fn counts(values: &[f64], low: f64, high: f64) -> [usize; BINS] {
    let mut counts = [0; BINS];
    for value in values {
        let bin = ((value - low) / (high - low) * BINS as f64).floor() as usize;
        counts[bin.min(BINS - 1)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_once() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let (low, high) = ends(&values).unwrap();
        let counts = counts(&values, low, high);
        assert_eq!(counts.iter().sum::<usize>(), 100);
        assert!(
            counts.iter().all(|count| (5..=8).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn equal_values_make_one_bar() {
        let text = histogram(&[3.0; 8], "g").unwrap().unwrap();
        assert_eq!(text.matches("fill=\"#1F77B4\"").count(), 1);
        assert!(text.contains("expected degree") && text.contains("modules"));
        assert_eq!(histogram(&[], "g").unwrap(), None);
        assert_eq!(histogram(&[f64::NAN], "g").unwrap(), None);
        assert!(histogram(&[0.0], "g").unwrap().is_some());
    }
}
