//! Several services on one listener: a request says which group it is for.
//!
//! The address of a group's service is that of its node, `#`, and the group: `10.0.0.1:7101#2`. A
//! [`GroupCaller`] takes it apart and puts the group in front of the request; [`GroupServices`] takes it off
//! again and gives the request to the group's service. So a client of one group, which knows of addresses
//! only, is a client of one of many groups by its addresses alone, over one connection to each node.
//!
//! On the wire: 0x81 (this format), the group (8 bytes, little endian), the request.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use raft_core::{Address, BoxFuture, CallError, Caller, GroupId, Service};

const FORMAT: u8 = 0x81;
const HEADER: usize = 9;

/// Where a group's service is reached, at a node that is reached at `node`.
pub fn group_address(node: &Address, group: GroupId) -> Address {
    Address(format!("{}#{}", node.0, group.0))
}

/// The node's own address, and the group if the address names one.
///
/// # Errors
///
/// When what follows the `#` is no group.
pub fn split_address(address: &Address) -> Result<(Address, Option<GroupId>), CallError> {
    let Some((node, group)) = address.0.rsplit_once('#') else {
        return Ok((address.clone(), None));
    };
    match group.parse() {
        Ok(group) => Ok((Address::from(node), Some(GroupId(group)))),
        Err(_) => Err(CallError::NotSent { reason: format!("`{address}` names no group") }),
    }
}

/// Calls the services of groups by their [addresses](group_address). An address without a group is called
/// as it is.
#[derive(Clone)]
pub struct GroupCaller(Arc<dyn Caller>);

impl GroupCaller {
    /// Calls by `inner`.
    pub fn new(inner: Arc<dyn Caller>) -> Self {
        Self(inner)
    }
}

impl Caller for GroupCaller {
    fn call(&self, address: &Address, request: Bytes) -> BoxFuture<'_, Result<Bytes, CallError>> {
        let split = split_address(address);
        Box::pin(async move {
            match split? {
                (node, Some(group)) => self.0.call(&node, addressed(group, &request)).await,
                (node, None) => self.0.call(&node, request).await,
            }
        })
    }
}

fn addressed(group: GroupId, request: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(HEADER + request.len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&group.0.to_le_bytes());
    bytes.extend_from_slice(request);
    bytes.into()
}

/// The group and its request, if it is for a group.
fn unaddressed(request: &Bytes) -> Option<(GroupId, Bytes)> {
    let (header, _) = request.split_first_chunk::<HEADER>()?;
    let [FORMAT, group @ ..] = header else { return None };
    Some((GroupId(u64::from_le_bytes(*group)), request.slice(HEADER..)))
}

/// What is answered to a request for a group that is not here, or for no group.
pub type Stray = Box<dyn Fn(Option<GroupId>) -> Bytes + Send + Sync>;

/// The services of a node, by group: one service for a listener. Groups may come and go while it runs.
pub struct GroupServices {
    services: RwLock<BTreeMap<GroupId, Arc<dyn Service>>>,
    /// The group that requests are for that name none.
    unnamed: Option<GroupId>,
    stray: Stray,
}

impl GroupServices {
    /// These services, and what is answered to requests for others.
    pub fn new(services: BTreeMap<GroupId, Arc<dyn Service>>, stray: Stray) -> Self {
        Self { services: RwLock::new(services), unnamed: None, stray }
    }

    /// The same, with a group that requests are for that name none. While it is not here they are strays for no group.
    pub fn with_unnamed(self, group: GroupId) -> Self {
        Self { unnamed: Some(group), ..self }
    }

    /// Requests for `group` are for `service` from now on.
    pub fn insert(&self, group: GroupId, service: Arc<dyn Service>) {
        self.services.write().unwrap_or_else(PoisonError::into_inner).insert(group, service);
    }

    /// Requests for `group` are strays from now on; those that are under way go on.
    pub fn remove(&self, group: GroupId) {
        self.services.write().unwrap_or_else(PoisonError::into_inner).remove(&group);
    }

    fn service(&self, group: GroupId) -> Option<Arc<dyn Service>> {
        self.services.read().unwrap_or_else(PoisonError::into_inner).get(&group).cloned()
    }
}

impl Service for GroupServices {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        let (group, found) = match unaddressed(&request) {
            Some((group, inner)) => (Some(group), self.service(group).map(|it| (it, inner))),
            None => {
                let found = self.unnamed.and_then(|group| self.service(group));
                (None, found.map(|it| (it, request)))
            }
        };
        match found {
            Some((service, request)) => service.call(request),
            None => {
                let reply = (self.stray)(group);
                Box::pin(async move { reply })
            }
        }
    }
}
