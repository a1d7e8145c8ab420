//! The text of a label as Envoy keeps it.

/// A label's text without the dots at its end.
///
/// Envoy's symbol table drops them where a tag becomes a stat name of its own (`SymbolTable::addTokensToEncoding`), but not
/// inside the longer name that holds the tags: two stats would be printed with the same labels, of which Prometheus keeps
/// one. Dots elsewhere stay. Empty for what is nothing but dots, as Prometheus would see it.
pub fn canonical(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b'.'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dots_at_the_end_are_dropped() {
        for (text, kept) in [
            ("shop.example", "shop.example"),
            ("shop.example.", "shop.example"),
            ("shop.example...", "shop.example"),
            ("..a..b", "..a..b"),
            ("a. ", "a. "),
            (".", ""),
            ("...", ""),
            ("", ""),
        ] {
            assert_eq!(canonical(text.as_bytes()), kept.as_bytes(), "{text}");
        }
    }
}
