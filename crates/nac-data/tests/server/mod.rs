//! A very small HTTP server that serves one file, well or badly.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// How to answer a request. After the last of the list, requests are answered well.
pub(crate) enum Reply {
    /// Promise all and close the connection after so many bytes.
    CutAfter(usize),
    /// Send the whole file even if a part was asked for.
    IgnoreRange,
    /// An error status.
    Status(u16),
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The `Range` header.
    pub(crate) range: Option<String>,
}

/// Serves until dropped.
pub(crate) struct Server {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(content: Vec<u8>, replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let thread = std::thread::spawn(move || {
            let mut replies = replies.into_iter();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some((path, request)) = read_request(&stream) else {
                    continue;
                };
                if path == "/stop" {
                    return;
                }
                seen.lock().unwrap().push(request.clone());
                // The client may hang up in the middle; that is its right.
                let _ = answer(&mut stream, &content, &request, replies.next());
            }
        });
        Self {
            address,
            requests,
            thread: Some(thread),
        }
    }

    pub(crate) fn url(&self, file: &str) -> String {
        format!("http://{}/{file}", self.address)
    }

    /// An address that refuses connections: the lowest port, which the system never assigns to a test server.
    pub(crate) fn unreachable() -> String {
        "http://127.0.0.1:1/nothing".into()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            let _ = stream.write_all(b"GET /stop HTTP/1.1\r\n\r\n");
        }
        let _ = self.thread.take().unwrap().join();
    }
}

fn read_request(stream: &TcpStream) -> Option<(String, Request)> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let path = first.split(' ').nth(1)?.to_string();
    let mut range = None;
    for line in lines {
        let line = line.ok()?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("range")
        {
            range = Some(value.trim().to_string());
        }
    }
    Some((path, Request { range }))
}

fn answer(
    stream: &mut TcpStream,
    content: &[u8],
    request: &Request,
    reply: Option<Reply>,
) -> std::io::Result<()> {
    if let Some(Reply::Status(status)) = reply {
        return write!(
            stream,
            "HTTP/1.1 {status} no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let asked = request
        .range
        .as_deref()
        .and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-'));
    let start = match (asked, &reply) {
        (Some(start), None | Some(Reply::CutAfter(_))) => start.parse().unwrap(),
        _ => 0,
    };
    if start > content.len() {
        return write!(
            stream,
            "HTTP/1.1 416 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let body = &content[start..];
    let end = content.len().saturating_sub(1);
    match start {
        0 => write!(stream, "HTTP/1.1 200 OK\r\n")?,
        _ => write!(
            stream,
            "HTTP/1.1 206 part\r\nContent-Range: bytes {start}-{end}/{}\r\n",
            content.len()
        )?,
    }
    write!(
        stream,
        "Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    let sent = match reply {
        Some(Reply::CutAfter(bytes)) => &body[..bytes.min(body.len())],
        _ => body,
    };
    stream.write_all(sent)?;
    stream.flush()
}
