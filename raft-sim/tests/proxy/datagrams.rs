//! Over UDP on the loopback device, which loses nothing that is this little.

use std::net::SocketAddr;
use std::time::Duration;

use raft_sim::proxy::{DatagramProxy, Delay, Rate, Rules, Way};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(30);

struct Setup {
    target: UdpSocket,
    sender: UdpSocket,
    proxy: DatagramProxy,
}

impl Setup {
    async fn new() -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let target = UdpSocket::bind(any).await.unwrap();
        let proxy = DatagramProxy::start(any, target.local_addr().unwrap(), 1).await.unwrap();
        let sender = UdpSocket::bind(any).await.unwrap();
        sender.connect(proxy.address()).await.unwrap();
        Self { target, sender, proxy }
    }

    async fn ruled(rules: Rules) -> Self {
        let setup = Self::new().await;
        setup.proxy.control().set(Way::ToTarget, rules);
        setup
    }

    /// Datagrams with one byte each, and, after them, as they are, one that is the last.
    async fn send(&self, bytes: impl IntoIterator<Item = u8>) {
        let before = self.handled();
        let mut sent = 0;
        for byte in bytes {
            self.sender.send(&[byte]).await.unwrap();
            sent += 1;
        }
        // They went through the rules that were set.
        let all = async {
            while self.handled() < before + sent {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, all).await.expect("they come");
        self.proxy.control().set(Way::ToTarget, Rules::default());
        self.proxy.control().heal(Way::ToTarget);
        self.sender.send(b"end").await.unwrap();
    }

    /// How many datagrams came to their fate.
    fn handled(&self) -> u64 {
        let it = self.proxy.control().counters();
        it.passed + it.dropped + it.duplicated + it.swapped + it.flipped + it.delayed + it.lost
    }

    async fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 64];
        let (len, from) =
            timeout(PATIENCE, self.target.recv_from(&mut buffer)).await.expect("it comes").unwrap();
        (buffer[..len].to_vec(), from)
    }

    /// What comes before the last.
    async fn came(&self) -> Vec<u8> {
        let mut came = Vec::new();
        loop {
            match self.receive().await.0.as_slice() {
                b"end" => return came,
                bytes => came.extend_from_slice(bytes),
            }
        }
    }
}

#[tokio::test]
async fn without_rules_everything_passes_both_ways() {
    let setup = Setup::new().await;
    setup.send(0..50).await;
    assert_eq!(setup.came().await, (0..50).collect::<Vec<_>>());
    let (_, proxy) = {
        setup.sender.send(b"whence").await.unwrap();
        setup.receive().await
    };
    setup.target.send_to(b"back", proxy).await.unwrap();
    let mut buffer = [0; 64];
    let len = timeout(PATIENCE, setup.sender.recv(&mut buffer)).await.expect("it comes").unwrap();
    assert_eq!(&buffer[..len], b"back");
    assert_eq!(setup.proxy.control().counters().connections, 1);
}

#[tokio::test]
async fn each_rule_does_what_it_says() {
    let always = Rate::ALWAYS;
    let setup = Setup::ruled(Rules { drop: always, ..Rules::default() }).await;
    setup.send(0..20).await;
    assert!(setup.came().await.is_empty());
    assert_eq!(setup.proxy.control().counters().dropped, 20);
    let setup = Setup::ruled(Rules { duplicate: always, ..Rules::default() }).await;
    setup.send(0..20).await;
    assert_eq!(setup.came().await, (0..20).flat_map(|n| [n, n]).collect::<Vec<_>>());
    let setup = Setup::ruled(Rules { swap: always, ..Rules::default() }).await;
    setup.send(0..6).await;
    assert_eq!(setup.came().await, [1, 0, 3, 2, 5, 4]);
    let setup = Setup::ruled(Rules { flip: always, ..Rules::default() }).await;
    setup.send([0; 20]).await;
    let came = setup.came().await;
    assert!(came.len() == 20 && came.iter().all(|byte| byte.count_ones() == 1), "{came:?}");
}

#[tokio::test]
async fn what_is_delayed_takes_so_long_and_what_is_cut_is_lost() {
    let long = Duration::from_millis(300);
    let delay = Delay { rate: Rate::ALWAYS, range: long..=long };
    let setup = Setup::ruled(Rules { delay, ..Rules::default() }).await;
    let begun = Instant::now();
    let mut late = Vec::new();
    for byte in 0..5 {
        setup.sender.send(&[byte]).await.unwrap();
    }
    for _ in 0..5 {
        late.extend(setup.receive().await.0);
        assert!(begun.elapsed() >= long, "{:?}", begun.elapsed());
    }
    late.sort_unstable();
    assert_eq!(late, [0, 1, 2, 3, 4]);
    assert_eq!(setup.proxy.control().counters().delayed, 5);
    setup.proxy.control().set(Way::ToTarget, Rules::default());
    setup.proxy.control().cut(Way::ToTarget);
    setup.send(0..5).await;
    assert!(setup.came().await.is_empty());
    assert_eq!(setup.proxy.control().counters().lost, 5);
}
