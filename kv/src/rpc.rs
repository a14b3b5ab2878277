//! What this crate's clerk and server are made of, and others can be: the parts that do not know what is
//! replicated.
//!
//! - A request is an [envelope](request) and a body; the body of a write begins with a
//!   [ticket](push_ticket), its place in a session. Values are in postcard: [`encode`], [`decode`].
//! - [`Calls`] is the client's end: a session, a route to the leader, attempts until a deadline, and a
//!   [`ClerkError`](crate::ClerkError) that says what is certain. It asks a [`Protocol`] how to open a
//!   session, and whoever calls for how to read a reply ([`Reading`]).
//! - A server serves a group that is [`Replicated`]. It answers a [`Fault`] where it has no answer. A [`Directory`] of
//!   addresses makes one of an error of the group, with a [`Hint`] at the leader.
//! - What a store does travels as an [`Answer`] to a write ([`write_body`]) or a [`Read`]; [`outcome`] takes
//!   it apart for a client.
//! - A server lets requests wait while its node is being [`elected`].
//! - [`LogClock`] is the time that a leader stamps on commands, for sessions to expire by.

pub use crate::clerk::outcome;
pub use crate::clerk::{Calls, CallsConfig, Protocol, Reading, deadline_after};
pub use crate::codec::{Malformed, decode, encode, take};
pub use crate::command::{from_body, read_write, write_body};
pub use crate::envelope::{push_ticket, read_request, request, take_ticket};
pub use crate::fault::{Directory, Elsewhere, Fault, Hint};
pub use crate::replicated::Replicated;
pub use crate::server::{LogClock, elected};
pub use crate::wire::{Answer, Found, Listed, Read, page_reply, read_reply, reply};
