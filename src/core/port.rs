//! The two ports of the core: [`Host`] answers questions about the proxy and the stream in hand, [`Sink`] takes metrics.
//!
//! The core owns these traits and knows no implementation: the module implements them over the proxy-wasm ABI,
//! tests and the command line over a model of a proxy.

/// Handle of an expression that a [`Host`] has compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExprId(pub u32);

/// Handle of a metric that a [`Sink`] has defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricId(pub u32);

/// The kinds of metric a proxy-wasm host can define (proxy-wasm ABI 0.2.1, `proxy_define_metric`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Holds the last value set.
    Gauge,
    /// Counts values in buckets.
    Histogram,
}

/// The host refused an expression: it does not parse, or calls a function the host does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// A host call did not succeed; the payload is the host's status (proxy-wasm ABI 0.2.1, `proxy_status_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed(pub u32);

/// Whose headers are meant; each can be touched only while that message's headers pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// From the client.
    Request,
    /// To the client.
    Response,
}

/// What a published value holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text,
    /// A serialised `google.protobuf.Struct`.
    Struct,
}

/// What the core asks of the proxy.
pub trait Host {
    /// Compiles a CEL expression over Envoy's attributes; called while configuring, and when a stream shows that others than
    /// so far have to be expected: a few times for each configuration, however many streams there are.
    fn compile(&mut self, expression: &str) -> Result<ExprId, Refused>;

    /// Evaluates an expression for the stream in hand and appends the value to `out`, in the encoding of
    /// [`crate::attribute::decode`]. An error leaves `out` as it was.
    ///
    /// Only while a callback of that stream runs: from a timer Envoy evaluates for the plugin, which has no attributes.
    fn evaluate(&mut self, expression: ExprId, out: &mut Vec<u8>) -> Result<(), Failed>;

    /// Reads one attribute of the stream in hand by its path, segments joined by NUL, and appends the value to `out`,
    /// encoded likewise; from a timer too. An error, as for one that is absent, leaves `out` as it was.
    fn attribute(&mut self, path: &str, out: &mut Vec<u8>) -> Result<(), Failed>;

    /// A value of the proxy's own node, such as `["id"]` or `["metadata", "LABELS", "app"]`; only called while
    /// configuring.
    fn node(&mut self, path: &[&str]) -> Option<Vec<u8>>;

    /// Announces what a published value holds, so that `== 'x'` or `.workload` works on it wherever it is read; only
    /// called while configuring. A host that cannot be told answers with an error, which costs nothing but the type.
    fn declare(&mut self, name: &str, content: Content) -> Result<(), Failed>;

    /// Publishes a value about the stream in hand as filter state `wasm.NAME`.
    fn publish(&mut self, name: &str, value: &[u8]) -> Result<(), Failed>;

    /// The first value of a header of the message in hand; `None` when there is no such header. Names are lower case.
    fn header(&mut self, message: Message, name: &str) -> Result<Option<Vec<u8>>, Failed>;

    /// Takes a header away, if it is there.
    fn remove_header(&mut self, message: Message, name: &str) -> Result<(), Failed>;

    /// Sets a header to one value, whatever was there.
    fn set_header(&mut self, message: Message, name: &str, value: &[u8]) -> Result<(), Failed>;
}

/// What the core tells the proxy's statistics.
pub trait Sink {
    /// Defines a metric by its full stat name, labels encoded inside.
    fn define(&mut self, kind: MetricKind, name: &str) -> Result<MetricId, Failed>;

    /// Adds to a counter, or moves a gauge by `delta`.
    fn increment(&mut self, metric: MetricId, delta: i64) -> Result<(), Failed>;

    /// Sets a gauge, adds one value to a histogram, or adds to a counter (Envoy; even 0, after which it counts as used).
    fn record(&mut self, metric: MetricId, value: u64) -> Result<(), Failed>;

    /// Appends to `out` what the proxy's workers share under a name, and gives its version; `None` when there is nothing.
    fn shared(&mut self, name: &str, out: &mut Vec<u8>) -> Result<Option<u32>, Failed>;

    /// Shares a value, unless another worker has changed it since it had `version`; `false` when one has. Without a
    /// version the value is set whatever there is.
    fn share(&mut self, name: &str, value: &[u8], version: Option<u32>) -> Result<bool, Failed>;
}
