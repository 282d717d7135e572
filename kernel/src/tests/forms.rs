//! The forms of a message: scattered buffers, words in registers, and every mixture of the two ends.

use std::vec::Vec;

use flob_abi::{ExceptionCode, FlobKind, PAGE_SIZE, Status, ipc};

use super::program::*;
use super::sim::Sim;
use super::talk::*;

/// The registers of a call with tables of further buffers.
fn scattered(rdi: u64, send: (u64, u64), receive: (u64, u64), tables: (u64, u64)) -> Vec<(Reg, u64)> {
    let mut registers = words(rdi, send, receive);
    registers.extend([(R14, tables.0), (R15, tables.1)]);
    registers
}

/// The words of a message in the short form, and the count of bytes that is to come.
fn short(rdi: u64, first: u64) -> Vec<(Reg, u64)> {
    let mut registers: Vec<(Reg, u64)> =
        [Rsi, Rdx, R10, R8, R9, Rbx, R12, R13].into_iter().zip(first..).collect();
    registers.extend([(Rdi, rdi), (R14, 0), (R15, 0)]);
    registers
}

fn say_words(program: Program, channel: usize) -> Program {
    [Rax, R14, Rsi, Rdx, R10, R8, R9, Rbx, R12, R13]
        .into_iter()
        .fold(program, |program, reg| program.output(channel, reg))
}

/// Writes a table of buffers, each `gap` bytes behind the end of the one before.
fn table(sim: &mut Sim, at: u64, first: u64, sizes: &[u64], gap: u64) -> u64 {
    let mut address = first;
    let mut entries = Vec::new();
    for size in sizes {
        entries.extend([address, *size]);
        address += size + gap;
    }
    sim.write_words(at, &entries);
    ipc::table(at, sizes.len() as u16)
}

fn gathered(sim: &mut Sim, first: u64, sizes: &[u64], gap: u64) -> Vec<u8> {
    let mut address = first;
    let mut bytes = Vec::new();
    for size in sizes {
        bytes.extend(sim.read(address, *size as usize));
        address += size + gap;
    }
    bytes
}

/// Sends scattered buffers into scattered buffers, by these client steps.
fn scatter(client: u64, send: &[u64], receive: &[u64]) -> (Vec<u8>, Vec<u8>, Vec<u64>) {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let to_port = sim.reference(port, FlobKind::Port);
    let (from, to, tables) = (sim.pages(20) + 7, sim.pages(20) + 3000, sim.page());
    let bytes: Vec<u8> = (0..19 * PAGE_SIZE).map(|index| (index * 7 % 253) as u8).collect();
    sim.write(from, &bytes);
    // Tables that cross a page boundary would do as well: entries are read one by one.
    let send_table = table(&mut sim, tables + 8, from, send, 100);
    let receive_table = table(&mut sim, tables + 2048, to, receive, 50);
    let server =
        Program::new().raw_call(ipc::SERVER_WAIT, &scattered(set, (0, 0), (0, 0), (0, receive_table)));
    let server = server.output(0, Rax).output(0, Rbx).output(0, R15);
    sim.spawn(5, server.end());
    let program = Program::new().raw_call(client, &scattered(to_port, (0, 0), (0, 0), (send_table, 0)));
    sim.spawn(5, program.output(1, Rax).end());
    sim.run_out();
    let said = sim.said(0).to_vec();
    (gathered(&mut sim, from, send, 100), gathered(&mut sim, to, receive, 50), said)
}

#[test]
fn scattered_buffers_are_gathered_and_scattered_and_registers_say_what_is_left() {
    for client in [ipc::CLIENT_CALL, ipc::ONE_WAY_SEND, ipc::IDEMPOTENT_CALL] {
        let (sent, received, said) = scatter(client, &[10, 0, 700, 1, 300], &[500, 0, 200, 4000, 77]);
        assert_eq!(received[..1011], sent[..], "{client:#x}");
        assert_eq!((said[0], said[1], ipc::table_entries(said[2])), (0, 4700 - 1011, 1));
    }
    // Longer than one entry of the kernel takes.
    let (sent, received, said) = scatter(ipc::CLIENT_CALL, &[20_000, 9_000, 33], &[5_000, 1, 24_032]);
    assert_eq!((received == sent, said[0], said[1], ipc::table_entries(said[2])), (true, 0, 0, 0));
}

#[test]
fn many_empty_buffers_are_gone_through_bit_by_bit() {
    let (sent, received, said) =
        scatter(ipc::CLIENT_CALL, &[&[0; 90][..], &[5]].concat(), &[&[0; 60][..], &[5]].concat());
    assert_eq!((received == sent, said[0]), (true, 0));
}

#[test]
fn a_request_is_gathered_from_so_many_buffers_and_no_more() {
    let (sent, received, said) = scatter(ipc::ONE_WAY_SEND, &[&[1; 8][..], &[5]].concat(), &[100]);
    assert_eq!((&sent[..8], said[1]), (&received[..8], 92));
    let (sent, received, said) = scatter(ipc::IDEMPOTENT_CALL, &[40], &[&[1; 8][..], &[50]].concat());
    assert_eq!((&sent[..8], said[1], ipc::table_entries(said[2])), (&received[..8], 0, 1));
}

#[test]
fn more_data_is_told_only_when_the_table_is_used_up_too() {
    let (sent, received, said) = scatter(ipc::CLIENT_CALL, &[300, 300], &[100, 100]);
    assert_eq!((&sent[..200], said[0]), (&received[..], Status::ReceiveMoreData as u64));
}

#[test]
fn a_table_that_is_not_there_is_the_fault_of_its_owner() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let to_port = sim.reference(port, FlobKind::Port);
    let page = sim.page();
    let server = Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 64)));
    sim.spawn(5, server.output(0, Rax).end());
    let registers = scattered(to_port, (0, 0), (0, 0), (ipc::table(0x1000, 3), 0));
    let client = sim.spawn(5, Program::new().raw_call(ipc::CLIENT_CALL, &registers).end());
    sim.run_out();
    let state = sim.stop(client);
    assert_eq!((state.exception.code, state.exception.address), (ExceptionCode::PageFault as u32, 0x1000));
    assert_eq!(sim.said(0), []);
}

/// A client that calls with the words from `first` on, and a server that answers with the words from 100 on.
fn short_call(client: u64, wait: u64, answer: u64) -> Sim {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(3);
    let to_port = sim.reference(port, FlobKind::Port);
    let server = say_words(
        Program::new().raw_call(wait | ipc::SHORT, &short(set, 0)).output(0, Rdi).output(0, Rbp),
        0,
    );
    sim.spawn(5, server.raw_call(answer | ipc::SHORT, &short(set, 100)).end());
    sim.spawn(5, say_words(Program::new().raw_call(client | ipc::SHORT, &short(to_port, 1)), 1).end());
    sim.run_out();
    sim
}

#[test]
fn eight_words_go_and_eight_come_back_by_a_connection() {
    let sim = short_call(ipc::CLIENT_CALL, ipc::SERVER_WAIT, ipc::SERVER_ANSWER);
    assert_eq!(sim.said(0), [3, ipc::Flavour::Reliable as u64, 0, 64, 1, 2, 3, 4, 5, 6, 7, 8]);
    let gone = Status::ReceiveDisconnected as u64;
    assert_eq!(sim.said(1), [gone, 64, 100, 101, 102, 103, 104, 105, 106, 107]);
}

#[test]
fn eight_words_go_and_eight_come_back_by_an_idempotent_call() {
    let sim = short_call(ipc::IDEMPOTENT_CALL, ipc::SERVER_WAIT, ipc::REPLY_WAIT_RECEIVE);
    assert_eq!(sim.said(0), [3, ipc::Flavour::Idempotent as u64, 0, 64, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(sim.said(1), [0, 64, 100, 101, 102, 103, 104, 105, 106, 107]);
}

#[test]
fn eight_words_go_one_way() {
    let sim = short_call(ipc::ONE_WAY_SEND, ipc::SERVER_WAIT, ipc::IDEMPOTENT_REPLY);
    assert_eq!(sim.said(0), [3, ipc::Flavour::OneWay as u64, 0, 64, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(sim.said(1)[0], 0);
}

#[test]
fn words_arrive_in_a_buffer_whole_or_not_at_all() {
    for (room, status, left) in [(100, 0, 36), (64, 0, 0), (63, Status::ReceiveMoreData as u64, 63)] {
        let mut sim = Sim::new();
        let (set, port) = sim.make_port(3);
        let to_port = sim.reference(port, FlobKind::Port);
        // The buffer crosses a page boundary.
        let page = sim.pages(2) + PAGE_SIZE - 20;
        let server = Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, room)));
        sim.spawn(5, server.output(0, Rax).output(0, Rbx).end());
        sim.spawn(5, Program::new().raw_call(ipc::CLIENT_CALL | ipc::SHORT, &short(to_port, 1)).end());
        sim.run_out();
        assert_eq!(sim.said(0), [status, left]);
        let expected = if status == 0 { 8 } else { 0 };
        assert_eq!(sim.read_word(page + 56), expected);
    }
}

#[test]
fn the_first_bytes_of_a_long_message_become_words_and_more_is_told() {
    for (bytes, references, status, came) in [
        (12, 0, 0, 12),
        (64, 0, 0, 64),
        (65, 0, Status::ReceiveMoreData as u64, 64),
        (8, 1, Status::ReceiveMoreReferences as u64, 8),
    ] {
        let mut sim = Sim::new();
        let (set, port) = sim.make_port(3);
        let to_port = sim.reference(port, FlobKind::Port);
        let page = sim.page();
        sim.write_words(page, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        sim.write_words(page + 128, &[to_port]);
        sim.spawn(
            5,
            say_words(Program::new().raw_call(ipc::SERVER_WAIT | ipc::SHORT, &short(set, 50)), 0).end(),
        );
        let call = with_references(to_port, (page, bytes), (0, 0), (page + 128, references), (0, 0));
        sim.spawn(5, Program::new().raw_call(ipc::CLIENT_CALL, &call).end());
        sim.run_out();
        let second = match came {
            8 => 0,
            _ => 2,
        };
        assert_eq!(sim.said(0)[..4], [status, came, 1, second], "{bytes} bytes");
    }
}

#[test]
fn a_keeper_may_hear_and_answer_in_words() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(3);
    let (_, space) = sim.make_space(20, Some(port));
    let keeper = say_words(Program::new().raw_call(ipc::SERVER_WAIT | ipc::SHORT, &short(set, 0)), 0);
    // Number 1, retry.
    let keeper = keeper
        .raw_call(ipc::REPLY_WAIT_RECEIVE | ipc::SHORT, &[(Rdi, set), (Rsi, 1), (Rdx, 0)])
        .output(1, Rsi);
    sim.spawn(6, keeper.end());
    sim.spawn_in(space, 5, Program::new().op(Op::Trap(ExceptionCode::Divide)).end());
    sim.run_out();
    let code = u64::from(ExceptionCode::Divide as u32);
    assert_eq!(sim.said(0), [0, 40, 1, code, 0, 0, 0, 0, 0, 0]);
    assert_eq!(sim.said(1), [2], "it was answered, and raised again");
}

/// An idempotent call between ends of different forms: what the client and the server got.
fn mixed_call(client_is_short: bool) -> Sim {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(3);
    let to_port = sim.reference(port, FlobKind::Port);
    let (page, room) = (sim.page(), sim.page());
    sim.write_words(page, &[11, 12, 13]);
    let long = |rdi: u64| {
        let mut registers = words(rdi, (page, 20), (room, 100));
        registers.extend([(R14, 0), (R15, 0)]);
        registers
    };
    let (call, wait, reply) = (ipc::IDEMPOTENT_CALL, ipc::SERVER_WAIT, ipc::IDEMPOTENT_REPLY);
    let (client, server) = if client_is_short {
        let client = Program::new().raw_call(call | ipc::SHORT, &short(to_port, 1));
        let server = Program::new().raw_call(wait, &long(set)).output(0, Rax).output(0, Rbx);
        (say_words(client, 1), server.raw_call(reply, &long(0)))
    } else {
        let client =
            Program::new().raw_call(call, &long(to_port)).output(1, Rax).output(1, Rbx).output(1, Rdx);
        let server = say_words(Program::new().raw_call(wait | ipc::SHORT, &short(set, 50)), 0);
        (client, server.raw_call(reply | ipc::SHORT, &short(0, 100)))
    };
    sim.spawn(5, client.end());
    sim.spawn(5, server.end());
    sim.run_out();
    let first = sim.read_word(room);
    sim.output.entry(2).or_default().push(first);
    sim
}

#[test]
fn idempotent_calls_work_between_ends_of_different_forms() {
    let sim = mixed_call(true);
    assert_eq!(sim.said(0), [0, 36]);
    assert_eq!(sim.said(2), [1]);
    // Twenty bytes: two words and a half.
    assert_eq!(sim.said(1), [0, 20, 11, 12, 13, 0, 0, 0, 0, 0]);
    let sim = mixed_call(false);
    assert_eq!(sim.said(0), [0, 20, 11, 12, 13, 0, 0, 0, 0, 0]);
    assert_eq!(sim.said(1), [0, 36, 0]);
    assert_eq!(sim.said(2), [100]);
}
