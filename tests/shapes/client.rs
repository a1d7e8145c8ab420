//! The clients. Each gives what it saw as text, the same for the same answer.

use crate::shape::{Shape, Version};
use crate::wire::{Wire, readable};
use crate::{http2, http3};
use anyhow::{Context, Result};
use support::envoy::Envoy;
use tokio::net::TcpStream;

/// Sends what a shape says to a proxy, and gives what came back.
///
/// # Errors
/// No connection, or no end in time.
pub async fn send(shape: &Shape, proxy: &Envoy) -> Result<String> {
    let port = proxy.port_of(&shape.listener).await.context(shape.listener.clone())?;
    let Some(request) = &shape.request else { return raw(shape, port).await };
    match request.version {
        Version::H2 => http2::send(port, &shape.name, request).await,
        Version::H3 => http3::send(port, &shape.name, request).await,
    }
}

/// Does the shape's steps and reads until the proxy closes.
async fn raw(shape: &Shape, port: u16) -> Result<String> {
    let mut wire = Wire::new(TcpStream::connect(("127.0.0.1", port)).await?);
    let done = wire.run(&shape.steps(), &shape.name).await;
    // A proxy that closes early is seen in what it answered before.
    let went = done.err().filter(|_| !wire.is_open());
    if let Some(error) = went {
        return Err(error);
    }
    wire.eof().await?;
    Ok(readable(&wire.received))
}
