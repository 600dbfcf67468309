//! `report.html`: one page with everything in it; no scripts, nothing loaded from elsewhere.

use std::collections::BTreeSet;

use askama::Template;

use super::graph::Graph;
use super::plot::{self, Curve, CurveChart};
use super::row::{Row, Status, model_label, percent, thousands};
use super::{Experiment, Report, ReportError};
use nac_train::summary::{CurvePoint, RunSummary};

/// Nothing to draw.
const NO_POINTS: &str = "<p class=\"none\">no points yet</p>";

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
    heads: &'static [&'static str],
    rows: Vec<PageRow>,
    details: Vec<(&'static str, String)>,
    experiments: Vec<PageExperiment<'a>>,
}

struct PageRow {
    class: &'static str,
    cells: Vec<String>,
}

struct PageExperiment<'a> {
    experiment: &'a Experiment,
    details: Vec<(&'static str, String)>,
    models: Vec<(String, String)>,
    majority: Option<String>,
    loss: String,
    metric: String,
    graphs: Vec<PageGraph>,
}

struct PageGraph {
    title: String,
    caption: String,
    heat_map: String,
    histogram: String,
}

/// The text of the page.
pub(super) fn render(report: &Report) -> Result<String, ReportError> {
    let experiments = report
        .experiments
        .iter()
        .map(|experiment| page_experiment(report, experiment));
    let page = Page {
        report,
        heads: &Row::HEADS,
        rows: report.rows.iter().map(page_row).collect(),
        details: details(report),
        experiments: experiments.collect::<Result<_, _>>()?,
    };
    Ok(page.render()? + "\n")
}

fn page_row(row: &Row) -> PageRow {
    let class = match row.status {
        Status::Done => "done",
        Status::Skipped { .. } | Status::Stopped => "skipped",
        Status::Failed { .. } => "failed",
    };
    PageRow {
        class,
        cells: row.cells().to_vec(),
    }
}

/// The different values of something over runs, in order, joined.
fn each<'a, T: Ord>(
    runs: impl Iterator<Item = &'a RunSummary>,
    value: impl Fn(&'a RunSummary) -> T,
    show: impl Fn(T) -> String,
) -> String {
    let values: BTreeSet<T> = runs.map(value).collect();
    if values.is_empty() {
        return "—".into();
    }
    values.into_iter().map(show).collect::<Vec<_>>().join(", ")
}

fn details(report: &Report) -> Vec<(&'static str, String)> {
    let runs = || report.runs.iter().map(|run| &run.summary);
    vec![
        ("Profile", report.profile.clone()),
        (
            "Device",
            each(runs(), |run| run.device.clone(), |text| text),
        ),
        (
            "Threads",
            each(runs(), |run| run.threads, |count| count.to_string()),
        ),
        (
            "Revision",
            each(runs(), |run| run.revision.clone(), |text| text),
        ),
        ("Version", format!("nac-train {}", report.version)),
        ("Finished runs", report.runs.len().to_string()),
    ]
}

fn page_experiment<'a>(
    report: &'a Report,
    experiment: &'a Experiment,
) -> Result<PageExperiment<'a>, ReportError> {
    let runs = || report.runs_of(&experiment.name);
    let mut experiment_details = Vec::new();
    if runs().next().is_some() {
        let count = |value: fn(&RunSummary) -> usize| each(runs(), value, thousands);
        experiment_details.extend([
            ("Training examples", count(|run| run.train_examples)),
            ("Validation examples", count(|run| run.validation_examples)),
            ("Test examples", count(|run| run.test_examples)),
            (
                "Classes",
                count(|run| run.output.class_count().unwrap_or(0)),
            ),
            (
                "Steps",
                each(runs(), |run| run.steps, |steps| thousands(steps as usize)),
            ),
            ("Examples per step", count(|run| run.batch_size)),
        ]);
    }
    let mut models: Vec<(String, String)> = Vec::new();
    for run in runs() {
        let label = model_label(&run.model).to_owned();
        if !models.iter().any(|(known, _)| *known == label) {
            let plotters::style::RGBColor(r, g, b) = plot::colour(&run.model);
            models.push((label, format!("#{r:02x}{g:02x}{b:02x}")));
        }
    }
    let majority = runs()
        .filter_map(|run| run.majority_accuracy)
        .find(|accuracy| accuracy.is_finite());
    let metric = runs().next().map_or("accuracy", |run| run.metric.as_str());
    let chart = |value: &str, is_percent, reference, of: &dyn Fn(&CurvePoint) -> Option<f64>| {
        let chart = CurveChart {
            value: value.to_owned(),
            percent: is_percent,
            reference,
            curves: curves(runs(), of),
        };
        Ok::<_, ReportError>(plot::curve_chart(&chart)?.unwrap_or_else(|| NO_POINTS.into()))
    };
    let mut graphs = Vec::new();
    for run in runs() {
        graphs.extend(page_graphs(run)?);
    }
    Ok(PageExperiment {
        experiment,
        details: experiment_details,
        models,
        majority: majority.map(percent),
        loss: chart("loss", false, None, &|point| Some(point.loss))?,
        metric: chart(
            metric,
            is_share(metric),
            majority.filter(|_| metric == "accuracy"),
            &|point| point.metric(metric),
        )?,
        graphs,
    })
}

/// Whether a metric is a share of 1, to show in percent.
fn is_share(metric: &str) -> bool {
    ["accuracy", "consistency"].contains(&metric) || metric.starts_with("top-")
}

fn curves<'a>(
    runs: impl Iterator<Item = &'a RunSummary>,
    of: &dyn Fn(&CurvePoint) -> Option<f64>,
) -> Vec<Curve> {
    let curve = |run: &RunSummary, held_out, points: &[CurvePoint]| Curve {
        colour: plot::colour(&run.model),
        held_out,
        points: points
            .iter()
            .filter_map(|point| Some((point.step, of(point)?)))
            .collect(),
    };
    let both = |run: &RunSummary| {
        [
            curve(run, false, &run.train_curve),
            curve(run, true, &run.validation_curve),
        ]
    };
    runs.flat_map(both).collect()
}

fn page_graphs(run: &RunSummary) -> Result<Vec<PageGraph>, ReportError> {
    let mut pages = Vec::new();
    for snapshot in &run.graphs {
        let title = format!(
            "{}, seed {}: {}",
            model_label(&run.model),
            run.seed,
            snapshot.name
        );
        let Some(graph) = Graph::new(snapshot) else {
            let caption = format!(
                "not shown: {} values for {} modules",
                snapshot.link_probabilities.len(),
                snapshot.modules
            );
            let (heat_map, histogram) = (String::new(), NO_POINTS.into());
            pages.push(PageGraph {
                title,
                caption,
                heat_map,
                histogram,
            });
            continue;
        };
        let degrees = graph.expected_degrees();
        let mean = degrees.iter().sum::<f64>() / degrees.len() as f64;
        let range = graph.range().map_or_else(String::new, |(low, high)| {
            format!(" Link probabilities lie between {low:.3} and {high:.3}.")
        });
        let caption = format!(
            "{} modules, mean expected degree {mean:.2}.{range}",
            graph.modules()
        );
        pages.push(PageGraph {
            title,
            caption,
            heat_map: plot::heat_map(&graph, &snapshot.name)?,
            histogram: plot::histogram(&degrees, &snapshot.name)?
                .unwrap_or_else(|| NO_POINTS.into()),
        });
    }
    Ok(pages)
}
