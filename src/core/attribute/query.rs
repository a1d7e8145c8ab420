//! Fetches facts of a stream: with one evaluation of a list, or one by one where it cannot be evaluated.

use super::decode::{self, Elements, LENGTHS};
use super::fact::{Fact, TABLE};
use super::facts::{Facts, Key, Listed, Ranges};
use super::list::{self, Branch, Element, Style};
use super::read::Fetch;
use crate::expr::Slot;
use crate::limits::GUARDED_AFTER_FAILURE;
use crate::port::{ExprId, Host};
use std::borrow::Cow;

/// Facts, and what expressions read, that are fetched together, compiled once.
///
/// The first stream is asked with a list that guards each fact. From then on the normal way is a list that takes for granted
/// what every ordinary stream has, whatever else no stream has been without yet, and the direction of the streams so far:
/// most plugins see but one. When it fails for a stream, the guarded list is tried: what only some streams have is guarded
/// from then on, a second direction is expected, and when an ordinary fact was absent all are guarded, for some streams to
/// come. When that list fails too, each fact is evaluated alone, and those that failed leave the list and are evaluated alone
/// from then on, so that no fact makes the others fail twice.
#[derive(Debug, Default)]
pub struct Query {
    /// Streams it is meant for; all without.
    condition: Option<Condition>,
    /// For all streams; or, when there are two, for inbound ones and for all others.
    branches: Vec<Branch>,
    sides: Sides,
    quick: Option<ExprId>,
    list: Option<ExprId>,
    direction: Option<ExprId>,
    /// How many streams to come the quick list is not tried for.
    pause: u32,
}

/// Whose streams there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sides {
    /// No stream has come yet.
    #[default]
    Unknown,
    /// Those of one branch so far.
    One(usize),
    Both,
}

/// What came of a list.
enum Fetched {
    /// The values, of this branch.
    Values(usize),
    /// The query is not meant for the stream.
    NotMeant,
    Failed,
}

/// What tells the streams of a query from others.
#[derive(Clone, Copy, Debug)]
struct Condition {
    /// A bool that can be evaluated for every stream.
    text: &'static str,
    expression: ExprId,
}

// === impl Query ===

impl Query {
    /// Compiles facts together with what expressions read: facts of all streams, or those of inbound streams and those of
    /// others; in any order and as often as they are needed.
    pub(crate) fn with_reads(
        needs: &[&[Fact]],
        reads: &[(Slot, &Fetch)],
        host: &mut impl Host,
    ) -> Self {
        let mut query = Self { branches: vec![Branch::default(); needs.len()], ..Self::default() };
        for (fact, text) in TABLE {
            if needs.len() > 1 && fact == Fact::ListenerDirection {
                query.direction = host.compile(text).ok();
            } else if needs.iter().any(|needs| needs.contains(&fact)) {
                let is_needed =
                    |branch: usize| needs.get(branch).is_some_and(|n| n.contains(&fact));
                query.add(Key::Fact(fact), Cow::Borrowed(text), &is_needed, host);
            }
        }
        for (slot, fetch) in reads {
            query.add(Key::Read(*slot), Cow::Owned(fetch.expression()), &|_| true, host);
        }
        query.compile_lists(host);
        query
    }

    #[inline(never)]
    fn add(
        &mut self,
        key: Key,
        text: Cow<'static, str>,
        is_needed: &dyn Fn(usize) -> bool,
        host: &mut impl Host,
    ) {
        let Ok(expression) = host.compile(&text) else { return };
        let element = Element { key, text, expression, guarded: false };
        for (number, branch) in self.branches.iter_mut().enumerate() {
            if is_needed(number) {
                branch.listed.push(element.clone());
            }
        }
    }

    /// For streams for which `condition` holds: a bool that can be evaluated for every stream. It travels with the facts,
    /// so it costs no call of its own.
    pub(crate) fn only_if(mut self, condition: &'static str, host: &mut impl Host) -> Self {
        let expression = host.compile(condition).ok();
        self.condition = expression.map(|expression| Condition { text: condition, expression });
        self.compile_lists(host);
        self
    }

    /// Fetches all facts into `buffer`; those that cannot be evaluated are absent. `false` for a stream that the query is
    /// not meant for.
    pub(crate) fn fetch(
        &mut self,
        host: &mut impl Host,
        buffer: &mut Vec<u8>,
        ranges: &mut Ranges,
    ) -> bool {
        let branch = match self.fetch_lists(host, buffer, ranges) {
            Fetched::Values(branch) => branch,
            Fetched::NotMeant => return false,
            Fetched::Failed if self.is_meant(host, buffer) => {
                self.fetch_listed_one_by_one(host, buffer, ranges)
            }
            Fetched::Failed => return false,
        };
        for element in self.branches.get(branch).into_iter().flat_map(|branch| &branch.alone) {
            element.fetch(host, buffer, ranges);
        }
        true
    }

    fn fetch_lists(
        &mut self,
        host: &mut impl Host,
        buffer: &mut Vec<u8>,
        ranges: &mut Ranges,
    ) -> Fetched {
        let start = buffer.len();
        let quick = if self.pause == 0 { self.quick } else { None };
        let learns = quick.is_some() || self.sides == Sides::Unknown;
        self.pause = self.pause.saturating_sub(1);
        for list in [quick, self.list].into_iter().flatten() {
            ranges.clear();
            match self.fetch_list(list, host, buffer, ranges) {
                Fetched::Failed => buffer.truncate(start),
                Fetched::Values(branch) if learns && quick != Some(list) => {
                    self.learn(branch, &Facts::new(buffer, ranges), host);
                    return Fetched::Values(branch);
                }
                fetched => return fetched,
            }
            self.pause = GUARDED_AFTER_FAILURE;
        }
        ranges.clear();
        let asks = |branch: &Branch| !branch.listed.is_empty() || !branch.alone.is_empty();
        if self.condition.is_none() && !self.branches.iter().any(asks) {
            return Fetched::Values(0);
        }
        Fetched::Failed
    }

    /// Expects more streams like this one, and guards what it turned out to be without if only some streams have it.
    #[inline(never)]
    fn learn(&mut self, branch: usize, facts: &Facts<'_>, host: &mut impl Host) {
        let sides = match self.sides {
            Sides::Unknown => Sides::One(branch),
            Sides::One(known) if known != branch => Sides::Both,
            sides => sides,
        };
        let mut learnt = std::mem::replace(&mut self.sides, sides) != sides;
        let mut ordinary = true;
        for element in self.branches.get_mut(branch).into_iter().flat_map(|b| &mut b.listed) {
            let Key::Fact(fact) = element.key else { continue };
            if element.bare().is_none() || !facts.bytes(fact).is_empty() {
                continue;
            }
            if fact.is_ordinary() {
                ordinary = false;
            } else {
                element.guarded = true;
                learnt = true;
            }
        }
        if learnt {
            self.compile_quick(host);
        }
        if learnt && ordinary {
            self.pause = 0;
        }
    }

    fn fetch_list(
        &self,
        list: ExprId,
        host: &mut impl Host,
        buffer: &mut Vec<u8>,
        ranges: &mut Ranges,
    ) -> Fetched {
        let start = buffer.len();
        if host.evaluate(list, buffer).is_err() {
            return Fetched::Failed;
        }
        if self.condition.is_some() && buffer.len() == start {
            return Fetched::NotMeant;
        }
        match self.find_elements(list, start, buffer, ranges) {
            Some(branch) => Fetched::Values(branch),
            None => Fetched::Failed,
        }
    }

    fn find_elements(
        &self,
        list: ExprId,
        start: usize,
        buffer: &[u8],
        ranges: &mut Ranges,
    ) -> Option<usize> {
        let mut elements = Elements::parse(buffer, start)?;
        let first = elements.place();
        let mut number = 0;
        if self.branches.len() > 1 {
            let direction = elements.next()?;
            number = branch_of(buffer.get(direction.clone())?);
            ranges.set_fact(Fact::ListenerDirection, direction);
        }
        let branch = self.branches.get(number)?;
        let mut untyped = false;
        if self.quick == Some(list)
            && let Sides::One(only) = self.sides
        {
            if number != only {
                return None;
            }
            untyped = elements.left() < branch.listed.len() && branch.is_split();
        }
        // The direction is of them: it tells the reporter.
        let mut of_labels = (elements.left(), elements.place());
        for element in &branch.listed {
            if untyped && element.is_typed() {
                continue;
            }
            ranges.set(element.key, elements.next()?);
            if element.is_of_labels() {
                of_labels = (elements.left(), elements.place());
            }
        }
        let (left, end) = of_labels;
        let lengths = first.checked_sub(left.checked_mul(LENGTHS)?)?;
        let is_whole = branch.alone.is_empty();
        ranges.set_list(is_whole.then_some(Listed {
            lengths: start..lengths,
            values: first..end,
            end: buffer.len(),
        }));
        Some(number)
    }

    fn is_meant(&self, host: &mut impl Host, buffer: &mut Vec<u8>) -> bool {
        let Some(condition) = self.condition else { return true };
        let start = buffer.len();
        let evaluated = host.evaluate(condition.expression, buffer).is_ok();
        let meant =
            evaluated && decode::boolean(buffer.get(start..).unwrap_or_default()) == Some(true);
        buffer.truncate(start);
        meant
    }

    fn fetch_listed_one_by_one(
        &mut self,
        host: &mut impl Host,
        buffer: &mut Vec<u8>,
        ranges: &mut Ranges,
    ) -> usize {
        let mut number = 0;
        if self.branches.len() > 1 {
            let start = buffer.len();
            if let Some(direction) = self.direction {
                // Absent is no error.
                let _ = host.evaluate(direction, buffer);
            }
            number = branch_of(buffer.get(start..).unwrap_or_default());
            ranges.set_fact(Fact::ListenerDirection, start..buffer.len());
        }
        let Some(branch) = self.branches.get_mut(number) else { return number };
        let before = branch.listed.len();
        let mut failed = Vec::new();
        branch.listed.retain(|element| {
            let fetched = element.fetch(host, buffer, ranges);
            if !fetched {
                failed.push(element.clone());
            }
            fetched
        });
        branch.alone.append(&mut failed);
        if branch.listed.len() < before {
            self.compile_lists(host);
        }
        number
    }

    #[inline(never)]
    fn compile_lists(&mut self, host: &mut impl Host) {
        self.list = None;
        if self.branches.iter().any(|branch| !branch.listed.is_empty()) {
            self.list = self.compile_list(None, Style::Guarded, host);
        }
        self.compile_quick(host);
    }

    fn compile_quick(&mut self, host: &mut impl Host) {
        let mut elements = self.branches.iter().flat_map(|branch| &branch.listed);
        let takes_for_granted = elements.any(|element| element.bare().is_some());
        self.quick = match self.sides {
            _ if !takes_for_granted => None,
            Sides::Unknown => None,
            Sides::One(only) => self.compile_list(Some(only), Style::Quick, host),
            Sides::Both => self.compile_list(None, Style::Quick, host),
        };
    }

    #[inline(never)]
    fn compile_list(
        &self,
        only: Option<usize>,
        style: Style,
        host: &mut impl Host,
    ) -> Option<ExprId> {
        let condition = self.condition.map(|condition| condition.text);
        host.compile(&list::text(&self.branches, only, condition, style)).ok()
    }
}

/// Inbound streams have a branch of their own.
fn branch_of(direction: &[u8]) -> usize {
    usize::from(decode::int(direction) != Some(1))
}
