//! The lazily built deterministic automaton: a state is a set of [`Nfa`] states, made when a search first reaches it.

use super::nfa::{Nfa, State, StateId};
use crate::expr::Numbers;
use std::collections::BinaryHeap;
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
    ids: Numbers,
    start: u32,
    bytes: usize,
    hub: Hub,
    work: Work,
}

/// The beginnings of the patterns that may begin anywhere. They are alive in every state but the first, so they are
/// kept once instead of in every set.
#[derive(Default)]
struct Hub {
    /// Where they wait for a byte, or for the end.
    set: Vec<StateId>,
    /// Patterns that match at the end of any text.
    at_end: Box<[u32]>,
    /// What they reach over a byte, by its class.
    next: Vec<Option<Rc<[StateId]>>>,
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
        let (next, states, ids) = (Vec::new(), Vec::new(), Numbers::default());
        let hub = Hub::default();
        Cache { next, states, ids, start: UNKNOWN, bytes: 0, hub, work }
    }

    pub fn memory(&self) -> usize {
        self.bytes + self.work.seen.len() * 4
    }

    fn here(&self, state: u32) -> &[u32] {
        self.states.get(state as usize).map_or(&[], |s| &s.here)
    }

    fn start(&mut self, nfa: &Nfa) -> u32 {
        if self.start == UNKNOWN {
            self.fill_hub(nfa);
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
        let hub = if state == self.start { None } else { self.hub(nfa, byte, class) };
        self.work.begin();
        for to in hub.iter().flat_map(|hub| hub.iter()) {
            self.work.close(nfa, *to, false);
        }
        for from in set.iter() {
            for to in nfa.over(*from, byte) {
                self.work.close(nfa, to, false);
            }
        }
        if self.work.set.is_empty() && nfa.floating.is_empty() {
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

    /// Prepares what every state but the first has in common.
    fn fill_hub(&mut self, nfa: &Nfa) {
        if nfa.floating.is_empty() || !self.hub.next.is_empty() {
            return;
        }
        self.work.begin();
        for start in &nfa.floating {
            self.work.close(nfa, *start, false);
        }
        self.hub.set.clone_from(&self.work.set);
        self.hub.at_end = self.work.at_end(nfa, &self.hub.set, false, &[]);
        self.hub.next.resize(nfa.stride, None);
    }

    /// What the patterns that begin here reach over `byte`.
    fn hub(&mut self, nfa: &Nfa, byte: u8, class: u8) -> Option<Rc<[StateId]>> {
        let slot = self.hub.next.get_mut(usize::from(class))?;
        let next = slot.get_or_insert_with(|| {
            self.hub.set.iter().flat_map(|from| nfa.over(*from, byte)).collect()
        });
        Some(Rc::clone(next))
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
        self.work.set = sorted(core::mem::take(&mut self.work.set));
        // The first state is not shared: `^` holds only there.
        let hash = self.ids.hash(self.work.set.as_slice());
        let same = |id: u32| self.states.get(id as usize).is_some_and(|s| *s.set == *self.work.set);
        if let Some(id) = self.ids.find(hash, &same).filter(|_| !at_start) {
            return id;
        }
        let set: Rc<[StateId]> = self.work.set.as_slice().into();
        let here = patterns(nfa, &set);
        let hub: &[u32] = if at_start { &[] } else { &self.hub.at_end };
        let at_end = self.work.at_end(nfa, &set, at_start, hub);
        let id = self.states.len() as u32;
        self.bytes +=
            (set.len() + here.len() + at_end.len() + nfa.stride) * 4 + size_of::<Built>() + 48;
        self.next.resize(self.next.len() + nfa.stride, UNKNOWN);
        if !at_start {
            self.ids.insert(hash, id);
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
    fn at_end(&mut self, nfa: &Nfa, set: &[StateId], at_start: bool, more: &[u32]) -> Box<[u32]> {
        self.begin();
        let mut found = more.to_vec();
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
        let mut found = sorted(found);
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

/// Ascending. A heap, as the library's quicksort is 3 KB of module for every type it sorts.
fn sorted(numbers: Vec<u32>) -> Vec<u32> {
    BinaryHeap::from(numbers).into_sorted_vec()
}
