//! What the machine itself allows: the least that a durable write on three replicas can cost.
//!
//! A client, a leader and two followers as blocking threads over loopback TCP. Every copy is written into
//! space that was written before and fdatasync'ed; the answer goes out after the leader's own sync and one
//! follower's acknowledgement. No Raft, no parsing, no state machine.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::{Latencies, Meter};
use crate::sample::Sample;
use crate::suite::Plan;

/// A put of 16 + 256 bytes and a frame around it.
const FRAME_BYTES: usize = 288;
const ANSWER_BYTES: usize = 16;
const BUFFER_BYTES: usize = 1 << 20;
const FILE_BYTES: u64 = 128 << 20;

/// A file of which every block was written once, overwritten from the start again and again.
struct Log {
    file: File,
    offset: u64,
}

impl Log {
    fn create(path: &Path, bytes: u64) -> io::Result<Self> {
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let file = options?;
        let zeros = vec![0; BUFFER_BYTES];
        for offset in (0..bytes).step_by(BUFFER_BYTES) {
            file.write_all_at(&zeros, offset)?;
        }
        file.sync_all()?;
        Ok(Self { file, offset: 0 })
    }

    fn append(&mut self, data: &[u8]) -> io::Result<()> {
        if self.offset + data.len() as u64 > FILE_BYTES {
            self.offset = 0;
        }
        self.file.write_all_at(data, self.offset)?;
        self.offset += data.len() as u64;
        self.file.sync_data()
    }
}

/// Median of a 4 KiB overwrite with fdatasync in `dir`, in microseconds, over about 300 ms.
pub(crate) fn disk_p50_us(dir: &Path) -> io::Result<f64> {
    let path = dir.join("disk-probe");
    let mut log = Log::create(&path, 8 << 20)?;
    let (block, start) = (vec![7; 4096], Instant::now());
    let mut latencies = Latencies::default();
    while start.elapsed() < Duration::from_millis(300) {
        log.offset %= 8 << 20;
        let sent = Instant::now();
        log.append(&block)?;
        latencies.add(sent.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(latencies.quantiles().0.unwrap_or(f64::NAN))
}

fn accept(listener: TcpListener) -> io::Result<TcpStream> {
    let stream = listener.accept()?.0;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn connect(listener: &TcpListener) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(listener.local_addr()?)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Writes what comes and acknowledges the number of bytes that are durable.
fn follower(mut leader: TcpStream, mut log: Log) -> io::Result<()> {
    let (mut buffer, mut total) = (vec![0; BUFFER_BYTES], 0u64);
    loop {
        let n = leader.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        log.append(&buffer[..n])?;
        total += n as u64;
        leader.write_all(&total.to_le_bytes())?;
    }
}

fn leader(
    mut client: TcpStream,
    mut followers: Vec<TcpStream>,
    mut log: Log,
    acknowledged: &Receiver<u64>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let answers = vec![1; ANSWER_BYTES * 8192];
    let (mut total, mut durable, mut rest) = (0u64, 0u64, 0usize);
    loop {
        let n = client.read(&mut buffer)?;
        if n == 0 {
            return followers.iter().try_for_each(|stream| stream.shutdown(Shutdown::Both));
        }
        for stream in &mut followers {
            stream.write_all(&buffer[..n])?;
        }
        log.append(&buffer[..n])?;
        total += n as u64;
        while durable < total {
            durable = durable.max(acknowledged.recv().map_err(io::Error::other)?);
        }
        rest += n;
        let frames = rest / FRAME_BYTES;
        rest %= FRAME_BYTES;
        client.write_all(&answers[..ANSWER_BYTES * frames])?;
    }
}

fn spawn_follower(dir: &Path, n: usize, acks: Sender<u64>) -> io::Result<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = connect(&listener)?;
    let log = Log::create(&dir.join(format!("floor-follower-{n}")), FILE_BYTES)?;
    thread::spawn(move || accept(listener).and_then(|leader| follower(leader, log)));
    let mut reader = stream.try_clone()?;
    thread::spawn(move || {
        let mut durable = [0; 8];
        while reader.read_exact(&mut durable).is_ok() {
            if acks.send(u64::from_le_bytes(durable)).is_err() {
                return;
            }
        }
    });
    Ok(stream)
}

/// Measures the floor with `window` writes outstanding on one connection.
pub(crate) fn measure(plan: &Plan, window: usize) -> io::Result<Sample> {
    let (acks, acknowledged) = channel();
    let followers: Vec<TcpStream> =
        (1..=2).map(|n| spawn_follower(&plan.dir, n, acks.clone())).collect::<Result<_, _>>()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stream = connect(&listener)?;
    let log = Log::create(&plan.dir.join("floor-leader"), FILE_BYTES)?;
    thread::spawn(move || {
        accept(listener).and_then(|client| leader(client, followers, log, &acknowledged))
    });

    let request = vec![7; FRAME_BYTES * window];
    let mut answers = vec![0; ANSWER_BYTES * window];
    let (mut credit, mut done, mut rest) = (window, 0u64, 0usize);
    let mut sent: VecDeque<(Instant, usize)> = VecDeque::new();
    let mut latencies = Latencies::default();
    let start = Instant::now();
    let mut meter = None;
    loop {
        if meter.is_none() && start.elapsed() > plan.warm {
            (done, latencies) = (0, Latencies::default());
            meter = Some(Meter::of_this_process()?);
        }
        if meter.as_ref().is_some_and(|meter| meter.elapsed() > plan.measure) {
            break;
        }
        if credit > 0 {
            stream.write_all(&request[..credit * FRAME_BYTES])?;
            sent.push_back((Instant::now(), credit));
            credit = 0;
        }
        rest += stream.read(&mut answers)?;
        let mut answered = rest / ANSWER_BYTES;
        rest %= ANSWER_BYTES;
        done += answered as u64;
        credit += answered;
        while answered > 0 {
            let Some((at, left)) = sent.front_mut() else { break };
            let n = answered.min(*left);
            (0..n).for_each(|_| latencies.add(at.elapsed()));
            (*left, answered) = (*left - n, answered - n);
            if *left == 0 {
                sent.pop_front();
            }
        }
    }
    meter.map_or_else(|| Ok(Sample::default()), |meter| meter.sample(done, latencies))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_writes_three_times_and_answers() {
        let dir = std::env::temp_dir().join(format!("bench-floor-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut plan = Plan::new(true, dir.clone());
        (plan.warm, plan.measure) = (Duration::from_millis(10), Duration::from_millis(100));
        let sample = measure(&plan, 4).unwrap();
        std::fs::remove_dir_all(dir).unwrap();
        assert!(sample.rate.unwrap() > 0.0 && sample.p50_us.unwrap() > 0.0, "{sample:?}");
    }
}
