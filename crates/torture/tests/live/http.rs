//! A bare HTTP/1.1 client: what is sent and received is exactly what is seen.

use crate::shared::live;
use candid::Principal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A response, header names as they came.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let matching = self.headers.iter().filter(|(key, _)| key == name);
        matching.map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Where a request goes.
#[derive(Clone, Copy)]
pub enum To {
    /// `<id>.localhost`: responses must be certified.
    Verified(Principal),
    /// `<id>.raw.localhost`: nothing is verified.
    Raw(Principal),
    /// `localhost`.
    Nobody,
}

impl To {
    fn host(self) -> String {
        let port = live().port;
        match self {
            Self::Verified(id) => format!("{id}.localhost:{port}"),
            Self::Raw(id) => format!("{id}.raw.localhost:{port}"),
            Self::Nobody => format!("localhost:{port}"),
        }
    }
}

/// `GET` without further headers.
pub fn get(to: To, path: &str) -> Response {
    send("GET", to, path, &[], b"").expect("an answer")
}

/// Sends a request; `None` if the connection is closed without an answer.
pub fn send(
    method: &str,
    to: To,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Response> {
    let mut stream = TcpStream::connect(("127.0.0.1", live().port)).expect("connects");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", to.host());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        head += &format!("content-length: {}\r\n", body.len());
    }
    head += "connection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("the head is sent");
    // A server that refuses a large body may close before it has read all of it.
    let _ = stream.write_all(body);
    let mut bytes = vec![];
    let _ = stream.read_to_end(&mut bytes);
    parse(&bytes, method == "HEAD")
}

fn parse(bytes: &[u8], head_only: bool) -> Option<Response> {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_string(), value.trim().to_string()))
        .collect();
    let rest = &bytes[end + 4..];
    let chunked = headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("transfer-encoding") && value == "chunked");
    let body = match chunked && !head_only {
        true => unchunk(rest)?,
        false => rest.to_vec(),
    };
    Some(Response {
        status,
        headers,
        body,
    })
}

fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = vec![];
    loop {
        let line = bytes.windows(2).position(|part| part == b"\r\n")?;
        let size = String::from_utf8_lossy(&bytes[..line]).into_owned();
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let start = line + 2;
        body.extend_from_slice(bytes.get(start..start + size)?);
        bytes = bytes.get(start + size + 2..)?;
    }
}
