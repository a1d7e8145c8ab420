//! How everything here is hashed.

/// The hash function of all tables. Its seed is fixed: the module has no source of randomness, so one that looks random would
/// be the same in every proxy. Tables that strangers can fill are bounded, and compare what they find byte for byte.
pub type Hashing = foldhash::fast::FixedState;
