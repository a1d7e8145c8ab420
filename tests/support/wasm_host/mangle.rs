//! A proxy that is not the one the module was written for: its values are absent, of another type, of another length.

use crate::cel::status::{BAD_ARGUMENT, INTERNAL_FAILURE, NOT_FOUND};

/// Changes values, the same way for the same seed.
#[derive(Clone, Debug)]
pub struct Mangle(u64);

/// Longer than anything that comes with headers.
const HUGE: usize = 70_000;

// === impl Mangle ===

impl Mangle {
    /// Begins with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// What becomes of a value, or of a refusal; three in ten stay as they are.
    pub fn apply(&mut self, value: Result<Vec<u8>, u32>) -> Result<Vec<u8>, u32> {
        let value = match (self.below(10), value) {
            (0, _) => return Err([NOT_FOUND, BAD_ARGUMENT, INTERNAL_FAILURE][self.below(3)]),
            (1, _) => Vec::new(),
            (2, _) => self.bytes(64),
            (3, _) => vec![0xff; self.below(HUGE)],
            (4, Ok(mut value)) => {
                value.truncate(self.below(value.len() + 1));
                value
            }
            (5, Ok(value)) => [value, self.bytes(16)].concat(),
            (6, Ok(mut value)) => {
                let place = self.below(value.len().max(1));
                let change = u8::try_from(self.below(256)).unwrap_or_default();
                value.get_mut(place).into_iter().for_each(|byte| *byte ^= change);
                value
            }
            (_, value) => return value,
        };
        Ok(value)
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let len = self.below(most);
        (0..len).map(|_| u8::try_from(self.below(256)).unwrap_or_default()).collect()
    }

    /// xorshift64, which is enough to disturb.
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or_default() % end.max(1)
    }
}
