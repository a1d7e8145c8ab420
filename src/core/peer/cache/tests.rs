use super::*;
use crate::peer::header::{LocalNode, encode};
use crate::peer::{Base64Error, Field};
use proptest::prelude::*;
use std::hash::{BuildHasherDefault, Hasher};

/// Every header collides with every other.
#[derive(Default)]
struct Constant;

impl Hasher for Constant {
    fn finish(&self) -> u64 {
        7
    }
    fn write(&mut self, _: &[u8]) {}
}

fn header(workload: &str) -> Vec<u8> {
    let local = LocalNode { workload: workload.as_bytes(), ..LocalNode::default() };
    encode(&local, &LabelNames::default())
}

fn cache(max_peers: usize) -> PeerCache {
    PeerCache::new(max_peers, LabelNames::default())
}

#[track_caller]
fn workload(lookup: &Lookup) -> &str {
    std::str::from_utf8(lookup.peer().unwrap().get(Field::Workload)).unwrap()
}

#[test]
fn a_header_is_decoded_once() {
    let mut cache = cache(10);
    let first = cache.get_or_decode(&header("web"));
    assert!(matches!(first, Lookup::Decoded(_)), "{first:?}");
    let second = cache.get_or_decode(&header("web"));
    assert!(matches!(second, Lookup::Hit(_)), "{second:?}");
    assert!(Rc::ptr_eq(first.peer().unwrap(), second.peer().unwrap()));
    assert_eq!(cache.len(), 1);
}

#[test]
fn other_metadata_is_another_peer() {
    let mut cache = cache(10);
    assert_eq!(workload(&cache.get_or_decode(&header("web"))), "web");
    assert_eq!(workload(&cache.get_or_decode(&header("evil"))), "evil");
    assert_eq!(workload(&cache.get_or_decode(&header("web"))), "web");
}

#[test]
fn no_header_is_absent_and_not_remembered() {
    let mut cache = cache(10);
    assert_eq!(cache.get_or_decode(b""), Lookup::Absent);
    assert!(cache.is_empty());
}

#[test]
fn a_failure_is_remembered_and_says_so() {
    let mut cache = cache(10);
    let error = DecodeError::Base64(Base64Error::Byte { at: 0, byte: b'!' });
    assert_eq!(cache.get_or_decode(b"!!"), Lookup::Failed(error));
    assert_eq!(cache.get_or_decode(b"!!"), Lookup::FailedBefore(error));
    assert_eq!(cache.get_or_decode(b"!!").error(), Some(error));
    assert_eq!(cache.get_or_decode(b"!!").peer(), None);
    assert_eq!(cache.len(), 1);
}

#[test]
fn a_header_that_is_too_long_is_not_remembered() {
    let mut cache = cache(10);
    let long = vec![b'A'; MAX_HEADER_BYTES + 1];
    let failed = Lookup::Failed(DecodeError::TooLong { len: 16385 });
    assert_eq!(cache.get_or_decode(&long), failed);
    assert_eq!(cache.get_or_decode(&long), failed);
    assert!(cache.is_empty());
}

#[test]
fn no_peers_means_no_cache() {
    let mut cache = cache(0);
    for _ in 0..2 {
        assert!(matches!(cache.get_or_decode(&header("web")), Lookup::Decoded(_)));
    }
    assert!(cache.is_empty());
}

#[test]
fn the_oldest_quarter_makes_room() {
    let mut cache = cache(8);
    let names: Vec<String> = (0..9).map(|n| format!("w{n}")).collect();
    let held: Vec<_> = names.iter().map(|n| cache.get_or_decode(&header(n))).collect();
    assert_eq!(cache.len(), 7);
    for name in &names[2..] {
        assert!(matches!(cache.get_or_decode(&header(name)), Lookup::Hit(_)), "{name}");
    }
    for name in &names[..2] {
        assert!(matches!(cache.get_or_decode(&header(name)), Lookup::Decoded(_)), "{name}");
    }
    assert_eq!(workload(&held[0]), "w0");
}

#[test]
fn one_peer_at_a_time_works() {
    let mut cache = cache(1);
    for name in ["a", "b", "a"] {
        assert_eq!(workload(&cache.get_or_decode(&header(name))), name);
        assert_eq!(cache.len(), 1);
    }
}

#[test]
fn a_thousand_distinct_peers_stay_within_the_default() {
    let mut cache = cache(DEFAULT_MAX_PEERS);
    let mut peak = 0;
    for n in 0..1000 {
        cache.get_or_decode(&header(&format!("workload-{n:04}")));
        assert!(cache.len() <= DEFAULT_MAX_PEERS);
        peak = peak.max(cache.bytes());
    }
    assert_eq!(cache.len(), 500);
    // 40 bytes of workload, 16 of LABELS, as base64, and 48 of offsets.
    assert!(peak < 500 * (80 + 60 + ENTRY_BYTES), "{peak}");
}

#[test]
fn large_headers_are_bounded_by_bytes() {
    let mut cache = cache(1_000_000);
    let filler = "x".repeat(11_000);
    for n in 0..1000 {
        let lookup = cache.get_or_decode(&header(&format!("{filler}{n}")));
        assert!(lookup.peer().is_some());
        assert!(cache.bytes() <= MAX_CACHE_BYTES);
    }
    // Header and peer take 26 KiB, and a full cache has just lost a quarter at most.
    assert!((50..=80).contains(&cache.len()), "{}", cache.len());
}

#[test]
fn hostile_short_headers_are_bounded_by_bytes() {
    let mut cache = cache(usize::MAX);
    for n in 0..30_000 {
        cache.get_or_decode(format!("!{n}").as_bytes());
    }
    assert!(cache.bytes() <= MAX_CACHE_BYTES);
    assert!(cache.len() < 30_000);
    assert_eq!(cache.table.len(), cache.len());
}

#[test]
fn the_counted_bytes_cover_the_memory_taken() {
    let mut filled = None;
    let taken = allocation_counter::measure(|| {
        let mut cache = cache(DEFAULT_MAX_PEERS);
        for n in 0..400 {
            cache.get_or_decode(&header(&format!("workload-{n:04}")));
        }
        filled = Some(cache);
    });
    let cache = filled.unwrap();
    assert_eq!(cache.len(), 400);
    let counted = cache.bytes() as i64;
    let taken = taken.bytes_current - cache.buffer.capacity() as i64;
    assert!(taken <= counted, "{taken} bytes taken, {counted} counted");
    assert!(taken * 2 > counted, "{taken} bytes taken, {counted} counted");
}

#[test]
fn a_hit_allocates_nothing() {
    let mut cache = cache(10);
    let (good, bad) = (header("web"), b"not base64");
    cache.get_or_decode(&good);
    cache.get_or_decode(bad);
    let allocated = allocation_counter::measure(|| {
        assert!(matches!(cache.get_or_decode(&good), Lookup::Hit(_)));
        assert!(matches!(cache.get_or_decode(bad), Lookup::FailedBefore(_)));
    });
    assert_eq!(allocated.count_total, 0);
}

proptest! {
    #[test]
    fn never_beyond_its_bounds_and_never_another_headers_peer(
        max_peers in 0usize..12,
        sequence in prop::collection::vec(0u8..24, 0..150),
        collide: bool,
    ) {
        if collide {
            let hasher = BuildHasherDefault::<Constant>::default();
            check(PeerCache::with_hasher(max_peers, LabelNames::default(), hasher), &sequence);
        } else {
            check(PeerCache::new(max_peers, LabelNames::default()), &sequence);
        }
    }
}

fn check<S: BuildHasher>(mut cache: PeerCache<S>, sequence: &[u8]) {
    for n in sequence {
        if n % 4 == 3 {
            let lookup = cache.get_or_decode(format!("!{n}").as_bytes());
            let byte = DecodeError::Base64(Base64Error::Byte { at: 0, byte: b'!' });
            let length = DecodeError::Base64(Base64Error::Length { len: 1 });
            assert!([byte, length].contains(&lookup.error().unwrap()));
        } else {
            let name = format!("workload-{n}");
            assert_eq!(workload(&cache.get_or_decode(&header(&name))), name);
        }
        assert!(cache.len() <= cache.max_peers);
        assert_eq!(cache.table.len(), cache.len());
        assert!(cache.bytes() <= MAX_CACHE_BYTES);
        assert_eq!(cache.is_empty(), cache.bytes() == 0);
    }
}
