//! The commands of the book's page on a user's own data, as they stand there.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

const PAGE: &str = include_str!("../../../docs/src/own-data.md");
/// Commands of a section, at most.
const MOST_COMMANDS: usize = 10;

/// The commands below a heading, without their comments.
fn commands(heading: &str) -> Vec<String> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let command = |line: &str| line.split("  #").next().unwrap_or("").trim().to_owned();
    block.lines().map(command).collect()
}

/// What a command prints. It sees nothing of this machine but its folder.
fn run(folder: &Path, command: &str) -> String {
    let arguments = command.strip_prefix("nac ").unwrap();
    let mut nac = Command::new(assert_cmd::cargo::cargo_bin!("nac"));
    nac.current_dir(folder)
        .args(arguments.split_whitespace())
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env_remove("NAC_DATA_DIR");
    let output = nac.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|b| String::from_utf8(b).unwrap());
    assert!(output.status.success(), "{command}\n{out}\n{err}");
    out
}

/// Runs a section; `classes` are those of the sample, and answers to the files of a class must name it.
fn walk(heading: &str, classes: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let commands = commands(heading);
    assert!(
        (1..=MOST_COMMANDS).contains(&commands.len()),
        "{commands:?}"
    );
    for command in &commands {
        let out = run(folder.path(), command);
        let word = command.split(' ').nth(1).unwrap();
        match word {
            "init" => {
                for class in classes {
                    assert!(
                        out.contains(&format!("{class}:  train 48  test 12")),
                        "{out}"
                    );
                }
                assert!(out.contains("nac train --config"), "{out}");
            }
            "eval" => {
                let accuracy = out.split_whitespace().nth(2).unwrap();
                let accuracy: f64 = accuracy.parse().unwrap();
                assert!(accuracy > 0.6, "{heading}: {out}");
            }
            "predict" => {
                let named = |line: &str| classes.iter().any(|class| line.contains(class));
                assert!(!out.is_empty() && out.lines().all(named), "{out}");
                if command.contains("--json") {
                    let line = out.lines().next().unwrap();
                    let found: serde_json::Value = serde_json::from_str(line).unwrap();
                    let class = found["class"].as_str().unwrap();
                    assert!(
                        classes.contains(&class) && found["confidence"].is_f64(),
                        "{line}"
                    );
                }
            }
            _ => {}
        }
    }
    // The export answers as the run does.
    let predict: Vec<&String> = commands
        .iter()
        .filter(|c| c.starts_with("nac predict"))
        .collect();
    let [run_words, export_words] = [predict[0], predict[predict.len() - 1]]
        .map(|command| command.split_whitespace().nth(2).unwrap());
    let file = predict[0].split_whitespace().nth(3).unwrap();
    let answers = [run_words, export_words]
        .map(|model| run(folder.path(), &format!("nac predict {model} {file} --json")));
    assert_eq!(answers[0], answers[1]);
    let again = format!("nac init {}", commands[1].split_once("init ").unwrap().1);
    refused(folder.path(), &again);
}

/// Settings that are there are not overwritten.
fn refused(folder: &Path, command: &str) {
    let mut nac = Command::new(assert_cmd::cargo::cargo_bin!("nac"));
    let words = command.split_whitespace().skip(1);
    let output = nac.current_dir(folder).args(words).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("config.toml"),
        "{error}"
    );
}

#[test]
fn images() {
    walk("Images", &["circle", "square", "triangle"]);
}

#[test]
fn texts() {
    walk("Texts", &["bad", "good"]);
}

#[test]
fn points() {
    walk("Points", &["box", "pyramid", "sphere"]);
}

#[test]
fn a_table_of_numbers() {
    walk("A table of numbers", &["near", "middle", "far"]);
}
