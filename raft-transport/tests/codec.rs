//! Frames and messages as bytes: they come back, and nothing else gets through.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use raft_core::*;
use raft_transport::codec::*;

fn log_id() -> impl Strategy<Value = LogId> {
    (any::<u64>(), any::<u64>()).prop_map(|(t, i)| LogId::new(Term(t), LogIndex(i)))
}

fn membership() -> impl Strategy<Value = Membership> {
    let set = || btree_set(any::<u64>().prop_map(NodeId), 0..5);
    (set(), set(), set()).prop_map(|(voters, outgoing, learners)| Membership {
        voters,
        outgoing,
        learners,
    })
}

fn data() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..100).prop_map(Bytes::from)
}

fn entry() -> impl Strategy<Value = Entry> {
    let payload = prop_oneof![
        Just(Payload::Noop),
        data().prop_map(Payload::Command),
        membership().prop_map(|m| Payload::Membership(Box::new(m))),
    ];
    (log_id(), payload).prop_map(|(id, payload)| Entry { id, payload })
}

fn append() -> impl Strategy<Value = Message> {
    (log_id(), vec(entry(), 0..8), any::<u64>(), any::<u64>()).prop_map(|(prev, entries, c, r)| {
        let (commit, round) = (LogIndex(c), Round(r));
        Message::AppendEntries(AppendEntries { prev, entries, commit, round })
    })
}

fn append_reply() -> impl Strategy<Value = Message> {
    let outcome = prop_oneof![
        any::<u64>().prop_map(|i| AppendOutcome::Accepted { matched: LogIndex(i) }),
        (any::<u64>(), log_id())
            .prop_map(|(i, hint)| AppendOutcome::Rejected { prev: LogIndex(i), hint }),
        Just(AppendOutcome::Overloaded),
    ];
    (any::<u64>(), outcome).prop_map(|(r, outcome)| {
        Message::AppendEntriesReply(AppendEntriesReply { round: Round(r), outcome })
    })
}

fn install() -> impl Strategy<Value = Message> {
    (log_id(), membership(), any::<[u64; 3]>(), data(), any::<u32>()).prop_map(
        |(last, membership, [offset, total, round], data, checksum)| {
            Message::InstallSnapshot(InstallSnapshot {
                meta: SnapshotMeta { last, membership },
                chunk: SnapshotChunk { offset, total, data, checksum },
                round: Round(round),
            })
        },
    )
}

fn install_reply() -> impl Strategy<Value = Message> {
    let progress = prop_oneof![
        Just(InstallProgress::Installed),
        any::<u64>().prop_map(|next_offset| InstallProgress::Receiving { next_offset }),
    ];
    (any::<u64>(), log_id(), progress).prop_map(|(r, last, progress)| {
        Message::InstallSnapshotReply(InstallSnapshotReply { round: Round(r), last, progress })
    })
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let cause = prop_oneof![Just(Cause::Timeout), Just(Cause::Transfer)];
    let message = prop_oneof![
        (any::<u64>(), log_id())
            .prop_map(|(t, last)| Message::PreVote(PreVote { term: Term(t), last })),
        (any::<u64>(), any::<bool>()).prop_map(|(t, granted)| {
            Message::PreVoteReply(PreVoteReply { term: Term(t), granted })
        }),
        (log_id(), cause)
            .prop_map(|(last, cause)| { Message::RequestVote(RequestVote { last, cause }) }),
        log_id().prop_map(|last| Message::TimeoutNow(TimeoutNow { last })),
        any::<[u64; 2]>().prop_map(|[since, round]| {
            Message::Removed(Removed { since: LogIndex(since), round: Round(round) })
        }),
        any::<bool>().prop_map(|granted| Message::RequestVoteReply(RequestVoteReply { granted })),
        append(),
        append_reply(),
        install(),
        install_reply(),
    ];
    (any::<[u64; 4]>(), message).prop_map(|([group, from, to, term], message)| Envelope {
        group: GroupId(group),
        from: NodeId(from),
        to: NodeId(to),
        term: Term(term),
        message,
    })
}

fn encoded(envelope: &Envelope) -> Bytes {
    let mut out = BytesMut::new();
    encode_envelope(envelope, &mut out);
    out.freeze()
}

fn framed(payload: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    write_frame(&mut out, FrameKind::Raft, u32::MAX, |out| out.extend_from_slice(payload)).unwrap();
    out
}

proptest! {
    #[test]
    fn every_envelope_comes_back(envelope in envelope()) {
        prop_assert_eq!(decode_envelope(&encoded(&envelope)), Ok(envelope));
    }

    #[test]
    fn every_batch_comes_back(batch in vec(envelope(), 0..10)) {
        let mut out = BytesMut::new();
        batch.iter().for_each(|envelope| encode_envelope(envelope, &mut out));
        let mut decoded = Vec::new();
        decode_batch(&out.freeze(), &mut decoded).unwrap();
        prop_assert_eq!(decoded, batch);
    }

    /// No truncated envelope is taken for a whole one.
    #[test]
    fn every_truncation_is_noticed(envelope in envelope()) {
        let bytes = encoded(&envelope);
        for length in 0..bytes.len() {
            prop_assert!(decode_envelope(&bytes.slice(..length)).is_err());
        }
    }

    /// Arbitrary bytes are refused, or are the one encoding of what they mean.
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..200), tag in 1_u8..9) {
        // As they are, and as the inside of each kind of message.
        let inside = [&[1, 1, 2, 3, tag][..], &bytes].concat();
        for bytes in [bytes, inside] {
            let bytes = Bytes::from(bytes);
            if let Ok(envelope) = decode_envelope(&bytes) {
                prop_assert_eq!(encoded(&envelope), bytes.clone());
            }
            let _ = Hello::decode(&bytes);
            let _ = Welcome::decode(&bytes);
            let _ = Refusal::decode(&bytes);
            let _ = FrameReader::new(1000).next(&mut BytesMut::from(&bytes[..]));
        }
    }

    /// A damaged envelope is refused or means something else: never a panic.
    #[test]
    fn damaged_envelopes_do_no_harm(
        envelope in envelope(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = encoded(&envelope).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let bytes = Bytes::from(bytes);
        if let Ok(envelope) = decode_envelope(&bytes) {
            prop_assert_eq!(encoded(&envelope), bytes);
        }
    }

    /// However a stream is cut into reads, the same frames come out.
    #[test]
    fn frames_do_not_depend_on_the_reads(
        payloads in vec(vec(any::<u8>(), 0..50), 0..6), size in 1_usize..40,
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|p| framed(p).to_vec()).collect();
        let (mut reader, mut input, mut found) = (FrameReader::new(50), BytesMut::new(), vec![]);
        for read in stream.chunks(size) {
            input.extend_from_slice(read);
            while let Some(frame) = reader.next(&mut input).unwrap() {
                found.push(frame.payload.to_vec());
            }
        }
        prop_assert_eq!(found, payloads);
        prop_assert_eq!(reader.finish(&input), Ok(()));
    }
}

#[test]
fn every_flipped_bit_of_a_frame_is_noticed_at_once() {
    let whole = framed(b"some payload");
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            assert!(FrameReader::new(1000).next(&mut bytes).is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn every_truncated_frame_is_noticed() {
    let whole = framed(b"some payload");
    for length in 1..whole.len() {
        let mut reader = FrameReader::new(1000);
        let mut input = BytesMut::from(&whole[..length]);
        assert_eq!(reader.next(&mut input), Ok(None));
        let fault = reader.finish(&input).unwrap_err().fault;
        assert!(matches!(fault, FrameFault::Truncated { .. }), "{fault:?}");
    }
}

#[test]
fn a_length_is_checked_before_it_is_believed() {
    for length in [101, 1 << 31, u32::MAX] {
        let mut header = framed(b"").to_vec();
        header[4..8].copy_from_slice(&length.to_le_bytes());
        let checksum = crc32fast::hash(&header[..12]);
        header[12..].copy_from_slice(&checksum.to_le_bytes());
        let error = FrameReader::new(100).next(&mut BytesMut::from(&header[..])).unwrap_err();
        assert_eq!(error.fault, FrameFault::TooLong { length, max: 100 });
    }
    let empty = FrameReader::new(0).next(&mut framed(b"")).unwrap().unwrap();
    assert_eq!(empty.payload, Bytes::new());
}

#[test]
fn an_error_says_where() {
    let mut input = framed(b"first");
    input.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
    let mut reader = FrameReader::new(1000);
    assert!(reader.next(&mut input).unwrap().is_some());
    let error = reader.next(&mut input).unwrap_err();
    assert_eq!(error.to_string(), "bad frame at byte 21 of the stream: it begins with [47, 45]");
    let error = decode_envelope(&Bytes::from_static(&[1, 1, 2, 3, 99])).unwrap_err();
    assert_eq!(error.to_string(), "byte 4 of the payload: unknown tag 99 (message)");
}

#[test]
fn a_count_cannot_announce_more_than_there_is() {
    // An append with 2^60 entries and none.
    let mut bytes = vec![1, 1, 2, 3, 5, 0, 0, 0, 0];
    bytes.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]);
    let error = decode_envelope(&Bytes::from(bytes)).unwrap_err();
    assert_eq!(error.fault, DecodeFault::Length(1 << 60));
}

#[test]
fn a_frame_that_is_too_long_is_not_written() {
    let mut out = BytesMut::from(&b"before"[..]);
    let result = write_frame(&mut out, FrameKind::Reply, 3, |out| out.extend_from_slice(b"four"));
    assert_eq!(result, Err(FrameTooLong { length: 4, max: 3 }));
    assert_eq!(out, b"before"[..]);
}

#[test]
fn protocols_meet_in_the_newest_common_one() {
    let spoken = |min, max| Protocols { min, max };
    assert_eq!(spoken(1, 3).common(spoken(2, 5)), Some(3));
    assert_eq!(spoken(1, 1).common(spoken(2, 5)), None);
    assert_eq!(spoken(4, 4).common(spoken(1, 3)), None);
    // A range that is none.
    assert_eq!(spoken(1, 9).common(spoken(5, 4)), None);
}

/// One of each message, by name.
fn samples() -> BTreeMap<&'static str, Envelope> {
    let id = LogId::new(Term(3), LogIndex(300));
    let members = Membership {
        voters: [1, 2, 300].map(NodeId).into(),
        outgoing: [1].map(NodeId).into(),
        learners: [9].map(NodeId).into(),
    };
    let entries = vec![
        Entry { id, payload: Payload::Noop },
        Entry { id, payload: Payload::Command(Bytes::from_static(b"set x")) },
        Entry { id, payload: Payload::Membership(Box::new(members.clone())) },
    ];
    let meta = SnapshotMeta { last: id, membership: members };
    let data = Bytes::from_static(b"chunk");
    let chunk = SnapshotChunk { offset: 1 << 40, total: 1 << 41, data, checksum: 0xdead_beef };
    let (round, commit) = (Round(u64::MAX), LogIndex(127));
    let accepted = AppendOutcome::Accepted { matched: LogIndex(128) };
    let rejected = AppendOutcome::Rejected { prev: LogIndex(5), hint: id };
    let receiving = InstallProgress::Receiving { next_offset: 16384 };
    let envelope = |message| Envelope {
        group: GroupId(1),
        from: NodeId(2),
        to: NodeId(300),
        term: Term(7),
        message,
    };
    [
        ("pre-vote", Message::PreVote(PreVote { term: Term(8), last: id })),
        ("pre-vote-reply", Message::PreVoteReply(PreVoteReply { term: Term(8), granted: true })),
        ("request-vote", Message::RequestVote(RequestVote { last: id, cause: Cause::Timeout })),
        (
            "request-vote-transfer",
            Message::RequestVote(RequestVote { last: id, cause: Cause::Transfer }),
        ),
        ("timeout-now", Message::TimeoutNow(TimeoutNow { last: id })),
        ("removed", Message::Removed(Removed { since: commit, round })),
        ("request-vote-reply", Message::RequestVoteReply(RequestVoteReply { granted: false })),
        (
            "append-entries",
            Message::AppendEntries(AppendEntries { prev: id, entries, commit, round }),
        ),
        (
            "append-entries-accepted",
            Message::AppendEntriesReply(AppendEntriesReply { round, outcome: accepted }),
        ),
        (
            "append-entries-rejected",
            Message::AppendEntriesReply(AppendEntriesReply { round, outcome: rejected }),
        ),
        (
            "append-entries-overloaded",
            Message::AppendEntriesReply(AppendEntriesReply {
                round,
                outcome: AppendOutcome::Overloaded,
            }),
        ),
        ("install-snapshot", Message::InstallSnapshot(InstallSnapshot { meta, chunk, round })),
        (
            "install-snapshot-receiving",
            Message::InstallSnapshotReply(InstallSnapshotReply {
                round,
                last: id,
                progress: receiving,
            }),
        ),
        (
            "install-snapshot-installed",
            Message::InstallSnapshotReply(InstallSnapshotReply {
                round,
                last: id,
                progress: InstallProgress::Installed,
            }),
        ),
    ]
    .into_iter()
    .map(|(name, message)| (name, envelope(message)))
    .collect()
}

/// The handshake, by name: all of a frame, header included.
fn handshakes() -> BTreeMap<&'static str, Bytes> {
    let claim = Claim::Peer {
        intent: Intent::Connect,
        cluster: ClusterId(0x0102_0304_0506_0708),
        from: NodeId(1),
        incarnation: Incarnation(11),
        to: NodeId(2),
    };
    let protocols = Protocols { min: 1, max: 1 };
    let welcome = Welcome {
        protocol: 1,
        cluster: ClusterId(0x0102_0304_0506_0708),
        node: NodeId(2),
        incarnation: Incarnation(22),
    };
    let write = |kind, body: &dyn Fn(&mut BytesMut)| {
        let mut out = BytesMut::new();
        write_frame(&mut out, kind, 256, body).unwrap();
        out.freeze()
    };
    BTreeMap::from([
        (
            "hello-client",
            write(FrameKind::Hello, &|out| {
                Hello { protocols, claim: Claim::Client }.encode(out);
            }),
        ),
        ("hello-peer", write(FrameKind::Hello, &|out| Hello { protocols, claim }.encode(out))),
        ("refusal", write(FrameKind::Refusal, &|out| Refusal::WrongNode(NodeId(2)).encode(out))),
        ("welcome", write(FrameKind::Welcome, &|out| welcome.encode(out))),
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What version 1 of the protocol looks like on the wire, for ever. If this fails, the encoding has changed:
/// that needs a new version of the protocol, and this file stays as it is.
#[test]
fn protocol_1_is_as_it_was() {
    let mut now = String::new();
    for (name, envelope) in samples() {
        now.push_str(&format!("{name} {}\n", hex(&encoded(&envelope))));
    }
    for (name, bytes) in handshakes() {
        now.push_str(&format!("{name} {}\n", hex(&bytes)));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/protocol-1.txt");
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    assert_eq!(now, golden);
    for (name, bytes) in golden.lines().filter_map(|line| line.split_once(' ')) {
        let bytes: Vec<u8> = (0..bytes.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap())
            .collect();
        if let Some(envelope) = samples().remove(name) {
            assert_eq!(decode_envelope(&Bytes::from(bytes)), Ok(envelope), "{name}");
        }
    }
}

/// A membership with more members than a group may have is refused: to look for a majority takes the square of them.
#[test]
fn a_membership_has_a_bound() {
    for (extra, fits) in [(0, true), (1, false)] {
        let voters = (1..=Membership::MEMBERS_MAX as u64 + extra).map(NodeId);
        let payload = Payload::Membership(Box::new(Membership::of_voters(voters)));
        let entries = vec![Entry { id: LogId::ZERO, payload }];
        let message = Message::AppendEntries(AppendEntries {
            prev: LogId::ZERO,
            entries,
            commit: LogIndex(0),
            round: Round(1),
        });
        let (group, from, to, term) = (GroupId(1), NodeId(1), NodeId(2), Term(1));
        let envelope = Envelope { group, from, to, term, message };
        let decoded = decode_envelope(&encoded(&envelope));
        match decoded {
            Ok(decoded) => assert!(fits && decoded == envelope),
            Err(error) => assert!(!fits && matches!(error.fault, DecodeFault::Members(33))),
        }
    }
}
