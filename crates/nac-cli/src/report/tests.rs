//! Tests of whole reports.

use super::*;
use nac_core::model::OutputSpec;
use nac_train::summary::{CurvePoint, GraphSnapshot, RunSummary};

fn summary(model: &str, accuracy: f64) -> RunSummary {
    let curve = |every: u64, gain: f64| {
        (1..=10)
            .map(|k| CurvePoint {
                step: k * every,
                loss: 2.3 - gain * k as f64,
                metrics: [("accuracy".to_owned(), 0.1 + gain * k as f64)].into(),
            })
            .collect::<Vec<_>>()
    };
    let graphs = if model == "nac" {
        let link_probabilities = (0..36)
            .map(|k| {
                if k % 7 == 0 {
                    1.0
                } else {
                    0.2 + 0.02 * k as f32
                }
            })
            .collect();
        vec![GraphSnapshot {
            name: "propagator.0".into(),
            modules: 6,
            link_probabilities,
        }]
    } else {
        Vec::new()
    };
    RunSummary {
        name: format!("listops-{model}"),
        dataset: "listops".into(),
        model: model.into(),
        seed: 0,
        parameters: 712_345,
        steps: 1000,
        batch_size: 64,
        train_examples: 96_000,
        validation_examples: 2_000,
        test_examples: 2_000,
        output: OutputSpec::classes(10),
        majority_accuracy: Some(0.1725),
        metric: "accuracy".into(),
        train_curve: curve(50, 0.02),
        validation_curve: curve(100, 0.025),
        test: CurvePoint {
            step: 1000,
            loss: 1.5,
            metrics: [("accuracy".to_owned(), accuracy)].into(),
        },
        wall_seconds: 151.0,
        examples_per_second: 420.0,
        device: "cpu".into(),
        threads: 2,
        processes: 1,
        revision: "0123abc".into(),
        without_gradient: Vec::new(),
        graphs,
    }
}

fn row(experiment: &str, model: &str, status: Status) -> Row {
    let done = status == Status::Done;
    Row {
        experiment: experiment.into(),
        title: if experiment == "listops" {
            "ListOps"
        } else {
            "CIFAR-10"
        }
        .into(),
        model: model.into(),
        profile: "quick".into(),
        seeds: vec![0],
        parameters: done.then_some(712_345),
        wall_seconds: done.then_some(151.0),
        paper: "not published".into(),
        accuracy: if done { Spread::of(&[0.4321]) } else { None },
        expected: if done {
            Spread::of(&[0.42, 0.44])
        } else {
            None
        },
        majority_accuracy: done.then_some(0.1725),
        chance_accuracy: Some(0.1),
        status,
    }
}

fn report() -> Report {
    let experiment = |name: &str, title: &str| Experiment {
        name: name.into(),
        title: title.into(),
        task: format!("{title} as it is."),
        notes: vec![format!("A note on {title}.")],
    };
    let skipped = || Status::Skipped {
        reason: "no data".into(),
    };
    Report {
        title: "Neural Attentive Circuits".into(),
        command: "nac reproduce-paper --set 'a=\"<b> & c\"'".into(),
        profile: "quick".into(),
        version: "0.1.0".into(),
        notes: vec!["Sequences are short <here> & now.".into()],
        experiments: vec![
            experiment("listops", "ListOps"),
            experiment("cifar10", "CIFAR-10"),
        ],
        rows: vec![
            row("listops", "nac", Status::Done),
            row("listops", "perceiver-io", Status::Done),
            row("cifar10", "nac", skipped()),
            row("cifar10", "perceiver-io", skipped()),
        ],
        runs: ["nac", "perceiver-io"]
            .map(|model| ReportedRun {
                experiment: "listops".into(),
                summary: summary(model, 0.4321),
            })
            .into(),
    }
}

/// The page as a tree: fails if a tag is not closed or a character not escaped.
fn parse(html: &str) -> roxmltree::Document<'_> {
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        ..Default::default()
    };
    roxmltree::Document::parse_with_options(html, options).unwrap()
}

#[test]
fn page_is_well_formed_and_shows_every_value() {
    let html = report().html().unwrap();
    let page = parse(&html);
    let text: String = page
        .descendants()
        .filter_map(|node| node.text().filter(|_| node.is_text()))
        .collect();
    for value in [
        "NAC",
        "Perceiver IO",
        "712,345",
        "2 min 31 s",
        "43.2 %",
        "43.0 ± 1.4 %",
        "17.2 %",
        "10.0 %",
        "not published",
        "not measured",
        "skipped: no data",
        "0123abc",
        "cpu",
        "96,000",
        "propagator.0",
        "nac reproduce-paper --set 'a=\"<b> & c\"'",
        "Sequences are short <here> & now.",
        "A note on CIFAR-10.",
        "expected degree",
        "accuracy in %",
    ] {
        assert!(text.contains(value), "{value}");
    }
    let count = |tag: &str| {
        page.descendants()
            .filter(|node| node.has_tag_name(tag))
            .count()
    };
    assert_eq!(count("tr"), 5);
    assert_eq!(count("svg"), 4, "two charts, one map, one histogram");
}

#[test]
fn page_loads_nothing() {
    let html = report().html().unwrap();
    for forbidden in [
        "http:", "https:", "<script", "<link", "src=", "@import", "url(",
    ] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn same_results_give_the_same_bytes() {
    assert_eq!(report().html().unwrap(), report().html().unwrap());
    assert_eq!(report().json().unwrap(), report().json().unwrap());
}

#[test]
fn json_reads_back() {
    let text = report().json().unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["schema"], SCHEMA);
    assert_eq!(value["rows"][0]["accuracy"]["mean"], 0.4321);
    assert_eq!(value["rows"][2]["status"]["state"], "skipped");
    assert_eq!(value["runs"][0]["experiment"], "listops");
    assert_eq!(value["runs"][0]["test"]["metrics"]["accuracy"], 0.4321);
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report());
}

#[test]
fn odd_results_still_make_a_page() {
    let mut odd = report();
    let run = &mut odd.runs[0].summary;
    run.train_curve.clear();
    run.validation_curve
        .iter_mut()
        .for_each(|point| point.loss = f64::NAN);
    run.majority_accuracy = Some(f64::NAN);
    run.graphs[0].link_probabilities.pop();
    run.graphs.push(GraphSnapshot {
        name: "<g>".into(),
        modules: 1,
        link_probabilities: vec![f32::NAN],
    });
    odd.runs.truncate(1);
    odd.rows[0].accuracy = Spread::of(&[f64::NAN]);
    odd.rows[1].status = Status::Failed {
        reason: "loss is NaN at step 3 <&>".into(),
    };
    let html = odd.html().unwrap();
    parse(&html);
    for part in [
        "no points yet",
        "not shown: 35 values for 6 modules",
        "not a number",
        "&#60;g&#62;",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(odd.json().unwrap().contains("\"mean\": null"));
    let empty = Report {
        experiments: vec![],
        rows: vec![],
        runs: vec![],
        notes: vec![],
        ..report()
    };
    parse(&empty.html().unwrap());
}

#[test]
fn files_are_replaced_and_nothing_else_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("new/folder");
    report().write(&folder).unwrap();
    let mut second = report();
    second.title = "Second".into();
    let written = second.write(&folder).unwrap();
    assert!(
        std::fs::read_to_string(&written.html)
            .unwrap()
            .contains("<h1>Second</h1>")
    );
    assert!(
        std::fs::read_to_string(&written.json)
            .unwrap()
            .contains("\"title\": \"Second\"")
    );
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);

    let blocked = written.html.join("below");
    let error = second.write(&blocked).unwrap_err().to_string();
    assert!(
        error.contains("cannot make the folder") && error.contains("report.html/below"),
        "{error}"
    );
}

#[test]
fn terminal_table_has_a_line_for_each_row() {
    let table = terminal_table(&report().rows, Some(400));
    assert_eq!(table.lines().count(), 4 + 4, "{table}");
    for part in [
        "Parameters",
        "712,345",
        "43.2 %",
        "skipped: no data",
        "Perceiver IO",
        "not published",
    ] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    let narrow = terminal_table(&report().rows, Some(80));
    assert!(
        narrow.lines().all(|line| line.chars().count() <= 80),
        "{narrow}"
    );
}
