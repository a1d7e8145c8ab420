//! The part of the protobuf wire format that a `google.protobuf.Struct` of strings needs.
//!
//! ```text
//! Struct   { map<string, Value> fields = 1 }      each entry is a message { key = 1, value = 2 }
//! Value    { string_value = 3 | struct_value = 5 | ... }
//! ```
//!
//! Reading never recurses: a value is handed out as a slice and a nested Struct is only opened by a caller that wants
//! it, so depth is the caller's own, two for peer metadata, and what nobody asks for is stepped over by its length.

use super::error::StructError;

const FIELDS: u32 = 1;
const KEY: u32 = 1;
const VALUE: u32 = 2;
const STRING_VALUE: u32 = 3;
const STRUCT_VALUE: u32 = 5;
/// `null_value` to `list_value`: setting one clears the others.
const KINDS: std::ops::RangeInclusive<u32> = 1..=6;

const MAX_FIELD_NUMBER: u64 = (1 << 29) - 1;
const LENGTH_DELIMITED: u8 = 2;

/// A `google.protobuf.Value` as far as peer metadata uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A string; not yet known to be UTF-8.
    Text(&'a [u8]),
    /// The bytes of a Struct, unread.
    Struct(&'a [u8]),
    /// Null, a number, a bool, a list or nothing.
    Other,
}

/// A field's number, and its content if that is length-delimited.
type RawField<'a> = (u32, Option<&'a [u8]>);

/// The entries of a Struct in wire order. A key may come twice; the last one counts, as in any protobuf map.
#[derive(Clone, Debug)]
pub(super) struct Entries<'a> {
    rest: &'a [u8],
}

// === impl Entries ===

impl<'a> Entries<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next key and value, `None` at the end. After an error there is nothing more to ask.
    pub(super) fn next(&mut self) -> Result<Option<(&'a [u8], Value<'a>)>, StructError> {
        while let Some((number, content)) = next_field(&mut self.rest)? {
            if let (FIELDS, Some(entry)) = (number, content) {
                return read_entry(entry).map(Some);
            }
        }
        Ok(None)
    }
}

// === impl Value ===

impl<'a> Value<'a> {
    /// The string, empty for any other kind.
    pub(super) fn text(self) -> Result<&'a [u8], StructError> {
        match self {
            Value::Text(text) if std::str::from_utf8(text).is_err() => Err(StructError::Utf8),
            Value::Text(text) => Ok(text),
            _ => Ok(&[]),
        }
    }

    /// The bytes of the Struct, empty for any other kind.
    pub(super) fn fields(self) -> &'a [u8] {
        match self {
            Value::Struct(bytes) => bytes,
            _ => &[],
        }
    }
}

fn read_entry(mut entry: &[u8]) -> Result<(&[u8], Value<'_>), StructError> {
    let (mut key, mut value) = (Default::default(), Value::Other);
    while let Some((number, content)) = next_field(&mut entry)? {
        match (number, content) {
            (KEY, Some(bytes)) => key = bytes,
            (VALUE, Some(bytes)) => value = read_value(bytes)?,
            _ => {}
        }
    }
    Ok((key, value))
}

fn read_value(mut message: &[u8]) -> Result<Value<'_>, StructError> {
    let mut value = Value::Other;
    while let Some((number, content)) = next_field(&mut message)? {
        match (number, content) {
            (STRING_VALUE, Some(bytes)) => value = Value::Text(bytes),
            (STRUCT_VALUE, Some(bytes)) => value = Value::Struct(bytes),
            (kind, _) if KINDS.contains(&kind) => value = Value::Other,
            _ => {}
        }
    }
    Ok(value)
}

fn next_field<'a>(rest: &mut &'a [u8]) -> Result<Option<RawField<'a>>, StructError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let tag = take_varint(rest)?;
    let number = tag >> 3;
    if number == 0 || number > MAX_FIELD_NUMBER {
        return Err(StructError::FieldNumber);
    }
    let content = take_content(rest, (tag & 7) as u8)?;
    Ok(Some((number as u32, content)))
}

fn take_content<'a>(rest: &mut &'a [u8], wire: u8) -> Result<Option<&'a [u8]>, StructError> {
    match wire {
        0 => take_varint(rest).map(|_| None),
        1 => take(rest, 8).map(|_| None),
        LENGTH_DELIMITED => {
            let len = take_varint(rest)?;
            let len = usize::try_from(len).map_err(|_| StructError::Truncated)?;
            take(rest, len).map(Some)
        }
        5 => take(rest, 4).map(|_| None),
        other => Err(StructError::WireType(other)),
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], StructError> {
    let (head, tail) = rest.split_at_checked(len).ok_or(StructError::Truncated)?;
    *rest = tail;
    Ok(head)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, StructError> {
    let mut value = 0u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or(StructError::Truncated)?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(StructError::Varint);
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(StructError::Varint)
}

/// The message `Value { string_value }`. The field is part of a `oneof`, so it is written even when empty.
pub(super) fn text_value(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, STRING_VALUE, text);
    out
}

/// The message `Value { struct_value }`, written even when the Struct is empty.
pub(super) fn struct_value(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, STRUCT_VALUE, message);
    out
}

/// The message `Struct` of entries given as key and `Value` message: sorted by key, key and value always written, as
/// C++ protobuf serialises deterministically.
pub(super) fn struct_of(entries: Vec<(&[u8], Vec<u8>)>) -> Vec<u8> {
    let mut sorted: Vec<(&[u8], Vec<u8>)> = Vec::new();
    // Few entries, and written once: see `LabelNames::new` for why this is not a sort.
    for entry in entries {
        let at = sorted.partition_point(|(key, _)| *key <= entry.0);
        sorted.insert(at, entry);
    }
    let mut out = Vec::new();
    for (key, value) in sorted {
        let mut entry = Vec::new();
        put(&mut entry, KEY, key);
        put(&mut entry, VALUE, &value);
        put(&mut out, FIELDS, &entry);
    }
    out
}

fn put(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    put_varint(out, u64::from(number << 3 | u32::from(LENGTH_DELIMITED)));
    put_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn varint(mut bytes: &[u8]) -> Result<(u64, usize), StructError> {
        take_varint(&mut bytes).map(|value| (value, bytes.len()))
    }

    fn all(message: &[u8]) -> Result<Vec<(&[u8], Value<'_>)>, StructError> {
        let mut entries = Entries::of(message);
        let mut out = Vec::new();
        while let Some(entry) = entries.next()? {
            out.push(entry);
        }
        Ok(out)
    }

    #[test]
    fn varints_reach_64_bits_and_no_further() {
        assert_eq!(varint(b"\x00"), Ok((0, 0)));
        assert_eq!(varint(b"\x96\x01\x07"), Ok((150, 1)));
        assert_eq!(varint(b"\x80\x80\x00"), Ok((0, 0)));
        assert_eq!(varint(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Ok((u64::MAX, 0)));
        assert_eq!(varint(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), Err(StructError::Varint));
        assert_eq!(
            varint(b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x81\x00"),
            Err(StructError::Varint)
        );
        assert_eq!(varint(b""), Err(StructError::Truncated));
        assert_eq!(varint(b"\x80"), Err(StructError::Truncated));
    }

    #[test]
    fn a_length_beyond_the_message_is_truncated() {
        assert_eq!(all(b"\x0a\x01"), Err(StructError::Truncated));
        let huge = b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(all(huge), Err(StructError::Truncated));
        assert_eq!(all(b"\x09\x00\x00\x00\x00\x00\x00\x00"), Err(StructError::Truncated));
        assert_eq!(all(b"\x0d\x00\x00\x00"), Err(StructError::Truncated));
    }

    #[test]
    fn unknown_fields_are_stepped_over_by_wire_type() {
        let message =
            b"\x10\x96\x01\x19\0\0\0\0\0\0\0\0\x22\x02hi\x2d\0\0\0\0\x0a\x08\x0a\x01k\x12\x03\x1a\x01v";
        assert_eq!(all(message), Ok(vec![(&b"k"[..], Value::Text(b"v"))]));
    }

    #[test]
    fn groups_and_impossible_tags_are_refused() {
        assert_eq!(all(b"\x13\x14"), Err(StructError::WireType(3)));
        assert_eq!(all(b"\x14"), Err(StructError::WireType(4)));
        assert_eq!(all(b"\x0e"), Err(StructError::WireType(6)));
        assert_eq!(all(b"\x0f"), Err(StructError::WireType(7)));
        assert_eq!(all(b"\x00\x00"), Err(StructError::FieldNumber));
        // 536870912 << 3 | 0, one beyond the largest field number.
        assert_eq!(all(b"\x80\x80\x80\x80\x10\x00"), Err(StructError::FieldNumber));
        assert_eq!(all(b"\xf8\xff\xff\xff\x0f\x00"), Ok(vec![]));
    }

    #[test]
    fn a_value_is_the_last_kind_set() {
        assert_eq!(read_value(b""), Ok(Value::Other));
        assert_eq!(read_value(b"\x1a\x01a\x1a\x01b"), Ok(Value::Text(b"b")));
        assert_eq!(read_value(b"\x1a\x01a\x20\x01"), Ok(Value::Other));
        assert_eq!(read_value(b"\x08\x00\x2a\x00"), Ok(Value::Struct(b"")));
        // Field 7 is not a kind, so the string stands.
        assert_eq!(read_value(b"\x1a\x01a\x38\x01"), Ok(Value::Text(b"a")));
    }

    #[test]
    fn an_entry_may_lack_its_key_or_value() {
        assert_eq!(all(b"\x0a\x00"), Ok(vec![(&b""[..], Value::Other)]));
        assert_eq!(all(b"\x0a\x03\x0a\x01k"), Ok(vec![(&b"k"[..], Value::Other)]));
    }

    #[test]
    fn only_strings_have_text_and_only_structs_fields() {
        assert_eq!(Value::Text(b"a").text(), Ok(&b"a"[..]));
        assert_eq!(Value::Text(b"\xff").text(), Err(StructError::Utf8));
        assert_eq!(Value::Struct(b"a").text(), Ok(&b""[..]));
        assert_eq!(Value::Struct(b"a").fields(), b"a");
        assert_eq!(Value::Text(b"a").fields(), b"");
        assert_eq!(Value::Other.text(), Ok(&b""[..]));
    }

    #[test]
    fn a_struct_is_written_in_key_order_with_empty_values_present() {
        let message = struct_of(vec![(b"b", struct_value(b"")), (b"a", text_value(b""))]);
        assert_eq!(message, b"\x0a\x07\x0a\x01a\x12\x02\x1a\x00\x0a\x07\x0a\x01b\x12\x02\x2a\x00");
    }

    proptest! {
        #[test]
        fn any_varint_comes_back(value: u64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(varint(&bytes), Ok((value, 0)));
        }

        #[test]
        fn any_bytes_end_in_entries_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = all(&bytes);
        }
    }
}
