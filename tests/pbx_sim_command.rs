//! The promise of `clockout pbx-sim`: one line with its address on standard output, then service until SIGTERM.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail it, too")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_clockout"))
        .arg("pbx-sim")
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

#[test]
fn it_prints_its_address_serves_there_and_ends_on_sigterm_with_0() {
    let mut sim = start(&["--listen", "127.0.0.1:0", "--members", "1:2,1:3"]);
    let mut out = BufReader::new(sim.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("http://").unwrap();
    assert!(get(address, "/sim/state").contains(r#"{"1":{"2":{"member":true"#));

    let kill = Command::new("kill")
        .arg(sim.id().to_string())
        .status()
        .unwrap();
    assert!(kill.success());
    assert_eq!(sim.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn what_it_does_not_understand_is_a_usage_error() {
    for arguments in [
        ["--members", "1"],
        ["--latency", "5"],
        ["--listen", "nowhere"],
        ["--password", "without-a-name"],
    ] {
        let output = start(&arguments).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
}
