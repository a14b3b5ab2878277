//! [`SimClient`]: a production clerk whose calls go into the history.

use std::future::Future;

use bytes::Bytes;
use kv::ClerkError as Error;
use raft_core::node::{GroupStatus, ProposalError, QueryError};
use raft_core::{LogId, LogIndex, RoleChange, StateMachine};
use raft_sim::checker::models::{Got, KvInput, KvOp, KvOutput};
use raft_sim::history::{Client, Recorder};
use raft_sim::net::HostId;
use shardkv::{Clerk, ClerkError};
use tokio::sync::watch;

use super::node::Watched;

/// What servers see of a watched group: the state machine in it.
pub struct Replicas<S: StateMachine>(pub Watched<S>);

impl<S: StateMachine> Clone for Replicas<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

macro_rules! replica {
    ($replica:path, $machine:ty, $output:ty) => {
        impl $replica for Replicas<$machine> {
            fn propose(
                &self,
                command: Bytes,
            ) -> impl Future<Output = Result<$output, ProposalError>> + Send + 'static {
                let applied = self.0.propose(command);
                async move { applied.await.map(|applied| applied.output) }
            }

            fn read<T: Send + 'static>(
                &self,
                look: impl FnOnce(&$machine) -> T + Send + 'static,
            ) -> impl Future<Output = Result<T, QueryError>> + Send {
                self.0.read(|machine| look(machine.inner()))
            }

            fn peek<T>(&self, look: impl FnOnce(LogId, &$machine) -> T) -> T {
                self.0.peek(|applied, machine| look(applied, machine.inner()))
            }

            fn changes(&self) -> watch::Receiver<RoleChange> {
                self.0.changes()
            }

            fn status(&self) -> GroupStatus {
                self.0.status()
            }
        }
    };
}

replica!(shardctrler::Replica, shardctrler::Controller, shardctrler::Output);
replica!(shardkv::Replica, shardkv::ShardStore, shardkv::Output);

/// A client that does one thing at a time. Of all it asks and is told there is a record.
pub struct SimClient {
    pub host: HostId,
    pub clerk: Clerk,
    recorder: Recorder<KvInput, KvOutput>,
    client: Client<KvInput, KvOutput>,
}

fn bytes(text: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(text.as_ref())
}

impl SimClient {
    pub fn new(host: HostId, clerk: Clerk, recorder: Recorder<KvInput, KvOutput>) -> Self {
        let client = recorder.client();
        Self { host, clerk, recorder, client }
    }

    /// Another client in the same process, with the same sessions.
    pub fn fork(&self) -> Self {
        Self::new(self.host, self.clerk.clone(), self.recorder.clone())
    }

    pub async fn get(&mut self, key: impl AsRef<[u8]>) -> Result<Option<String>, ClerkError> {
        let key = bytes(key);
        let call = self.client.call(KvInput { key: key.clone(), op: KvOp::Get });
        let result = self.clerk.get(&key).await;
        match &result {
            Ok(None) => call.returned(KvOutput::Got(Got::Missing)),
            Ok(Some(it)) => call.returned(KvOutput::Got(Got::Found {
                value: it.value.clone(),
                version: Some(it.version.0),
            })),
            Err(_) => call.had_no_effect(),
        }
        Ok(result?.map(|it| String::from_utf8_lossy(&it.value).into_owned()))
    }

    pub async fn put(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<LogIndex, ClerkError> {
        let (key, value) = (bytes(key), bytes(value));
        let op = KvOp::Put(value.clone());
        let call = self.client.call(KvInput { key: key.clone(), op });
        let result = self.clerk.put(&key, &value).await;
        match &result {
            Ok(index) => call.returned(KvOutput::Done { index: Some(index.0) }),
            Err(Error::Unknown(_)) => call.unanswered(),
            Err(_) => call.had_no_effect(),
        }
        result
    }

    pub async fn append(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<u64, ClerkError> {
        let (key, value) = (bytes(key), bytes(value));
        let op = KvOp::Append(value.clone());
        let call = self.client.call(KvInput { key: key.clone(), op });
        let result = self.clerk.append(&key, &value).await;
        match &result {
            Ok(it) => call
                .returned(KvOutput::Appended { index: Some(it.index.0), length: Some(it.length) }),
            Err(Error::Unknown(_)) => call.unanswered(),
            Err(_) => call.had_no_effect(),
        }
        result.map(|it| it.length)
    }

    pub async fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<bool, ClerkError> {
        let key = bytes(key);
        let call = self.client.call(KvInput { key: key.clone(), op: KvOp::Delete });
        let result = self.clerk.delete(&key).await;
        match &result {
            Ok(it) => call
                .returned(KvOutput::Deleted { index: Some(it.index.0), existed: Some(it.existed) }),
            Err(Error::Unknown(_)) => call.unanswered(),
            Err(_) => call.had_no_effect(),
        }
        result.map(|it| it.existed)
    }
}
