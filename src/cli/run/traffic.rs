//! The traffic of the sample: the same requests in the same order every time.

use std::io::{IsTerminal, Write, stderr};
use std::net::SocketAddr;

use anyhow::{Result, ensure};
use hyper::Method;

use super::http::Http;

/// Calls of one application.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// Where its sidecar listens for what it sends.
    pub sidecar: SocketAddr,
    /// What it calls.
    pub host: &'static str,
}

/// One request, how many times it is in a round, and the status it must get.
type Step = (u32, Method, &'static str, &'static str, u16);

/// One round. Times differ, so that the quantiles do.
const ROUND: [Step; 13] = [
    (6, Method::GET, "/items", "", 200),
    (1, Method::GET, "/items?ms=20", "", 200),
    (1, Method::GET, "/items?ms=90", "", 200),
    (1, Method::GET, "/items?status=503", "", 503),
    (2, Method::POST, "/items?ms=8", "three", 201),
    (1, Method::POST, "/items?ms=40", "four", 201),
    (1, Method::POST, "/items", "", 400),
    (2, Method::DELETE, "/items?id=1", "", 204),
    (1, Method::DELETE, "/items?id=9&status=404", "", 404),
    (1, Method::GET, "/slow?ms=60", "", 200),
    (1, Method::GET, "/reviews/7", "", 404),
    (1, Method::GET, "/status/429", "", 429),
    (1, Method::GET, "/status/500", "", 500),
];

/// How many requests one round sends.
fn round_size() -> u32 {
    ROUND.iter().map(|step| step.0).sum()
}

/// Sends `rounds` rounds of each application; an answer that is not the expected one is an error. How many requests.
pub async fn send(http: &Http, calls: &[Calls], rounds: u32) -> Result<u32> {
    let total = (0..rounds).flat_map(|_| calls).map(|_| round_size()).sum();
    let mut sent = 0;
    for calls in (0..rounds).flat_map(|_| calls) {
        for (times, method, path, body, expected) in &ROUND {
            for _ in 0..*times {
                one(http, calls, method, path, body, *expected).await?;
            }
        }
        sent += round_size();
        progress(sent, total);
    }
    Ok(total)
}

async fn one(
    http: &Http,
    calls: &Calls,
    method: &Method,
    path: &str,
    body: &str,
    expected: u16,
) -> Result<()> {
    let url = format!("http://{}{path}", calls.sidecar);
    let answer = http.send(method.clone(), &url, Some(calls.host), body).await?;
    let status = answer.status.as_u16();
    ensure!(
        status == expected,
        "{method} {path} through the sidecars was answered {status} instead of {expected}"
    );
    Ok(())
}

/// One line that counts up on a terminal, a few lines in a log.
fn progress(sent: u32, total: u32) {
    if stderr().is_terminal() {
        eprint!("\rsent {sent} of {total} requests");
        let _ = stderr().flush();
        if sent == total {
            eprintln!();
        }
    } else if sent == total || (sent / round_size()).is_multiple_of(5) {
        eprintln!("sent {sent} of {total} requests");
    }
}

#[cfg(test)]
mod tests {
    use super::{ROUND, round_size};

    #[test]
    fn a_round_has_the_documented_size_and_every_kind_of_answer() {
        assert_eq!(round_size(), 20);
        for class in [2, 4, 5] {
            assert!(ROUND.iter().any(|step| step.4 / 100 == class), "no {class}xx");
        }
    }
}
