use std::time::Duration;

use allocation_counter::measure;
use bytes::BufMut;
use tokio::io::{AsyncWriteExt, DuplexStream};

use super::*;

fn linked() -> (Link, DuplexStream) {
    let second = Duration::from_secs(1);
    let liveness = Liveness { ping_every: second, silence_max: 9 * second, stall_max: 9 * second };
    let (near, far) = tokio::io::duplex(1 << 20);
    let mut link = Link::new(Box::new(near), liveness, Arc::default());
    link.established(4 << 20, liveness);
    (link, far)
}

fn frame(bytes: usize) -> BytesMut {
    let mut frame = BytesMut::new();
    write_frame(&mut frame, FrameKind::Raft, 4 << 20, |body| body.put_bytes(7, bytes)).unwrap();
    frame
}

/// After large frames have made it read much at once, small ones that are kept, each read by itself, share the
/// memory that they were read into.
#[test]
fn small_frames_share_a_buffer() {
    const COUNT: usize = 5000;
    const BYTES: usize = 1000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (mut link, mut far) = runtime.block_on(async { linked() });
    let mut next = |bytes: usize| {
        runtime.block_on(async {
            let frame = frame(bytes);
            let (sent, taken) = tokio::join!(far.write_all(&frame), link.frame());
            sent.unwrap();
            taken.unwrap().payload
        })
    };
    for _ in 0..16 {
        assert_eq!(next(1 << 20).len(), 1 << 20);
    }
    let mut kept = Vec::with_capacity(COUNT);
    let allocated = measure(|| kept.extend((0..COUNT).map(|_| next(BYTES)))).bytes_total;
    assert_eq!(kept.iter().map(|payload| payload.len()).sum::<usize>(), COUNT * BYTES);
    // Twice what the frames have here and on the other side, and a buffer.
    let bound = (2 * 2 * COUNT * (BYTES + 16) + READ_BYTES_MAX) as u64;
    assert!(allocated < bound, "{allocated} bytes were allocated, {bound} are enough");
}
