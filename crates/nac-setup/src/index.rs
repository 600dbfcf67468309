//! Finds the address of a wheel on a package index (the simple repository API, JSON or HTML).

use std::time::Duration;

use serde::Deserialize;
use ureq::tls::{RootCerts, TlsConfig};

use crate::error::SetupError;
use crate::sources::Wheel;

const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, text/html;q=0.5";
const LARGEST_PAGE: u64 = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);

/// The address of the pinned wheel. A file of its name with another digest is an error.
pub(crate) fn find(index: &str, wheel: &Wheel) -> Result<String, SetupError> {
    let page = format!("{index}/{}/", wheel.project());
    let text = get(&page).map_err(|source| SetupError::Http {
        page: page.clone(),
        source: Box::new(source),
    })?;
    let files = if text.trim_start().starts_with('{') {
        from_json(&text)?
    } else {
        from_html(&text)
    };
    let listed = files.into_iter().find(|file| file.name == wheel.file);
    let Some(listed) = listed else {
        return Err(SetupError::NotListed {
            page,
            file: wheel.file.clone(),
        });
    };
    match listed.sha256 {
        Some(found) if found != wheel.sha256 => Err(SetupError::Digest {
            page,
            file: wheel.file.clone(),
            found,
            expected: wheel.sha256.clone(),
        }),
        _ => absolute(&page, &listed.url),
    }
}

/// The text of a page.
fn get(page: &str) -> Result<String, ureq::Error> {
    // The certificates this machine trusts: a company's proxy may have its own.
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .tls_config(tls);
    let mut response = agent
        .build()
        .new_agent()
        .get(page)
        .header("Accept", ACCEPT)
        .call()?;
    response
        .body_mut()
        .with_config()
        .limit(LARGEST_PAGE)
        .read_to_string()
}

#[derive(Debug, PartialEq, Eq)]
struct Listed {
    name: String,
    url: String,
    sha256: Option<String>,
}

fn from_json(text: &str) -> Result<Vec<Listed>, SetupError> {
    #[derive(Deserialize)]
    struct Page {
        files: Vec<File>,
    }
    #[derive(Deserialize)]
    struct File {
        filename: String,
        url: String,
        hashes: Hashes,
    }
    #[derive(Deserialize)]
    struct Hashes {
        sha256: Option<String>,
    }
    let page: Page = serde_json::from_str(text).map_err(|source| SetupError::Json {
        what: "the page of the package index".into(),
        source,
    })?;
    let listed = |file: File| Listed {
        name: file.filename,
        url: file.url,
        sha256: file.hashes.sha256,
    };
    Ok(page.files.into_iter().map(listed).collect())
}

fn from_html(text: &str) -> Vec<Listed> {
    let addresses = text.split("<a ").skip(1).filter_map(|anchor| {
        let rest = anchor.split_once("href=")?.1;
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest[1..]
            .split_once(quote)
            .map(|(address, _)| address.replace("&amp;", "&"))
    });
    let listed = |address: String| {
        let (url, fragment) = address.split_once('#').unwrap_or((&address, ""));
        let path = url.split('?').next().unwrap_or(url);
        Listed {
            name: path.rsplit('/').next().unwrap_or(path).replace("%2B", "+"),
            url: url.to_owned(),
            sha256: fragment.strip_prefix("sha256=").map(str::to_owned),
        }
    };
    addresses.map(listed).collect()
}

/// Resolves an address found on a page.
fn absolute(page: &str, url: &str) -> Result<String, SetupError> {
    let (scheme, rest) = page
        .split_once("://")
        .ok_or_else(|| SetupError::Address(page.to_owned()))?;
    let host = rest.split('/').next().unwrap_or(rest);
    Ok(if url.contains("://") {
        url.to_owned()
    } else if let Some(rest) = url.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if url.starts_with('/') {
        format!("{scheme}://{host}{url}")
    } else {
        let mut parts: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
        for part in url.split('/') {
            match part {
                "." | "" => {}
                ".." if parts.len() > 1 => _ = parts.pop(),
                part => parts.push(part),
            }
        }
        format!("{scheme}://{}", parts.join("/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_page_are_read() {
        let expected = vec![Listed {
            name: "a-1+cpu-py3.whl".into(),
            url: "../../files/a-1%2Bcpu-py3.whl".into(),
            sha256: Some("0f".into()),
        }];
        let html =
            "<html><a data-x='1' href=\"../../files/a-1%2Bcpu-py3.whl#sha256=0f\">a</a></html>";
        assert_eq!(from_html(html), expected);
        let json = r#"{"meta":{},"files":[{"filename":"a-1+cpu-py3.whl",
            "url":"../../files/a-1%2Bcpu-py3.whl","hashes":{"sha256":"0f"},"size":3}]}"#;
        assert_eq!(from_json(json).unwrap(), expected);
    }

    #[test]
    fn odd_pages_give_nothing_or_an_error() {
        assert_eq!(from_html("no anchors, <a href=>, <a name='x'>"), []);
        assert!(from_json("{\"files\": 3}").is_err());
    }

    #[test]
    fn addresses_are_resolved_against_the_page() {
        let page = "https://mirror.example/root/simple/torch/";
        for (url, expected) in [
            ("https://other.example/x.whl", "https://other.example/x.whl"),
            ("//cdn.example/x.whl", "https://cdn.example/x.whl"),
            ("/files/x.whl", "https://mirror.example/files/x.whl"),
            (
                "../../files/x.whl",
                "https://mirror.example/root/files/x.whl",
            ),
            ("x.whl", "https://mirror.example/root/simple/torch/x.whl"),
        ] {
            assert_eq!(absolute(page, url).unwrap(), expected);
        }
        assert!(absolute("no address", "x").is_err());
    }
}
