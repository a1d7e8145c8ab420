//! The wish to stop: Ctrl-C, or what a service manager or a closed terminal sends.

use anyhow::Result;

/// Listens from its creation on, so that no signal before the first wait is lost.
#[derive(Debug)]
pub struct Interrupt {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 3],
}

#[cfg(unix)]
impl Interrupt {
    pub fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let [int, term, hup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Ok(Self { signals: [signal(int)?, signal(term)?, signal(hup)?] })
    }

    pub async fn received(&mut self) {
        let [int, term, hup] = &mut self.signals;
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            _ = hup.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Interrupt {
    #[expect(clippy::unnecessary_wraps, reason = "one signature on every system")]
    pub fn listen() -> Result<Self> {
        Ok(Self {})
    }

    pub async fn received(&mut self) {
        // Without a handler Ctrl-C ends the process at once, and the proxies are killed with it.
        let _ = tokio::signal::ctrl_c().await;
    }
}
