//! A client of the backend.

use super::backend::{BOTH_STREAM, CLIENT_STREAM, SERVER_STREAM, UNARY, Words};
use anyhow::Result;
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::tokio_stream::{self, wrappers::ReceiverStream};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// A client at a port of the loopback address, usually a sidecar's. One connection carries all its calls.
#[derive(Clone, Debug)]
pub struct Client {
    grpc: Grpc<Channel>,
    /// Metadata of every call but those that bring their own request.
    pub metadata: MetadataMap,
}

// === impl Client ===

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(port: u16) -> Result<Self> {
        let endpoint = format!("http://127.0.0.1:{port}");
        let channel = Endpoint::try_from(endpoint)?.connect().await?;
        Ok(Self { grpc: Grpc::new(channel), metadata: MetadataMap::new() })
    }

    /// One request, one response.
    ///
    /// # Errors
    /// The status the call ended with.
    pub async fn unary(&mut self, request: Request<Words>) -> Result<Words, Status> {
        self.ready().await?;
        let answer = self.grpc.unary(request, PathAndQuery::from_static(UNARY), codec()).await?;
        Ok(answer.into_inner())
    }

    /// Many requests, one response.
    ///
    /// # Errors
    /// The status the call ended with.
    pub async fn client_stream(&mut self, words: Vec<Words>) -> Result<Words, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(CLIENT_STREAM);
        let request = self.request(tokio_stream::iter(words));
        Ok(self.grpc.client_streaming(request, path, codec()).await?.into_inner())
    }

    /// One request, as many responses as it asks for.
    ///
    /// # Errors
    /// The status the call ended with before it began to answer.
    pub async fn server_stream(&mut self, words: Words) -> Result<Streaming<Words>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(SERVER_STREAM);
        let request = self.request(words);
        Ok(self.grpc.server_streaming(request, path, codec()).await?.into_inner())
    }

    /// A stream both ways: what is sent into the channel goes to the server.
    ///
    /// # Errors
    /// The status the call ended with before it began to answer.
    pub async fn talk(&mut self) -> Result<(mpsc::Sender<Words>, Streaming<Words>), Status> {
        self.ready().await?;
        let (sender, words) = mpsc::channel(1);
        let path = PathAndQuery::from_static(BOTH_STREAM);
        let request = self.request(ReceiverStream::new(words));
        let answers = self.grpc.streaming(request, path, codec()).await?.into_inner();
        Ok((sender, answers))
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        self.metadata.clone_into(request.metadata_mut());
        request
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))
    }
}

fn codec() -> ProstCodec<Words, Words> {
    ProstCodec::default()
}
