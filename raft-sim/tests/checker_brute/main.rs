//! The checker against one that is slow and plainly right: it tries every order.
//!
//! Nothing is shared with the crate but the types of histories: the specifications are written anew, with
//! concrete states where the crate's models have partly known ones.

mod kv;
mod list;
mod orders;
mod register;
