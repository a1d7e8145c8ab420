//! Fetches facts of a stream: with one evaluation of a list, or one by one where it cannot be evaluated.

use super::decode::{self, Pairs};
use super::fact::{Fact, TABLE};
use super::facts::{Facts, Key, Ranges};
use super::list::{self, Branch, Element, Style};
use super::read::Fetch;
use crate::expr::Slot;
use crate::limits::GUARDED_AFTER_FAILURE;
use crate::port::{ExprId, Host};
use std::borrow::Cow;

/// Facts, and what expressions read, that are fetched together, compiled once.
///
/// The normal way is a list that takes for granted what every ordinary stream has, and whatever else no stream has been
/// without yet. When it fails for a stream, a list that guards each fact is tried: what only some streams have is guarded from
/// then on, and when an ordinary fact was absent all are, for some streams to come. When that list fails too, each fact is
/// evaluated alone, and those that failed leave the list and are evaluated alone from then on, so that no fact makes the
/// others fail twice.
#[derive(Debug, Default)]
pub struct Query {
    /// Streams it is meant for; all without.
    condition: Option<Condition>,
    /// For all streams; or, when there are two, for inbound ones and for all others.
    branches: Vec<Branch>,
    quick: Option<ExprId>,
    list: Option<ExprId>,
    direction: Option<ExprId>,
    /// How many streams to come the quick list is not tried for.
    pause: u32,
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
    /// Compiles the facts in `needs`, given in any order and as often as they are needed.
    pub fn compile(needs: &[Fact], host: &mut impl Host) -> Self {
        Self::with_reads(&[needs], &[], host)
    }

    /// Compiles facts together with what expressions read: facts of all streams, or those of inbound streams and those of
    /// others.
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
        self.pause = self.pause.saturating_sub(1);
        for list in [quick, self.list].into_iter().flatten() {
            ranges.clear();
            match self.fetch_list(list, host, buffer, ranges) {
                Fetched::Failed => buffer.truncate(start),
                Fetched::Values(branch) if quick.is_some_and(|quick| quick != list) => {
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

    /// Guards what a stream turned out to be without, if only some streams have it.
    #[inline(never)]
    fn learn(&mut self, branch: usize, facts: &Facts<'_>, host: &mut impl Host) {
        let (mut learnt, mut ordinary) = (false, true);
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
            self.compile_lists(host);
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
        match self.find_elements(start, buffer, ranges) {
            Some(branch) => Fetched::Values(branch),
            None => Fetched::Failed,
        }
    }

    fn find_elements(&self, start: usize, buffer: &[u8], ranges: &mut Ranges) -> Option<usize> {
        let bytes = buffer.get(start..)?;
        let mut elements = Pairs::parse(bytes)?;
        let mut next = || {
            let element = elements.next_element()?;
            Some(start.checked_add(element.start)?..start.checked_add(element.end)?)
        };
        let mut number = 0;
        if self.branches.len() > 1 {
            let direction = next()?;
            number = branch_of(buffer.get(direction.clone())?);
            ranges.set_fact(Fact::ListenerDirection, direction);
        }
        for Element { key, .. } in &self.branches.get(number)?.listed {
            ranges.set(*key, next()?);
        }
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
        let mut elements = self.branches.iter().flat_map(|branch| &branch.listed);
        let takes_for_granted = elements.any(|element| element.bare().is_some());
        let condition = self.condition.map(|condition| condition.text);
        let text = |style| list::text(&self.branches, condition, style);
        let quick = takes_for_granted.then(|| host.compile(&text(Style::Quick)).ok());
        self.quick = quick.flatten();
        self.list = None;
        if self.branches.iter().any(|branch| !branch.listed.is_empty()) {
            self.list = host.compile(&text(Style::Guarded)).ok();
        }
    }
}

/// Inbound streams have a branch of their own.
fn branch_of(direction: &[u8]) -> usize {
    usize::from(decode::int(direction) != Some(1))
}
