//! Searching in short texts.
//!
//! The standard library's search for a text in a text is built for long ones and takes 3 KB of the module.

/// What stands before and behind the first `separator`.
pub(crate) fn cut<'t>(text: &'t str, separator: &str) -> Option<(&'t str, &'t str)> {
    let mut windows = text.as_bytes().windows(separator.len().max(1));
    let at = windows.position(|window| window == separator.as_bytes())?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.strip_prefix(separator)?))
}

/// `text` with `to` in the place of every `from`, which is not empty.
pub(crate) fn replace(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = cut(rest, from) {
        out.push_str(before);
        out.push_str(to);
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_the_standard_library(text in "[aé:/]{0,12}", part in "[aé:/]{1,3}", to in "[b]{0,2}") {
            prop_assert_eq!(cut(&text, &part), text.split_once(&part));
            prop_assert_eq!(replace(&text, &part, &to), text.replace(&part, &to));
        }
    }
}
