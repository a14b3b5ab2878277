//! The client of `cargo xtask soak`: appends tokens, each of them unique, and tells of every one what became
//! of it, so that a write that was lost, done twice or moved shows afterwards.
//!
//! It has several clerks, each with several lanes; a lane appends one token after the other. The lanes with
//! one number, of all clerks, share their keys. A token that is certainly not done is sent again; one whose
//! fate is unknown is left alone. After some appends the key is read, and must be at least as long as an
//! append that had been acknowledged said. Ends when stdin does, and prints lines:
//!
//! - `ack KEY TOKEN INDEX LENGTH`: appended at this index; the value then had this length
//! - `unknown KEY TOKEN CAUSE`
//! - `again KEY TOKEN CAUSE`: certainly not done, and sent again
//! - `stale KEY LENGTH READ`: a read saw less than was acknowledged before it
//! - `refused KEY TOKEN CAUSE`

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use kv::rpc::CallsConfig;
use kv::{Appended, Versioned};
use raft_core::{Address, Caller, GroupId};
use raft_transport::{
    CallerConfig, Carrier, CredentialFiles, Credentials, GroupCaller, NetCaller, Security, Tls,
    TokioNetwork, group_address,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Appends unique tokens until stdin ends.
#[derive(Clone, Parser)]
struct Args {
    /// Where the nodes are.
    #[arg(long, value_delimiter = ',', required = true)]
    endpoints: Vec<String>,
    /// Clerks, each with a session of its own.
    #[arg(long, default_value_t = 3)]
    clerks: u64,
    /// Appends that each clerk has in flight.
    #[arg(long, default_value_t = 8)]
    lanes: u64,
    /// What a lane appends to one key, so that no value becomes too long.
    #[arg(long, default_value_t = 100)]
    tokens_per_key: u64,
    /// The pause between a lane's appends.
    #[arg(long, default_value_t = 20)]
    pause_ms: u64,
    /// The deadline of an append. Shorter than an election, so that some fates stay unknown.
    #[arg(long, default_value_t = 700)]
    timeout_ms: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// `plain` or `sharded`.
    #[arg(long, env = "SHARDKV_MODE", default_value = "sharded")]
    mode: String,
    /// The certificate of the authority, that of this client, and its key. None of them is plaintext.
    #[arg(long, env = "SHARDKV_TLS_CA", requires_all = ["tls_cert", "tls_key"])]
    tls_ca: Option<PathBuf>,
    #[arg(long, env = "SHARDKV_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    #[arg(long, env = "SHARDKV_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// `tcp` or `quic`, which has to have them.
    #[arg(long, env = "SHARDKV_TRANSPORT", default_value = "tcp")]
    transport: String,
}

impl Args {
    fn carrier(&self) -> Result<Carrier, Box<dyn std::error::Error>> {
        match (self.transport.as_str(), self.security()?) {
            ("quic", Security::MutualTls(tls)) => Ok(Carrier::Quic(tls)),
            ("quic", Security::Plaintext) => Err("QUIC is never without TLS".into()),
            (_, security) => Ok(Carrier::Streams { network: Arc::new(TokioNetwork), security }),
        }
    }

    fn security(&self) -> Result<Security, Box<dyn std::error::Error>> {
        let (Some(authority), Some(certificate), Some(key)) =
            (self.tls_ca.clone(), self.tls_cert.clone(), self.tls_key.clone())
        else {
            return Ok(Security::Plaintext);
        };
        let credentials = Credentials::read(&CredentialFiles { authority, certificate, key })?;
        Ok(Security::MutualTls(Tls::new(&credentials)?))
    }
}

type ClerkError = kv::ClerkError<shardkv::Refusal>;

/// A client of either kind of cluster.
#[derive(Clone)]
enum Clerk {
    Plain(kv::Clerk),
    Sharded(shardkv::Clerk),
}

impl Clerk {
    fn new(args: &Args, seed: u64, carrier: &Carrier) -> Self {
        let caller = NetCaller::new(CallerConfig::new(seed), carrier.clone());
        let caller: Arc<dyn Caller> = Arc::new(GroupCaller::new(Arc::new(caller)));
        let deadline = Duration::from_millis(args.timeout_ms);
        let endpoints = args.endpoints.iter().map(|at| Address::from(at.as_str()));
        if args.mode == "plain" {
            let mut config = kv::ClerkConfig::default();
            (config.deadline, config.seed) = (deadline, seed);
            return Self::Plain(kv::Clerk::new(caller, endpoints, config));
        }
        let mut config = shardctrler::ClerkConfig::default();
        config.calls.seed = seed;
        // The controller is group 0.
        let endpoints = endpoints.map(|at| group_address(&at, GroupId(0)));
        let controller = shardctrler::Clerk::new(caller.clone(), endpoints, config);
        let mut config = shardkv::ClerkConfig::default();
        (config.deadline, config.calls) = (deadline, CallsConfig::default());
        config.calls.seed = seed;
        Self::Sharded(shardkv::Clerk::new(caller, controller, config))
    }

    async fn append(&self, key: &[u8], value: &[u8]) -> Result<Appended, ClerkError> {
        match self {
            Self::Plain(clerk) => clerk.append(key, value).await.map_err(either),
            Self::Sharded(clerk) => clerk.append(key, value).await,
        }
    }

    async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, ClerkError> {
        match self {
            Self::Plain(clerk) => clerk.get(key).await.map_err(either),
            Self::Sharded(clerk) => clerk.get(key).await,
        }
    }
}

fn either(error: kv::ClerkError) -> ClerkError {
    match error {
        kv::ClerkError::Refused(refusal) => ClerkError::Refused(refusal.into()),
        kv::ClerkError::NotDone(cause) => ClerkError::NotDone(cause),
        kv::ClerkError::Unknown(cause) => ClerkError::Unknown(cause),
    }
}

/// How many appends there are to a read.
const APPENDS_PER_READ: u64 = 8;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let carrier = match args.carrier() {
        Ok(carrier) => carrier,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (ending, ended) = watch::channel(false);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = ending.send(true);
    });
    let mut lanes = JoinSet::new();
    for number in 0..args.clerks {
        let seed = args.seed.wrapping_mul(1000).wrapping_add(number);
        let clerk = Clerk::new(&args, seed, &carrier);
        for lane in 0..args.lanes {
            lanes.spawn(run(clerk.clone(), args.clone(), number, lane, ended.clone()));
        }
    }
    lanes.join_all().await;
    ExitCode::SUCCESS
}

async fn run(clerk: Clerk, args: Args, number: u64, lane: u64, ended: watch::Receiver<bool>) {
    for count in 0_u64.. {
        // All keys of a lane are of one shard: its tokens have one order.
        let key = format!("token/{{{lane:02}}}/{:06}", count / args.tokens_per_key);
        let token = format!("{number}.{lane}.{count};");
        let mut acknowledged = None;
        while !*ended.borrow() && acknowledged.is_none() {
            match clerk.append(key.as_bytes(), token.as_bytes()).await {
                Ok(done) => {
                    say(&format!("ack {key} {token} {} {}", done.index.0, done.length));
                    acknowledged = Some(done.length);
                }
                Err(ClerkError::NotDone(cause)) => say(&format!("again {key} {token} {cause}")),
                Err(ClerkError::Unknown(cause)) => {
                    say(&format!("unknown {key} {token} {cause}"));
                    break;
                }
                Err(ClerkError::Refused(cause)) => say(&format!("refused {key} {token} {cause}")),
            }
            tokio::time::sleep(Duration::from_millis(args.pause_ms)).await;
        }
        if *ended.borrow() {
            return;
        }
        if let Some(length) = acknowledged.filter(|_| count % APPENDS_PER_READ == 0)
            && let Ok(found) = clerk.get(key.as_bytes()).await
        {
            let read = found.map_or(0, |found| found.value.len() as u64);
            if read < length {
                say(&format!("stale {key} {length} {read}"));
            }
        }
    }
}

/// A whole line at once: the reader gives it the time of its arrival.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        // Whoever started this is gone.
        std::process::exit(0);
    }
}
