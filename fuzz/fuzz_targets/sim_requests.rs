//! Whatever is sent to the simulated PBX: a call or members are answered, in JSON where it says so; fault rules are taken or
//! refused.
#![no_main]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use clockout::pbx::sim::{Options, Rule, Sim};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tokio::runtime::Runtime;

/// The simulated PBX and what drives it.
static PBX: LazyLock<(Runtime, Sim)> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let sim = runtime.block_on(Sim::start(any_port, Options::default()));
    (runtime, sim.expect("a port"))
});

const TARGETS: [&str; 4] = [
    "POST /api/v4/pbx/queues/batchpauseagent",
    "POST /api/v4/pbx/queues/batchremoveagent",
    "POST /api/v4/pbx/queues/batchaddagent",
    "PUT /sim/members",
];

fuzz_target!(|bytes: &[u8]| {
    if let Ok(rules) = serde_json::from_slice::<Vec<Rule>>(bytes) {
        // Not left standing: one that hangs would hang what follows.
        let _taken = PBX.1.set_faults(rules);
        PBX.1.set_faults(Vec::new()).expect("no rules at all");
    }
    let Some((pick, body)) = bytes.split_first() else {
        return;
    };
    let target = TARGETS[usize::from(*pick) % TARGETS.len()];
    let mut stream = TcpStream::connect(PBX.1.addr()).expect("the PBX listens");
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).expect("a patience");
    let length = body.len();
    let head = format!(
        "{target} HTTP/1.1\r\nhost: pbx\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    );
    // It may answer, and close, before it has read all.
    let _sent = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
    let mut answer = Vec::new();
    if stream.read_to_end(&mut answer).is_ok() {
        let answer = String::from_utf8(answer).expect("an answer in UTF-8");
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .expect("an answer with a head");
        let json = head.contains("application/json");
        assert!(
            !json || serde_json::from_str::<IgnoredAny>(body).is_ok(),
            "{answer}"
        );
    }
});
