//! gRPC calls of every kind, some of which are given up.

use crate::ledger::Ledger;
use crate::upstream::KIND;
use anyhow::{Result, ensure};
use std::time::Duration;
use support::grpc::{Client, Words};
use tokio::time::sleep;
use tonic::{Code, Request};

/// Messages of clients, in the ledger of messages.
pub const REQUESTS: &str = "requests";
/// Messages of the server.
pub const RESPONSES: &str = "responses";

/// A client of one kind of call.
pub struct Caller {
    kind: &'static str,
    client: Client,
    streams: Ledger,
    messages: Ledger,
    calls: u32,
}

// === impl Caller ===

impl Caller {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn new(
        kind: &'static str,
        port: u16,
        streams: Ledger,
        messages: Ledger,
    ) -> Result<Self> {
        let mut client = Client::connect(port).await?;
        client.metadata.insert(KIND, kind.parse()?);
        Ok(Self { kind, client, streams, messages, calls: 0 })
    }

    /// One call.
    ///
    /// # Errors
    /// When it takes a course that its kind does not allow.
    pub async fn call(&mut self) -> Result<()> {
        self.calls += 1;
        let count = self.calls % 9 + 1;
        let words = Words { text: "how is it".to_owned(), count, ..Words::default() };
        let (requests, responses) = match self.kind {
            "grpc-unary" => {
                self.unary(words.clone()).await?;
                (1, 1)
            }
            "grpc-error" => {
                let answer = self.unary(Words { status: Code::NotFound.into(), ..words }).await;
                let code = answer.err().and_then(|e| e.downcast::<tonic::Status>().ok());
                ensure!(code.is_some_and(|status| status.code() == Code::NotFound), "no error");
                (1, 0)
            }
            "grpc-list" => {
                let mut answers = self.client.server_stream(words).await?;
                for _ in 0..count {
                    ensure!(answers.message().await?.is_some(), "less than {count} answers");
                }
                ensure!(answers.message().await?.is_none(), "more than {count} answers");
                (1, count)
            }
            "grpc-collect" => {
                let all = vec![words; usize::try_from(count)?];
                ensure!(self.client.client_stream(all).await?.count == count, "not all arrived");
                (count, 1)
            }
            _ => {
                let (sender, mut answers) = self.client.talk().await?;
                for _ in 0..count {
                    sender.send(words.clone()).await?;
                    for _ in 0..2 {
                        ensure!(answers.message().await?.is_some(), "no answer");
                    }
                    // Longer than it takes to be reported while it lasts, now and then.
                    sleep(Duration::from_millis(if count == 9 { 300 } else { 10 })).await;
                }
                if self.kind == "grpc-talk" {
                    drop(sender);
                    ensure!(answers.message().await?.is_none(), "more answers");
                }
                (count, 2 * count)
            }
        };
        self.streams.add(self.kind, "200", 1);
        self.messages.add(self.kind, REQUESTS, requests.into());
        self.messages.add(self.kind, RESPONSES, responses.into());
        Ok(())
    }

    async fn unary(&mut self, words: Words) -> Result<Words> {
        let mut request = Request::new(words);
        self.client.metadata.clone_into(request.metadata_mut());
        Ok(self.client.unary(request).await?)
    }
}
