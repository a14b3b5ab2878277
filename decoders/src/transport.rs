//! What comes over the network before a service sees it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use raft_core::{Address, BoxFuture, GroupId, Service};
use raft_transport::codec::{
    DecodeError, Frame, FrameError, FrameReader, Hello, Refusal, Welcome, decode_batch,
    decode_envelope, encode_envelope, write_frame,
};
use raft_transport::{GroupServices, group_address, split_address};

use crate::seal;

const MAX: u32 = 1 << 16;

/// A stream of frames, which are the same however the stream is cut. The first byte: the high bit puts the checksums
/// right, the others say how long the pieces are.
pub fn frames(input: &[u8]) -> bool {
    let Some((mode, stream)) = input.split_first() else { return false };
    let mut stream = stream.to_vec();
    if mode & 0x80 != 0 {
        seal::frames(&mut stream);
    }
    let whole = read(stream.chunks(stream.len().max(1)));
    let pieces = read(stream.chunks(1 + usize::from(mode & 0x7f)));
    assert_eq!(whole, pieces, "it depends on the reads");
    let mut again = BytesMut::new();
    for frame in &whole.0 {
        assert_eq!(frame.at, again.len() as u64 + 16);
        let wrote = write_frame(&mut again, frame.kind, MAX, |out| {
            out.extend_from_slice(&frame.payload);
        });
        wrote.expect("it was no longer when it was read");
    }
    assert!(stream.starts_with(&again), "it is written otherwise than it was read");
    !whole.0.is_empty()
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Result<(), FrameError>) {
    let (mut reader, mut input, mut frames) = (FrameReader::new(MAX), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match reader.next(&mut input) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    let end = reader.finish(&input);
    (frames, end)
}

/// What is said first on a connection.
pub fn handshake(input: &[u8]) -> bool {
    let payload = Bytes::copy_from_slice(input);
    let hello = same(&payload, Hello::decode, Hello::encode);
    let welcome = same(&payload, Welcome::decode, Welcome::encode);
    let refusal = same(&payload, Refusal::decode, Refusal::encode);
    hello || welcome || refusal
}

/// It is encoded as it came, but for what is left to later versions.
fn same<T>(
    payload: &Bytes,
    decode: impl Fn(&Bytes) -> Result<T, DecodeError>,
    encode: impl Fn(&T, &mut BytesMut),
) -> bool {
    let Ok(value) = decode(payload) else { return false };
    let mut again = BytesMut::new();
    encode(&value, &mut again);
    assert!(payload.starts_with(&again), "it is written otherwise than it was read");
    true
}

/// The messages of Raft, of a frame.
pub fn envelopes(input: &[u8]) -> bool {
    let payload = Bytes::copy_from_slice(input);
    let mut batch = Vec::new();
    let whole = decode_batch(&payload, &mut batch);
    let mut again = BytesMut::new();
    batch.iter().for_each(|envelope| encode_envelope(envelope, &mut again));
    match whole {
        Ok(()) => assert!(payload == again, "it is written otherwise than it was read"),
        Err(ref error) => assert!(payload.starts_with(&again) && error.at >= again.len()),
    }
    let one = decode_envelope(&payload);
    assert_eq!(one.ok().as_ref(), batch.first().filter(|_| whole.is_ok() && batch.len() == 1));
    !batch.is_empty()
}

/// Requests with their group in front, and addresses with it behind.
pub fn addressed(input: &[u8]) -> bool {
    let group = GroupId(7);
    let services = BTreeMap::from([(group, Arc::new(Echo) as Arc<dyn Service>)]);
    let stray = |group: Option<GroupId>| Bytes::from(format!("{group:?}"));
    let reply = GroupServices::new(services, Box::new(stray)).call(Bytes::copy_from_slice(input));
    let Poll::Ready(reply) = pin!(reply).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits")
    };
    let expected = match input {
        [0x81, a, b, c, d, e, f, g, h, request @ ..] => {
            match GroupId(u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h])) {
                found if found == group => Bytes::copy_from_slice(request),
                other => stray(Some(other)),
            }
        }
        _ => stray(None),
    };
    assert_eq!(reply, expected);
    let mut understood = reply != stray(None);
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok((node, Some(group))) = split_address(&Address::from(text))
    {
        let again = split_address(&group_address(&node, group));
        assert_eq!(again, Ok((node, Some(group))));
        understood = true;
    }
    understood
}

struct Echo;

impl Service for Echo {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        Box::pin(async move { request })
    }
}
