//! Two threads that talk: the one makes every set of steps, as client and as server; the other whatever single steps fit.

use std::vec::Vec;

use flob_abi::Call;
use flob_abi::ipc::*;

use super::stages::sets_of_steps;
use crate::tests::program::*;
use crate::tests::scene::*;
use crate::tests::talk::with_references;

/// What the two ends do around one set of steps.
#[derive(Default)]
struct Episode {
    own: Vec<u64>,
    other: Vec<u64>,
}

impl Episode {
    fn both(&mut self, own: u64, other: u64) {
        self.own.push(own);
        self.other.push(other);
    }

    /// The set, after what it takes to be allowed to make it, and before the end of whatever it has begun.
    fn around(set: u64) -> Self {
        let (server, steps) = (set & SERVER != 0, set & STEPS);
        let has = |step: u64| steps & step != 0;
        let (connects, meets) = if server { (WAIT, CONNECT) } else { (CONNECT, WAIT) };
        let mut episode = Self::default();
        let begins =
            has(connects) && steps & (ACKNOWLEDGE | SEND | OVER) == 0 || has(CONNECT | ONE_WAY | CALL);
        if has(REPLY) {
            episode.both(WAIT | RECEIVE, CALL);
        } else if !begins {
            episode.both(connects, meets);
            // A client sends first, a server receives.
            let sends = !has(ACKNOWLEDGE) && has(SEND | OVER);
            match server {
                true if sends => episode.both(ACKNOWLEDGE, OVER),
                false if has(ACKNOWLEDGE) || has(RECEIVE) && !has(OVER) => episode.both(OVER, ACKNOWLEDGE),
                _ => {}
            }
        }
        episode.own.push(set & !SERVER & (STEPS | SHORT));
        for step in [CONNECT, ONE_WAY, CALL, ACKNOWLEDGE, SEND, OVER, WAIT, RECEIVE] {
            if has(step) {
                episode.other.extend_from_slice(match step {
                    CONNECT => &[WAIT],
                    ONE_WAY => &[WAIT | RECEIVE],
                    CALL => &[WAIT | RECEIVE, REPLY],
                    ACKNOWLEDGE => &[OVER],
                    SEND => &[RECEIVE],
                    OVER => &[ACKNOWLEDGE],
                    WAIT => &[CONNECT],
                    _ => &[SEND, DISCONNECT],
                });
            }
        }
        episode.both(DISCONNECT, DISCONNECT);
        episode
    }
}

/// One call of an end; it says how that went.
fn call(program: Program, server: bool, steps: u64, channel: usize, page: u64) -> Program {
    let (side, rdi) = if server { (SERVER, SET) } else { (0, TO_PORT) };
    let at = data(page);
    let registers = with_references(rdi, (at, 64), (at + 64, 64), (at + 128, 1), (at + 136, 1));
    program.raw_call(IPC | side | steps, &registers).output(channel, Rax)
}

/// The programs of both ends.
pub fn both_ends(pages: [u64; 2]) -> [Program; 2] {
    let (mut own, mut other) = (Program::new(), Program::new());
    for set in sets_of_steps() {
        let server = set & SERVER != 0;
        let episode = Episode::around(set);
        own = episode.own.iter().fold(own, |program, steps| call(program, server, *steps, 0, pages[0]));
        other =
            episode.other.iter().fold(other, |program, steps| call(program, !server, *steps, 1, pages[1]));
    }
    let [own, other] = park(own, other, pages, false);
    park(other, own, [pages[1], pages[0]], true)
}

/// A server that parks its client and takes it up again before it answers; a client that does so with its end of the connection
/// before it asks. `swapped` says that the first program is the one that speaks on the second channel.
fn park(server: Program, client: Program, pages: [u64; 2], swapped: bool) -> [Program; 2] {
    let [own, other] = if swapped { [1, 0] } else { [0, 1] };
    let server = call(server, true, WAIT | RECEIVE, own, pages[0]);
    let server = server.call(Call::ThreadGetServer, &[RECEIVED]).output(own, Rax);
    let server = server.call(Call::ThreadSetServer, &[RECEIVED]).output(own, Rax);
    let server = call(server, true, ACKNOWLEDGE | SEND | DISCONNECT, own, pages[0]);
    let client = call(client, false, CONNECT, other, pages[1]);
    let client = client.call(Call::ThreadGetClient, &[PARKED]).output(other, Rax).output(other, Rsi);
    let client = client.call(Call::ThreadSetClient, &[PARKED, 1]).output(other, Rax);
    let client = call(client, false, SEND | OVER | RECEIVE, other, pages[1]);
    if swapped { [client, server] } else { [server, client] }
}
