//! Requests without a connection: those that are answered and may come several times, and those that go one way and may
//! get lost.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use flob_runtime::abi::Status;
use flob_runtime::abi::ipc::Flavour;
use flob_runtime::call::{self, Transfer};
use flob_runtime::{named, thread};

use crate::Round;
use crate::options::Options;
use flob_program_shared::{Desk, Failure, expect, leak, mix};
use flob_runtime::random::Random;

const TURNS: u64 = 24;

/// Clients that ask in the long form and in the short one by turns.
pub fn prepare_idempotent(_: &Options) -> Result<Round, Failure> {
    let desk = Desk::new(1)?;
    thread::spawn(move || answer(desk))?.detach();
    Ok(Box::new(move |random| {
        let clients: Vec<_> = (0..1 + random.below(3))
            .map(|_| {
                let seed = random.word();
                thread::spawn(move || (0..TURNS).try_fold(seed, |sum, turn| ask(desk, sum, turn)))
            })
            .collect::<Result<_, Status>>()?;
        let mut sum = 0_u64;
        for client in clients {
            sum = sum.wrapping_add(client.join()??);
        }
        Ok(sum)
    }))
}

fn ask(desk: Desk, word: u64, turn: u64) -> Result<u64, Failure> {
    let question = mix(word, turn);
    if turn.is_multiple_of(2) {
        let outcome = named::call_words(desk.port, [question; 8]);
        expect("status", outcome.status as u64, 0)?;
        let [.., last] = outcome.words;
        expect("answer", last, mix(question, question))?;
        return Ok(last);
    }
    let mut reply = [0; 8];
    let transfer = Transfer { send: &question.to_le_bytes(), receive: &mut reply, ..Transfer::default() };
    let outcome = named::call(desk.port, transfer);
    expect("status", outcome.status as u64, 0)?;
    expect("answer", u64::from_le_bytes(reply), mix(question, question))?;
    Ok(u64::from_le_bytes(reply))
}

fn answer(desk: Desk) {
    let mut heard = named::wait_receive_words(desk.set, [0; 8]);
    loop {
        let [question, ..] = heard.words;
        heard = named::reply_wait_receive_words(desk.set, [mix(question, question); 8]);
    }
}

/// Marks that arrive one way; each is sent until it has come.
pub fn prepare_one_way(_: &Options) -> Result<Round, Failure> {
    let desk = Desk::new(1)?;
    let arrived: &'static AtomicU64 = leak(AtomicU64::new(0));
    thread::spawn(move || {
        loop {
            let heard = named::wait_receive_words(desk.set, [0; 8]);
            let [mark, ..] = heard.words;
            if heard.flavour == Flavour::OneWay as u64 {
                arrived.fetch_or(mark, Ordering::SeqCst);
            }
        }
    })?
    .detach();
    Ok(Box::new(move |random| send_marks(desk, arrived, random)))
}

fn send_marks(desk: Desk, arrived: &'static AtomicU64, random: &mut Random) -> Result<u64, Failure> {
    let marks = random.word();
    arrived.store(0, Ordering::SeqCst);
    let senders: Vec<_> = (0..2)
        .map(|number| {
            thread::spawn(move || {
                for bit in (0..64).filter(|bit| bit % 2 == number && marks >> bit & 1 == 1) {
                    while arrived.load(Ordering::SeqCst) >> bit & 1 == 0 {
                        named::send_words(desk.port, [1 << bit; 8]);
                        call::null();
                    }
                }
            })
        })
        .collect::<Result<_, Status>>()?;
    senders.into_iter().try_for_each(thread::JoinHandle::join)?;
    let arrived = arrived.load(Ordering::SeqCst);
    expect("marks", arrived, marks)?;
    Ok(arrived)
}
