//! Syntax trees to one Thompson automaton over bytes.

use super::Refused;
use super::class::Class;
use super::syntax::Tree;
use crate::expr::limits::MAX_REGEX_STATES;

/// Index into [`Nfa::states`].
pub(super) type StateId = u32;

/// A state of the automaton.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Goes on over one byte in one of the ranges `ranges[start..end]`.
    Bytes(u32, u32),
    /// Goes on to both without a byte.
    Split(StateId, StateId),
    /// Goes on at the beginning of the text.
    Start(StateId),
    /// Goes on at the end of the text.
    End(StateId),
    /// The pattern matches.
    Match(u32),
}

/// All patterns as one automaton.
#[derive(Debug, Default)]
pub(super) struct Nfa {
    pub states: Vec<State>,
    /// Low byte, high byte, next state.
    pub ranges: Vec<(u8, u8, StateId)>,
    /// Where every pattern begins.
    pub starts: Vec<StateId>,
    /// Where the patterns begin that may begin anywhere.
    pub floating: Vec<StateId>,
    /// Equivalence class of every byte.
    pub classes: Vec<u8>,
    /// Number of classes.
    pub stride: usize,
}

/// Collects patterns.
#[derive(Debug, Default)]
pub(super) struct Builder {
    nfa: Nfa,
    /// States when the pattern in hand began.
    base: usize,
    /// Nodes visited for the pattern in hand; empty groups under nested counts make work but no states.
    steps: usize,
}

// === impl Nfa ===

impl Nfa {
    /// Where `from` goes over `byte`.
    pub fn over(&self, from: StateId, byte: u8) -> impl Iterator<Item = StateId> {
        let (start, end) = match self.states.get(from as usize) {
            Some(State::Bytes(start, end)) => (*start as usize, *end as usize),
            _ => (0, 0),
        };
        let ranges = self.ranges.get(start..end).unwrap_or(&[]);
        ranges.iter().filter(move |(lo, hi, _)| *lo <= byte && byte <= *hi).map(|(.., to)| *to)
    }

    pub fn memory(&self) -> usize {
        self.states.len() * size_of::<State>()
            + self.ranges.len() * size_of::<(u8, u8, StateId)>()
            + 512
    }
}

// === impl Builder ===

impl Builder {
    /// Adds the next pattern.
    pub fn add(&mut self, tree: &Tree) -> Result<(), Refused> {
        self.base = self.nfa.states.len();
        self.steps = 0;
        let pattern = self.nfa.starts.len() as u32;
        let accept = self.push(State::Match(pattern))?;
        let start = self.compile(tree, accept)?;
        self.nfa.starts.push(start);
        if !anchored(tree) {
            self.nfa.floating.push(start);
        }
        Ok(())
    }

    pub fn build(mut self) -> Nfa {
        // A class ends where any range begins or ends.
        let mut edges = [false; 257];
        for (lo, hi, _) in &self.nfa.ranges {
            for edge in [usize::from(*lo), usize::from(*hi) + 1] {
                if let Some(slot) = edges.get_mut(edge) {
                    *slot = true;
                }
            }
        }
        let mut class = 0_u8;
        for (byte, edge) in edges.iter().take(256).enumerate() {
            class += u8::from(*edge && byte > 0);
            self.nfa.classes.push(class);
        }
        self.nfa.stride = usize::from(class) + 1;
        self.nfa
    }

    fn push(&mut self, state: State) -> Result<StateId, Refused> {
        if self.nfa.states.len() - self.base >= MAX_REGEX_STATES {
            return Err(Refused::Unsupported("too large"));
        }
        self.nfa.states.push(state);
        Ok((self.nfa.states.len() - 1) as StateId)
    }

    /// The state from which `tree` leads to `next`.
    fn compile(&mut self, tree: &Tree, next: StateId) -> Result<StateId, Refused> {
        self.steps += 1;
        if self.steps > 4 * MAX_REGEX_STATES {
            return Err(Refused::Unsupported("too large"));
        }
        match tree {
            Tree::Empty => Ok(next),
            Tree::Class(class) => self.class(class, next),
            Tree::Start => self.push(State::Start(next)),
            Tree::End => self.push(State::End(next)),
            Tree::Concat(parts) => {
                parts.iter().rev().try_fold(next, |next, part| self.compile(part, next))
            }
            Tree::Alternate(branches) => self.alternate(branches, next),
            Tree::Repeat(tree, min, max) => self.repeat(tree, *min, *max, next),
        }
    }

    fn alternate(&mut self, branches: &[Tree], next: StateId) -> Result<StateId, Refused> {
        let mut joined = None;
        for branch in branches.iter().rev() {
            let start = self.compile(branch, next)?;
            joined = Some(match joined {
                Some(other) => self.push(State::Split(start, other))?,
                None => start,
            });
        }
        Ok(joined.unwrap_or(next))
    }

    fn repeat(
        &mut self,
        tree: &Tree,
        min: u32,
        max: Option<u32>,
        next: StateId,
    ) -> Result<StateId, Refused> {
        let mut start = next;
        match max {
            None => start = self.star(tree, next)?,
            Some(max) => {
                for _ in min..max {
                    let once = self.compile(tree, start)?;
                    start = self.push(State::Split(once, next))?;
                }
            }
        }
        for _ in 0..min {
            start = self.compile(tree, start)?;
        }
        Ok(start)
    }

    fn star(&mut self, tree: &Tree, next: StateId) -> Result<StateId, Refused> {
        let again = self.push(State::Split(next, next))?;
        let once = self.compile(tree, again)?;
        if let Some(state) = self.nfa.states.get_mut(again as usize) {
            *state = State::Split(once, next);
        }
        Ok(again)
    }

    /// One state per distinct tail of the class's UTF-8 sequences, tails shared.
    fn class(&mut self, class: &Class, next: StateId) -> Result<StateId, Refused> {
        let mut tails: Vec<((u8, u8, StateId), StateId)> = Vec::new();
        let mut heads = Vec::new();
        for sequence in class.sequences() {
            let mut to = next;
            let Some((head, tail)) = sequence.split_first() else {
                continue;
            };
            for (lo, hi) in tail.iter().rev() {
                let range = (*lo, *hi, to);
                to = match tails.iter().find(|(known, _)| *known == range) {
                    Some((_, state)) => *state,
                    None => {
                        let state = self.bytes(&[range])?;
                        tails.push((range, state));
                        state
                    }
                };
            }
            heads.push((head.0, head.1, to));
        }
        self.bytes(&heads)
    }

    fn bytes(&mut self, ranges: &[(u8, u8, StateId)]) -> Result<StateId, Refused> {
        let start = self.nfa.ranges.len() as u32;
        self.nfa.ranges.extend_from_slice(ranges);
        self.push(State::Bytes(start, start + ranges.len() as u32))
    }
}

/// Whether the pattern can only match at the beginning of the text.
fn anchored(tree: &Tree) -> bool {
    match tree {
        Tree::Start => true,
        Tree::Concat(parts) => parts.first().is_some_and(anchored),
        Tree::Alternate(branches) => branches.iter().all(anchored),
        Tree::Repeat(tree, min, _) => *min > 0 && anchored(tree),
        Tree::Empty | Tree::Class(_) | Tree::End => false,
    }
}
