//! Tests of unpacking: good archives, damaged ones and hostile ones.

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};
use zip::write::SimpleFileOptions;

use super::*;
use crate::Silent;

const LIMITS: Limits = Limits {
    bytes: 1000,
    entries: 10,
};

/// A `.tar.gz` with the given entries; names are written unchecked, hostile ones too.
fn tar_gz(entries: &[(EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (kind, name, content) in entries {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.set_link_name("../outside").unwrap();
        }
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Unpacks into `<dir>/in` and returns the folder around it.
fn unpack(name: &str, bytes: &[u8]) -> (tempfile::TempDir, Result<(), DataError>) {
    let dir = tempfile::tempdir().unwrap();
    let (archive, into) = (dir.path().join(name), dir.path().join("in"));
    fs::write(&archive, bytes).unwrap();
    fs::create_dir(&into).unwrap();
    let result = extract(&archive, &into, LIMITS, &Silent);
    (dir, result)
}

#[test]
fn good_archives_of_both_kinds() {
    let tar = tar_gz(&[
        (EntryType::Directory, "set/", b""),
        (EntryType::Regular, "./set/a.bin", b"abc"),
        (EntryType::Regular, "set/deep/er/b.bin", b""),
    ]);
    let zip = zip(&[("set/a.bin", b"abc"), ("set/deep/er/b.bin", b"")]);
    for (name, bytes) in [("x.tar.gz", &tar), ("x.TGZ", &tar), ("x.zip", &zip)] {
        let (dir, result) = unpack(name, bytes);
        result.unwrap();
        assert_eq!(fs::read(dir.path().join("in/set/a.bin")).unwrap(), b"abc");
        assert!(dir.path().join("in/set/deep/er/b.bin").is_file());
    }
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in [
        "../evil",
        "set/../../evil",
        "/evil",
        "..",
        "set\\..\\evil",
        "C:\\evil",
    ] {
        let (dir, result) = unpack("x.tar.gz", &tar_gz(&[(EntryType::Regular, name, b"x")]));
        let error = result.unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("refused"), "{error}");
        assert!(!dir.path().join("evil").exists());
        assert_eq!(fs::read_dir(dir.path().join("in")).unwrap().count(), 0);

        let (dir, result) = unpack("x.zip", &zip(&[(name, b"x")]));
        assert!(
            matches!(result, Err(DataError::UnsafeArchive { .. })),
            "{name}: {result:?}"
        );
        assert!(!dir.path().join("evil").exists());
    }
}

#[test]
fn links_and_devices_are_refused() {
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Fifo,
        EntryType::Char,
    ] {
        let (_dir, result) = unpack("x.tar.gz", &tar_gz(&[(kind, "set/link", b"")]));
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains("set/link") && error.contains("link or a device"),
            "{error}"
        );
    }
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer
        .add_symlink("set/link", "../outside", SimpleFileOptions::default())
        .unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    let (_dir, result) = unpack("x.zip", &bytes);
    assert!(result.unwrap_err().to_string().contains("link or a device"));
}

#[test]
fn too_much_is_refused() {
    let big = vec![0; 600];
    let two = tar_gz(&[
        (EntryType::Regular, "a", &big),
        (EntryType::Regular, "b", &big),
    ]);
    let (_dir, result) = unpack("x.tar.gz", &two);
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("`b` refused: the archive holds more than")
    );
    let (_dir, result) = unpack("x.zip", &zip(&[("a", &big), ("b", &big)]));
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("more than 1000 bytes")
    );

    let names: Vec<String> = (0..11).map(|i| format!("f{i}")).collect();
    let many: Vec<_> = names
        .iter()
        .map(|n| (EntryType::Regular, n.as_str(), &b""[..]))
        .collect();
    let (_dir, result) = unpack("x.tar.gz", &tar_gz(&many));
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("more than 10 entries")
    );
}

#[test]
fn a_file_that_occurs_twice_is_refused() {
    let twice = [
        (EntryType::Regular, "a", &b"1"[..]),
        (EntryType::Regular, "./a", &b"2"[..]),
    ];
    let (_dir, result) = unpack("x.tar.gz", &tar_gz(&twice));
    assert!(result.unwrap_err().to_string().contains("occurs twice"));
}

#[test]
fn damaged_archives_are_named() {
    let noise: Vec<u8> = (0..900u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let good = tar_gz(&[(EntryType::Regular, "a", &noise)]);
    for (name, bytes) in [
        ("x.tar.gz", &good[..good.len() / 2]),
        ("x.tar.gz", &b"this is no archive"[..]),
        ("x.zip", &b"PK this neither"[..]),
        ("x.rar", &good[..]),
    ] {
        let (_dir, result) = unpack(name, bytes);
        let error = result.unwrap_err();
        assert!(
            matches!(error, DataError::CorruptArchive { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(name), "{error}");
    }
}
