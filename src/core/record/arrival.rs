//! What has to be read of a request when its headers arrive: filters and routes behind may change it.

use super::Recorder;
use super::health::{Call, Errors};
use super::stream::Stream;
use crate::attribute::{Fact, decode};
use crate::metric::label::is_grpc;
use crate::port::{Host, Message};

/// Most buffers that are kept for the paths of requests to come.
const MAX_SPARE: usize = 64;
/// Longer ones are not kept.
const MAX_SPARE_BYTES: usize = 4 * 1024;

/// Path of a request's protocol, and its value for HTTP/3.
pub(super) const PROTOCOL: &str = "request\0protocol";
const HTTP_3: &[u8] = b"HTTP/3";

/// Whether the request in hand came over HTTP/3.
pub(super) fn is_http3(host: &mut impl Host) -> bool {
    let mut protocol = Vec::new();
    host.attribute(PROTOCOL, &mut protocol).is_ok() && protocol == HTTP_3
}

/// Keeps the gRPC status as far as the response tells it by now: at the end of a request over HTTP/3 its headers and
/// trailers are gone.
pub(super) fn keep_grpc_status(stream: &mut Stream, host: &mut impl Host) {
    let mut status = Vec::new();
    if stream.grpc_over_http3 && host.attribute(Fact::GrpcStatus.path(), &mut status).is_ok() {
        stream.grpc_status = decode::int(&status);
    }
}

impl Recorder {
    /// Keeps the content type and the path as received, where the plan needs them.
    pub(super) fn keep_as_received(
        &mut self,
        stream: &mut Stream,
        host: &mut impl Host,
        errors: &mut Errors,
    ) {
        if self.plan.reads_content_type() {
            let value =
                errors.host_call(Call::Header, host.header(Message::Request, "content-type"));
            // What the proxy refuses to tell is looked for again at the end.
            stream.grpc = value.map(|value| value.is_some_and(|value| is_grpc(&value)));
            stream.grpc_over_http3 = stream.grpc == Some(true) && is_http3(host);
        }
        if self.plan.received_path {
            stream.path = self.spare_paths.pop().unwrap_or_default();
            // A request without one has no operation.
            let _ = host.attribute(Fact::Path.path(), &mut stream.path);
        }
    }

    /// The response trailers have arrived.
    pub fn on_response_trailers(&mut self, stream: &mut Stream, host: &mut impl Host) {
        keep_grpc_status(stream, host);
    }

    /// Takes the buffer of a path back.
    pub(super) fn reuse_path(&mut self, stream: &mut Stream) {
        let mut path = std::mem::take(&mut stream.path);
        if (1..=MAX_SPARE_BYTES).contains(&path.capacity()) && self.spare_paths.len() < MAX_SPARE {
            path.clear();
            self.spare_paths.push(path);
        }
    }
}
