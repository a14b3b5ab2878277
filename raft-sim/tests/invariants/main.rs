//! Each invariant against stories made by hand: one that it must break, next to one that it must not.
#![allow(unreachable_pub, reason = "one program, split into modules")]

mod commits;
mod disks;
mod elections;
mod logs;
mod machines;
mod members;
mod story;
