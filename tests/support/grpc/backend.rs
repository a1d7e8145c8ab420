//! A gRPC service with a call of each kind. Its one message is written by hand, so no compiler is needed.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::server::{
    ClientStreamingService, Grpc, ServerStreamingService, StreamingService, UnaryService,
};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// The message of every call.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Words {
    /// Words that are told back.
    #[prost(string, tag = "1")]
    pub text: String,
    /// How many messages to answer with, or how many were received.
    #[prost(uint32, tag = "2")]
    pub count: u32,
    /// Status to end with.
    #[prost(int32, tag = "3")]
    pub status: i32,
    /// Milliseconds to wait before answering.
    #[prost(uint64, tag = "4")]
    pub delay: u64,
}

/// One request, one response.
pub const UNARY: &str = "/ratings.Ratings/Get";
/// Many requests, one response.
pub const CLIENT_STREAM: &str = "/ratings.Ratings/Collect";
/// One request, as many responses as it asks for.
pub const SERVER_STREAM: &str = "/ratings.Ratings/List";
/// Two responses to each request.
pub const BOTH_STREAM: &str = "/ratings.Ratings/Talk";

/// A running backend; dropping it stops it.
#[derive(Debug)]
pub struct Backend {
    /// Its port on the loopback address.
    pub port: u16,
    task: JoinHandle<()>,
}

/// The service.
struct Ratings;

type Reply<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;
type Replies = ReceiverStream<Result<Words, Status>>;

// === impl Backend ===

impl Backend {
    /// Starts on a free port.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let http = http2::Builder::new(TokioExecutor::new());
                // The proxy may go away first.
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service_fn(serve)));
            }
        });
        Self { port, task }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request.
///
/// # Errors
/// Never.
pub async fn serve(request: hyper::Request<Incoming>) -> Result<hyper::Response<Body>, Infallible> {
    let mut grpc = Grpc::new(ProstCodec::default());
    let path = request.uri().path().to_owned();
    let request = request.map(|body| body.boxed());
    Ok(match path.as_str() {
        UNARY => grpc.unary(Ratings, request).await,
        CLIENT_STREAM => grpc.client_streaming(Ratings, request).await,
        SERVER_STREAM => grpc.server_streaming(Ratings, request).await,
        BOTH_STREAM => grpc.streaming(Ratings, request).await,
        _ => Status::unimplemented(path).into_http(),
    })
}

// === impl Ratings ===

impl UnaryService<Words> for Ratings {
    type Response = Words;
    type Future = Reply<Words>;

    fn call(&mut self, request: Request<Words>) -> Self::Future {
        Box::pin(async {
            let words = request.into_inner();
            tokio::time::sleep(Duration::from_millis(words.delay)).await;
            end(&words)?;
            Ok(Response::new(words))
        })
    }
}

impl ClientStreamingService<Words> for Ratings {
    type Response = Words;
    type Future = Reply<Words>;

    fn call(&mut self, request: Request<Streaming<Words>>) -> Self::Future {
        Box::pin(async {
            let (mut requests, mut count) = (request.into_inner(), 0);
            while requests.message().await?.is_some() {
                count += 1;
            }
            Ok(Response::new(Words { count, ..Words::default() }))
        })
    }
}

impl ServerStreamingService<Words> for Ratings {
    type Response = Words;
    type ResponseStream = Replies;
    type Future = Reply<Replies>;

    fn call(&mut self, request: Request<Words>) -> Self::Future {
        Box::pin(async {
            let words = request.into_inner();
            let (sender, replies) = mpsc::channel(1);
            tokio::spawn(async move {
                for _ in 0..words.count {
                    sender.send(Ok(words.clone())).await?;
                }
                match end(&words) {
                    Ok(()) => Ok(()),
                    Err(status) => sender.send(Err(status)).await,
                }
            });
            Ok(Response::new(ReceiverStream::new(replies)))
        })
    }
}

impl StreamingService<Words> for Ratings {
    type Response = Words;
    type ResponseStream = Replies;
    type Future = Reply<Replies>;

    fn call(&mut self, request: Request<Streaming<Words>>) -> Self::Future {
        Box::pin(async {
            let mut requests = request.into_inner();
            let (sender, replies) = mpsc::channel(1);
            tokio::spawn(async move {
                while let Ok(Some(words)) = requests.message().await {
                    sender.send(Ok(words.clone())).await?;
                    sender.send(Ok(words)).await?;
                }
                Ok::<_, mpsc::error::SendError<_>>(())
            });
            Ok(Response::new(ReceiverStream::new(replies)))
        })
    }
}

fn end(words: &Words) -> Result<(), Status> {
    match Code::from_i32(words.status) {
        Code::Ok => Ok(()),
        code => Err(Status::new(code, "as asked")),
    }
}
