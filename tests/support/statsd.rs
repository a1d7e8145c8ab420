//! A statsd server: takes datagrams and adds them up.

use anyhow::Result;
use statsd_parser::Metric;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Largest datagram on the loopback interface.
const DATAGRAM: usize = 65_535;

/// A listening server; dropping it stops it.
#[derive(Debug)]
pub struct Statsd {
    /// Its port on the loopback address.
    pub port: u16,
    received: Arc<Mutex<Received>>,
    task: JoinHandle<()>,
}

/// What has arrived so far.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Per name and tags.
    pub totals: BTreeMap<(String, BTreeMap<String, String>), Total>,
    /// Lines that are no statsd, as they came.
    pub broken: Vec<String>,
}

/// What was added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Total {
    /// Values of a timer or histogram, or lines of a counter.
    pub lines: u64,
    /// Sum of a counter, a timer or a histogram; last value of a gauge.
    pub value: f64,
}

// === impl Statsd ===

impl Statsd {
    /// Starts on a free port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await?;
        let port = socket.local_addr()?.port();
        let received = Arc::default();
        let task = tokio::spawn(receive(socket, Arc::clone(&received)));
        Ok(Self { port, received, task })
    }

    /// Everything so far.
    ///
    /// # Panics
    /// When the server's task has panicked.
    pub fn received(&self) -> Received {
        self.received.lock().expect("no panic in the server").clone()
    }
}

impl Drop for Statsd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Received ===

impl Received {
    /// The totals of one name, by tags.
    pub fn of(&self, name: &str) -> BTreeMap<&BTreeMap<String, String>, Total> {
        let all = self.totals.iter();
        all.filter(|((n, _), _)| n == name).map(|((_, tags), total)| (tags, *total)).collect()
    }

    fn take(&mut self, line: &str) {
        let Ok(message) = statsd_parser::parse(line) else {
            return self.broken.push(line.to_owned());
        };
        let key = (message.name, message.tags.unwrap_or_default());
        let total = self.totals.entry(key).or_default();
        total.lines += 1;
        match message.metric {
            Metric::Counter(counter) => total.value += counter.value,
            Metric::Timing(timing) => total.value += timing.value,
            Metric::Histogram(histogram) => total.value += histogram.value,
            Metric::Gauge(gauge) => total.value = gauge.value,
            Metric::Meter(_) | Metric::ServiceCheck(_) => self.broken.push(line.to_owned()),
        }
    }
}

async fn receive(socket: UdpSocket, received: Arc<Mutex<Received>>) {
    let mut datagram = vec![0; DATAGRAM];
    while let Ok(size) = socket.recv(&mut datagram).await {
        let text = String::from_utf8_lossy(&datagram[..size]).into_owned();
        let mut received = received.lock().expect("no panic in the server");
        text.lines().for_each(|line| received.take(line));
    }
}
