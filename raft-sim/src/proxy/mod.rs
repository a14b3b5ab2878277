//! A proxy between real processes that mangles what passes: for tests of programs as they are, over real sockets.
//!
//! A [`StreamProxy`] stands before a listener, a [`DatagramProxy`] before a socket of datagrams: whoever is told its
//! address instead of the real one speaks through it. It knows where one [`Unit`] of what passes ends and the next
//! begins, so that it can lose, delay, swap, repeat and alter whole ones, as a network of messages would; all of it is
//! drawn from a seed, by [`Rules`] for either [`Way`] that may change while it runs. What it did is counted
//! ([`Counters`]): a test without a floor under those may have tested nothing.
//!
//! A way that is [cut](Control::cut) passes nothing and tells nobody, as when a cable is pulled, until it is
//! [healed](Control::heal): streams stall, datagrams are lost.
//!
//! ```
//! use std::sync::Arc;
//! use raft_core::Address;
//! use raft_sim::proxy::{Rate, Rules, StreamProxy, StreamRules, Unit, Way};
//! use raft_transport::TokioNetwork;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let node = Address::from("127.0.0.1:7102");
//! let listen = Address::from("127.0.0.1:0");
//! let proxy = StreamProxy::start(Arc::new(TokioNetwork), &listen, node, Unit::Frames, 1).await?;
//! // Other nodes are told that this is where the node is.
//! let _tell = proxy.address();
//! let lossy = Rules { drop: Rate::one_in(20), ..Rules::default() };
//! proxy.control().set(Way::ToTarget, StreamRules { units: lossy, ..StreamRules::default() });
//! proxy.control().cut(Way::FromTarget);
//! proxy.control().heal(Way::FromTarget);
//! assert_eq!(proxy.control().counters().dropped, 0);
//! # Ok::<(), std::io::Error>(())
//! # }).unwrap();
//! ```

mod control;
mod counters;
mod datagram;
mod dice;
mod pump;
mod rules;
mod stream;
mod unit;

pub use control::Control;
pub use counters::Counters;
pub use datagram::DatagramProxy;
pub use rules::{Delay, Rate, Rules, StreamRules, Way};
pub use stream::StreamProxy;
pub use unit::Unit;
