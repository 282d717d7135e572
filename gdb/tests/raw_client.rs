//! A client that behaves badly: the session survives, and so does the connection.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "support/client.rs"]
mod client;
#[expect(dead_code, reason = "shared with the tests that start gdb")]
mod support;

use std::io::Write;

use client::Client;
use flob_gdb::packet::{Incoming, frame};
use support::{FakeGuest, Server};

fn start() -> (FakeGuest, Server) {
    let guest = FakeGuest::new();
    let server = Server::start(&guest);
    (guest, server)
}

#[test]
fn packets_that_make_no_sense_are_answered_and_the_connection_goes_on() {
    let (_, server) = start();
    let mut client = Client::connect(&server);
    assert!(client.ask(b"qSupported:multiprocess+").contains("qXfer:threads:read+"));
    for malformed in ["Hg-1", "vCont;t", "mzz", "m0", "vCont;s", "G00", "P", "Z0", "vFile:open:zz,0,0", "T0"]
    {
        let answer = client.ask(malformed.as_bytes());
        assert!(answer.starts_with('E') || answer.starts_with("F-1"), "{malformed}: {answer}");
    }
    assert_eq!(client.ask(b"vMustReplyEmpty"), "");
    assert_eq!(client.ask(b"?"), "T05thread:p1.1;");
}

#[test]
fn a_nack_brings_the_answer_again_and_damage_is_asked_for_again() {
    let (_, server) = start();
    let mut client = Client::connect(&server);
    assert_eq!(client.ask(b"qAttached"), "1");
    client.stream.write_all(b"-").unwrap();
    assert_eq!(client.packet(), "1");
    client.stream.write_all(b"$qAttached#00").unwrap();
    assert_eq!(client.next(), Incoming::Again);
    assert_eq!(client.ask(b"qAttached"), "1");
}

#[test]
fn while_the_program_runs_questions_are_refused_and_ctrl_c_works() {
    let (_, server) = start();
    let mut client = Client::connect(&server);
    client.ask(b"qSupported:multiprocess-");
    client.stream.write_all(&frame(b"vCont;c")).unwrap();
    assert_eq!(client.ask(b"g"), "E10");
    client.stream.write_all(&[3]).unwrap();
    assert!(client.packet().starts_with("T02thread:01;"));
    assert_eq!(client.ask(b"g").len(), 2 * flob_gdb::arch::REGISTER_BYTES);
}

#[test]
fn lldb_is_told_the_memory_regions() {
    let (_, server) = start();
    let mut client = Client::connect(&server);
    assert_eq!(client.ask(b"qMemoryRegionInfo:401000"), "start:400000;size:100000;permissions:rx;");
    assert_eq!(client.ask(b"qMemoryRegionInfo:0"), "start:0;size:400000;");
    assert!(client.ask(b"qMemoryRegionInfo:7fff0000").starts_with("start:500000;size:"));
}

#[test]
fn memory_that_is_not_there_is_an_error_and_what_is_there_comes() {
    let (_, server) = start();
    let mut client = Client::connect(&server);
    assert_eq!(client.ask(b"m0,8"), "E0e");
    assert_eq!(client.ask(b"mfffffffffffffff8,100"), "E0e");
    assert_eq!(client.ask(b"m7fff0ffc,100"), "00000000", "up to the end of the memory");
}

#[test]
fn no_packet_ends_the_connection() {
    let (_, server) = start();
    let seed = std::env::var("FLOB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x9e37_79b9u64);
    println!("FLOB_SEED={seed}");
    let mut client = Client::connect(&server);
    assert_eq!(client.ask(b"QStartNoAckMode"), "OK");
    let mut state = seed | 1;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    // Beginnings that are served, with random tails. Those that resume or detach are left out: they answer later or never.
    let names: [&[u8]; 22] = [
        b"?",
        b"g",
        b"G",
        b"p",
        b"P",
        b"m",
        b"M",
        b"X",
        b"Hg",
        b"Hc",
        b"T",
        b"Z0,",
        b"z0,",
        b"qXfer:",
        b"vFile:open:",
        b"vFile:pread:",
        b"qRcmd,",
        b"qThreadExtraInfo,",
        b"qMemoryRegionInfo:",
        b"qSupported:",
        b"vCont?",
        b"qC",
    ];
    for _ in 0..5000 {
        let mut body = names[random(names.len() as u64) as usize].to_vec();
        for _ in 0..random(12) {
            body.push(b"0123456789abcdefp.,;:-=x\x00\xff"[random(26) as usize]);
        }
        client.ask(&body);
    }
    assert!(client.ask(b"?").starts_with('T'), "it still serves");
}
