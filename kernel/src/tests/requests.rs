//! Requests without a connection: one-way messages and idempotent calls.

use std::vec::Vec;

use flob_abi::{
    Call, ExceptionCode, FlobKind, Misuse, PAGE_SIZE, Registers, Status, ThreadState, group, ipc,
};

use super::program::*;
use super::sim::Sim;
use super::talk::*;

/// A server that waits `rounds` times and says alias, flavour, room left and first word of each request.
fn listener(set: u64, page: u64, room: u64, rounds: usize) -> Program {
    let wait = words(set, (0, 0), (page, room));
    (0..rounds).fold(Program::new(), |program, _| {
        let program = program.raw_call(ipc::SERVER_WAIT, &wait);
        program
            .output(9, Rdi)
            .output(9, Rbp)
            .output(9, Rbx)
            .set(R14, page)
            .op(Op::Load(R15, R14, 0))
            .output(9, R15)
    })
}

/// A server that answers each call with its word plus `add`, and says the words on channel 9.
fn echo(set: u64, page: u64, add: u64) -> Program {
    let program = Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 8)));
    let again = program.here();
    let program = program.set(R14, page).op(Op::Load(R15, R14, 0)).output(9, R15);
    let program = program.op(Op::Add(R15, add)).op(Op::Store(R14, 8, R15)).set(R14, 0).set(R15, 0);
    program.raw_call(ipc::REPLY_WAIT_RECEIVE, &words(set, (page + 8, 8), (page, 8))).op(Op::Jump(again))
}

/// A client that sends the word at `page` by these steps and says status, rdx, rbx, and the word at page + 8.
fn requester(steps: u64, port: u64, page: u64, channel: usize) -> Program {
    let program = Program::new().raw_call(steps, &words(port, (page, 8), (page + 8, 8)));
    let program = program.output(channel, Rax).output(channel, Rdx).output(channel, Rbx);
    program.set(R14, page).op(Op::Load(R15, R14, 8)).output(channel, R15).end()
}

struct Town {
    sim: Sim,
    set: u64,
    port: u64,
    to_port: u64,
}

fn town() -> Town {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(7);
    let to_port = sim.reference(port, FlobKind::Port);
    Town { sim, set, port, to_port }
}

impl Town {
    fn ask(&mut self, steps: u64, word: u64, channel: usize) -> (u64, u64) {
        let page = self.sim.page();
        self.sim.write_words(page, &[word]);
        (self.sim.spawn(5, requester(steps, self.to_port, page, channel)), page)
    }

    fn serve(&mut self, add: u64) -> u64 {
        let page = self.sim.page();
        self.sim.spawn(5, echo(self.set, page, add))
    }
}

#[test]
fn a_one_way_message_is_delivered_once_with_alias_and_flavour() {
    for server_first in [true, false] {
        let mut this = town();
        let page = this.sim.page();
        let listen = listener(this.set, page, 16, 2).end();
        if server_first {
            this.sim.spawn(5, listen);
            this.sim.run_out();
            this.ask(ipc::ONE_WAY_SEND, 42, 0);
        } else {
            this.ask(ipc::ONE_WAY_SEND, 42, 0);
            this.sim.run_out();
            assert_eq!(this.sim.said(0), []);
            this.sim.spawn(5, listen);
        }
        this.sim.run_out();
        assert_eq!(this.sim.said(9), [7, ipc::Flavour::OneWay as u64, 8, 42]);
        assert_eq!(this.sim.said(0), [0, 0, 8, 0]);
    }
}

#[test]
fn an_idempotent_call_is_answered() {
    for server_first in [true, false] {
        let mut this = town();
        if server_first {
            this.serve(100);
            this.sim.run_out();
        }
        let clients = [(1, 0), (2, 1), (3, 2)];
        for (word, channel) in clients {
            this.ask(ipc::IDEMPOTENT_CALL, word, channel);
        }
        this.sim.run_out();
        if !server_first {
            this.serve(100);
            this.sim.run_out();
        }
        for (word, channel) in clients {
            assert_eq!(this.sim.said(channel), [0, 0, 0, 100 + word]);
        }
    }
}

#[test]
fn what_there_is_no_room_for_is_silently_left_out() {
    let mut this = town();
    let (big, small, into) = (this.sim.pages(3), this.sim.page(), this.sim.page());
    let bytes: Vec<u8> = (0..2 * PAGE_SIZE).map(|index| (index % 251) as u8).collect();
    this.sim.write(big + 100, &bytes);
    let references: Vec<u64> = (0..6).map(|_| this.to_port).collect();
    this.sim.write_words(small, &references);
    let nulls: Vec<u64> = (0..6).map(|_| this.sim.null()).collect();
    this.sim.write_words(small + 64, &nulls);
    let request =
        |room| with_references(this.to_port, (big + 100, room), (small + 128, 4), (small, 6), (0, 0));
    let receive =
        |room, count| with_references(this.set, (big, 300), (into, room), (0, 0), (small + 64, count));
    let server = Program::new()
        .raw_call(ipc::SERVER_WAIT, &receive(10, 1))
        .output(9, Rax)
        .output(9, Rbx)
        .output(9, R13);
    let server = server.raw_call(ipc::REPLY_WAIT_RECEIVE, &receive(PAGE_SIZE * 2, 6));
    let server = server.output(9, Rax).output(9, Rbx).output(9, R13);
    this.sim.spawn(5, server.end());
    let client = Program::new().raw_call(ipc::IDEMPOTENT_CALL, &request(50));
    let client = client.output(0, Rax).output(0, Rdx).output(0, R8).output(0, Rbx);
    this.sim.spawn(5, client.raw_call(ipc::ONE_WAY_SEND, &request(8000)).output(0, Rax).output(0, Rdx).end());
    this.sim.run_out();
    assert_eq!(this.sim.said(0), [0, 0, 0, 0, 0, 0]);
    let most = ipc::MAX_REQUEST as u64;
    assert_eq!(this.sim.said(9), [0, 0, 0, 0, 2 * PAGE_SIZE - most, 6 - ipc::MAX_REQUEST_REFERENCES as u64]);
    assert_eq!(this.sim.read(into, most as usize), bytes[..most as usize]);
    assert!(this.sim.same(nulls[3], this.to_port) && this.sim.is_null(nulls[4]));
}

/// A server that takes a request and never answers.
fn taker(this: &mut Town) -> u64 {
    let page = this.sim.page();
    let wait = words(this.set, (0, 0), (page, 8));
    this.sim.spawn(5, Program::new().raw_call(ipc::SERVER_WAIT, &wait).say(9, 1000).end())
}

#[test]
fn a_request_is_put_again_whatever_happens_to_its_server() {
    type Disturb = fn(&mut Sim, u64, u64);
    let disturbances: [Disturb; 4] = [
        |sim, server, _| sim.ok(Call::ThreadDestroy, &[server]),
        |sim, server, _| {
            let null = sim.null();
            sim.set_links(FlobKind::Thread, server, &[0, 0, 0, 0, null]);
        },
        |sim, _, client| {
            let null = sim.null();
            let running = sim.stop(client);
            sim.set_links(FlobKind::Thread, client, &[0, 0, 0, 0, 0, null]);
            sim.resume_as(client, &running);
        },
        |sim, _, client| {
            // The client is taken out and made anew.
            let links: Vec<u64> = (0..6).map(|_| sim.null()).collect();
            let state: ThreadState = sim.get_state(client, &links);
            sim.ok(Call::ThreadDestroy, &[client]);
            sim.create_at(FlobKind::Thread, client);
            sim.set(client, &state, &links);
        },
    ];
    for disturb in disturbances {
        let mut this = town();
        let server = taker(&mut this);
        let (client, _) = this.ask(ipc::IDEMPOTENT_CALL, 5, 0);
        this.sim.run_out();
        assert_eq!((&*this.sim.said(9), &*this.sim.said(0)), (&[1000][..], &[][..]));
        this.serve(100);
        this.sim.run_out();
        assert_eq!(this.sim.said(0), []);
        disturb(&mut this.sim, server, client);
        this.sim.run_out();
        assert_eq!((&*this.sim.said(9), &*this.sim.said(0)), (&[1000, 5][..], &[0, 0, 0, 105][..]));
    }
}

#[test]
fn a_call_that_is_interrupted_puts_its_request_again_and_the_old_reply_is_lost() {
    let mut this = town();
    let (page, gate) = (this.sim.page(), this.sim.make(FlobKind::Mutex));
    this.sim.ok(Call::MutexLock, &[gate]);
    let wait = words(this.set, (0, 0), (page, 8));
    let server = Program::new().raw_call(ipc::SERVER_WAIT, &wait).call(Call::MutexLock, &[gate]);
    let server = server.raw_call(ipc::IDEMPOTENT_REPLY, &words(0, (page, 8), (0, 0))).output(8, Rax);
    this.sim.spawn(5, server.end());
    let (client, _) = this.ask(ipc::IDEMPOTENT_CALL, 5, 0);
    this.sim.run_out();
    let handler = this.sim.load(Program::new().say(8, 77).call(Call::ReturnFromException, &[]));
    let mut state = this.sim.stop(client);
    state.handlers.interrupt = handler;
    state.flags = flob_abi::thread_flag::EXCEPTIONS_ENABLED;
    this.sim.set_state(client, &state, group::HANDLERS | group::CONTROL, &[]);
    this.sim.ok(Call::ThreadInterrupt, &[client]);
    this.sim.run_out();
    this.sim.ok(Call::MutexUnlock, &[gate]);
    this.sim.run_out();
    assert_eq!((&*this.sim.said(8), &*this.sim.said(0)), (&[77, 0][..], &[][..]));
    this.serve(100);
    this.sim.run_out();
    assert_eq!(this.sim.said(0), [0, 0, 0, 105]);
}

#[test]
fn a_reply_outside_a_call_is_ignored() {
    let mut this = town();
    let end = this.sim.raw_call(ipc::IDEMPOTENT_REPLY, &words(0, (8, 8), (0, 0))).expect("a status");
    assert_eq!((end.rax, end.rdx), (0, 0));
    this.serve(1);
    this.ask(ipc::ONE_WAY_SEND, 3, 0);
    this.sim.run_out();
    this.ask(ipc::IDEMPOTENT_CALL, 4, 1);
    this.sim.run_out();
    assert_eq!((&*this.sim.said(9), &*this.sim.said(1)), (&[3, 4][..], &[0, 0, 0, 5][..]));
}

#[test]
fn a_request_needs_a_port_that_exists() {
    for steps in [ipc::ONE_WAY_SEND, ipc::IDEMPOTENT_CALL] {
        let mut this = town();
        let null = this.sim.null();
        let end = this.sim.raw_call(steps, &words(null, (0, 0), (0, 0))).expect("a status");
        assert_eq!(end.rax, Status::ConnectInvalidDestination as u64);
        let wrong = this.sim.raw_call(steps, &words(this.port, (0, 0), (0, 0)));
        assert_eq!(wrong, Err((Misuse::WrongKind, this.port)));
        this.ask(steps, 1, 0);
        this.sim.run_out();
        assert_eq!(this.sim.said(0), []);
        this.sim.ok(Call::PortDestroy, &[this.port]);
        this.sim.run_out();
        assert_eq!(this.sim.said(0)[0], Status::ConnectInvalidDestination as u64);
    }
}

#[test]
fn a_client_without_memory_takes_its_own_fault_and_others_are_served() {
    let mut this = town();
    let bad = Program::new().raw_call(ipc::IDEMPOTENT_CALL, &words(this.to_port, (8, 8), (16, 8)));
    let bad = this.sim.spawn(5, bad.end());
    this.sim.run_out();
    this.ask(ipc::IDEMPOTENT_CALL, 1, 0);
    this.sim.run_out();
    this.serve(10);
    this.sim.run_out();
    assert_eq!(this.sim.said(0), [0, 0, 0, 11]);
    let state = this.sim.stop(bad);
    assert_eq!((state.exception.code, state.exception.address), (ExceptionCode::PageFault as u32, 8));
}

#[test]
fn a_reply_that_cannot_be_received_is_lost_and_the_client_asks_again() {
    let mut this = town();
    let page = this.sim.page();
    this.sim.write_words(page, &[1]);
    let call = Program::new().raw_call(ipc::IDEMPOTENT_CALL, &words(this.to_port, (page, 8), (16, 8)));
    let client = this.sim.spawn(5, call.output(0, Rax).end());
    this.serve(10);
    this.sim.run_out();
    let mut state = this.sim.stop(client);
    assert_eq!((state.exception.code, state.exception.address), (ExceptionCode::PageFault as u32, 16));
    assert_eq!(state.registers.rax, ipc::IDEMPOTENT_CALL);
    state.registers.r9 = page + 8;
    state.exception.code = 0;
    this.sim.set(client, &ThreadState { flags: 0, ..state }, &[]);
    this.sim.run_out();
    assert_eq!((&*this.sim.said(9), &*this.sim.said(0)), (&[1, 1][..], &[0][..]));
    assert_eq!(this.sim.read_word(page + 8), 11);
}

#[test]
fn a_stopped_clients_message_is_taken_and_its_registers_say_so() {
    let mut this = town();
    let (client, _) = this.ask(ipc::ONE_WAY_SEND, 6, 0);
    this.sim.run_out();
    let before: Registers = this.sim.stop(client).registers;
    this.serve(1);
    this.sim.run_out();
    let after = this.sim.stop(client).registers;
    assert_eq!((&*this.sim.said(9), after.rax, after.rip), (&[6][..], 0, before.rip + 2));
}
