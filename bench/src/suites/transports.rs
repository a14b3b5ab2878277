//! What carries messages: how fast, and what it needs.

use crate::bar::Bar;
use crate::bar::Bound::{AtLeast, AtMost};
use crate::bar::Metric::{P50, Rate};
use crate::ours::transports::{Over, echo, held, snapshot};
use crate::sample::{Measured, Points};
use crate::suite::{Plan, Suite};

/// Messages in flight.
const IN_FLIGHT: [u64; 2] = [1, 256];

/// Beside plain TCP, our own.
pub(crate) struct Transports;

impl Suite for Transports {
    fn name(&self) -> &'static str {
        "transports"
    }

    fn about(&self) -> &'static str {
        "messages of 256 B and their answers between two processes, by messages in flight"
    }

    fn peer_name(&self) -> Option<&'static str> {
        Some("plain TCP")
    }

    fn bars(&self) -> Vec<Bar> {
        vec![
            Bar::ratio("transports/tls/256", "tls 256", Rate, AtLeast, 0.7, 0.9),
            Bar::ratio("transports/tls/1/p50", "tls 1", P50, AtMost, 2.0, 1.2),
            Bar::ratio("transports/quic/256", "quic 256", Rate, AtLeast, 0.1, 0.5),
            Bar::ratio("transports/quic/1/p50", "quic 1", P50, AtMost, 6.0, 2.0),
            Bar::ratio("transports/channel/256", "channel 256", Rate, AtLeast, 1.0, 5.0),
            Bar::ratio("transports/channel/1/p50", "channel 1", P50, AtMost, 1.0, 0.3),
        ]
    }

    fn ours(&self, plan: &Plan) -> Measured {
        let mut points = Points::new();
        for in_flight in IN_FLIGHT {
            let channel = echo::measure_channel(plan, in_flight)?;
            points.insert(format!("channel {in_flight}"), channel);
            for over in [Over::Tls, Over::Quic] {
                let sample = echo::measure(plan, over, in_flight)?;
                points.insert(format!("{} {in_flight}", over.name()), sample);
            }
        }
        Ok(points)
    }

    /// The same figure at each point.
    fn peer(&self, plan: &Plan) -> Measured {
        let mut points = Points::new();
        for in_flight in IN_FLIGHT {
            let sample = echo::measure(plan, Over::Tcp, in_flight)?;
            for beside in ["channel", "tls", "quic"] {
                points.insert(format!("{beside} {in_flight}"), sample);
            }
        }
        Ok(points)
    }
}

/// On our own figures.
pub(crate) struct Held;

impl Suite for Held {
    fn name(&self) -> &'static str {
        "transports-held"
    }

    fn about(&self) -> &'static str {
        "resident memory of a node with 10,000 connections that say nothing"
    }

    fn peer_name(&self) -> Option<&'static str> {
        None
    }

    fn bars(&self) -> Vec<Bar> {
        vec![
            Bar::limit("transports-held/tcp", "tcp", "MB", 200.0, 100.0),
            Bar::limit("transports-held/tls", "tls", "MB", 200.0, 150.0),
            Bar::limit("transports-held/quic", "quic", "MB", 200.0, 150.0),
        ]
    }

    fn ours(&self, plan: &Plan) -> Measured {
        let mut points = Points::new();
        for over in Over::ALL {
            points.insert(over.name().to_owned(), held::measure(plan, over)?);
        }
        Ok(points)
    }

    fn peer(&self, _: &Plan) -> Measured {
        Ok(Points::new())
    }
}

/// On our own figures.
pub(crate) struct Snapshot;

impl Suite for Snapshot {
    fn name(&self) -> &'static str {
        "transports-snapshot"
    }

    fn about(&self) -> &'static str {
        "a snapshot of 256 MB in chunks between two transports: what the memory of either grows by, and heartbeats meanwhile"
    }

    fn peer_name(&self) -> Option<&'static str> {
        None
    }

    fn bars(&self) -> Vec<Bar> {
        // A quarter of the default election timeout, for the way there and back.
        vec![
            Bar::limit("transports-snapshot/tcp/memory", "tcp memory", "MB", 32.0, 16.0),
            Bar::limit("transports-snapshot/quic/memory", "quic memory", "MB", 32.0, 16.0),
            Bar::limit("transports-snapshot/tcp/heartbeat", "tcp heartbeat", "ms", 125.0, 30.0),
            Bar::limit("transports-snapshot/quic/heartbeat", "quic heartbeat", "ms", 125.0, 30.0),
        ]
    }

    fn ours(&self, plan: &Plan) -> Measured {
        let mut points = snapshot::measure(plan, Over::Tcp)?;
        points.append(&mut snapshot::measure(plan, Over::Quic)?);
        Ok(points)
    }

    fn peer(&self, _: &Plan) -> Measured {
        Ok(Points::new())
    }
}
