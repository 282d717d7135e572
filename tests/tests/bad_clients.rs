//! Clients that send garbage, half packets, packets without end, and go without a word, at the gdb port and the session's socket of
//! a program that runs: the session survives, nothing of them stays, the next debugger works and the program's result is right.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use fastrand::Rng;
use flob_link::{Memory, Scope};
use flob_session::{FromHub, HubRequest, Owner, ToHub, wire};
use flob_tests::{
    World,
    debugged::{Session, assert_has, wordcount},
};

/// Packets that debuggers send, whole or as beginnings; none that writes memory or registers, or begins the program anew: its
/// result is to be that of the undisturbed run.
const PACKETS: &[&str] = &[
    "?",
    "g",
    "p",
    "m401000,40",
    "m",
    "Hg1",
    "Hc-1",
    "T1",
    "Z0,401000,1",
    "Z0,",
    "z0,401000,1",
    "Z1,401010,1",
    "Z2,422000,8",
    "z2,422000,8",
    "Z4,ffffffffffffffff,8",
    "vCont;c",
    "vCont;s:1",
    "vCont;s:1;c",
    "vCont;t",
    "vCont;r401000,401010:1",
    "c",
    "s",
    "D",
    "k",
    "vKill;1",
    "!",
    "vAttach;1",
    "vAttach;ffff",
    "vRun;zz",
    "qXfer:threads:read::0,fff",
    "qXfer:osdata:read:processes:0,fff",
    "qXfer:features:read:target.xml:0,fff",
    "vFile:open:2f,0,0",
    "vFile:pread:0,40,0",
    "qRcmd,666c6f6273",
    "qRcmd,7",
    "qThreadExtraInfo,1",
    "qMemoryRegionInfo:401000",
    "qSupported:multiprocess+",
    "QStartNoAckMode",
    "qfThreadInfo",
    "qC",
];

fn frame(body: &[u8]) -> Vec<u8> {
    let sum = body.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    [b"$", body, format!("#{sum:02x}").as_bytes()].concat()
}

/// What a bad debugger sends at once.
fn gdb_piece(random: &mut Rng) -> Vec<u8> {
    let whole = frame(PACKETS[random.usize(..PACKETS.len())].as_bytes());
    match random.u8(..10) {
        0 => (0..random.usize(1..2000)).map(|_| random.u8(..)).collect(),
        1 => whole[..random.usize(1..whole.len())].to_vec(),
        2 => [b"$".as_slice(), &vec![b'a'; random.usize(0x1_0000..0x4_0000)]].concat(),
        3 => vec![*b"\x03+-".get(random.usize(..3)).unwrap(); random.usize(1..20)],
        4 => {
            let mut damaged = whole;
            let at = random.usize(..damaged.len());
            damaged[at] ^= 1 << random.u8(..7);
            damaged
        }
        _ => whole,
    }
}

/// Whether what is left of a damaged packet could still mean something that lasts.
fn is_harmless(piece: &[u8]) -> bool {
    ![b"$G", b"$M", b"$X", b"$P", b"$R"].iter().any(|start| piece.windows(2).any(|pair| pair == *start))
}

/// One connection from its beginning to its sudden end.
fn bad_debugger(random: &mut Rng, port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    for _ in 0..random.usize(1..12) {
        let piece = gdb_piece(random);
        if is_harmless(&piece) && stream.write_all(&piece).is_err() {
            return;
        }
        // Now and then it listens; what it hears is no matter.
        if random.bool() {
            let mut room = [0; 4096];
            match stream.read(&mut room) {
                Ok(0) => return,
                Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
                _ => {}
            }
        }
    }
    if random.bool() {
        let _ = stream.shutdown(Shutdown::Write);
    }
}

/// What a bad client of the hub sends: no whole message of it does anything that outlives it.
fn hub_piece(random: &mut Rng) -> Vec<u8> {
    let owner = Owner::Client(format!("bad-{}", random.u32(..)));
    let (space, address) = (random.u64(..0x10_0000) & !0x1ff, random.u64(..));
    let request = match random.u8(..9) {
        0 => HubRequest::Info,
        1 => HubRequest::Look { vectors: random.bool() },
        2 => HubRequest::Read { memory: Memory::Space(space), address, count: random.u32(..) },
        3 => HubRequest::Hold { owner, scope: Scope::Environment },
        4 => HubRequest::Hold { owner, scope: Scope::Thread(space) },
        5 => HubRequest::SetBreakpoint { owner, space, address },
        6 => HubRequest::Step { owner, thread: space, within: None },
        7 => HubRequest::Trace { from: address },
        _ => HubRequest::Subscribe,
    };
    let mut whole = Vec::new();
    wire::write(&mut whole, &ToHub { number: random.u32(..), request }).unwrap();
    match random.u8(..6) {
        0 => whole[..random.usize(1..whole.len())].to_vec(),
        // A length beyond all messages, or one that nothing follows.
        1 => [&random.u32(..).to_le_bytes()[..], &whole].concat(),
        2 => garbage(random),
        _ => whole,
    }
}

/// A message of random bytes, as long as it says, that is none.
fn garbage(random: &mut Rng) -> Vec<u8> {
    loop {
        let bytes: Vec<u8> = (0..random.usize(..64)).map(|_| random.u8(..)).collect();
        let length = u32::try_from(bytes.len()).unwrap();
        let message = [&length.to_le_bytes()[..], &bytes].concat();
        if wire::read::<ToHub>(&mut message.as_slice()).is_err() {
            return message;
        }
    }
}

/// Whether nothing of it outlives the client where all this is read in one: the beginning of a message may be made whole by the next,
/// and mean something else.
fn is_over_with_it(mut sent: &[u8]) -> bool {
    while let Ok(ToHub { request, .. }) = wire::read(&mut sent) {
        let is_over = match request {
            HubRequest::Info
            | HubRequest::Look { .. }
            | HubRequest::Read { .. }
            | HubRequest::Trace { .. }
            | HubRequest::Subscribe => true,
            HubRequest::Hold { owner, .. }
            | HubRequest::SetBreakpoint { owner, .. }
            | HubRequest::Step { owner, .. } => owner != Owner::User,
            _ => false,
        };
        if !is_over {
            return false;
        }
    }
    true
}

#[test]
fn half_a_message_can_become_another_one() {
    let message = |request| {
        let mut whole = Vec::new();
        wire::write(&mut whole, &ToHub { number: u32::MAX, request }).unwrap();
        whole
    };
    let half = message(HubRequest::Hold { owner: Owner::Client("bad".into()), scope: Scope::Environment });
    // Its length and its number; what it asks, and by whom, the length of the next one says: that the user holds everything.
    let sent = [&half[..9], &message(HubRequest::Info)].concat();
    let ToHub { request, .. } = wire::read(&mut sent.as_slice()).unwrap();
    assert!(matches!(request, HubRequest::Hold { owner: Owner::User, scope: Scope::Environment }));
    assert!(!is_over_with_it(&sent));
}

fn bad_client(random: &mut Rng, socket: &PathBuf) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut sent = Vec::new();
    for _ in 0..random.usize(1..10) {
        let piece = hub_piece(random);
        if !is_over_with_it(&[&*sent, &piece].concat()) {
            continue;
        }
        sent.extend_from_slice(&piece);
        if stream.write_all(&piece).is_err() {
            return;
        }
        let mut room = [0; 4096];
        if random.bool() && matches!(stream.read(&mut room), Ok(0)) {
            return;
        }
    }
}

/// Nothing is held, nothing is planted, and gdb works.
#[track_caller]
fn next_gdb_works(world: &World, session: &Session<'_>, target: &str) {
    world.wait_until("nothing of the bad clients stays", || {
        session.session()["holders"].as_array().unwrap().is_empty()
            && session.guest.json(&["break", "--list", "--json"]).as_array().unwrap().is_empty()
    });
    let text = session
        .gdb(target, &["tbreak wordcount::work::add_up", "continue", "info threads", "stepi", "detach"])
        .finish();
    assert_has(&text.stdout, &["hit Temporary breakpoint 1", "\"worker-0\" (", "detached]"]);
}

#[test]
fn garbage_at_the_gdb_port_and_sudden_ends_leave_the_session_as_it_was() {
    let mut random = Rng::with_seed(flob_tests::seed());
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let world = World::new();
    let session = wordcount(&world, &["--gdb", &port.to_string()]);
    for _ in 0..flob_tests::rounds(40) {
        bad_debugger(&mut random, port);
    }
    next_gdb_works(&world, &session, &format!(":{port}"));
    session.ends_well();
}

#[test]
fn garbage_at_the_sessions_socket_and_sudden_ends_leave_the_session_as_it_was() {
    let mut random = Rng::with_seed(flob_tests::seed());
    let world = World::new();
    let session = wordcount(&world, &[]);
    let socket = world.path("run").join("flob").join(format!("{}.session", session.guest.name));
    for _ in 0..flob_tests::rounds(40) {
        bad_client(&mut random, &socket);
    }
    next_gdb_works(&world, &session, &session.socket());
    session.ends_well();
}

#[test]
fn a_debugger_that_sends_and_never_listens_does_not_fill_the_memory() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let mut stream = UnixStream::connect(session.socket()).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    // Each is asked for again, and nobody takes the asking.
    let damaged = b"$g#00".repeat(20_000);
    let mut sent = 0;
    while sent < 64 << 20 {
        match stream.write(&damaged) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
    }
    assert!(sent < 64 << 20, "{sent} bytes were taken of a client that does not listen");
    drop(stream);
    next_gdb_works(&world, &session, &session.socket());
    session.ends_well();
}

/// It asks for more than is kept for it, and wants to be told of everything.
#[test]
fn a_client_that_never_reads_is_cut_off_and_told_so_and_nobody_else_notices() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let socket = world.path("run").join("flob").join(format!("{}.session", session.guest.name));
    let mut stream = UnixStream::connect(socket).unwrap();
    let memory = Memory::Environment;
    let read = HubRequest::Read { memory, address: 0, count: 1 << 20 };
    let requests = [HubRequest::Subscribe].into_iter().chain(std::iter::repeat_n(read, 40));
    for (number, request) in (1..).zip(requests) {
        wire::write(&mut stream, &ToHub { number, request }).unwrap();
    }
    // Nothing more is read of one that is cut off.
    world.wait_until("it is cut off", || {
        session.guest.flob_ok(&["pause"]);
        session.guest.flob_ok(&["resume"]);
        wire::write(&mut stream, &ToHub { number: u32::MAX, request: HubRequest::Info }).is_err()
    });
    let (mut answers, mut last) = (0, None);
    while let Ok(message) = wire::read::<FromHub>(&mut stream) {
        assert!(last.is_none(), "it is the last word");
        match message {
            FromHub::CutOff(text) => last = Some(text),
            FromHub::Reply { .. } => answers += 1,
            _ => {}
        }
    }
    assert!(last.unwrap().contains("cut off"), "it is told why");
    assert!(answers < 40, "all was kept for it");
    drop(stream);
    next_gdb_works(&world, &session, &session.socket());
    session.ends_well();
}
