//! Which cases run.

use crate::cases::random::Random;
use crate::cases::{Broken, Version, edits, texts};

/// The cases of a run.
#[derive(Debug)]
pub struct Choice {
    seed: u64,
    percent: usize,
    /// The only one to run.
    only: Option<usize>,
    edits: &'static [edits::Edit],
    texts: Vec<Broken>,
}

// === impl Choice ===

impl Choice {
    /// What the environment asks for.
    pub fn asked() -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok().filter(|text| !text.is_empty());
            text.map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name}: {text}")))
        };
        let size = |number: u64| usize::try_from(number).expect("a size");
        let seed = number("OPMETER_BROKEN_SEED").unwrap_or(1);
        eprintln!("broken: seed {seed}");
        Self {
            seed,
            percent: number("OPMETER_BROKEN_PERCENT").map_or(100, size),
            only: number("OPMETER_BROKEN_CASE").map(size),
            edits: edits::all(),
            texts: texts::all(),
        }
    }

    /// Numbers of the cases of a test: `count` of them by default, every `step`-th.
    pub fn numbers(&self, count: usize, step: usize) -> Vec<usize> {
        match self.only {
            Some(only) => vec![only],
            None => (0..count * self.percent / 100).map(|number| number * step).collect(),
        }
    }

    /// A case; the first ones are the texts, half of the others one change each.
    pub fn case(&self, number: usize, version: &Version) -> Broken {
        if let Some(text) = self.texts.get(number) {
            return text.clone();
        }
        let mut random = Random::new(self.seed.wrapping_mul(1 << 32).wrapping_add(number as u64));
        match random.below(6) {
            0 => texts::random(version, &mut random),
            1 => edits::several(version, &edits::some(self.edits, &mut random)),
            _ => edits::one(version, &self.edits[random.below(self.edits.len())]),
        }
    }
}
