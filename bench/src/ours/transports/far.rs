//! The other side: answers messages and calls until its input ends.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raft_core::{
    AppendEntriesReply, AppendOutcome, BoxFuture, Envelope, InstallProgress, InstallSnapshotReply,
    Message, Service, Transport,
};
use raft_transport::NetTransport;

use super::{FAR, NEAR, Over, config};
use crate::sample::Missing;

/// Answers with what it is asked.
struct Echo;

impl Service for Echo {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        Box::pin(async move { request })
    }
}

/// Runs it, and says on the standard output where it listens.
pub(crate) fn run(over: Over, dir: &Path) -> Result<(), Missing> {
    std::thread::spawn(|| {
        // Whatever becomes of the process that has started this one, nothing is left.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // It is always dialled: where the other side listens is of no account.
        let peers = |node| (node == NEAR).then(|| "127.0.0.1:1".into());
        let carrier = over.carrier(dir, "node-2")?;
        let transport = NetTransport::bind(config(FAR), carrier, Arc::new(peers)).await?;
        transport.serve(Arc::new(Echo));
        println!("{}", transport.address());
        std::io::stdout().flush()?;
        answer(&transport).await;
        Ok(())
    })
}

/// Answers messages for ever.
pub(super) async fn answer(transport: &impl Transport) {
    let (mut inbox, mut answers) = (Vec::new(), Vec::new());
    while transport.receive(&mut inbox).await.is_ok() {
        answers.extend(inbox.drain(..).filter_map(answer_to));
        transport.send(&mut answers);
    }
}

fn answer_to(message: Envelope) -> Option<Envelope> {
    let Envelope { group, from, to, term, message } = message;
    let message = match message {
        Message::AppendEntries(append) => {
            let outcome = AppendOutcome::Accepted { matched: append.prev.index };
            Message::AppendEntriesReply(AppendEntriesReply { round: append.round, outcome })
        }
        Message::InstallSnapshot(install) => {
            let next_offset = install.chunk.offset + install.chunk.data.len() as u64;
            let progress = InstallProgress::Receiving { next_offset };
            let (round, last) = (install.round, install.meta.last);
            Message::InstallSnapshotReply(InstallSnapshotReply { round, last, progress })
        }
        _ => return None,
    };
    Some(Envelope { group, from: to, to: from, term, message })
}

/// The other side of a network within this process.
pub(super) fn beside(transport: raft_transport::ChannelTransport) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.map(|runtime| runtime.block_on(answer(&transport)))
    });
}
