//! Tests of whole reproductions with a runner that trains nothing.

use std::path::Path;

use nac_data::Silent;

use super::*;
use crate::report::Status;
use nac_train::TrainError;
use nac_train::config;
use nac_train::summary::{CurvePoint, RunSummary};
use nac_train::trainer::StopSignal;

/// Writes what a run writes and remembers what it was asked for.
#[derive(Default)]
struct Double {
    asked: Vec<(String, bool)>,
    fail: Option<&'static str>,
    interrupt: Option<&'static str>,
}

impl Runner for Double {
    fn run(
        &mut self,
        Job {
            config,
            folder,
            resume,
            label,
        }: Job<'_>,
    ) -> Result<RunSummary> {
        assert!(label.contains(&config.model.kind.to_string()), "{label}");
        self.asked.push((config.name.clone(), resume));
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("config.toml"), config::to_toml(config)).unwrap();
        if self
            .interrupt
            .is_some_and(|name| config.name.contains(name))
        {
            return Err(TrainError::Interrupted {
                step: 2,
                signal: StopSignal::Interrupt,
                folder: Some(folder.into()),
            });
        }
        if self.fail.is_some_and(|name| config.name.contains(name)) {
            return Err(TrainError::State("the loss <is> strange".into()));
        }
        let accuracy = if config.model.kind.to_string() == "nac" {
            0.5
        } else {
            0.4
        } + 0.01 * config.seed as f64;
        let summary = RunSummary {
            name: config.name.clone(),
            dataset: config.data.name.clone(),
            model: config.model.kind.to_string(),
            seed: config.seed,
            parameters: 1000,
            steps: 3,
            batch_size: config.training.batch_size,
            train_examples: 10,
            validation_examples: 5,
            test_examples: 5,
            output: nac_core::model::OutputSpec::classes(10),
            majority_accuracy: Some(0.2),
            metric: "accuracy".into(),
            train_curve: Vec::new(),
            validation_curve: Vec::new(),
            test: CurvePoint {
                step: 3,
                loss: 1.0,
                metrics: [("accuracy".to_owned(), accuracy)].into(),
            },
            wall_seconds: 1.0,
            examples_per_second: 10.0,
            device: "cpu".into(),
            threads: 1,
            processes: 1,
            revision: "unknown".into(),
            without_gradient: Vec::new(),
            graphs: Vec::new(),
        };
        std::fs::write(
            folder.join("summary.json"),
            serde_json::to_string(&summary).unwrap(),
        )
        .unwrap();
        Ok(summary)
    }
}

fn request(out: &Path) -> Request {
    Request {
        profile: Profile::Quick,
        only: vec![Experiment::ListOps],
        seeds: 1,
        overrides: Vec::new(),
        changed: false,
        out: out.into(),
        dirs: DataDirs::new(None, None, out.join("no-data")),
        offline: true,
        command: "nac reproduce-paper".into(),
    }
}

fn run(request: &Request, runner: &mut Double) -> Reproduced {
    reproduce(request, runner, &Silent).unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn finished_runs_are_reused_and_the_report_stays_the_same() {
    let out = tempfile::tempdir().unwrap();
    let mut runner = Double::default();
    let first = run(
        &Request {
            seeds: 2,
            ..request(out.path())
        },
        &mut runner,
    );
    assert_eq!(
        (runner.asked.len(), first.failed, first.stopped),
        (6, 0, false)
    );
    let [nac, baseline, stem] = first.report.rows.as_slice() else {
        panic!("{:?}", first.report.rows)
    };
    assert_eq!(
        (nac.model.as_str(), baseline.model.as_str()),
        ("nac", "perceiver-io")
    );
    assert_eq!(stem.model, "stem-only");
    assert_eq!(
        (nac.seeds.clone(), nac.status.clone()),
        (vec![0, 1], Status::Done)
    );
    let (ours, theirs) = (nac.accuracy.unwrap(), baseline.accuracy.unwrap());
    assert!((ours.mean - 0.505).abs() < 1e-12 && (theirs.mean - 0.405).abs() < 1e-12);
    assert_eq!(nac.paper, "not published");
    let before = (read(&first.written.html), read(&first.written.json));

    let second = run(
        &Request {
            seeds: 2,
            ..request(out.path())
        },
        &mut runner,
    );
    assert_eq!(runner.asked.len(), 6, "nothing ran again");
    assert_eq!(
        (read(&second.written.html), read(&second.written.json)),
        before
    );
}

#[test]
fn a_stopped_reproduction_goes_on_where_it_stopped() {
    let out = tempfile::tempdir().unwrap();
    let mut runner = Double {
        interrupt: Some("perceiver-io"),
        ..Double::default()
    };
    let stopped = run(
        &Request {
            seeds: 2,
            ..request(out.path())
        },
        &mut runner,
    );
    assert!(stopped.stopped);
    assert_eq!(runner.asked.len(), 2, "nothing runs after an interruption");
    assert!(
        stopped
            .report
            .rows
            .iter()
            .all(|row| row.status == Status::Stopped)
    );

    let mut runner = Double::default();
    let done = run(
        &Request {
            seeds: 2,
            ..request(out.path())
        },
        &mut runner,
    );
    assert!(!done.stopped);
    let asked: Vec<(&str, bool)> = runner
        .asked
        .iter()
        .map(|(name, resume)| (name.as_str(), *resume))
        .collect();
    let expected = [
        ("quick-listops-perceiver-io-seed0", true),
        ("quick-listops-stem-only-seed0", false),
        ("quick-listops-nac-seed1", false),
        ("quick-listops-perceiver-io-seed1", false),
        ("quick-listops-stem-only-seed1", false),
    ];
    assert_eq!(asked, expected);
}

#[test]
fn a_failed_run_does_not_stop_the_others() {
    let out = tempfile::tempdir().unwrap();
    let mut runner = Double {
        fail: Some("listops-nac"),
        ..Double::default()
    };
    let done = run(&request(out.path()), &mut runner);
    assert_eq!((done.failed, done.stopped), (1, false));
    assert!(
        matches!(&done.report.rows[0].status, Status::Failed { reason } if reason.contains("strange"))
    );
    assert_eq!(done.report.rows[1].status, Status::Done);
    assert!(read(&done.written.html).contains("the loss &#60;is&#62; strange"));
}

#[test]
fn without_cifar10_its_rows_say_so_and_the_digits_run() {
    let out = tempfile::tempdir().unwrap();
    let mut runner = Double::default();
    let done = run(
        &Request {
            only: vec![Experiment::Cifar10],
            ..request(out.path())
        },
        &mut runner,
    );
    let rows: Vec<_> = done
        .report
        .rows
        .iter()
        .map(|row| (row.experiment.as_str(), row.status.to_string()))
        .collect();
    let [skipped, done_text] = ["skipped: no data", "done"].map(String::from);
    let expected = [
        ("cifar10", &skipped),
        ("cifar10", &skipped),
        ("cifar10", &skipped),
        ("digits", &done_text),
        ("digits", &done_text),
        ("digits", &done_text),
    ];
    assert_eq!(rows, expected.map(|(name, text)| (name, text.clone())));
    assert_eq!(done.report.rows[3].title, "UCI digits (8×8)");
    assert!(done.report.rows[0].accuracy.is_none());
    assert!(
        done.report
            .notes
            .iter()
            .any(|note| note.contains("cifar-10-binary.tar.gz"))
    );
}

#[test]
fn with_cifar10_the_digits_do_not_run() {
    let out = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("data_batch_1.bin"), "").unwrap();
    let mut runner = Double::default();
    let dirs = DataDirs::new(Some(data.path().into()), None, out.path().join("cache"));
    let both = Request {
        only: Vec::new(),
        dirs,
        ..request(out.path())
    };
    let done = run(&both, &mut runner);
    let names: Vec<_> = done
        .report
        .experiments
        .iter()
        .map(|experiment| experiment.name.as_str())
        .collect();
    assert_eq!(names, ["listops", "cifar10"]);
    assert_eq!(runner.asked.len(), 6);
}

#[test]
fn of_all_experiments_those_without_data_are_skipped_with_a_recipe() {
    let out = tempfile::tempdir().unwrap();
    let mut runner = Double::default();
    let all = Request {
        only: Experiment::ALL.to_vec(),
        ..request(out.path())
    };
    let done = run(&all, &mut runner);
    assert_eq!(done.report.experiments.len(), Experiment::ALL.len());
    assert_eq!(done.report.rows.len(), 3 * Experiment::ALL.len());
    let state = |name: &str| {
        let row = done.report.rows.iter().find(|row| row.experiment == name);
        row.unwrap().status.to_string()
    };
    for (name, expected) in [
        ("listops", "done"),
        ("shapes3d", "done"),
        ("sort-of-clevr", "done"),
        ("imdb", "skipped: no data"),
        ("modelnet10", "skipped: no data"),
        ("digits", "done"),
    ] {
        assert_eq!(state(name), expected, "{name}");
    }
    let notes = done.report.notes.join("\n");
    assert!(notes.contains("ModelNet10.zip"), "{notes}");
}

#[test]
fn other_settings_in_the_folder_are_refused_before_anything_runs() {
    let out = tempfile::tempdir().unwrap();
    run(&request(out.path()), &mut Double::default());
    let page = read(&out.path().join("report.html"));
    let mut runner = Double::default();
    let changed = Request {
        overrides: vec!["training.steps=7".parse().unwrap()],
        changed: true,
        only: vec![Experiment::ListOps, Experiment::Digits],
        ..request(out.path())
    };
    let error = reproduce(&changed, &mut runner, &Silent)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("training.steps") && error.contains("quick-listops-nac-seed0"),
        "{error}"
    );
    assert!(runner.asked.is_empty());
    assert_eq!(read(&out.path().join("report.html")), page);
}

#[test]
fn notes_name_what_the_profile_shortens_and_what_the_paper_s_needs() {
    let out = tempfile::tempdir().unwrap();
    let done = run(
        &Request {
            changed: true,
            ..request(out.path())
        },
        &mut Double::default(),
    );
    let page = read(&done.written.html);
    for part in [
        "Shortened:",
        "--profile paper needs",
        "36.37 %",
        "not comparable",
        "no value to expect",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(done.report.rows.iter().all(|row| row.expected.is_none()));
}
