//! What the tests of opmeter share: a model of a proxy, three engines that run the same case, and a reader of series.
//!
//! ```text
//! corpus/*.toml -> case -> native (core over the model)
//!                       -> wasm   (the module in an in-process host over the model)
//!                       -> envoy  (the module in a real Envoy, real traffic)
//! ```
//! Each engine answers with an [`engine::Outcome`]; [`check`] compares it with what the case expects.
//!
//! What a proxy sends elsewhere is received by [`otlp`] and [`statsd`]; [`chain`] is a proxy among other filters.
//!
//! What takes two proxies runs on two: [`mesh`] starts real sidecars, [`app`] what they stand before, and [`scrape`] reads
//! what they tell. [`fleet`] is one with many mounts of the module.

pub mod app;
pub mod case;
pub mod cel;
pub mod chain;
pub mod check;
pub mod counter;
pub mod engine;
pub mod envoy;
pub mod fleet;
pub mod grpc;
pub mod http;
pub mod load;
pub mod mesh;
pub mod metrics;
pub mod model;
pub mod module;
pub mod native_host;
pub mod otlp;
pub mod prometheus;
pub mod scrape;
pub mod second_reader;
pub mod series;
pub mod shared;
pub mod stat;
pub mod statsd;
pub mod tcp;
pub mod trio;
pub mod upstream;
pub mod value;
pub mod wasm_host;
