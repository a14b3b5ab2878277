//! TCP that does not leave the machine.

mod common;

use common::soon;
use raft_core::Address;
use raft_transport::{LoopbackNetwork, Network};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn the_loopback_device_is_reached_by_address_and_by_name() {
    for host in ["127.0.0.1", "localhost"] {
        let mut listener = LoopbackNetwork.bind(&Address(format!("{host}:0"))).await.unwrap();
        let address = listener.address().clone();
        let mut dialled = soon(LoopbackNetwork.connect(&address)).await.unwrap();
        let (mut accepted, _) = soon(listener.accept()).await.unwrap();
        dialled.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        soon(accepted.read_exact(&mut heard)).await.unwrap();
        assert_eq!(&heard, b"hello");
    }
}

#[tokio::test]
async fn nothing_else_is_listened_at_or_dialled() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7101", "10.0.0.1:7101"] {
        let address = Address::from(address);
        let bound = LoopbackNetwork.bind(&address).await.err();
        let dialled = LoopbackNetwork.connect(&address).await.err();
        for error in [bound, dialled] {
            let error = error.unwrap_or_else(|| panic!("{address} was allowed"));
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{address}: {error}");
        }
    }
}
