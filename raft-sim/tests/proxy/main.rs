//! The proxy does what its rules say, and counts it.

mod datagrams;
mod streams;
