//! Several services on one listener.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use raft_core::{Address, BoxFuture, CallError, Caller, GroupId, Service};
use raft_transport::{GroupCaller, GroupServices, group_address, split_address};

/// Says its name and what it was asked.
struct Named(&'static str);

impl Service for Named {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        let reply = [self.0.as_bytes(), b":", &request].concat();
        Box::pin(async move { reply.into() })
    }
}

/// A network of one node.
struct Direct(GroupServices);

impl Caller for Direct {
    fn call(&self, address: &Address, request: Bytes) -> BoxFuture<'_, Result<Bytes, CallError>> {
        assert_eq!(address.0, "a:1", "the node's own address");
        let reply = self.0.call(request);
        Box::pin(async move { Ok(reply.await) })
    }
}

fn services() -> GroupServices {
    let services: BTreeMap<GroupId, Arc<dyn Service>> = BTreeMap::from([
        (GroupId(0), Arc::new(Named("zero")) as Arc<dyn Service>),
        (GroupId(u64::MAX), Arc::new(Named("last"))),
    ]);
    GroupServices::new(services, Box::new(|group| format!("not {group:?}").into()))
}

#[tokio::test]
async fn a_request_reaches_the_service_of_its_group_and_no_other() {
    let caller = GroupCaller::new(Arc::new(Direct(services())));
    let at = |group| group_address(&"a:1".into(), GroupId(group));
    assert_eq!(caller.call(&at(0), "x".into()).await.unwrap(), "zero:x");
    assert_eq!(caller.call(&at(u64::MAX), "".into()).await.unwrap(), "last:");
    let stray = caller.call(&at(1), "x".into()).await.unwrap();
    assert_eq!(stray, format!("not {:?}", Some(GroupId(1))));
    assert_eq!(caller.call(&"a:1".into(), "x".into()).await.unwrap(), "not None");
    let nowhere = caller.call(&"a:1#x".into(), "x".into()).await;
    assert!(matches!(nowhere, Err(CallError::NotSent { .. })), "{nowhere:?}");
}

#[tokio::test]
async fn services_come_and_go_and_one_is_for_what_names_none() {
    let services = services().with_unnamed(GroupId(3));
    let ask = async |request: &'static [u8]| services.call(Bytes::from_static(request)).await;
    let of_three = b"\x81\x03\0\0\0\0\0\0\0x";
    assert_eq!(ask(b"x").await, "not None");
    services.insert(GroupId(3), Arc::new(Named("three")));
    assert_eq!(ask(b"x").await, "three:x");
    assert_eq!(ask(of_three).await, "three:x");
    services.remove(GroupId(3));
    assert_eq!(ask(b"x").await, "not None");
    assert_eq!(ask(of_three).await, format!("not {:?}", Some(GroupId(3))));
}

#[tokio::test]
async fn whatever_bytes_come_are_answered() {
    let services = services();
    for length in 0..20 {
        for first in [0, 1, 0x80, 0x81, 0x82, 0xff] {
            let mut request = vec![7; length];
            if let Some(byte) = request.first_mut() {
                *byte = first;
            }
            let reply = services.call(request.into()).await;
            assert!(reply.starts_with(b"not "), "{length} bytes");
        }
    }
}

#[test]
fn an_address_is_what_was_put_together() {
    let at = group_address(&"[::1]:7".into(), GroupId(12));
    assert_eq!(at.0, "[::1]:7#12");
    assert_eq!(split_address(&at), Ok((Address::from("[::1]:7"), Some(GroupId(12)))));
    assert_eq!(split_address(&"a:1".into()), Ok((Address::from("a:1"), None)));
    assert!(split_address(&"a:1#".into()).is_err());
}
