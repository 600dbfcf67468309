//! Building a layout with tiny wheels from a local server: whole, interrupted, twice at once.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use nac_data::{Progress, Silent};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use crate::build::{build, existing};
use crate::error::chain;
use crate::kind::Kind;
use crate::sources::{Keep, Plan, Wheel};

/// A package index that can break off answers.
struct Server {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: HashMap<String, Vec<u8>>,
    /// This file cannot be read beyond so many bytes.
    broken: Option<(String, usize)>,
    /// Path and first byte of every request for a file.
    requests: Vec<(String, usize)>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                // A client that went away is no reason to fail.
                std::thread::spawn(move || answer(&stream.unwrap(), &shared).ok());
            }
        });
        Self { address, state }
    }

    fn add(&self, wheel: &Wheel, bytes: Vec<u8>) {
        let page = serde_json::json!({"files": [{
            "filename": wheel.file, "url": format!("../../files/{}", wheel.file),
            "hashes": {"sha256": wheel.sha256},
        }]});
        let mut state = self.state.lock().unwrap();
        state.files.insert(
            format!("/simple/{}/", wheel.project()),
            page.to_string().into_bytes(),
        );
        state.files.insert(format!("/files/{}", wheel.file), bytes);
    }

    fn index(&self) -> String {
        format!("{}/simple", self.address)
    }

    fn break_after(&self, file: &str, bytes: usize) {
        self.state.lock().unwrap().broken = Some((format!("/files/{file}"), bytes));
    }

    fn repair(&self) {
        self.state.lock().unwrap().broken = None;
    }

    fn requests(&self, file: &str) -> Vec<usize> {
        let state = self.state.lock().unwrap();
        state
            .requests
            .iter()
            .filter(|(path, _)| path.ends_with(file))
            .map(|(_, from)| *from)
            .collect()
    }
}

fn answer(mut stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let mut from = None;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        let header = header.to_ascii_lowercase();
        if let Some(range) = header.strip_prefix("range: bytes=") {
            from = range.trim().trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let (body, broken) = {
        let mut state = state.lock().unwrap();
        if path.starts_with("/files/") {
            state.requests.push((path.clone(), from.unwrap_or(0)));
        }
        let limit = state
            .broken
            .as_ref()
            .filter(|(file, _)| *file == path)
            .map(|(_, bytes)| *bytes);
        (state.files.get(&path).cloned(), limit)
    };
    let Some(body) = body else {
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    };
    let start = from.unwrap_or(0).min(body.len());
    let rest = &body[start..];
    let end = rest
        .len()
        .min(broken.map_or(rest.len(), |limit| limit.saturating_sub(start)));
    let status = match from {
        Some(_) => {
            let last = body.len().saturating_sub(1);
            format!(
                "206 Partial Content\r\nContent-Range: bytes {start}-{last}/{}",
                body.len()
            )
        }
        None => "200 OK".into(),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        rest.len()
    )?;
    stream.write_all(&rest[..end])?;
    stream.flush()
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn wheel(requirement: &str, bytes: &[u8], keep: Keep) -> Wheel {
    let sha256 = Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let file = format!("{}-py3-none-any.whl", requirement.replace("==", "-"));
    Wheel {
        requirement: requirement.into(),
        file,
        sha256,
        bytes: bytes.len() as u64,
        keep,
    }
}

/// A plan of two wheels that never asks pip, and its server.
fn world() -> (Server, Plan) {
    let noise: Vec<u8> = (0..200_000_u64)
        .map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
        .collect();
    let torch = archive(&[
        ("torch/include/torch/csrc/api/include/torch/torch.h", b"//"),
        ("torch/lib/libc10.so", b"c10"),
        ("torch/lib/libtorch_cpu.so", &noise),
        ("torch/lib/libgomp.so.1", b"gomp"),
        ("torch/lib/libtorch_cuda.so", b"not kept"),
        ("torch/version.py", b"__version__ = '2.11.0+cu130'\n"),
        ("torch/nn/other.py", b"not kept"),
    ]);
    let cuda = archive(&[
        ("nvidia/cu13/lib/libcudart.so.13", b"cudart"),
        ("nvidia/readme", b"not kept"),
    ]);
    let libraries: &[&str] = &["libc10.so", "libtorch_cpu.so", "libgomp.so.1"];
    let wheels = vec![
        wheel("torch==2.11.0", &torch, Keep::LeanTorch(libraries)),
        wheel(
            "nvidia-cuda-runtime==13.0.96",
            &cuda,
            Keep::Libraries(&["libcudart.so.13"]),
        ),
    ];
    let server = Server::start();
    server.add(&wheels[0], torch);
    server.add(&wheels[1], cuda);
    let name = "2.11.0-cpu-test".into();
    (
        server,
        Plan {
            name,
            kind: Kind::Cpu,
            torch: "",
            wheels,
            platforms: &[],
            space: 1,
        },
    )
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn cache() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_layout_is_built_whole_and_only_once() {
    let ((server, plan), cache) = (world(), cache());
    let found = build(&plan, cache.path(), || server.index(), false, &Silent).unwrap();
    assert_eq!(found.kind, Kind::Cpu);
    let lib = found.root.join("lib");
    assert_eq!(
        names(&lib),
        [
            "libc10.so",
            "libcudart.so.13",
            "libgomp.so",
            "libgomp.so.1",
            "libtorch.so",
            "libtorch_cpu.so"
        ]
    );
    assert_eq!(
        fs_err::read_to_string(lib.join("libtorch.so")).unwrap(),
        "INPUT(-ltorch_cpu)\n"
    );
    assert_eq!(
        fs_err::read_to_string(found.root.join("build-version")).unwrap(),
        "2.11.0"
    );
    assert_eq!(
        names(&cache.path().join("downloads")),
        [""; 0],
        "the wheels are not kept"
    );

    build(
        &plan,
        cache.path(),
        || panic!("nothing is to be downloaded"),
        false,
        &Silent,
    )
    .unwrap();
    assert_eq!(server.requests("any.whl").len(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_download_leaves_nothing_half_made_and_goes_on() {
    let ((server, plan), cache) = (world(), cache());
    server.break_after(&plan.wheels[0].file, 1_000);
    build(&plan, cache.path(), || server.index(), false, &Silent).unwrap_err();
    assert!(!cache.path().join(&plan.name).exists());
    assert!(existing(&plan, cache.path()).is_err());

    server.repair();
    build(&plan, cache.path(), || server.index(), false, &Silent).unwrap();
    let last = *server.requests(&plan.wheels[0].file).last().unwrap();
    assert!(last >= 1_000, "the second run began at byte {last}");
}

#[cfg(target_os = "linux")]
#[test]
fn remains_of_a_killed_build_are_removed() {
    let ((server, plan), cache) = (world(), cache());
    let staging = cache.path().join(format!(".staging-{}", plan.name));
    fs_err::create_dir_all(staging.join("lib")).unwrap();
    fs_err::write(staging.join("lib/libc10.so"), "half").unwrap();
    let found = build(&plan, cache.path(), || server.index(), false, &Silent).unwrap();
    assert_eq!(
        fs_err::read(found.root.join("lib/libc10.so")).unwrap(),
        b"c10"
    );
    assert_eq!(
        names(cache.path()),
        [".lock", "2.11.0-cpu-test", "downloads"]
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_damaged_layout_is_built_again() {
    let ((server, plan), cache) = (world(), cache());
    let found = build(&plan, cache.path(), || server.index(), false, &Silent).unwrap();
    fs_err::write(found.root.join("lib/libtorch_cpu.so"), "short").unwrap();
    assert!(existing(&plan, cache.path()).is_err());
    let found = build(&plan, cache.path(), || server.index(), false, &Silent).unwrap();
    assert_eq!(
        fs_err::metadata(found.root.join("lib/libtorch_cpu.so"))
            .unwrap()
            .len(),
        200_000
    );
}

#[cfg(target_os = "linux")]
#[test]
fn two_at_once_download_once() {
    let ((server, plan), cache) = (world(), cache());
    let roots: Vec<_> = std::thread::scope(|scope| {
        let run = || {
            build(&plan, cache.path(), || server.index(), false, &Silent)
                .unwrap()
                .root
        };
        let both = [scope.spawn(run), scope.spawn(run)];
        both.into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(roots[0], roots[1]);
    assert_eq!(server.requests("any.whl").len(), 2, "each wheel once");
}

#[test]
fn a_wheel_that_is_not_the_pinned_one_is_refused() {
    let ((server, plan), cache) = (world(), cache());
    let torch = &plan.wheels[0];
    let path = format!("/files/{}", torch.file);
    let other = vec![7; torch.bytes as usize];
    server.state.lock().unwrap().files.insert(path, other);
    let error = build(&plan, cache.path(), || server.index(), false, &Silent).unwrap_err();
    let error = chain(&error);
    assert!(error.contains("SHA-256"), "{error}");
    assert!(!cache.path().join(&plan.name).exists());
    assert!(!cache.path().join("downloads").join(&torch.file).exists());
}

#[test]
fn an_index_that_lists_another_digest_is_named() {
    let ((server, plan), cache) = (world(), cache());
    let mut other = plan.wheels[0].clone();
    other.sha256 = "0".repeat(64);
    server.add(&other, Vec::new());
    let error = build(&plan, cache.path(), || server.index(), false, &Silent).unwrap_err();
    let error = chain(&error);
    assert!(
        error.contains("lists torch-2.11.0-py3-none-any.whl with SHA-256 0000"),
        "{error}"
    );
}

#[test]
fn a_member_that_leads_out_of_the_folder_is_refused() {
    let cache = cache();
    let bytes = archive(&[
        ("torch/include/../../../../out.h", b"x"),
        ("torch/version.py", b"y"),
    ]);
    let wheel = wheel("torch==2.11.0", &bytes, Keep::WholeTorch);
    let path = cache.path().join("w.whl");
    fs_err::write(&path, bytes).unwrap();
    let into = cache.path().join("a/b");
    let error = crate::wheel::unpack(&wheel, &path, &into, &Silent)
        .unwrap_err()
        .to_string();
    assert!(error.contains("leads out of the folder"), "{error}");
    assert!(!cache.path().join("out.h").exists() && !into.exists());
}

#[test]
fn the_second_set_up_says_that_it_waits() {
    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);
    impl Progress for Notes {
        fn start(&self, _: &str, _: Option<u64>, _: &'static str) {}
        fn at(&self, _: u64) {}
        fn finish(&self) {}
        fn note(&self, text: &str) {
            self.0.lock().unwrap().push(text.into());
        }
    }
    let ((server, plan), cache) = (world(), cache());
    let notes = Notes::default();
    let first =
        crate::lock::take(&cache.path().join(".lock"), || panic!("the lock is free")).unwrap();
    std::thread::scope(|scope| {
        let second = scope
            .spawn(|| build(&plan, cache.path(), || server.index(), false, &notes).map(|_| ()));
        while notes.0.lock().unwrap().is_empty() && !second.is_finished() {
            std::thread::yield_now();
        }
        drop(first);
        let _ = second.join().unwrap();
    });
    assert!(notes.0.lock().unwrap()[0].contains("another set-up is running"));
}
