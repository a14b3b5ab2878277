//! The client of `cargo xtask soak --netns`: appends and reads until stdin ends, and then judges what it was told.
//!
//! Prints lines: `answered N`, how many operations were answered so far, five times a second; at the end `right ...`,
//! and ends with 0, or `wrong ...`, and ends with 1.

#![forbid(unsafe_code)]

#[path = "../tests/common/witness.rs"]
mod witness;

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use raft_core::Address;
use raft_transport::{Carrier, CredentialFiles, Credentials, Security, Tls, TokioNetwork};
use tokio::sync::oneshot;
use witness::{Asking, Witness};

/// Appends and reads until stdin ends, and judges what it was told.
#[derive(Parser)]
struct Args {
    /// Where the nodes are.
    #[arg(long, value_delimiter = ',', required = true)]
    endpoints: Vec<String>,
    /// How many clients there are.
    #[arg(long, default_value_t = 4)]
    clients: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The certificate of the authority, that of this client, and its key.
    #[arg(long, env = "SHARDKV_TLS_CA")]
    tls_ca: PathBuf,
    #[arg(long, env = "SHARDKV_TLS_CERT")]
    tls_cert: PathBuf,
    #[arg(long, env = "SHARDKV_TLS_KEY")]
    tls_key: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match judge(Args::parse()).await {
        Ok(right) => {
            println!("right {right}");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            println!("wrong {wrong}");
            ExitCode::FAILURE
        }
    }
}

async fn judge(args: Args) -> Result<String, String> {
    let (authority, certificate, key) = (args.tls_ca, args.tls_cert, args.tls_key);
    let files = CredentialFiles { authority, certificate, key };
    let credentials = Credentials::read(&files).map_err(|error| error.to_string())?;
    let security = Security::MutualTls(Tls::new(&credentials).map_err(|error| error.to_string())?);
    let carrier = Carrier::Streams { network: Arc::new(TokioNetwork), security };
    let endpoints = args.endpoints.iter().map(|at| Address::from(at.as_str())).collect();
    let (clients, seed) = (args.clients, args.seed);
    let witness = Witness::start(Asking { endpoints, carrier, clients, seed });
    let (ending, mut ended) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = ending.send(());
    });
    let mut beat = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            biased;
            _ = &mut ended => break,
            _ = beat.tick() => println!("answered {}", witness.answered()),
        }
    }
    witness.finish().await.map(|judged| format!("{judged:?}"))
}
