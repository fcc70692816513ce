//! A scripted server on this machine that records the payments it was sent.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// Status, headers and body; `None` hangs up.
pub type Answer = Option<(u16, Vec<(&'static str, String)>, String)>;

pub struct Gateway {
    pub port: u16,
    payments: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    /// Responds to each request: the function gets the payment header, if there is one.
    pub fn open(answer: impl Fn(Option<&str>) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let payments: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = payments.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let payment = payment_of(&mut stream);
                kept.lock().unwrap().extend(payment.clone());
                if let Some((status, headers, body)) = answer(payment.as_deref()) {
                    // The other side may have closed the connection.
                    let _ = respond(&mut stream, status, &headers, &body);
                }
            }
        });
        Gateway { port, payments }
    }

    pub fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port)
    }

    /// The payments that arrived, in order.
    pub fn payments(&self) -> Vec<String> {
        self.payments.lock().unwrap().clone()
    }
}

/// Responds to the one request of a connection.
pub fn respond(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&str, String)],
    body: &str,
) -> io::Result<()> {
    let headers: String = headers
        .iter()
        .map(|(n, v)| format!("{n}: {v}\r\n"))
        .collect();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes())
}

/// Reads a request; its payment header, if there is one.
pub fn payment_of(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        read.push(byte[0]);
    }
    let text = String::from_utf8(read).unwrap();
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("payment-signature")
            .then(|| value.trim().to_string())
    })
}
