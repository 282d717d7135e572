//! The same bytes over a socket, where who waits for an answer reads for all.

use std::{
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    thread,
};

use super::*;

/// The end of a socket.
pub struct Socket(UnixStream);

impl Socket {
    /// What this reader reads comes out of it.
    pub fn behind(mut reader: Reader) -> Self {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        near.set_nonblocking(true).expect("possible");
        thread::spawn(move || io::copy(&mut reader, &mut far));
        Self(near)
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Inlet for Socket {
    fn awaitable(&self) -> io::Result<Option<OwnedFd>> {
        Ok(Some(self.0.try_clone()?.into()))
    }
}

/// Whoever reads, each gets its own answer, and everything is told once and in order.
#[test]
fn many_that_wait_at_once_read_for_each_other() {
    const ASKERS: u64 = 8;
    const WRITES: u64 = 40;
    for seed in seeds() {
        println!("FLOB_SEED={seed}");
        let faults = Faults { lose: 50_000, flip: 50_000, delay: 50 };
        let (to_guest, guest_reads) = pipe(faults, seed);
        let (guest_writes, from_guest) = pipe(faults, !seed);
        Guest::start(guest_reads, guest_writes, FITTING, LONG, NARROW);
        let (link, notices) = link_with(timing(), Socket::behind(from_guest), to_guest);
        let askers = (0..ASKERS).map(|asker| {
            let link = link.clone();
            thread::spawn(move || {
                for address in (0..WRITES).map(|count| count * ASKERS + asker) {
                    assert_eq!(link.request(write(address)), Ok(Reply::Done), "seed {seed}");
                    let times = link.bytes(read(address)).expect("answered");
                    assert_eq!(times, 1_u32.to_le_bytes(), "write {address}, seed {seed}");
                }
            })
        });
        for asker in askers.collect::<Vec<_>>() {
            asker.join().expect("no panic");
        }
        let told: Vec<u64> = (0..ASKERS * WRITES).map(|_| next_done(&notices)).collect();
        for asker in 0..ASKERS {
            let its: Vec<u64> = told.iter().copied().filter(|address| address % ASKERS == asker).collect();
            assert_eq!(its, (0..WRITES).map(|count| count * ASKERS + asker).collect::<Vec<_>>());
        }
    }
}

/// Who reads leaves the end to the thread, and is told of it.
#[test]
fn the_end_comes_to_the_thread_and_from_it_to_who_reads() {
    let (to_guest, _guest_reads) = pipe(PERFECT, 1);
    let (mut guest_writes, from_guest) = pipe(PERFECT, 1);
    let (link, notices) = link_with(timing(), Socket::behind(from_guest), to_guest);
    let asked = thread::spawn({
        let link = link.clone();
        move || link.request(read(0))
    });
    guest_writes.write_all(b"no frame at all\0").expect("it is there");
    drop(guest_writes);
    assert_eq!(asked.join().expect("no panic"), Err(LinkError::Ended));
    assert_eq!(notices.recv_timeout(STUCK), Ok(Notice::Ended));
    assert_eq!(link.request(read(0)), Err(LinkError::Ended));
    assert_eq!(link.received(), 16);
}
