//! Releases of Istio, and what changed in which.

use std::fmt;
use std::str::FromStr;

/// A release, `1.MINOR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IstioVersion(u32);

// === impl IstioVersion ===

impl IstioVersion {
    /// Native stats need no stats tags, and the bootstrap has none for Istio's labels any more (1.18).
    pub fn tags_are_extra(self) -> bool {
        self.0 >= 18
    }

    /// `configOverride` of the install values is without effect (1.21).
    pub fn ignores_config_override(self) -> bool {
        self.0 >= 21
    }

    /// Attributes of plugins are filter state, bare names are unknown (1.24).
    pub fn reads_filter_state(self) -> bool {
        self.0 >= 24
    }

    /// `telemetry.istio.io/v1` is there (1.22).
    pub fn has_telemetry_v1(self) -> bool {
        self.0 >= 22
    }

    /// WasmPlugin is there (1.12).
    pub fn has_wasm_plugin(self) -> bool {
        self.0 >= 12
    }
}

impl Default for IstioVersion {
    fn default() -> Self {
        Self(28)
    }
}

impl fmt::Display for IstioVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

impl FromStr for IstioVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.');
        let minor = match (parts.next(), parts.next()) {
            (Some("1"), Some(minor)) => minor.parse().ok(),
            _ => None,
        };
        let minor = minor.filter(|_| {
            parts.all(|part| part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        });
        minor.map(Self).ok_or_else(|| format!("found \"{text}\", expected a release such as 1.28"))
    }
}

#[cfg(test)]
mod tests {
    use super::IstioVersion;

    #[test]
    fn releases_are_read_with_and_without_patch() {
        let parse = |text: &str| text.parse::<IstioVersion>();
        assert_eq!(parse("1.24"), Ok(IstioVersion(24)));
        assert_eq!(parse("1.17.3"), Ok(IstioVersion(17)));
        assert_eq!(parse("2.0").unwrap_err(), "found \"2.0\", expected a release such as 1.28");
        assert!(parse("1.x").is_err());
    }
}
