//! Programs that talk: clients and servers for the tests of IPC.

use std::vec::Vec;

use flob_abi::{FlobKind, ipc};

use super::program::*;
use super::sim::Sim;

/// The registers of an IPC call without references: destination, send and receive buffer.
pub fn words(rdi: u64, send: (u64, u64), receive: (u64, u64)) -> Vec<(Reg, u64)> {
    with_references(rdi, send, receive, (0, 0), (0, 0))
}

/// All registers of an IPC call.
pub fn with_references(
    rdi: u64,
    send: (u64, u64),
    receive: (u64, u64),
    references: (u64, u64),
    into: (u64, u64),
) -> Vec<(Reg, u64)> {
    [
        (Rdi, rdi),
        (Rsi, send.0),
        (Rdx, send.1),
        (R9, receive.0),
        (Rbx, receive.1),
        (R10, references.0),
        (R8, references.1),
        (R12, into.0),
        (R13, into.1),
    ]
    .to_vec()
}

/// A server that answers each word with the word plus `add`, through a page of its own.
pub fn adder(set: u64, page: u64, add: u64) -> Program {
    let receive = (page, 8);
    let program = Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), receive));
    let again = program.here();
    let program =
        program.set(R14, page).op(Op::Load(R15, R14, 0)).op(Op::Add(R15, add)).op(Op::Store(R14, 8, R15));
    program
        .set(R14, 0)
        .set(R15, 0)
        .raw_call(ipc::SERVER_ANSWER, &words(set, (page + 8, 8), receive))
        .op(Op::Jump(again))
}

/// A client that asks once with a word and says the answer.
pub fn ask(program: Program, port_reference: u64, page: u64, word: u64, channel: usize) -> Program {
    let program = program.set(R14, page).set(R15, word).op(Op::Store(R14, 0, R15)).set(R14, 0).set(R15, 0);
    let registers = words(port_reference, (page, 8), (page + 8, 8));
    program
        .raw_call(ipc::CLIENT_CALL, &registers)
        .set(R14, page)
        .op(Op::Load(R15, R14, 8))
        .output(channel, R15)
        .set(R14, 0)
        .set(R15, 0)
}

impl Sim {
    /// A running client that asks `port` one word and says the answer.
    pub fn client(&mut self, port: u64, word: u64, channel: usize) -> u64 {
        let reference = self.reference(port, FlobKind::Port);
        let page = self.page();
        self.spawn(5, ask(Program::new(), reference, page, word, channel).end())
    }

    /// A running server on a set.
    pub fn adder(&mut self, set: u64, add: u64) -> u64 {
        let page = self.page();
        self.spawn(5, adder(set, page, add))
    }
}
