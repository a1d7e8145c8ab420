//! Values of the native class, and where an evaluation gets them.

/// What an expression reads, resolved while compiling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    /// Whose value.
    pub source: Source,
    /// Keys selected from it: the lower-case header name, or the property of a peer. Empty for the value itself.
    pub path: Box<[Box<str>]>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Envoy's attribute.
    Attribute(super::AttributeId),
    /// Index into [`super::Vocabulary::derived`].
    Derived(u16),
    /// What is known of a peer.
    Peer(super::Side),
}

/// Index into [`Slots`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub u16);

/// Every distinct [`Read`] of a set of expressions. One `Slots` serves a whole configuration, so that a value several
/// expressions read is fetched once.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    reads: Vec<Read>,
}

/// The values of the reads in [`Slots`] for one request.
pub trait Facts {
    /// The value in `slot`, or `None` if the request does not have it.
    fn get(&self, slot: Slot) -> Option<Value<'_>>;
}

/// A value. Text is bytes as received; nothing is copied to compare it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// CEL `null`.
    Null,
    /// CEL `bool`.
    Bool(bool),
    /// CEL `int`.
    Int(i64),
    /// CEL `uint`.
    Uint(u64),
    /// CEL `double`.
    Double(f64),
    /// CEL `string`; may hold invalid UTF-8 if the peer sent it.
    Str(&'a [u8]),
    /// CEL `bytes`.
    Bytes(&'a [u8]),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds since 1970.
    Timestamp(i64),
}

/// Why an evaluation has no value. In Envoy each of these is an evaluation error too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalError {
    /// The request has no such attribute or header.
    Absent(Slot),
    /// No such operation on these types, such as `1 + 'a'` or a condition that is not a bool.
    Type,
    /// A number outside its type's range.
    Overflow,
    /// Integer division or remainder by zero.
    DivideByZero,
    /// A text that is no number, or bytes that are no text.
    Convert,
    /// The texts built exceed [`super::limits::MAX_BUILT`].
    TooLong,
}

// === impl Slots ===

impl Slots {
    /// All reads; [`Slot`] `n` is the `n`-th.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// The read behind a slot.
    pub fn read(&self, slot: Slot) -> Option<&Read> {
        self.reads.get(usize::from(slot.0))
    }

    /// The slot of `read`, new or known. `None` beyond 65,536 reads.
    pub fn intern(&mut self, read: Read) -> Option<Slot> {
        if let Some(at) = self.reads.iter().position(|known| *known == read) {
            return u16::try_from(at).ok().map(Slot);
        }
        let slot = u16::try_from(self.reads.len()).ok().map(Slot)?;
        self.reads.push(read);
        Some(slot)
    }

    pub(super) fn len(&self) -> usize {
        self.reads.len()
    }

    /// Forgets the reads from `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.reads.truncate(len);
    }
}
