//! Clients: several connections that are kept open, driven by one thread.

use crate::traffic::Traffic;
use anyhow::{Context, Result, bail, ensure};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Body of every answer.
pub const BODY: &str = "ok.";

/// Connections of a client.
const CONNECTIONS: usize = 8;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
const END: &[u8] = b"\r\n\r\nok.";

/// Connections to one proxy.
#[derive(Debug)]
pub struct Client {
    connections: Vec<Connection>,
    /// How many requests were answered.
    pub answered: u64,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    answer: Box<[u8; 8192]>,
    len: usize,
}

// === impl Client ===

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(port: u16) -> Result<Self> {
        let connections = (0..CONNECTIONS).map(|_| Connection::open(port));
        Ok(Self { connections: connections.collect::<Result<_>>()?, answered: 0 })
    }

    /// Sends the next request as soon as one is answered, on all connections, for some time; how many there were.
    ///
    /// # Errors
    /// When an answer is not `200`.
    pub fn closed_loop(&mut self, traffic: &Traffic, time: Duration) -> Result<u64> {
        let start = Instant::now();
        self.in_turn(traffic, |_| start.elapsed() < time)
    }

    /// Sends so many requests as fast as they are answered.
    ///
    /// # Errors
    /// When an answer is not `200`.
    pub fn send(&mut self, traffic: &Traffic, count: u64) -> Result<()> {
        self.in_turn(traffic, |sent| sent < count).map(drop)
    }

    /// The proxy always has requests of the other connections to work on while this thread reads or writes one.
    fn in_turn(&mut self, traffic: &Traffic, goes_on: impl Fn(u64) -> bool) -> Result<u64> {
        let (before, mut sent) = (self.answered, 0);
        let mut waiting = VecDeque::with_capacity(CONNECTIONS);
        let mut free: Vec<usize> = (0..self.connections.len()).collect();
        loop {
            while goes_on(sent)
                && let Some(index) = free.pop()
            {
                self.connections[index].write(traffic.request(before + sent))?;
                waiting.push_back(index);
                sent += 1;
            }
            let Some(index) = waiting.pop_front() else { break };
            self.connections[index].read_answer()?;
            self.answered += 1;
            free.push(index);
        }
        Ok(sent)
    }

    /// Sends so many requests a second for some time, whether or not earlier ones are answered; how long each took from
    /// the moment it was due, in microseconds.
    ///
    /// # Errors
    /// When an answer is not `200`, or the proxy cannot keep up.
    pub fn open_loop(&mut self, traffic: &Traffic, rate: u32, time: Duration) -> Result<Vec<f64>> {
        self.connections.iter().try_for_each(|c| c.stream.set_nonblocking(true))?;
        let taken = self.at_rate(traffic, rate, time);
        self.connections.iter().try_for_each(|c| c.stream.set_nonblocking(false))?;
        taken
    }

    fn at_rate(&mut self, traffic: &Traffic, rate: u32, time: Duration) -> Result<Vec<f64>> {
        let pause = Duration::from_secs(1) / rate;
        let count = u32::try_from(time.as_nanos() / pause.as_nanos())?;
        let start = Instant::now();
        let due = |number: u32| start + pause * number;
        let mut taken = Vec::with_capacity(count as usize);
        let mut waiting: Vec<(usize, u32)> = Vec::new();
        let mut free: Vec<usize> = (0..self.connections.len()).collect();
        let mut next = 0;
        while taken.len() < count as usize {
            if next < count
                && due(next) <= Instant::now()
                && let Some(index) = free.pop()
            {
                self.connections[index].write(traffic.request(self.answered + u64::from(next)))?;
                waiting.push((index, next));
                next += 1;
            }
            let mut failure = None;
            waiting.retain(|(index, number)| match self.connections[*index].has_answer() {
                Ok(false) => true,
                Ok(true) => {
                    taken.push(due(*number).elapsed().as_secs_f64() * 1e6);
                    free.push(*index);
                    false
                }
                Err(error) => {
                    failure = Some(error);
                    false
                }
            });
            if let Some(error) = failure {
                return Err(error);
            }
            ensure!(
                start.elapsed() < time + PATIENCE,
                "the proxy cannot keep up with {rate} requests a second"
            );
        }
        self.answered += u64::from(count);
        Ok(taken)
    }
}

// === impl Connection ===

impl Connection {
    fn open(port: u16) -> Result<Self> {
        let stream =
            TcpStream::connect(("127.0.0.1", port)).context("the proxy does not listen")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, answer: Box::new([0; 8192]), len: 0 })
    }

    fn write(&mut self, request: &[u8]) -> Result<()> {
        self.len = 0;
        Ok(self.stream.write_all(request)?)
    }

    fn read_answer(&mut self) -> Result<()> {
        while !self.read_some()? {}
        Ok(())
    }

    fn has_answer(&mut self) -> Result<bool> {
        match self.read_some() {
            Err(error) if is_later(&error) => Ok(false),
            other => other,
        }
    }

    /// Whether the answer is complete.
    fn read_some(&mut self) -> Result<bool> {
        let read = self.stream.read(&mut self.answer[self.len..])?;
        ensure!(read > 0, "the proxy closed the connection");
        self.len += read;
        let answer = &self.answer[..self.len];
        if !answer.ends_with(END) {
            ensure!(self.len < self.answer.len(), "an answer without an end");
            return Ok(false);
        }
        if !answer.starts_with(b"HTTP/1.1 200") {
            bail!("not 200: {}", String::from_utf8_lossy(answer));
        }
        Ok(true)
    }
}

fn is_later(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    kind == Some(ErrorKind::WouldBlock)
}
