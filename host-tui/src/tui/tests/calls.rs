//! The Calls tab: what it shows, filters, freezes and asks for.

use flob_abi::{Call, ipc};
use flob_link::{
    Event, Traced, Tracing,
    trace::{Asked, MOST_OF_PAYLOAD, Message as Told, Outcome, Payload, Value, What},
};
use flob_session::{HubEvent, TracePart};

use super::world::{Desk, SPACE, philosopher};
use crate::tui::{
    message::{Ask, Job, Message},
    state::{LogKind, Tab},
};

fn record(number: u64, what: What) -> Traced {
    Traced { number, at: number * 1_500_000, what }
}

fn told(verb: &str, fields: &[(&str, Value)]) -> Told {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Told { verb: verb.into(), fields }
}

fn service(number: u64, thread: u64, service: &str, message: Told) -> Traced {
    let asked = Asked::Service { service: service.into(), message };
    let (thread, space) = (Some(philosopher(thread)), Some(SPACE));
    record(number, What::Began { thread, space, asked })
}

fn kernel(number: u64, thread: u64, call: u64, address: u64) -> Traced {
    let mut registers = vec![0; 12];
    registers[0] = address;
    let asked = Asked::Call { number: call, registers, sent: None };
    let (thread, space) = (Some(philosopher(thread)), Some(SPACE));
    record(number, What::Began { thread, space, asked })
}

fn ended(number: u64, of: u64, outcome: Outcome) -> Traced {
    record(number, What::Ended { of, outcome })
}

fn bytes(text: &str) -> Value {
    Value::Bytes { start: text.into(), count: text.len() as u32 }
}

/// A write and its reply, a lock that waits, a sleep that is under way.
fn some() -> Vec<Traced> {
    let success = Outcome::Returned { status: 0, registers: vec![0; 12], received: None };
    let write = told("write", &[("position", Value::Number(0)), ("bytes", bytes("philosopher 0 eats\n"))]);
    vec![
        service(0, 0, "stdout", write),
        ended(1, 0, Outcome::Reply(told("written", &[("count", Value::Number(19))]))),
        kernel(2, 1, Call::MutexUnlock as u64, 0x40_0200),
        ended(3, 2, success),
        kernel(4, 2, Call::MutexLock as u64, 0x40_0400),
        service(5, 3, "clock", told("sleep", &[("until", Value::Number(9_000_000_000))])),
        kernel(6, 4, ipc::CLIENT_CALL, 0x40_0600),
    ]
}

fn tracing() -> Tracing {
    Tracing { services: true, calls: vec![Call::MutexLock as u64, Call::MutexUnlock as u64, ipc::IPC] }
}

fn part(records: Vec<Traced>) -> Message {
    let next = records.last().map_or(0, |record| record.number + 1);
    Message::Traced(Ok(TracePart { records, next, tracing: tracing() }))
}

fn desk(width: u16, height: u16) -> Desk {
    let mut desk = Desk::new(width, height);
    desk.keys("8");
    desk.tell(part(some()));
    desk.done();
    desk
}

#[test]
fn calls_are_shown_with_arguments_and_what_came_of_them() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let desk = desk(width, height);
        insta::assert_snapshot!(format!("calls_{width}x{height}"), desk.screen());
    }
}

#[test]
fn the_selected_call_shows_how_both_of_its_messages_begin() {
    let message = |byte: u8| Payload { start: vec![byte; MOST_OF_PAYLOAD], count: 500, is_all: true };
    let (sent, received) = (Some(message(0xee)), Some(message(b'n')));
    let asked = Asked::Call { number: ipc::CLIENT_CALL, registers: vec![0; 12], sent };
    let (thread, space) = (Some(philosopher(0)), Some(SPACE));
    let mut desk = Desk::new(80, 24);
    desk.keys("8");
    desk.tell(part(vec![
        record(0, What::Began { thread, space, asked }),
        ended(1, 0, Outcome::Returned { status: 0, registers: vec![0; 12], received }),
    ]));
    desk.done();
    let full: String = crate::tui::view::calls::full(&desk.state.calls, 76).concat().replace(' ', "");
    let hexadecimal = format!("[{}]…", "ee".repeat(MOST_OF_PAYLOAD));
    let text = format!("received=500\"{}\"…(", "n".repeat(MOST_OF_PAYLOAD));
    assert!(full.contains(&hexadecimal) && full.contains(&text), "{full}");
    let screen = desk.screen();
    assert!(
        screen.contains("…") && screen.matches("ee ee").count() > 1 && screen.contains("nnnn"),
        "{screen}"
    );
}

#[test]
fn nothing_traced_says_which_key_begins() {
    let mut desk = Desk::new(80, 24);
    desk.keys("8");
    assert!(desk.screen().contains("nothing is traced: t traces"), "{}", desk.screen());
}

#[test]
fn t_traces_services_then_kernel_calls_then_nothing_and_logs_the_command() {
    let mut desk = Desk::new(80, 24);
    desk.keys("8t");
    let services = Tracing { services: true, calls: Vec::new() };
    assert!(desk.done().contains(&Ask::Do(Job::Trace(services.clone()))));
    desk.state.calls.tracing = services;
    desk.keys("t");
    let asked = desk.done();
    let all = asked.iter().find_map(|ask| match ask {
        Ask::Do(Job::Trace(tracing)) => Some(tracing.clone()),
        _ => None,
    });
    let all = all.expect("something is traced");
    assert!(all.services && all.calls.len() > 60);
    desk.state.calls.tracing = all;
    desk.keys("t");
    assert!(desk.done().contains(&Ask::Do(Job::Trace(Tracing::default()))));
    let commands = desk.state.log.iter().filter(|line| line.kind == LogKind::Command);
    let commands: Vec<&str> = commands.map(|line| line.text.as_str()).collect();
    assert_eq!(commands, ["flob trace --on", "flob trace --on --calls all", "flob trace --off"]);
}

#[test]
fn what_the_guest_announces_is_fetched_once_until_it_has_come() {
    let mut desk = Desk::new(80, 24);
    desk.done();
    let announce = || Message::Hub(HubEvent::Guest(Event::Traced { next: 3 }));
    desk.tell(announce());
    desk.tell(announce());
    assert_eq!(desk.done(), [Ask::Trace { from: 0 }]);
    let records: Vec<Traced> = some().into_iter().take(3).collect();
    desk.tell(Message::Traced(Ok(TracePart { records, next: 7, tracing: tracing() })));
    assert_eq!(desk.done(), [Ask::Trace { from: 3 }], "there is more");
}

#[test]
fn a_filter_shows_only_what_contains_it_and_an_empty_one_everything() {
    let mut desk = desk(120, 40);
    desk.keys("fMUTEX<Enter>");
    assert_eq!(desk.state.calls.count(), 2);
    assert!(desk.screen().contains("only 'mutex'"), "{}", desk.screen());
    desk.tell(part(vec![kernel(7, 0, Call::MutexLock as u64, 0x40_0800), kernel(8, 0, ipc::CLIENT_CALL, 0)]));
    assert_eq!(desk.state.calls.count(), 3, "what comes is filtered, too");
    desk.keys("f<Back><Back><Back><Back><Back><Enter>");
    assert_eq!(desk.state.calls.count(), 7);
    desk.keys("fnobody<Enter>");
    assert!(desk.screen().contains("nothing contains that"), "{}", desk.screen());
}

#[test]
fn a_frozen_list_stays_and_shows_everything_once_it_goes_on() {
    let mut desk = desk(120, 40);
    desk.keys(" ");
    let before = desk.state.calls.count();
    desk.tell(part(vec![service(7, 0, "clock", told("now", &[]))]));
    assert_eq!(desk.state.calls.count(), before);
    assert!(desk.screen().contains("frozen"));
    desk.keys(" ");
    assert_eq!(desk.state.calls.count(), before + 1);
}

#[test]
fn the_end_of_a_call_comes_into_its_row_and_a_restore_undoes_what_waits() {
    let mut desk = desk(120, 40);
    let time = Outcome::Reply(told("time", &[("nanoseconds", Value::Number(9_000_000_001))]));
    desk.tell(part(vec![ended(7, 5, time), record(8, What::Restored)]));
    let screen = desk.screen();
    assert!(screen.contains("clock.sleep(until=9000000000) = time nanoseconds=9000000001"), "{screen}");
    assert!(screen.contains("= undone: a checkpoint was restored"), "{screen}");
}

#[test]
fn enter_leads_to_the_thread_that_asked() {
    let mut desk = desk(120, 40);
    desk.keys("<Up><Enter>");
    assert_eq!(desk.state.tab, Tab::Threads);
    assert_eq!(desk.state.detail.place, Some(philosopher(3)));
}

#[test]
fn the_latest_stays_selected_unless_somebody_has_gone_up() {
    let mut desk = desk(120, 40);
    desk.tell(part(vec![service(7, 0, "clock", told("now", &[]))]));
    assert_eq!(desk.state.calls.selected().map(|row| row.number), Some(7));
    desk.keys("<Up>");
    desk.tell(part(vec![service(8, 0, "clock", told("now", &[]))]));
    assert_eq!(desk.state.calls.selected().map(|row| row.number), Some(6));
}

#[test]
fn what_was_lost_is_counted_in_the_title() {
    let mut desk = desk(120, 40);
    desk.tell(part(vec![service(20, 0, "clock", told("now", &[]))]));
    assert!(desk.screen().contains("13 lost"), "{}", desk.screen());
}

#[test]
fn calls_are_sorted_by_how_long_they_took_also_those_that_come_later() {
    let mut desk = desk(120, 40);
    desk.keys(":sort took down<Enter>");
    let numbers = |desk: &Desk| -> Vec<u64> {
        (0..desk.state.calls.count()).filter_map(|row| Some(desk.state.calls.row(row)?.number)).collect()
    };
    assert_eq!(numbers(&desk), [4, 5, 6, 0, 2], "what is under way first, then in the order it came");
    let success = Outcome::Returned { status: 0, registers: vec![0; 12], received: None };
    desk.tell(part(vec![ended(7, 4, success), kernel(8, 1, Call::MutexLock as u64, 0x40_0200)]));
    assert_eq!(numbers(&desk), [5, 6, 8, 4, 0, 2]);
    assert!(desk.screen().contains("by took ▾"), "{}", desk.screen());
    desk.keys(":sort thread<Enter>O");
    assert_eq!(numbers(&desk), [6, 5, 4, 2, 8, 0]);
}
