//! Figures of the report as inline SVG.
//!
//! Text and axes are drawn black; the style sheet of the page gives them the colour of its text, so
//! that they can be read in dark mode too.

mod curves;
mod heat_map;
mod histogram;

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend};
use plotters::style::RGBColor;

pub(super) use curves::{Curve, CurveChart, curve_chart};
pub(super) use heat_map::heat_map;
pub(super) use histogram::histogram;

use super::ReportError;

/// Colour of the circuit.
pub(super) const NAC: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
/// Colour of the baseline.
pub(super) const BASELINE: RGBColor = RGBColor(0xe0, 0x7b, 0x00);
/// Colour of other models.
pub(super) const OTHER: RGBColor = RGBColor(0x2c, 0x9c, 0x5a);
/// Grid lines, reference lines and self edges; seen on light and on dark.
const GREY: RGBColor = RGBColor(0x8a, 0x8a, 0x8a);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Colour of a kind of model.
pub(super) fn colour(model: &str) -> RGBColor {
    match model {
        "nac" => NAC,
        "perceiver-io" => BASELINE,
        _ => OTHER,
    }
}

/// Draws a figure of `width × height` and makes its root element fit for embedding in a page: scalable,
/// with a text for those who do not see it, and without the address of the SVG name space.
fn svg(
    figure: &'static str,
    (width, height): (u32, u32),
    label: &str,
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String, ReportError> {
    let failed = |error: Box<dyn std::error::Error>| ReportError::Plot {
        figure,
        reason: error.to_string(),
    };
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        draw(&root).map_err(failed)?;
        root.present().map_err(|error| failed(error.into()))?;
    }
    let body = text.split_once('>').map_or("", |(_, body)| body);
    let label = label
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;");
    Ok(format!(
        "<svg class=\"{figure}\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"{label}\">{body}"
    ))
}
