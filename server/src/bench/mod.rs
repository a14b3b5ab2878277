//! `shardkv bench`: a closed loop of clients, each with one request outstanding.
//!
//! The client's own CPU counts on a machine that it shares with the nodes: everything runs on one thread,
//! keys are made in place, and a measurement is two looks at the clock and one count in a histogram.

mod load;
mod report;

use std::future::Future;

use crate::cli::BenchArgs;
use crate::client::{Clerk, ClerkError, clerk, failure};
use crate::exit::{Done, Exit, Failure};
use crate::run::print;
use load::{Load, Outcome};

/// Something to measure. Clones share a connection.
trait Target: Clone + 'static {
    fn put(&self, key: &[u8], value: &[u8]) -> impl Future<Output = Result<(), ClerkError>>;
    fn get(&self, key: &[u8]) -> impl Future<Output = Result<(), ClerkError>>;
}

impl Target for Clerk {
    async fn put(&self, key: &[u8], value: &[u8]) -> Result<(), ClerkError> {
        Clerk::put(self, key, value).await.map(|_| ())
    }

    async fn get(&self, key: &[u8]) -> Result<(), ClerkError> {
        Clerk::get(self, key).await.map(|_| ())
    }
}

pub(crate) async fn bench(args: BenchArgs) -> Done {
    let load = Load::new(&args)?;
    let connections = args.connections.min(args.clients);
    let each = args.clients.div_ceil(connections) as usize;
    let targets = (0..connections).map(|_| clerk(&args.connect, each));
    let targets: Vec<Clerk> = targets.collect::<Result<_, _>>()?;
    eprintln!(
        "bench: {} clients over {connections} connections, {} unmeasured, then {}",
        args.clients, args.warmup, args.duration
    );
    let ended = tokio::task::LocalSet::new().run_until(load.run(&targets)).await;
    let outcome = ended.map_err(|error| failure(error, &args.connect))?;
    if let (0, Some(error)) = (outcome.ops(), &outcome.first_error) {
        return Err(failure(error.clone(), &args.connect));
    }
    if outcome.ops() == 0 {
        return Err(Failure::new(Exit::Unreachable, "no request ended within the measured time")
            .hint("measure for longer, with --duration"));
    }
    let text = match args.json {
        true => report::json(&args, &outcome),
        false => report::table(&outcome),
    };
    print(text.as_bytes())
}
