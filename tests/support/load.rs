//! Clients that count exactly: a connection has one request at a time, whose answer is taken whole before the next.

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Requests of a connection. Now and then Envoy tells a connection of an old listener nothing and breaks it off at the end
/// of the drain: with short lives, none gets that old.
const REQUESTS: u64 = 20;

/// Several connections that send without pause until they are stopped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Result<Tally>>>,
}

/// What the clients of a load saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answers by path and status.
    pub answers: BTreeMap<(String, u16), u64>,
    /// Answers after which the proxy closed the connection, having said so.
    pub closed: u64,
    /// Clients that ended because nobody listened any more: no connection, or one that was closed at once.
    pub refused: u64,
}

/// A connection on which requests are sent one after the other.
struct Client {
    port: u16,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    /// When it connected, and how many requests were answered since then.
    since: Instant,
    answered: u64,
}

// === impl Load ===

impl Load {
    /// Starts to send requests for these paths in turn, on so many connections to a port of the loopback address.
    pub fn start(port: u16, connections: usize, paths: &'static [&'static str]) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let answered = Arc::<AtomicU64>::default();
        let clients = (0..connections).map(|_| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut client = Client {
                    port,
                    stream: None,
                    buffer: Vec::new(),
                    since: Instant::now(),
                    answered: 0,
                };
                let mut tally = Tally::default();
                for path in paths.iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    if !client.connect().await {
                        tally.refused += 1;
                        break;
                    }
                    let (status, closes) = match client.send(path).await {
                        Err(_) if client.answered == 0 => {
                            tally.refused += 1;
                            break;
                        }
                        answer => answer?,
                    };
                    *tally.answers.entry(((*path).to_owned(), status)).or_default() += 1;
                    tally.closed += u64::from(closes);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(tally)
            })
        });
        let clients = clients.collect();
        Self { stop, answered, clients }
    }

    /// How many requests have been answered.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many requests have been answered.
    ///
    /// # Errors
    /// When a client has given up; why, [`Load::stop`] tells.
    pub async fn wait_for(&self, answered: u64) -> Result<()> {
        while self.answered() < answered {
            ensure!(!self.clients.iter().any(JoinHandle::is_finished), "a client has given up");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Whether every client has ended.
    pub fn is_over(&self) -> bool {
        self.clients.iter().all(JoinHandle::is_finished)
    }

    /// Lets every client finish its request and sums up.
    ///
    /// # Errors
    /// A request that was not answered whole.
    pub async fn stop(self) -> Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Tally::default();
        for client in self.clients {
            let tally = client.await??;
            for (key, count) in tally.answers {
                *sum.answers.entry(key).or_default() += count;
            }
            sum.closed += tally.closed;
            sum.refused += tally.refused;
        }
        Ok(sum)
    }
}

// === impl Tally ===

impl Tally {
    /// All answers.
    pub fn total(&self) -> u64 {
        self.answers.values().sum()
    }

    /// Answers with any other status than this.
    pub fn other_than(&self, status: u16) -> u64 {
        self.answers.iter().filter(|((_, other), _)| *other != status).map(|(_, n)| n).sum()
    }

    /// Answers to requests for a path.
    pub fn of(&self, path: &str) -> u64 {
        self.answers.iter().filter(|((other, _), _)| other == path).map(|(_, n)| n).sum()
    }
}

// === impl Client ===

impl Client {
    /// Connects unless it is connected; whether somebody listens.
    async fn connect(&mut self) -> bool {
        if self.stream.is_none() {
            self.stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok();
            (self.since, self.answered) = (Instant::now(), 0);
        }
        self.stream.as_ref().is_some_and(|stream| stream.set_nodelay(true).is_ok())
    }

    /// Sends a request; the status, and whether the proxy closes the connection unasked.
    async fn send(&mut self, path: &str) -> Result<(u16, bool)> {
        let mut stream = self.stream.take().context("not connected")?;
        let last = self.answered + 1 >= REQUESTS;
        let close = if last { "connection: close\r\n" } else { "" };
        let request = format!("GET {path} HTTP/1.1\r\nhost: ratings\r\n{close}\r\n");
        let exchange = async {
            stream.write_all(request.as_bytes()).await?;
            read_answer(&mut stream, &mut self.buffer).await
        };
        let begin = Instant::now();
        let exchange = timeout(PATIENCE, exchange).await.context("no answer").flatten();
        let (status, closes) = exchange.with_context(|| {
            let (age, asked) = (self.since.elapsed(), begin.elapsed());
            format!("{asked:?} after request {} of a connection {age:?} old", self.answered)
        })?;
        self.answered += 1;
        if !closes {
            self.stream = Some(stream);
        }
        Ok((status, closes && !last))
    }
}

/// Reads one answer with a `content-length`.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(u16, bool)> {
    buffer.clear();
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|end| end == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            bail!("closed after {:?}", String::from_utf8_lossy(buffer));
        }
    };
    let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
    let status = text.split(' ').nth(1).context("no status")?.parse()?;
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("no content-length")?.parse()?;
    while buffer.len() < head + length {
        ensure!(stream.read_buf(buffer).await? > 0, "closed in the midst of a body");
    }
    ensure!(buffer.len() == head + length, "more than an answer");
    Ok((status, text.contains("\r\nconnection: close\r\n")))
}
