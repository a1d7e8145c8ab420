//! Why a peer metadata header was not understood.

use super::header::MAX_HEADER_BYTES;
use std::fmt;

/// Why `x-envoy-peer-metadata` gives no peer. The stream goes on, its peer unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// More than [`MAX_HEADER_BYTES`]; nothing was decoded.
    TooLong {
        /// Length of the header in bytes.
        len: usize,
    },
    /// Not standard base64.
    Base64(Base64Error),
    /// Base64, but not of a `google.protobuf.Struct`.
    Struct(StructError),
}

/// Why a text is not standard base64 (RFC 4648 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base64Error {
    /// A byte outside the alphabet, padding before the end included.
    Byte {
        /// Offset of the byte.
        at: usize,
        /// The byte.
        byte: u8,
    },
    /// One character more than whole groups of four: six bits are not a byte.
    Length {
        /// Characters without padding.
        len: usize,
    },
    /// The unused low bits of the last character are not zero, so another text means the same bytes.
    TrailingBits,
}

/// Why bytes are not a `google.protobuf.Struct` (Protocol Buffers encoding, `struct.proto`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StructError {
    /// A value ends after the message does.
    Truncated,
    /// A varint of more than 64 bits.
    Varint,
    /// A field number outside 1 to 536870911.
    FieldNumber,
    /// A group (wire types 3 and 4), which nothing in proto3 writes, or a wire type that does not exist.
    WireType(u8),
    /// A value that is kept and is not UTF-8, as proto3 demands of a string.
    Utf8,
}

// === impl DecodeError ===

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::TooLong { len } => {
                write!(f, "peer metadata of {len} bytes, at most {MAX_HEADER_BYTES} are decoded")
            }
            DecodeError::Base64(e) => write!(f, "peer metadata is not base64: {e}"),
            DecodeError::Struct(e) => {
                write!(f, "peer metadata is not a google.protobuf.Struct: {e}")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

impl From<Base64Error> for DecodeError {
    fn from(error: Base64Error) -> Self {
        DecodeError::Base64(error)
    }
}

impl From<StructError> for DecodeError {
    fn from(error: StructError) -> Self {
        DecodeError::Struct(error)
    }
}

// === impl Base64Error ===

impl fmt::Display for Base64Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Base64Error::Byte { at, byte } => {
                write!(f, "byte 0x{byte:02x} at {at}, expected A-Z, a-z, 0-9, '+' or '/'")
            }
            Base64Error::Length { len } => {
                write!(f, "{len} characters without padding, one more than whole groups of 4")
            }
            Base64Error::TrailingBits => f.write_str("the last character has bits left over"),
        }
    }
}

impl std::error::Error for Base64Error {}

// === impl StructError ===

impl fmt::Display for StructError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StructError::Truncated => f.write_str("a value runs past the end"),
            StructError::Varint => f.write_str("a varint of more than 64 bits"),
            StructError::FieldNumber => f.write_str("a field number outside 1 to 536870911"),
            StructError::WireType(found) => {
                write!(f, "wire type {found}, expected 0, 1, 2 or 5")
            }
            StructError::Utf8 => f.write_str("a string that is not UTF-8"),
        }
    }
}

impl std::error::Error for StructError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn text(error: impl Into<DecodeError>, expected: &str) {
        assert_eq!(error.into().to_string(), expected);
    }

    #[test]
    fn every_error_says_what_was_found_and_what_is_allowed() {
        text(
            DecodeError::TooLong { len: 16385 },
            "peer metadata of 16385 bytes, at most 16384 are decoded",
        );
        text(
            Base64Error::Byte { at: 3, byte: b'-' },
            "peer metadata is not base64: byte 0x2d at 3, expected A-Z, a-z, 0-9, '+' or '/'",
        );
        text(
            Base64Error::Length { len: 5 },
            "peer metadata is not base64: 5 characters without padding, one more than whole groups of 4",
        );
        text(
            Base64Error::TrailingBits,
            "peer metadata is not base64: the last character has bits left over",
        );
        text(
            StructError::Truncated,
            "peer metadata is not a google.protobuf.Struct: a value runs past the end",
        );
        text(
            StructError::Varint,
            "peer metadata is not a google.protobuf.Struct: a varint of more than 64 bits",
        );
        text(
            StructError::FieldNumber,
            "peer metadata is not a google.protobuf.Struct: a field number outside 1 to 536870911",
        );
        text(
            StructError::WireType(3),
            "peer metadata is not a google.protobuf.Struct: wire type 3, expected 0, 1, 2 or 5",
        );
        text(
            StructError::Utf8,
            "peer metadata is not a google.protobuf.Struct: a string that is not UTF-8",
        );
    }
}
