//! A TCP client and a TCP upstream that send as many bytes as a case tells.

use crate::case::{Case, Connection, Fault};
use anyhow::{Context, Result, ensure};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longest wait for the other side.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes a case's connection and waits until it is closed from the other side.
///
/// # Errors
/// When another number of bytes arrives than the case tells.
pub async fn send(port: u16, connection: &Connection) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let sent = stream.write_all(&bytes(connection.received_bytes)).await;
    let mut received = Vec::new();
    let read = stream.read_to_end(&mut received);
    let read = tokio::time::timeout(PATIENCE, read).await.context("the connection stays open")?;
    if connection.fault == Fault::None {
        sent?;
        read?;
        let expected = connection.sent_bytes;
        ensure!(received.len() as u64 == expected, "{} bytes, not {expected}", received.len());
    }
    Ok(())
}

/// Serves the case's connections in their order: takes all bytes, sends its own, closes.
pub(crate) async fn serve(listener: TcpListener, case: Arc<Case>) {
    let repeated = |c: &Connection| (0..c.count).map(|_| c.clone()).collect::<Vec<_>>();
    for connection in case.connections.iter().flat_map(repeated) {
        let Ok((stream, _)) = listener.accept().await else { return };
        // The proxy going away first is for the client to find.
        let _ = answer(stream, &connection).await;
    }
}

async fn answer(mut stream: TcpStream, connection: &Connection) -> io::Result<()> {
    let mut received = bytes(connection.received_bytes);
    stream.read_exact(&mut received).await?;
    stream.write_all(&bytes(connection.sent_bytes)).await?;
    tokio::time::sleep(Duration::from_millis(connection.pause_ms)).await;
    stream.shutdown().await?;
    stream.read_to_end(&mut received).await.map(drop)
}

fn bytes(count: u64) -> Vec<u8> {
    vec![b'x'; usize::try_from(count).expect("few bytes")]
}
