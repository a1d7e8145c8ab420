//! TCP connections that end in an orderly way or are reset.

use crate::ledger::Ledger;
use anyhow::Result;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// The one kind of the ledger; outcomes are [`CONNECTIONS`], [`RECEIVED`] and [`SENT`].
pub const TCP: &str = "tcp";
/// Connections.
pub const CONNECTIONS: &str = "connections";
/// Bytes that the client sent.
pub const RECEIVED: &str = "received";
/// Bytes that it got.
pub const SENT: &str = "sent";

/// One connection to a server that says everything twice.
///
/// # Errors
/// When not everything comes back.
pub async fn connect(port: u16, number: u64, ledger: &Ledger) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut sent = 0;
    for round in 0..number % 5 + 1 {
        let n = usize::try_from((number * 37 + round * 1_001) % 9_000 + 1)?;
        // Both at the same time: what comes back is more than is sent.
        let (mut reader, mut writer) = stream.split();
        let message = vec![b'x'; n];
        let mut answer = vec![0; 2 * n];
        let (written, read) =
            tokio::join!(writer.write_all(&message), reader.read_exact(&mut answer));
        written?;
        read?;
        sent += u64::try_from(n)?;
        sleep(Duration::from_millis(if number.is_multiple_of(11) { 400 } else { 5 })).await;
    }
    if number.is_multiple_of(3) {
        // A reset in place of an orderly end.
        stream.set_zero_linger()?;
    }
    ledger.add(TCP, CONNECTIONS, 1);
    ledger.add(TCP, RECEIVED, sent);
    ledger.add(TCP, SENT, 2 * sent);
    Ok(())
}
