//! The committed corpora, and random inputs made from them, through every target's check.

use opmeter_fuzz_checks::TARGETS;
use std::panic::catch_unwind;
use std::path::Path;

/// Random inputs per target.
const RANDOM: usize = 3_000;

/// Longest random input.
const LONGEST: usize = 160;

#[test]
fn corpora_and_random_inputs_hold() {
    for (name, check) in TARGETS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "fuzz/corpus/{name} is empty");
        let mut random = Random(name.len() as u64);
        let made: Vec<Vec<u8>> = (0..RANDOM).map(|_| random.input(&corpus)).collect();
        for input in corpus.iter().chain(&made) {
            let held = catch_unwind(|| check(input));
            assert!(held.is_ok(), "{name} does not hold for b\"{}\"", input.escape_ascii());
        }
    }
}

#[test]
fn every_target_has_a_file_and_a_corpus_and_is_in_the_manifest() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("fuzz/Cargo.toml");
    let files = std::fs::read_dir(folder.join("targets")).expect("fuzz/targets");
    assert_eq!(files.count(), TARGETS.len());
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
    for (name, _) in TARGETS {
        let file = folder.join(format!("targets/{name}.rs"));
        let text = std::fs::read_to_string(&file).expect("a file");
        assert!(text.contains(&format!("opmeter_fuzz_checks::{name}(data)")), "{name}");
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
    }
}

/// The inputs of a corpus in the order of their names, so that every run does the same.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target);
    let entries = std::fs::read_dir(folder).expect("a corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("an input")).collect()
}

/// Numbers by SplitMix64: the same ones in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below.max(1) as u64) as usize
    }

    /// Bytes, or an input of the corpus with some bytes changed, cut, or taken from another.
    fn input(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        if self.next(4) == 0 {
            let len = self.next(LONGEST);
            return (0..len).map(|_| self.next(256) as u8).collect();
        }
        let mut input = corpus[self.next(corpus.len())].clone();
        let other = &corpus[self.next(corpus.len())];
        for _ in 0..self.next(6) {
            let at = self.next(input.len() + 1);
            match self.next(4) {
                0 => input.truncate(at),
                1 => input.insert(at, self.next(256) as u8),
                2 => {
                    let from = self.next(other.len() + 1);
                    input.truncate(at);
                    input.extend_from_slice(&other[from..]);
                }
                _ => {
                    if let Some(byte) = input.get_mut(at) {
                        *byte = self.next(256) as u8;
                    }
                }
            }
        }
        input
    }
}
