//! The lazily built deterministic automaton: a state is a set of [`Nfa`] states, made when a search first reaches it.

use super::nfa::{Nfa, State, StateId};
use hashbrown::HashMap;
use std::rc::Rc;

/// Bytes of states kept for one pattern, for each further one, and in all. Above, all states are dropped and the search
/// goes on from the state in hand.
const CACHE_FIRST: usize = 32 << 10;
const CACHE_MORE: usize = 4 << 10;
const CACHE_MOST: usize = 2 << 20;

/// Not computed yet.
const UNKNOWN: u32 = u32::MAX;
/// No pattern can begin or go on.
const DEAD: u32 = u32::MAX - 1;
/// No pattern.
const NONE: u32 = u32::MAX;

/// States made so far, and working memory.
pub(super) struct Cache {
    /// Row of next states per state.
    next: Vec<u32>,
    states: Vec<Built>,
    ids: HashMap<Rc<[StateId]>, u32>,
    start: u32,
    bytes: usize,
    work: Work,
}

struct Built {
    set: Rc<[StateId]>,
    /// Patterns that match here, ascending.
    here: Box<[u32]>,
    /// Patterns that match if the text ends here, ascending; those of `here` too.
    at_end: Box<[u32]>,
}

#[derive(Default)]
struct Work {
    seen: Vec<u32>,
    round: u32,
    stack: Vec<StateId>,
    set: Vec<StateId>,
}

/// The lowest pattern that matches anywhere in `text`.
pub(super) fn first(nfa: &Nfa, cache: &mut Cache, text: &[u8]) -> Option<usize> {
    let mut best = NONE;
    run(nfa, cache, text, |patterns| {
        best = patterns.first().map_or(best, |pattern| best.min(*pattern));
        best != 0
    });
    (best != NONE).then_some(best as usize)
}

/// Gives `found` the patterns that match, in runs, some perhaps more than once.
pub(super) fn each(nfa: &Nfa, cache: &mut Cache, text: &[u8], mut found: impl FnMut(u32)) {
    run(nfa, cache, text, |patterns| {
        patterns.iter().copied().for_each(&mut found);
        true
    });
}

/// Runs over `text`; `found` gets the patterns that match so far and says whether to go on.
fn run(nfa: &Nfa, cache: &mut Cache, text: &[u8], mut found: impl FnMut(&[u32]) -> bool) {
    let mut state = cache.start(nfa);
    for byte in text {
        if !cache.here(state).is_empty() && !found(cache.here(state)) {
            return;
        }
        let class = nfa.classes.get(usize::from(*byte)).copied().unwrap_or(0);
        let known = cache.next.get(state as usize * nfa.stride + usize::from(class));
        state = match known {
            Some(next) if *next != UNKNOWN => *next,
            _ => cache.step(nfa, state, *byte, class),
        };
        if state == DEAD {
            return;
        }
    }
    found(cache.states.get(state as usize).map_or(&[], |s| &s.at_end));
}

// === impl Cache ===

impl Cache {
    pub fn new(nfa: &Nfa) -> Self {
        let work = Work { seen: vec![0; nfa.states.len()], ..Work::default() };
        Cache {
            next: Vec::new(),
            states: Vec::new(),
            ids: HashMap::new(),
            start: UNKNOWN,
            bytes: 0,
            work,
        }
    }

    pub fn memory(&self) -> usize {
        self.bytes + self.work.seen.len() * 4
    }

    fn here(&self, state: u32) -> &[u32] {
        self.states.get(state as usize).map_or(&[], |s| &s.here)
    }

    fn start(&mut self, nfa: &Nfa) -> u32 {
        if self.start == UNKNOWN {
            self.work.begin();
            for start in &nfa.starts {
                self.work.close(nfa, *start, true);
            }
            self.start = self.intern(nfa, true);
        }
        self.start
    }

    /// The state behind `state` over `byte`, computed and remembered.
    fn step(&mut self, nfa: &Nfa, state: u32, byte: u8, class: u8) -> u32 {
        let Some(set) = self.states.get(state as usize).map(|s| Rc::clone(&s.set)) else {
            return DEAD;
        };
        self.work.begin();
        for from in set.iter() {
            let Some(State::Bytes(start, end)) = nfa.states.get(*from as usize) else {
                continue;
            };
            let ranges = nfa.ranges.get(*start as usize..*end as usize).unwrap_or(&[]);
            for (_, _, to) in ranges.iter().filter(|(lo, hi, _)| *lo <= byte && byte <= *hi) {
                self.work.close(nfa, *to, false);
            }
        }
        for start in &nfa.floating {
            self.work.close(nfa, *start, false);
        }
        if self.work.set.is_empty() {
            self.remember(nfa, state, class, DEAD);
            return DEAD;
        }
        let full = self.bytes > (CACHE_FIRST + CACHE_MORE * nfa.starts.len()).min(CACHE_MOST);
        if full {
            self.clear();
        }
        let next = self.intern(nfa, false);
        if !full {
            self.remember(nfa, state, class, next);
        }
        next
    }

    fn remember(&mut self, nfa: &Nfa, state: u32, class: u8, next: u32) {
        if let Some(slot) = self.next.get_mut(state as usize * nfa.stride + usize::from(class)) {
            *slot = next;
        }
    }

    fn clear(&mut self) {
        self.next.clear();
        self.states.clear();
        self.ids.clear();
        self.start = UNKNOWN;
        self.bytes = 0;
    }

    /// The number of the set in hand.
    fn intern(&mut self, nfa: &Nfa, at_start: bool) -> u32 {
        self.work.set.sort_unstable();
        // The first state is not shared: `^` holds only there.
        if let Some(id) = self.ids.get(self.work.set.as_slice()).filter(|_| !at_start) {
            return *id;
        }
        let set: Rc<[StateId]> = self.work.set.as_slice().into();
        let (here, at_end) = (patterns(nfa, &set), self.work.at_end(nfa, &set, at_start));
        let id = self.states.len() as u32;
        self.bytes +=
            (set.len() + here.len() + at_end.len() + nfa.stride) * 4 + size_of::<Built>() + 48;
        self.next.resize(self.next.len() + nfa.stride, UNKNOWN);
        if !at_start {
            self.ids.insert(Rc::clone(&set), id);
        }
        self.states.push(Built { set, here, at_end });
        id
    }
}

// === impl Work ===

impl Work {
    fn begin(&mut self) {
        self.set.clear();
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.seen.fill(0);
            self.round = 1;
        }
    }

    /// Adds what `from` reaches without a byte, keeping the states that wait for one, for the end, or that match.
    fn close(&mut self, nfa: &Nfa, from: StateId, at_start: bool) {
        self.stack.push(from);
        while let Some(id) = self.stack.pop() {
            let Some(seen) = self.seen.get_mut(id as usize).filter(|seen| **seen != self.round)
            else {
                continue;
            };
            *seen = self.round;
            match nfa.states.get(id as usize) {
                Some(State::Split(a, b)) => self.stack.extend([*a, *b]),
                Some(State::Start(to)) if at_start => self.stack.push(*to),
                Some(State::Bytes(..) | State::End(_) | State::Match(_)) => self.set.push(id),
                _ => {}
            }
        }
    }

    /// Patterns that match if the text ends in `set`.
    fn at_end(&mut self, nfa: &Nfa, set: &[StateId], at_start: bool) -> Box<[u32]> {
        self.begin();
        let mut found = Vec::new();
        let waiting = |id: &&StateId| {
            matches!(nfa.states.get(**id as usize), Some(State::End(_) | State::Match(_)))
        };
        self.stack.extend(set.iter().filter(waiting));
        while let Some(id) = self.stack.pop() {
            let Some(seen) = self.seen.get_mut(id as usize).filter(|seen| **seen != self.round)
            else {
                continue;
            };
            *seen = self.round;
            match nfa.states.get(id as usize) {
                Some(State::Split(a, b)) => self.stack.extend([*a, *b]),
                Some(State::Start(to)) if at_start => self.stack.push(*to),
                Some(State::End(to)) => self.stack.push(*to),
                Some(State::Match(pattern)) => found.push(*pattern),
                _ => {}
            }
        }
        found.sort_unstable();
        found.dedup();
        found.into()
    }
}

/// Patterns that match in `set`, ascending as every pattern has one matching state.
fn patterns(nfa: &Nfa, set: &[StateId]) -> Box<[u32]> {
    let matches = set.iter().filter_map(|id| match nfa.states.get(*id as usize) {
        Some(State::Match(pattern)) => Some(*pattern),
        _ => None,
    });
    matches.collect()
}
