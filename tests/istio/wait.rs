//! Waiting for a condition.

use anyhow::{Context as _, Result};
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks again until the answer is there. An error of the question counts as no answer yet.
///
/// # Errors
/// After `limit`, with `what` and the last error.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = ask().await;
        if let Ok(Some(found)) = answer {
            return Ok(found);
        }
        if Instant::now() > deadline {
            answer.with_context(|| format!("{what}: not within {limit:?}"))?;
            anyhow::bail!("{what}: not within {limit:?}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
