//! A connection whose bytes a shape writes itself, on either side.

use crate::shape::Step;
use anyhow::{Context, Result, bail};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for what the other side is to send.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection, what has come of it, and what of that has been looked at.
#[derive(Debug)]
pub struct Wire {
    stream: Option<TcpStream>,
    /// All that has come.
    pub received: Vec<u8>,
    seen: usize,
    patience: Duration,
}

// === impl Wire ===

impl Wire {
    /// A client's.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream: Some(stream), received: Vec::new(), seen: 0, patience: PATIENCE }
    }

    /// A server's, which lasts as long as the other side wants.
    pub fn of_server(stream: TcpStream) -> Self {
        Self { patience: Duration::from_secs(3_600), ..Self::new(stream) }
    }

    /// What of that which has come was looked at: the same every time, however it was cut into pieces.
    pub fn looked_at(&self) -> &[u8] {
        &self.received[..self.seen]
    }

    /// Whether it can still be used.
    pub fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Begins anew with what comes next; what was not looked at stays.
    pub fn forget(&mut self) {
        self.received.drain(..self.seen);
        self.seen = 0;
    }

    /// Does what the steps say. `{host}` in a text is `host`.
    ///
    /// # Errors
    /// When the other side does not send in time what is waited for, or has gone.
    pub async fn run(&mut self, steps: &[Step], host: &str) -> Result<()> {
        for step in steps {
            self.step(step, host).await.with_context(|| format!("{step:?}"))?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step, host: &str) -> Result<()> {
        let stream = self.stream.as_mut().context("closed")?;
        match step {
            Step::Send(text) => {
                stream.write_all(text.replace("{host}", host).as_bytes()).await?;
            }
            Step::Hex(digits) => stream.write_all(&bytes(digits)?).await?,
            Step::Fill(length) => stream.write_all(&vec![b'x'; *length]).await?,
            Step::Pause(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
            }
            Step::Until(text) => {
                self.until(text.as_bytes()).await?;
            }
            Step::Body => self.body().await?,
            Step::Echo => {
                let mut buffer = vec![0; 65_536];
                while let read @ 1.. = stream.read(&mut buffer).await? {
                    self.received.extend_from_slice(&buffer[..read]);
                    stream.write_all(&buffer[..read]).await?;
                    self.seen = self.received.len();
                }
            }
            Step::Eof => self.eof().await?,
            Step::HalfClose => stream.shutdown().await?,
            Step::Close => self.stream = None,
            Step::Reset => {
                stream.set_zero_linger()?;
                self.stream = None;
            }
        }
        Ok(())
    }

    /// Reads until the other side ends, or breaks off.
    ///
    /// # Errors
    /// When it does neither in time.
    pub async fn eof(&mut self) -> Result<()> {
        while self.more().await? {}
        self.seen = self.received.len();
        Ok(())
    }

    /// Reads until a text has come after the last one; `false` when the other side ends without it.
    ///
    /// # Errors
    /// When neither happens in time.
    pub async fn until(&mut self, text: &[u8]) -> Result<bool> {
        let mut from = self.seen;
        loop {
            let rest = &self.received[from..];
            if let Some(at) = rest.windows(text.len()).position(|window| window == text) {
                self.seen = from + at + text.len();
                return Ok(true);
            }
            // Its begin may have come already.
            from = from.max(self.received.len().saturating_sub(text.len()));
            if !self.more().await? {
                return Ok(false);
            }
        }
    }

    async fn body(&mut self) -> Result<()> {
        let before = String::from_utf8_lossy(&self.received[..self.seen]).to_lowercase();
        let head = before.trim_end().rsplit("\r\n\r\n").next().unwrap_or_default();
        if head.contains("transfer-encoding: chunked") {
            // The last chunk may be the first, right after the headers' end.
            self.seen -= 2;
            if !self.until(b"\r\n0\r\n").await? {
                return Ok(());
            }
            // Trailers, and the empty line.
            loop {
                let before = self.seen;
                if !self.until(b"\r\n").await? || self.seen == before + 2 {
                    break;
                }
            }
        } else if let Some((_, length)) = head.split_once("content-length: ") {
            let length: usize = length.lines().next().unwrap_or_default().trim().parse()?;
            let end = self.seen + length;
            while self.received.len() < end && self.more().await? {}
            self.seen = end.min(self.received.len());
        }
        Ok(())
    }

    /// Reads once; `false` at the end, which is a break as well.
    async fn more(&mut self) -> Result<bool> {
        let Some(stream) = self.stream.as_mut() else { return Ok(false) };
        let mut buffer = vec![0; 65_536];
        let read = match timeout(self.patience, stream.read(&mut buffer)).await {
            Ok(read) => read.unwrap_or_default(),
            Err(_) => bail!("nothing more after {:?}", String::from_utf8_lossy(&self.received)),
        };
        self.received.extend_from_slice(&buffer[..read]);
        Ok(read > 0)
    }
}

fn bytes(digits: &str) -> Result<Vec<u8>> {
    let digits: String = digits.split_whitespace().collect();
    let pairs = digits.as_bytes().chunks(2).map(std::str::from_utf8);
    pairs.map(|pair| Ok(u8::from_str_radix(pair?, 16)?)).collect()
}

/// Bytes as lines of readable text. What differs from time to time is left out.
pub fn readable(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string().replace("\\r\\n", "\n");
    masked(text.lines())
}

/// Lines without what differs from time to time. The time that an upstream took is left out if it is 0.
pub fn masked<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let named = |line: &str, name: &str| {
        line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
    };
    let lines = lines.filter(|line| !named(line, "x-envoy-upstream-service-time"));
    let lines = lines.map(|line| match ["date", "x-request-id"].iter().find(|n| named(line, n)) {
        Some(name) => format!("{name}: *\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}
