//! Downloads from a small server on this machine: resume, mirrors, wrong bytes, two runs at once.
#![allow(clippy::unwrap_used)]

mod server;

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use nac_data::fetch::download::{Expected, download};
use nac_data::fetch::manifest::{ArchiveFile, DataFile, Source};
use nac_data::fetch::{Got, checksum, get_source, install};
use nac_data::source::Origin;
use nac_data::{DataDirs, DataError, Silent};
use nac_data::{get, list};
use server::{Reply, Server};

const CONTENT: &[u8] = b"the numbers of a small data set";

fn digest(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    std::fs::write(&path, bytes).unwrap();
    checksum::sha256(&path, &Silent).unwrap()
}

/// Bytes that do not compress, so that half of the archive is half of the work.
fn noise(len: usize) -> Vec<u8> {
    let mut stream = nac_data::random::Stream::new(1, "noise", &[]);
    (0..len).map(|_| stream.next_u64() as u8).collect()
}

fn archive(content: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "small-set/numbers.bin", content)
        .unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

fn source(content: &[u8], archive: &[u8], urls: Vec<String>) -> Source {
    Source {
        name: "small".into(),
        title: "a small set".into(),
        licence: "none".into(),
        homepage: "http://localhost/".into(),
        folder: "small-set".into(),
        archive: ArchiveFile {
            file_name: "small.tar.gz".into(),
            bytes: archive.len() as u64,
            digest: digest(archive),
            urls,
        },
        files: vec![DataFile {
            path: "numbers.bin".into(),
            bytes: content.len() as u64,
            digest: digest(content),
        }],
        max_unpacked_bytes: 10_000_000,
    }
}

fn dirs(root: &Path) -> DataDirs {
    DataDirs::new(Some(root.join("data")), None, root.join("cache"))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_data_set_is_downloaded_checked_unpacked_and_then_found() {
    let root = tempfile::tempdir().unwrap();
    let packed = archive(CONTENT);
    let server = Server::start(packed.clone(), vec![]);
    let source = source(CONTENT, &packed, vec![server.url("small.tar.gz")]);
    let got = get_source(&source, &dirs(root.path()), &[], &Silent).unwrap();
    let folder = root.path().join("data/small-set");
    assert_eq!(got, Got::Downloaded(folder.clone()));
    assert_eq!(std::fs::read(folder.join("numbers.bin")).unwrap(), CONTENT);
    assert_eq!(names(&root.path().join("data")), [".nac-lock", "small-set"]);

    let again = get_source(&source, &dirs(root.path()), &[], &Silent).unwrap();
    assert_eq!(again, Got::Found(folder.clone()));
    assert_eq!(server.requests().len(), 1);

    // Damage is told, and nothing is replaced.
    std::fs::write(folder.join("numbers.bin"), vec![b'x'; CONTENT.len()]).unwrap();
    let error = get_source(&source, &dirs(root.path()), &[], &Silent).unwrap_err();
    assert!(matches!(error, DataError::Checksum { .. }), "{error}");
    std::fs::write(folder.join("numbers.bin"), b"short").unwrap();
    let error = get_source(&source, &dirs(root.path()), &[], &Silent)
        .unwrap_err()
        .to_string();
    assert!(error.contains("numbers.bin: at byte 5"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_killed_download_goes_on_where_it_stopped() {
    let root = tempfile::tempdir().unwrap();
    let bytes = noise(100_000);
    let server = Server::start(bytes.clone(), vec![]);
    let target = root.path().join("file.zip");
    std::fs::write(root.path().join("file.zip.part"), &bytes[..60_000]).unwrap();
    let sha256 = digest(&bytes);
    let expected = Expected {
        bytes: 100_000,
        digest: &sha256,
    };
    download(&[server.url("file.zip")], &target, expected, &Silent).unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), bytes);
    assert_eq!(server.requests()[0].range.as_deref(), Some("bytes=60000-"));
    assert_eq!(names(root.path()), ["file.zip"]);
}

#[test]
fn a_connection_that_breaks_is_taken_up_again() {
    let root = tempfile::tempdir().unwrap();
    let bytes = noise(100_000);
    let server = Server::start(
        bytes.clone(),
        vec![Reply::CutAfter(30_000), Reply::CutAfter(20_000)],
    );
    let target = root.path().join("file");
    let sha256 = digest(&bytes);
    let expected = Expected {
        bytes: 100_000,
        digest: &sha256,
    };
    download(&[server.url("file")], &target, expected, &Silent).unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), bytes);
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].range, None);
    assert_eq!(requests[2].range.as_deref(), Some("bytes=50000-"));
}

#[test]
fn a_server_without_ranges_sends_all_again() {
    let root = tempfile::tempdir().unwrap();
    let bytes = noise(50_000);
    let server = Server::start(bytes.clone(), vec![Reply::IgnoreRange]);
    std::fs::write(root.path().join("file.part"), vec![7; 20_000]).unwrap();
    let sha256 = digest(&bytes);
    let expected = Expected {
        bytes: 50_000,
        digest: &sha256,
    };
    download(
        &[server.url("file")],
        &root.path().join("file"),
        expected,
        &Silent,
    )
    .unwrap();
    assert_eq!(std::fs::read(root.path().join("file")).unwrap(), bytes);
}

#[test]
fn the_next_address_is_tried_after_every_kind_of_failure() {
    let bytes = noise(5_000);
    let sha256 = digest(&bytes);
    let expected = Expected {
        bytes: 5_000,
        digest: &sha256,
    };
    let mut longer = bytes.clone();
    longer.push(0);
    let mut other = bytes.clone();
    other[4_999] ^= 1;
    let bad: [(Vec<u8>, Vec<Reply>); 5] = [
        (bytes.clone(), vec![Reply::Status(404)]),
        (bytes.clone(), vec![Reply::Status(503)]),
        (other, vec![]),
        (longer, vec![]),
        (bytes[..10].to_vec(), vec![]),
    ];
    for (content, replies) in bad {
        let root = tempfile::tempdir().unwrap();
        let broken = Server::start(content, replies);
        let good = Server::start(bytes.clone(), vec![]);
        let urls = [Server::unreachable(), broken.url("file"), good.url("file")];
        download(&urls, &root.path().join("file"), expected, &Silent).unwrap();
        assert_eq!(std::fs::read(root.path().join("file")).unwrap(), bytes);
        assert_eq!(names(root.path()), ["file"]);
        assert!(!broken.requests().is_empty() && !good.requests().is_empty());
    }
}

#[test]
fn a_part_of_other_bytes_is_thrown_away_in_the_end() {
    // The first half came from elsewhere: the digest is wrong, and all is asked for once more.
    let root = tempfile::tempdir().unwrap();
    let bytes = noise(4_000);
    let server = Server::start(bytes.clone(), vec![]);
    std::fs::write(root.path().join("file.part"), vec![1; 2_000]).unwrap();
    let sha256 = digest(&bytes);
    let expected = Expected {
        bytes: 4_000,
        digest: &sha256,
    };
    download(
        &[server.url("file")],
        &root.path().join("file"),
        expected,
        &Silent,
    )
    .unwrap();
    assert_eq!(std::fs::read(root.path().join("file")).unwrap(), bytes);
    let ranges: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.range)
        .collect();
    assert_eq!(ranges, [Some("bytes=2000-".to_string()), None]);
}

#[test]
fn without_a_network_the_error_has_instructions() {
    let root = tempfile::tempdir().unwrap();
    let packed = archive(CONTENT);
    let unreachable = Server::unreachable();
    let source = source(CONTENT, &packed, vec![unreachable.clone()]);
    let mirror = Server::start(b"<html>moved</html>".to_vec(), vec![]);
    let mirrors = [mirror.url("small.tar.gz")];
    let error = get_source(&source, &dirs(root.path()), &mirrors, &Silent).unwrap_err();
    assert!(matches!(error, DataError::Download { .. }));
    let text = error.to_string();
    let data = root.path().join("data");
    let folder = data.to_string_lossy();
    for part in [
        &unreachable,
        &mirrors[0],
        "by hand",
        "small.tar.gz",
        "numbers.bin",
        &*folder,
    ] {
        assert!(text.contains(part), "`{part}` not in:\n{text}");
    }
    assert!(!data.join("small-set").exists());
}

#[test]
fn two_runs_at_once_download_once() {
    let root = tempfile::tempdir().unwrap();
    let content = noise(300_000);
    let packed = archive(&content);
    let server = Server::start(packed.clone(), vec![]);
    let source = source(&content, &packed, vec![server.url("small.tar.gz")]);
    let dirs = dirs(root.path());
    let outcomes: Vec<Got> = std::thread::scope(|scope| {
        let run = || get_source(&source, &dirs, &[], &Silent).unwrap();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let downloads = outcomes
        .iter()
        .filter(|got| matches!(got, Got::Downloaded(_)))
        .count();
    assert_eq!((downloads, server.requests().len()), (1, 1), "{outcomes:?}");
}

#[test]
fn an_archive_that_lies_here_is_used_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let packed = archive(CONTENT);
    let source = source(CONTENT, &packed, vec![Server::unreachable()]);
    let dirs = dirs(root.path());
    let data = root.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let lying = data.join("small.tar.gz");
    std::fs::write(&lying, &packed).unwrap();

    let cache = root.path().join("cache");
    let folder = install(&source, &lying, &cache, &Silent).unwrap();
    assert_eq!(folder, cache.join("small-set"));
    assert_eq!(install(&source, &lying, &cache, &Silent).unwrap(), folder);
    std::fs::remove_dir_all(&cache).unwrap();
    let got = get_source(&source, &dirs, &[], &Silent).unwrap();
    assert_eq!(got, Got::Unpacked(data.join("small-set")));
    assert!(lying.exists());
}

#[test]
fn a_truncated_archive_that_lies_here_is_named_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let packed = archive(CONTENT);
    let source = source(CONTENT, &packed, vec![Server::unreachable()]);
    let data = root.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let lying = data.join("small.tar.gz");
    std::fs::write(&lying, &packed[..packed.len() / 2]).unwrap();
    let error = get_source(&source, &dirs(root.path()), &[], &Silent)
        .unwrap_err()
        .to_string();
    assert!(error.contains("small.tar.gz: SHA-256"), "{error}");
    assert!(lying.exists() && !data.join("small-set").exists());
}

#[test]
fn a_hostile_archive_leaves_nothing() {
    // Right digest (a manifest may be wrong), but a link inside.
    let root = tempfile::tempdir().unwrap();
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "small-set", "/tmp").unwrap();
    let mut gz = tar.into_inner().unwrap();
    gz.flush().unwrap();
    let packed = gz.finish().unwrap();
    let server = Server::start(packed.clone(), vec![]);
    let source = source(CONTENT, &packed, vec![server.url("small.tar.gz")]);
    let error = get_source(&source, &dirs(root.path()), &[], &Silent)
        .unwrap_err()
        .to_string();
    assert!(error.contains("`small-set` refused"), "{error}");
    assert_eq!(
        names(&root.path().join("data")),
        [".nac-lock", "small.tar.gz"]
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let root = tempfile::tempdir().unwrap();
    let packed = archive(CONTENT);
    let source = source(CONTENT, &packed, vec![Server::unreachable()]);
    std::fs::write(root.path().join("data"), "a file, not a folder").unwrap();
    let error = get_source(&source, &dirs(root.path()), &[], &Silent)
        .unwrap_err()
        .to_string();
    assert!(error.contains("data"), "{error}");
    let kept = std::fs::read_to_string(root.path().join("data")).unwrap();
    assert_eq!(kept, "a file, not a folder");
}

#[test]
fn names_that_need_no_download_and_unknown_names() {
    let root = tempfile::tempdir().unwrap();
    let dirs = dirs(root.path());
    assert_eq!(get("digits", &dirs, &[], &Silent).unwrap(), Got::Bundled);
    assert_eq!(get("listops", &dirs, &[], &Silent).unwrap(), Got::Generated);
    let error = get("mnist", &dirs, &[], &Silent).unwrap_err().to_string();
    assert!(
        error.contains("`mnist`") && error.contains("cifar10"),
        "{error}"
    );
    let list = list(&dirs);
    for (listing, entry) in list.iter().zip(nac_data::entries()) {
        assert_eq!(listing.name, entry.name);
        let downloaded = matches!(entry.origin, Origin::Published(_) | Origin::ByHand { .. });
        assert_eq!(listing.found.is_none(), downloaded, "{}", entry.name);
    }
    assert_eq!(list.len(), nac_data::entries().len());
}
