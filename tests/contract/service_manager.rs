//! Guards what `clockout run` tells systemd, by the protocol of `sd_notify`: a datagram socket that hears it.

use std::os::unix::net::UnixDatagram;

use serde_json::json;

use crate::support::{poll, stage};

/// Waits until the worker has said all of this, in any order; a line that stands twice must have come twice.
async fn hears(socket: &UnixDatagram, wanted: &[&str]) {
    let missing = std::cell::RefCell::new(wanted.to_vec());
    poll(format_args!("{wanted:?}"), async || {
        let mut missing = missing.borrow_mut();
        let mut datagram = [0; 4096];
        while let Ok(length) = socket.recv(&mut datagram) {
            for line in String::from_utf8_lossy(&datagram[..length]).lines() {
                if let Some(found) = missing.iter().position(|wanted| *wanted == line) {
                    missing.remove(found);
                }
            }
        }
        missing.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn systemd_hears_that_the_worker_is_ready_alive_and_stopping() {
    let stage = stage().await;
    stage.faults(json!([{"effect": {"latency": {"ms": 2500, "jitter_ms": 0}}}]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let worker = stage
        .worker()
        .environment("NOTIFY_SOCKET", path.to_str().unwrap());
    let mut worker = worker.spawn();
    hears(
        &socket,
        &["READY=1", "STATUS=works", "WATCHDOG=1", "WATCHDOG=1"],
    )
    .await;

    stage
        .send(json!({"action": "pause", "queue": "1", "agent": "1"}))
        .await;
    stage.called(1).await;
    worker.signal("TERM");
    let stopping = [
        "STOPPING=1",
        "STATUS=stopping; jobs still held: 1",
        "WATCHDOG=1",
    ];
    hears(&socket, &stopping).await;
    assert!(worker.ended().await.success());
}
