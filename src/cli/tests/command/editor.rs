//! The YAML language server of editors, spoken to as an editor does (Language Server Protocol 3.17).
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// Where in a text the cursor stands.
pub const CURSOR: char = '¦';

/// The server, which `make test` hands over; without it there is nothing to run, unless that is demanded.
pub fn server() -> Option<PathBuf> {
    let server = std::env::var_os("OPMETER_LANGUAGE_SERVER").map(PathBuf::from);
    if server.is_none() {
        let demanded = std::env::var_os("OPMETER_REQUIRE_ENVOY").is_some();
        assert!(!demanded, "OPMETER_LANGUAGE_SERVER is not set");
        eprintln!("SKIPPED: OPMETER_LANGUAGE_SERVER is not set");
    }
    server
}

/// An editor with a folder open.
pub struct Editor {
    server: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    folder: PathBuf,
    requests: u64,
    opened: u64,
}

// === impl Editor ===

impl Editor {
    /// Starts the server for a folder.
    pub fn open(server: &Path, folder: &Path) -> Self {
        let mut server = Command::new("node")
            .arg(server)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let input = server.stdin.take().expect("its input");
        let output = server.stdout.take().expect("its output");
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let folder = folder.to_owned();
        let mut editor = Self { server, input, messages, folder, requests: 0, opened: 0 };
        let root = editor.uri("");
        editor.ask("initialize", json!({"processId": null, "rootUri": root, "capabilities": {}}));
        editor.send(&json!({"method": "initialized", "params": {}}));
        editor
    }

    /// Fields and values that the server offers where the cursor stands, without whole objects.
    pub fn completions(&mut self, text: &str) -> Vec<String> {
        const FIELD: u64 = 10;
        const VALUE: u64 = 12;
        let answer = self.ask_at(text, "textDocument/completion");
        let items = answer["items"].as_array().expect("a list").iter();
        let items =
            items.filter(|item| [FIELD, VALUE].contains(&item["kind"].as_u64().unwrap_or(0)));
        items.map(|item| item["label"].as_str().expect("a label").to_owned()).collect()
    }

    /// What it tells of the word under the cursor.
    pub fn hover(&mut self, text: &str) -> String {
        self.ask_at(text, "textDocument/hover")["contents"]["value"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// What it finds wrong.
    pub fn problems(&mut self, text: &str) -> Vec<String> {
        let uri = self.show(text);
        loop {
            let message = self.receive();
            if message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == uri
            {
                let all = message["params"]["diagnostics"].as_array().expect("a list").iter();
                return all
                    .map(|one| one["message"].as_str().expect("a text").to_owned())
                    .collect();
            }
        }
    }

    fn ask_at(&mut self, text: &str, method: &str) -> Value {
        let before = text.split(CURSOR).next().expect("a cursor");
        let line = before.matches('\n').count();
        let character = before.rsplit('\n').next().map_or(0, |line| line.chars().count());
        let uri = self.show(&text.replace(CURSOR, ""));
        let position = json!({"line": line, "character": character});
        self.ask(method, json!({"textDocument": {"uri": uri}, "position": position}))
    }

    /// Opens a document of its own.
    fn show(&mut self, text: &str) -> String {
        self.opened += 1;
        let uri = self.uri(&format!("{}.yaml", self.opened));
        let document = json!({"uri": uri, "languageId": "yaml", "version": 1, "text": text});
        self.send(&json!({
            "method": "textDocument/didOpen", "params": {"textDocument": document},
        }));
        uri
    }

    fn uri(&self, name: &str) -> String {
        format!("file://{}/{name}", self.folder.display())
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({"id": id, "method": method, "params": params}));
        loop {
            let message = self.receive();
            if message["id"] == id && message.get("method").is_none() {
                assert!(message.get("error").is_none(), "{message}");
                return message["result"].clone();
            }
        }
    }

    /// The next message; what the server asks for is answered with the defaults.
    fn receive(&mut self) -> Value {
        let message = self.messages.recv_timeout(Duration::from_secs(60)).expect("an answer");
        if let (Some(id), Some(_)) = (message.get("id"), message.get("method")) {
            let asked = message["params"]["items"].as_array().map_or(0, Vec::len);
            let id = id.clone();
            self.send(&json!({"id": id, "result": vec![json!({}); asked]}));
        }
        message
    }

    fn send(&mut self, message: &Value) {
        let mut message = message.clone();
        message["jsonrpc"] = "2.0".into();
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("it listens");
        self.input.flush().expect("it listens");
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn read(output: &mut BufReader<ChildStdout>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(number) = line.strip_prefix("content-length:") {
            length = number.trim().parse().ok()?;
        }
    }
    let mut text = vec![0; length];
    output.read_exact(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
