//! Training and validation curves of several runs over one another.

use plotters::prelude::{
    ChartBuilder, Circle, Color, DashedLineSeries, IntoFont, LineSeries, RGBColor,
};

use super::{GREY, svg};
use crate::report::ReportError;

/// Longer curves are averaged in groups down to at most this many points.
const MOST_POINTS: usize = 300;

/// A line: `(step, value)` in the order of steps.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct Curve {
    /// Colour of the model.
    pub(in crate::report) colour: RGBColor,
    /// Held-out data: a strong line with points; else a faint one.
    pub(in crate::report) held_out: bool,
    /// The values; those that are not finite are left out.
    pub(in crate::report) points: Vec<(u64, f64)>,
}

/// What a chart shows.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct CurveChart {
    /// Name of the value, such as `loss`.
    pub(in crate::report) value: String,
    /// Values are shares of 1, to show in percent, from 0 up.
    pub(in crate::report) percent: bool,
    /// A dashed line to compare with.
    pub(in crate::report) reference: Option<f64>,
    /// The lines.
    pub(in crate::report) curves: Vec<Curve>,
}

/// The chart as SVG; `None` if it has no point that can be shown.
pub(in crate::report) fn curve_chart(chart: &CurveChart) -> Result<Option<String>, ReportError> {
    let scale = if chart.percent { 100.0 } else { 1.0 };
    let curves: Vec<(&Curve, Vec<(f64, f64)>)> = chart
        .curves
        .iter()
        .map(|curve| (curve, thinned(&curve.points, scale)))
        .collect();
    let all = || curves.iter().flat_map(|(_, points)| points);
    if all().next().is_none() {
        return Ok(None);
    }
    let reference = chart
        .reference
        .filter(|value| value.is_finite())
        .map(|value| value * scale);
    let last = all().map(|point| point.0).fold(1.0, f64::max);
    let (low, high) = value_range(all().map(|point| point.1).chain(reference), chart.percent);
    let label = format!("{} by step", chart.value);
    let value_name = if chart.percent {
        format!("{} in %", chart.value)
    } else {
        chart.value.clone()
    };
    let drawn = svg("curves", (500, 300), &label, |root| {
        let mut builder = ChartBuilder::on(root);
        builder
            .margin(6)
            .margin_right(18)
            .x_label_area_size(40)
            .y_label_area_size(52);
        let mut axes = builder.build_cartesian_2d(0.0..last, low..high)?;
        let digits = if chart.percent && high - low >= 5.0 {
            0
        } else {
            2
        };
        axes.configure_mesh()
            .disable_x_mesh()
            .light_line_style(GREY.mix(0.0))
            .bold_line_style(GREY.mix(0.25))
            .x_labels(6)
            .y_labels(6)
            .x_desc("step")
            .y_desc(value_name)
            .x_label_formatter(&|step| format!("{step:.0}"))
            .y_label_formatter(&|value| format!("{value:.digits$}"))
            .label_style(("sans-serif", 15).into_font())
            .axis_desc_style(("sans-serif", 16).into_font())
            .draw()?;
        if let Some(value) = reference {
            let line = [(0.0, value), (last, value)];
            axes.draw_series(DashedLineSeries::new(line, 6, 4, GREY.stroke_width(2)))?;
        }
        for (curve, points) in curves.iter().filter(|(curve, _)| !curve.held_out) {
            let style = curve.colour.mix(0.6).stroke_width(1);
            axes.draw_series(LineSeries::new(points.iter().copied(), style))?;
        }
        for (curve, points) in curves.iter().filter(|(curve, _)| curve.held_out) {
            let style = curve.colour.stroke_width(2);
            axes.draw_series(LineSeries::new(points.iter().copied(), style))?;
            axes.draw_series(
                points
                    .iter()
                    .map(|&point| Circle::new(point, 3, curve.colour.filled())),
            )?;
        }
        Ok(())
    })?;
    Ok(Some(drawn))
}

/// Finite points, scaled, and averaged in groups of equal size if there are too many.
fn thinned(points: &[(u64, f64)], scale: f64) -> Vec<(f64, f64)> {
    let finite = points.iter().filter(|(_, value)| value.is_finite());
    let finite: Vec<(f64, f64)> = finite
        .map(|&(step, value)| (step as f64, value * scale))
        .collect();
    let mean = |group: &[(f64, f64)]| {
        let (step, value) = group
            .iter()
            .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (step / group.len() as f64, value / group.len() as f64)
    };
    finite
        .chunks(finite.len().div_ceil(MOST_POINTS).max(1))
        .map(mean)
        .collect()
}

/// Ends of the value axis, a little wider than the values; percent starts at 0.
fn value_range(values: impl Iterator<Item = f64>, percent: bool) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    if percent {
        return (0.0, (high / 10.0 + 0.2).ceil().max(1.0) * 10.0);
    }
    let air = ((high - low) * 0.05).max(1e-3 * high.abs()).max(1e-6);
    (low - air, high + air)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::NAC;

    fn chart(points: Vec<(u64, f64)>) -> CurveChart {
        let curve = Curve {
            colour: NAC,
            held_out: true,
            points,
        };
        CurveChart {
            value: "accuracy".into(),
            percent: true,
            reference: Some(0.1),
            curves: vec![curve],
        }
    }

    #[test]
    fn a_chart_has_a_dot_for_each_held_out_point() {
        let text = curve_chart(&chart(vec![(10, 0.2), (20, 0.3), (30, 0.35)]))
            .unwrap()
            .unwrap();
        assert_eq!(text.matches("<circle").count(), 3);
        for part in [
            "accuracy in %",
            "step",
            "#1F77B4",
            "aria-label=\"accuracy by step\"",
        ] {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_left_out() {
        let bad = vec![(1, f64::NAN), (2, f64::INFINITY), (3, 0.5)];
        let text = curve_chart(&chart(bad)).unwrap().unwrap();
        assert_eq!(text.matches("<circle").count(), 1);
        assert!(!text.contains("NaN"));
        assert_eq!(curve_chart(&chart(vec![(1, f64::NAN)])).unwrap(), None);
        assert_eq!(curve_chart(&chart(Vec::new())).unwrap(), None);
        let none = CurveChart {
            curves: Vec::new(),
            ..chart(Vec::new())
        };
        assert_eq!(curve_chart(&none).unwrap(), None);
        // One constant value, at step 0.
        let flat = CurveChart {
            percent: false,
            reference: None,
            ..chart(vec![(0, 0.0)])
        };
        assert!(curve_chart(&flat).unwrap().is_some());
    }

    #[test]
    fn long_curves_are_averaged() {
        let points: Vec<(u64, f64)> = (0..1000).map(|step| (step, step as f64)).collect();
        let thin = thinned(&points, 1.0);
        assert_eq!(thin.len(), 250);
        assert_eq!((thin[0], thin[249]), ((1.5, 1.5), (997.5, 997.5)));
    }

    #[test]
    fn ranges_hold_all_values() {
        assert_eq!(value_range([3.0, 37.0].into_iter(), true), (0.0, 40.0));
        assert_eq!(value_range([39.0].into_iter(), true), (0.0, 50.0));
        assert_eq!(value_range([100.0].into_iter(), true), (0.0, 110.0));
        let (low, high) = value_range([2.0, 2.0].into_iter(), false);
        assert!(low < 2.0 && high > 2.0);
    }
}
