//! Downloads one file: several addresses, resumable, checked, atomic.
//!
//! Bytes go to `<file>.part`. When it has the expected length and SHA-256 it is renamed. A
//! download that stops keeps its `.part`, and the next one asks for the rest only
//! (`Range: bytes=n-`); a server without range support sends everything again.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use ureq::tls::{RootCerts, TlsConfig};

use super::checksum;
use crate::error::digest_kind;
use crate::{DataError, Progress};

/// Longest time for one response; what arrived until then is kept and the rest requested again.
const BODY_TIMEOUT: Duration = Duration::from_secs(600);

/// What the file must match.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Length.
    pub bytes: u64,
    /// SHA-256 or MD5, hexadecimal; empty if only the length is known.
    pub digest: &'a str,
}

/// Downloads `target` from the first of `urls` that gives the expected file. The folder of
/// `target` must exist and be held by one run at a time.
///
/// # Errors
/// [`DataError::Io`] if the file cannot be written; [`DataError::Download`] with one line for each
/// address if none worked.
pub fn download(
    urls: &[String],
    target: &Path,
    expected: Expected<'_>,
    progress: &dyn Progress,
) -> Result<(), DataError> {
    let name = target
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let part = target.with_file_name(format!("{name}.part"));
    let agent = agent();
    let mut attempts = Vec::new();
    for url in urls {
        progress.note(&format!("downloading {url}"));
        let mut problem = one_try(&agent, url, &part, target, expected, progress)?;
        if matches!(problem, Some(Failure::OldPart(_))) {
            // The partial file of an earlier run was of a different file: start over.
            problem = one_try(&agent, url, &part, target, expected, progress)?;
        }
        let Some(Failure::OldPart(text) | Failure::Address(text)) = problem else {
            return Ok(());
        };
        progress.note(&format!("{url}: {text}"));
        attempts.push(format!("{url}: {text}"));
    }
    if attempts.is_empty() {
        attempts.push("no address is known".into());
    }
    Err(DataError::Download {
        name,
        attempts,
        instructions: String::new(),
    })
}

/// Why a try ended without the file.
enum Failure {
    /// The bytes are wrong, and some of them are from an earlier run.
    OldPart(String),
    /// The address did not give the file.
    Address(String),
}

/// Completes the partial file, checks it and puts it in place; `None` on success.
fn one_try(
    agent: &ureq::Agent,
    url: &str,
    part: &Path,
    target: &Path,
    expected: Expected<'_>,
    progress: &dyn Progress,
) -> Result<Option<Failure>, DataError> {
    let resumed = part.exists();
    let name = target
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    progress.start(&name, Some(expected.bytes), "bytes");
    let outcome = from_one(agent, url, part, expected, progress);
    progress.finish();
    match outcome {
        Ok(()) => {}
        Err(Problem::Local(error)) => return Err(error),
        Err(Problem::Remote(text)) => return Ok(Some(Failure::Address(text))),
    }
    let checked = match expected.digest {
        "" => Ok(()),
        digest => checksum::check(part, digest, progress),
    };
    match checked {
        Ok(()) => {
            fs::rename(part, target)?;
            Ok(None)
        }
        Err(DataError::Checksum { found, .. }) => {
            fs::remove_file(part)?;
            let text = format!(
                "{} is {found}, expected {}",
                digest_kind(expected.digest),
                expected.digest
            );
            Ok(Some(if resumed {
                Failure::OldPart(text)
            } else {
                Failure::Address(text)
            }))
        }
        Err(other) => Err(other),
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_recv_body(Some(BODY_TIMEOUT))
        .http_status_as_error(false)
        .accept_encoding("identity")
        .user_agent(concat!("nac-data/", env!("CARGO_PKG_VERSION")))
        .tls_config(
            TlsConfig::builder()
                .root_certs(RootCerts::PlatformVerifier)
                .build(),
        )
        .build()
        .new_agent()
}

/// Why one address did not give the file.
enum Problem {
    /// A local failure, which no other address would fix.
    Local(DataError),
    /// A failure of the server or the network.
    Remote(String),
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Problem::Local(error.into())
    }
}

/// Requests from one address until the partial file is complete, as long as every response brings some bytes.
fn from_one(
    agent: &ureq::Agent,
    url: &str,
    part: &Path,
    expected: Expected<'_>,
    progress: &dyn Progress,
) -> Result<(), Problem> {
    loop {
        let have = match fs::metadata(part) {
            Ok(meta) if meta.len() > expected.bytes => {
                fs::remove_file(part)?;
                0
            }
            Ok(meta) => meta.len(),
            Err(_) => 0,
        };
        if have == expected.bytes {
            return Ok(());
        }
        let stopped = match answer(agent, url, part, have, expected, progress)? {
            Answer::Complete => return Ok(()),
            Answer::Stopped(why) => why,
        };
        let now = fs::metadata(part)?.len();
        if now <= have {
            return Err(Problem::Remote(stopped));
        }
        progress.note(&format!("{stopped}; going on from byte {now}"));
    }
}

enum Answer {
    Complete,
    Stopped(String),
}

/// One request for the bytes from `have` on.
fn answer(
    agent: &ureq::Agent,
    url: &str,
    part: &Path,
    have: u64,
    expected: Expected<'_>,
    progress: &dyn Progress,
) -> Result<Answer, Problem> {
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let response = request.call().map_err(|e| Problem::Remote(e.to_string()))?;
    let range = response
        .headers()
        .get("content-range")
        .and_then(|v| v.to_str().ok());
    let mut at = match response.status().as_u16() {
        200 => 0,
        206 if range.is_some_and(|r| r.starts_with(&format!("bytes {have}-"))) => have,
        206 => {
            return Err(Problem::Remote(format!(
                "answered with the wrong range {range:?}"
            )));
        }
        416 => {
            // Our partial file is longer than theirs: start over with the next address.
            fs::remove_file(part)?;
            return Err(Problem::Remote(
                "HTTP 416: the file there is shorter".into(),
            ));
        }
        status => return Err(Problem::Remote(format!("HTTP {status}"))),
    };
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(part)?;
    file.file().set_len(at)?;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at))?;
    let mut body = response.into_body().into_reader();
    let mut block = vec![0; 1 << 16];
    let stopped = loop {
        match body.read(&mut block) {
            Ok(0) if at == expected.bytes => break None,
            Ok(0) => {
                break Some(format!(
                    "the answer ended at byte {at} of {}",
                    expected.bytes
                ));
            }
            Ok(read) => {
                at += read as u64;
                if at > expected.bytes {
                    drop(file);
                    fs::remove_file(part)?;
                    let text = format!("sent more than the {} bytes expected", expected.bytes);
                    return Err(Problem::Remote(text));
                }
                file.write_all(&block[..read])?;
                progress.at(at);
            }
            Err(error) => break Some(format!("stopped at byte {at}: {error}")),
        }
    };
    file.sync_all()?;
    Ok(stopped.map_or(Answer::Complete, Answer::Stopped))
}
