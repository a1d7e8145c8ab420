//! A shape of traffic: what a client sends, how the application answers, and what is counted.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use support::grpc::Words;
use support::trio::{Counts, Row, Settings};

/// One shape.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Its name, which is the host that clients ask for.
    #[serde(skip)]
    pub name: String,
    /// Why it is as it is expected, where that is not plain.
    pub rule: Option<String>,
    /// Name of the listener that the client connects to.
    #[serde(default = "entry")]
    pub listener: String,
    /// Path of a plain request of HTTP/1.1.
    pub get: Option<String>,
    /// What a client does that writes its bytes itself.
    #[serde(default)]
    pub client: Vec<Step>,
    /// Request of a client for HTTP/2 or HTTP/3.
    pub request: Option<Request>,
    /// What the application does, time after time; the last of them from then on. It answers 200 without.
    #[serde(default)]
    pub app: Vec<Vec<Step>>,
    /// Virtual host of the listeners that look out.
    #[serde(default)]
    pub out: Settings,
    /// Virtual host of the listeners that look in.
    #[serde(default)]
    pub r#in: Settings,
    /// What both the access log and the series say.
    rows: Vec<Row>,
    /// A filter behind the module changes the content type. The rows are about the received one; the access log, and the
    /// module as access logger, know the one at the end.
    #[serde(default)]
    pub rewritten: bool,
}

/// What one side does with a connection, one after the other.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Writes a text. `{host}` is the shape's name.
    Send(String),
    /// Writes bytes, given as hexadecimal digits.
    Hex(String),
    /// Writes so many bytes.
    Fill(usize),
    /// Waits so many milliseconds.
    Pause(u64),
    /// Reads until a text has come.
    Until(String),
    /// Reads the body of the request whose headers have come.
    Body,
    /// Writes back what comes until the other side ends.
    Echo,
    /// Reads until the other side ends.
    Eof,
    /// Ends its own side.
    HalfClose,
    /// Closes the connection.
    Close,
    /// Breaks the connection off (RST).
    Reset,
}

/// A request of HTTP/2 or HTTP/3.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The protocol.
    #[serde(default)]
    pub version: Version,
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// The path.
    #[serde(default = "root")]
    pub path: String,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// Messages of gRPC, which are the body then.
    pub words: Option<Vec<Message>>,
    /// Trailers.
    #[serde(default)]
    pub trailers: BTreeMap<String, String>,
    /// Resets the stream after so many milliseconds.
    pub cancel: Option<u64>,
}

/// A message to the backend.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Message {
    text: String,
    count: u32,
    status: i32,
    delay: u64,
}

/// The protocol of a request.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// HTTP/2.
    #[default]
    H2,
    /// HTTP/3.
    H3,
}

/// Reads the shapes of every file in a folder, by the names of their tests.
///
/// # Errors
/// A file that does not read, or a shape that says nothing.
pub fn read_all(folder: &Path) -> Result<Vec<(String, Shape)>> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut all: BTreeMap<String, (String, Shape)> = BTreeMap::new();
    for path in paths {
        let text = std::fs::read_to_string(&path)?;
        let shapes: BTreeMap<String, Shape> =
            toml::from_str(&text).with_context(|| path.display().to_string())?;
        let class = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (name, mut shape) in shapes {
            shape.name.clone_from(&name);
            shape.check().with_context(|| name.clone())?;
            let other = all.insert(name.clone(), (format!("{class}::{name}"), shape));
            ensure!(other.is_none(), "{name} is there twice");
        }
    }
    Ok(all.into_values().collect())
}

// === impl Shape ===

impl Shape {
    fn check(&self) -> Result<()> {
        let clients = [self.get.is_some(), !self.client.is_empty(), self.request.is_some()];
        ensure!(clients.into_iter().filter(|is| *is).count() == 1, "one of get, client, request");
        Ok(())
    }

    /// What a client writes and reads that is none of HTTP/2 and HTTP/3.
    pub fn steps(&self) -> Vec<Step> {
        let Some(path) = &self.get else { return self.client.clone() };
        let head = format!("GET {path} HTTP/1.1\r\nhost: {{host}}\r\nconnection: close\r\n\r\n");
        vec![Step::Send(head)]
    }

    /// How often each row is to be counted where the module sees what is received.
    pub fn counted(&self) -> Counts {
        counts(self.rows.iter().cloned())
    }

    /// How often each row is to be logged.
    pub fn logged(&self) -> Counts {
        counts(self.rows.iter().map(|row| self.as_logged(row)))
    }

    /// A row without what the log does not tell of this shape.
    pub fn as_logged(&self, row: &Row) -> Row {
        if self.rewritten { row.without_protocol() } else { row.clone() }
    }
}

/// How often each row is there.
pub fn counts(rows: impl Iterator<Item = Row>) -> Counts {
    let mut counts = Counts::new();
    for row in rows {
        *counts.entry(row).or_default() += 1;
    }
    counts
}

// === impl Message ===

impl Message {
    /// As the backend knows it.
    pub fn words(&self) -> Words {
        let Self { text, count, status, delay } = self.clone();
        Words { text, count, status, delay }
    }
}

fn entry() -> String {
    "entry".to_owned()
}

fn get() -> String {
    "GET".to_owned()
}

fn root() -> String {
    "/".to_owned()
}
