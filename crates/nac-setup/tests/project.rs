//! `nac-setup project` on projects outside the workspace: what it refuses, and that a fresh project then runs.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nac_setup::Search;

/// The program, as a user starts it who has no variable set.
fn nac_setup(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nac-setup"));
    command.current_dir(dir).stdin(Stdio::null());
    command
}

fn both(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

/// A folder that passes for libtorch.
fn fake_libtorch(root: &Path) {
    let api = root.join("include/torch/csrc/api/include/torch");
    std::fs::create_dir_all(&api).unwrap();
    std::fs::create_dir_all(root.join("lib")).unwrap();
    std::fs::write(api.join("torch.h"), "").unwrap();
    std::fs::write(root.join("build-version"), "2.11.0").unwrap();
    for name in ["torch_cpu", "c10", "torch"] {
        let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        std::fs::write(root.join("lib").join(format!("{prefix}{name}{suffix}")), "").unwrap();
    }
}

#[test]
fn the_lines_are_shown_but_only_written_when_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let (project, libtorch) = (dir.path().join("app"), dir.path().join("libtorch"));
    std::fs::create_dir(&project).unwrap();
    fake_libtorch(&libtorch);
    let run = |words: &[&str]| {
        let mut command = nac_setup(&project);
        let output = command
            .env("LIBTORCH", &libtorch)
            .args(words)
            .output()
            .unwrap();
        (output.status.success(), both(&output))
    };
    let (done, text) = run(&["project", "--yes"]);
    assert!(!done && text.contains("has no Cargo.toml"), "{text}");

    std::fs::write(project.join("Cargo.toml"), "").unwrap();
    let (done, text) = run(&["project"]);
    assert!(
        !done && text.contains("[env]") && text.contains("--yes"),
        "{text}"
    );
    assert!(!project.join(".cargo").exists());

    let (done, text) = run(&["project", "--yes"]);
    assert!(done && text.contains("written"), "{text}");
    assert!(project.join(".cargo/config.toml").is_file());
    let (done, text) = run(&["project"]);
    assert!(done && text.contains("nothing to add"), "{text}");
}

#[test]
fn a_project_without_libtorch_learns_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("Cargo.toml"), "").unwrap();
    let mut command = nac_setup(dir.path());
    command
        .env_remove("LIBTORCH")
        .env("NAC_CACHE_DIR", dir.path());
    // No python3, so no torch of its.
    command.env("PATH", "").args(["project", "--yes", "--cpu"]);
    let output = command.output().unwrap();
    let text = both(&output);
    assert!(!output.status.success(), "{text}");
    let known = cfg!(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ));
    let expected = if known {
        "Fix: nac-setup"
    } else {
        "pip install torch"
    };
    assert!(text.contains(expected), "{text}");
}

/// Slow at first: torch-sys is compiled once for the flags that a run path needs. The folder is kept.
#[test]
fn a_fresh_project_runs_the_program_of_the_readme() {
    let found = match Search::new(None).installed() {
        Ok(found) => found,
        Err(error) => return skip("a fresh project that uses nac-modules", &error.to_string()),
    };
    let dir = tempfile::tempdir().unwrap();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    write_project(dir.path(), crates);
    let mut setup = nac_setup(dir.path());
    let output = setup
        .env("LIBTORCH", &found.libtorch.root)
        .args(["project", "--yes"])
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", both(&output));

    let target = target().join("nac-setup-project");
    let output = as_a_user(Command::new(env!("CARGO")))
        .args(["run", "--offline"])
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    assert!(
        both(&output).contains("logits [4, 10]"),
        "{}",
        both(&output)
    );

    // The run path serves where cargo does not start the program.
    let program = target.join("debug/app");
    if cfg!(unix) {
        let output = as_a_user(Command::new(program)).output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
    }
}

/// A package outside the workspace with the first program of nac-modules' README.
fn write_project(dir: &Path, crates: &Path) {
    let readme = std::fs::read_to_string(crates.join("nac-modules/README.md")).unwrap();
    let program = readme.split("```rust\n").nth(1).unwrap();
    let program = program.split("```").next().unwrap();
    std::fs::create_dir(dir.join("src")).unwrap();
    std::fs::write(dir.join("src/main.rs"), program).unwrap();
    let crates = crates.display();
    let manifest = format!(
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         nac-modules = {{ path = \"{crates}/nac-modules\" }}\n\n\
         [profile.dev]\ndebug = false\n"
    );
    std::fs::write(dir.join("Cargo.toml"), manifest).unwrap();
    // The versions that are at hand without a network.
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    std::fs::copy(lock, dir.join("Cargo.lock")).unwrap();
}

/// The target folder that this test was built in.
fn target() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_nac-setup"));
    program.ancestors().nth(2).unwrap().to_path_buf()
}

/// Without what cargo, this workspace and its user add to the environment.
fn as_a_user(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let added = [
            "LIBTORCH",
            "LD_LIBRARY_PATH",
            "DYLD_FALLBACK_LIBRARY_PATH",
            "RUSTFLAGS",
        ];
        let of_cargo = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_ENCODED_",
            "CARGO_BUILD_",
        ];
        if added.contains(&&*text) || of_cargo.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

#[allow(
    clippy::print_stderr,
    clippy::disallowed_macros,
    reason = "a test reports what it skips"
)]
fn skip(what: &str, why: &str) {
    let line = format!("SKIPPED: {what} ({why})\n");
    eprint!("{line}");
    if let Some(path) = std::env::var_os("NAC_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        log.write_all(line.as_bytes()).unwrap();
    }
}
