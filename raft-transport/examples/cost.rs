//! What a request costs the server: CPU time of its thread, for a service that answers with the request.
use bytes::Bytes;
use raft_core::*;
use raft_transport::*;
use std::sync::Arc;
struct Echo;
impl Service for Echo {
    fn call(&self, r: Bytes) -> BoxFuture<'static, Bytes> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            r
        })
    }
}
fn cpu(tid: &str) -> f64 {
    let s = std::fs::read_to_string(format!("/proc/self/task/{tid}/schedstat")).unwrap();
    s.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e3
}
fn tid() -> String {
    std::fs::read_link("/proc/thread-self").unwrap().file_name().unwrap().to_str().unwrap().into()
}
fn main() {
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        rt.block_on(async {
            let c =
                TcpConfig::new(ClusterId(1), NodeId(1), Incarnation(1), "127.0.0.1:0".into(), 1);
            let t = TcpTransport::bind(c, Arc::new(TokioNetwork), Arc::new(|_: NodeId| None))
                .await
                .unwrap();
            t.serve(Arc::new(Echo));
            tx.send((t.address().clone(), tid())).unwrap();
            std::future::pending::<()>().await;
        })
    });
    let (addr, server) = rx.recv().unwrap();
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    rt.block_on(async {
        let caller = Arc::new(TcpCaller::new(CallerConfig::new(1), Arc::new(TokioNetwork)));
        for window in [1, 16, 64, 256] {
            let n = 300_000 / if window == 1 { 10 } else { 1 };
            let (a, b) = (cpu(&server), cpu(&tid()));
            let at = tokio::time::Instant::now();
            let mut set = tokio::task::JoinSet::new();
            for _ in 0..window {
                let (caller, addr) = (caller.clone(), addr.clone());
                set.spawn(async move {
                    for _ in 0..n / window {
                        caller.call(&addr, Bytes::from_static(&[1; 256])).await.unwrap();
                    }
                });
            }
            set.join_all().await;
            println!(
                "window {window}: {:.0}/s, server {:.2} us, client {:.2} us",
                n as f64 / at.elapsed().as_secs_f64(),
                (cpu(&server) - a) / n as f64,
                (cpu(&tid()) - b) / n as f64
            );
        }
    });
}
