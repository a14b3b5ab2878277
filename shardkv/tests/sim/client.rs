//! [`SimClient`]: a client whose calls are recorded, and answered in the labs' words.

use kv::ClerkError as Error;
use raft_core::LogIndex;
use raft_sim::shardkv::ShardClerk;
use shardkv::{Clerk, Refusal};

type ClerkError = Error<Refusal>;

pub struct SimClient {
    recorded: ShardClerk,
    /// What is done with it is not recorded: writes show up as nobody's.
    pub clerk: Clerk,
}

impl SimClient {
    pub fn new(recorded: ShardClerk) -> Self {
        Self { clerk: recorded.clerk().clone(), recorded }
    }

    pub async fn get(&mut self, key: impl AsRef<[u8]>) -> Result<Option<String>, ClerkError> {
        let found = self.recorded.get(key).await?;
        Ok(found.map(|it| String::from_utf8_lossy(&it.value).into_owned()))
    }

    pub async fn put(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<LogIndex, ClerkError> {
        self.recorded.put(key, value).await
    }

    pub async fn append(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<u64, ClerkError> {
        self.recorded.append(key, value).await.map(|it| it.length)
    }

    pub async fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<bool, ClerkError> {
        self.recorded.delete(key).await.map(|it| it.existed)
    }
}
