//! Every bound of the expression front end. Over a limit an expression is refused with a message; nothing grows.

/// Longest expression text in bytes.
pub const MAX_TEXT: usize = crate::limits::MAX_EXPRESSION_BYTES;

/// Deepest nesting of an expression. It bounds the recursion of the parser, the checker and the evaluator;
/// chains of `&&` and `||` count as one level.
pub const MAX_DEPTH: usize = 64;

/// Most elements of one list, map or argument list.
pub const MAX_ELEMENTS: usize = 4096;

/// Most problems reported for one expression; more would not help a reader.
pub const MAX_PROBLEMS: usize = 16;

/// Largest count in a regular expression's `{n,m}`, the limit of RE2.
pub const MAX_REGEX_REPEAT: u32 = 1000;

/// Most states of one regular expression's automaton. Above it the expression is left to the host.
pub const MAX_REGEX_STATES: usize = 10_000;

/// Deepest nesting of groups in a regular expression.
pub const MAX_REGEX_DEPTH: usize = 32;

/// Bytes of scratch an evaluation may build with `+` and `string()`.
pub const MAX_BUILT: usize = 64 * 1024;
