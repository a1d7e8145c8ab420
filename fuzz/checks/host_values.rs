//! Values as the host encodes them: any bytes as list, map or scalar, and lists and maps that were encoded.

use arbitrary::{Result, Unstructured};
use opmeter_core::attribute::decode::{Elements, Pairs, boolean, int};
use opmeter_core::mesh::PeerView;
use opmeter_core::peer::Field;

/// Any bytes are read as the format's description reads them; what was encoded comes back.
pub fn host_values(data: &[u8]) {
    any_bytes(data);
    let _ = encoded(&mut Unstructured::new(data));
}

fn any_bytes(data: &[u8]) {
    let expected = read(data);
    let pairs = Pairs::parse(data);
    assert_eq!(pairs.is_some(), expected.is_some());
    if let (Some(pairs), Some(expected)) = (pairs, &expected) {
        assert_eq!(&pairs.clone().collect::<Vec<_>>(), expected);
        let mut elements = Elements::parse(data, 0).expect("a list is a map");
        assert!(elements.clone().all(|place| data.get(place).is_some()));
        for (key, _) in expected.iter().take_while(|(_, value)| value.is_empty()) {
            assert_eq!(&data[elements.next().expect("as many elements as pairs")], *key);
        }
        for (key, _) in expected {
            assert_eq!(pairs.clone().get(key), find(expected, key));
        }
    }
    let value = |key: &[u8]| expected.as_deref().and_then(|pairs| find(pairs, key));
    let view = PeerView::filter_state(data);
    for field in Field::ALL {
        assert_eq!(view.get(field), value(field.name().as_bytes()).unwrap_or_default());
    }
    let labels = value(b"labels").and_then(read).unwrap_or_default();
    assert_eq!(view.label("role", None), find(&labels, b"role").unwrap_or_default());
    let parts: Vec<&[u8]> = data.split(|byte| *byte == b';').collect();
    let endpoint = PeerView::endpoint(data);
    assert_eq!(endpoint.is_known(), parts.len() >= 5);
    let cluster = if endpoint.is_known() { parts[4] } else { b"" };
    assert_eq!(endpoint.get(Field::Cluster), cluster);
    assert_eq!(
        int(data).map(i64::to_le_bytes).as_ref().map(|bytes| &bytes[..]),
        (data.len() == 8).then_some(data)
    );
    assert_eq!(boolean(data), (data.len() == 1).then(|| data != [0]));
}

/// The pairs up to the first that is broken; `None` if not even the lengths are all there.
fn read(bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let number = |at: u64| -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let bytes = bytes.get(at..at.checked_add(4)?)?;
        Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?)))
    };
    let item = |at: u64, len: u64| -> Option<&[u8]> {
        let (start, end) = (usize::try_from(at).ok()?, usize::try_from(at + len).ok()?);
        (*bytes.get(end)? == 0).then_some(&bytes[start..end])
    };
    let count = number(0)?;
    let mut at = 4 + 8 * count;
    if at > bytes.len() as u64 {
        return None;
    }
    let mut pairs = Vec::new();
    for place in 0..count {
        let lengths = (number(4 + 8 * place)?, number(8 + 8 * place)?);
        let Some(key) = item(at, lengths.0) else { break };
        at += lengths.0 + 1;
        let Some(value) = item(at, lengths.1) else { break };
        at += lengths.1 + 1;
        pairs.push((key, value));
    }
    Some(pairs)
}

fn find<'a>(pairs: &[(&[u8], &'a [u8])], key: &[u8]) -> Option<&'a [u8]> {
    pairs.iter().find(|(k, _)| *k == key).map(|(_, value)| *value)
}

fn encoded(input: &mut Unstructured<'_>) -> Result<()> {
    let mut pairs: Vec<(&[u8], &[u8])> = Vec::new();
    let list = input.ratio(1, 2)?;
    for _ in 0..input.int_in_range(0..=5)? {
        let len = input.int_in_range(0..=9)?;
        let key = input.bytes(len)?;
        let len = if list { 0 } else { input.int_in_range(0..=9)? };
        pairs.push((key, input.bytes(len)?));
    }
    let bytes = encode(&pairs);
    assert_eq!(Pairs::parse(&bytes).expect("an encoded map").collect::<Vec<_>>(), pairs);
    assert_eq!(read(&bytes), Some(pairs));
    Ok(())
}

/// Pairs as Envoy encodes them; a list is one of pairs without values.
fn encode(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = (pairs.len() as u32).to_le_bytes().to_vec();
    for (key, value) in pairs {
        out.extend((key.len() as u32).to_le_bytes());
        out.extend((value.len() as u32).to_le_bytes());
    }
    for item in pairs.iter().flat_map(|(key, value)| [key, value]) {
        out.extend_from_slice(item);
        out.push(0);
    }
    out
}
