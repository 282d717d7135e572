//! The link over a line that loses, flips and delays bytes: nothing is lost, nothing done twice, nothing stuck.
//!
//! `FLOB_SEED=N` repeats one run; the seeds used are printed.

mod awaitable;
mod given_up;
mod guest;
mod pipe;

use std::{
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use awaitable::Socket;
use flob_link::host::{BULK_WINDOW, Inlet, Link, LinkError, Log, Notice, Timing, Urgency};
use flob_link::{Capacity, Effect, Event, Memory, Reply, Request, Run, Scope};
use guest::{FITTING, Guest, NARROW, WIDE, long_answer, pages};
use pipe::{Faults, PERFECT, Reader, Writer, pipe};

const LONG: usize = 200_000;
/// Far beyond what any run takes: only a stuck link reaches it.
const STUCK: Duration = Duration::from_secs(120);

fn timing() -> Timing {
    Timing {
        repeat: Duration::from_millis(10),
        longest_repeat: Duration::from_millis(50),
        quiet: Duration::from_millis(30),
        ..Timing::default()
    }
}

fn connect(faults: Faults, seed: u64, version: u32) -> (Link, Receiver<Notice>) {
    connect_to(NARROW, faults, seed, version)
}

fn connect_to(capacity: Capacity, faults: Faults, seed: u64, version: u32) -> (Link, Receiver<Notice>) {
    let (to_guest, guest_reads) = pipe(faults, seed);
    let (guest_writes, from_guest) = pipe(faults, seed ^ 0xdead_beef);
    Guest::start(guest_reads, guest_writes, version, LONG, capacity);
    link_over(seed, timing(), from_guest, to_guest)
}

/// Every other seed has a stream that can be awaited.
fn link_over(seed: u64, timing: Timing, from_guest: Reader, to_guest: Writer) -> (Link, Receiver<Notice>) {
    if seed.is_multiple_of(2) {
        link_with(timing, Socket::behind(from_guest), to_guest)
    } else {
        link_with(timing, from_guest, to_guest)
    }
}

fn link_with(timing: Timing, from_guest: impl Inlet, to_guest: Writer) -> (Link, Receiver<Notice>) {
    let (sender, notices) = channel();
    // A test that ends needs no more notices.
    let tell = Box::new(move |notice| drop(sender.send(notice)));
    (Link::start(from_guest, to_guest, timing, Log::none(), tell).expect("threads start"), notices)
}

fn seeds() -> Vec<u64> {
    match std::env::var("FLOB_SEED") {
        Ok(seed) => vec![seed.parse().expect("FLOB_SEED is a number")],
        Err(_) => {
            let start =
                std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
            (0..4).map(|round| start.wrapping_add(round)).collect()
        }
    }
}

/// What is made of the first notice of which anything is. Whatever else is told meanwhile, and the state of affairs always is, makes the
/// wait no longer.
fn first<T>(notices: &Receiver<Notice>, mut make: impl FnMut(Notice) -> Option<T>) -> T {
    let end = Instant::now() + STUCK;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if let Some(made) = make(notices.recv_timeout(left).expect("it is told")) {
            return made;
        }
    }
}

/// What the guest has done, by an event: the address of a write, the thread of another order.
fn done(notice: &Notice) -> Option<u64> {
    match notice {
        Notice::Event { event: Event::Exited { code }, .. } => Some(*code as u64),
        _ => None,
    }
}

/// What it tells next that it has done.
fn next_done(notices: &Receiver<Notice>) -> u64 {
    first(notices, |notice| done(&notice))
}

fn write(address: u64) -> Request {
    Request::Write { memory: Memory::Environment, address, bytes: vec![1, 2, 3] }
}

fn read(address: u64) -> Request {
    Request::Read { memory: Memory::Environment, address, count: 4 }
}

#[test]
fn on_a_bad_line_everything_is_done_once_and_every_event_comes_in_order() {
    const WRITES: u64 = 300;
    for seed in seeds() {
        println!("FLOB_SEED={seed}");
        let faults = Faults { lose: 20_000, flip: 20_000, delay: 7 };
        let (link, notices) = connect(faults, seed, FITTING);
        let long = std::thread::spawn({
            let link = link.clone();
            move || link.long(Request::Look { vectors: false })
        });
        link.pipeline((0..WRITES).map(|address| (address, write(address))), |_, reply| {
            assert_eq!(reply, Reply::Done);
            Ok::<(), LinkError>(())
        })
        .expect("all answered");
        for address in 0..WRITES {
            assert_eq!(
                link.bytes(read(address)).expect("answered"),
                1_u32.to_le_bytes(),
                "write {address}, seed {seed}"
            );
        }
        assert_eq!(long.join().expect("no panic").expect("answered"), long_answer(LONG));

        let mut seen: Vec<u64> = (0..WRITES).map(|_| next_done(&notices)).collect();
        // Requests of a window may be carried out in any order; each exactly once.
        seen.sort_unstable();
        assert_eq!(seen, (0..WRITES).collect::<Vec<_>>());
    }
}

/// One that was lost on the way was carried out behind those that had been given after it.
#[test]
fn on_a_bad_line_orders_are_carried_out_in_the_order_in_which_they_were_given() {
    const ORDERS: u64 = 100;
    for seed in seeds() {
        println!("FLOB_SEED={seed}");
        let (link, notices) = connect(Faults { lose: 200, flip: 0, delay: 0 }, seed, FITTING);
        let (sender, answers) = channel();
        for thread in 0..ORDERS {
            link.submit(Urgency::Urgent, Request::Stop(Scope::Thread(thread)), thread, &sender);
        }
        for _ in 0..ORDERS {
            let (_, result) = answers.recv_timeout(STUCK).expect("all are answered");
            assert_eq!(result, Ok(Reply::Threads(1)), "seed {seed}");
        }
        let told: Vec<u64> = (0..ORDERS).map(|_| next_done(&notices)).collect();
        assert_eq!(told, (0..ORDERS).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn an_urgent_request_does_not_wait_for_a_long_answer() {
    let (link, _notices) = connect(PERFECT, 1, FITTING);
    let Ok(Reply::Long { answer, size }) = link.request(Request::Look { vectors: false }) else {
        panic!("no long answer");
    };
    let mut before_urgent = 0;
    let (sender, answers) = channel();
    let (mut asked, mut answered) = (false, false);
    let requests =
        (0..size.div_ceil(4096)).map(|index| (index, Request::Chunk { answer, index: index as u32 }));
    link.pipeline(requests, |_, _| {
        if !std::mem::replace(&mut asked, true) {
            link.submit(Urgency::Urgent, read(1), 0, &sender);
        }
        answered |= answers.try_recv().is_ok();
        before_urgent += usize::from(!answered);
        Ok::<(), LinkError>(())
    })
    .expect("all answered");
    assert!(before_urgent <= 3 * BULK_WINDOW, "{before_urgent} chunks went first");
}

#[test]
fn versions_that_do_not_fit_say_which_side_to_update() {
    for (version, side) in [(FITTING + 1, "flob on the host"), (FITTING - 1, "the guest's programs")] {
        let (link, notices) = connect(PERFECT, 1, version);
        let notice = notices.recv_timeout(STUCK).expect("a notice");
        assert!(matches!(&notice, Notice::Version(text) if text.contains(side)), "{notice:?}");
        assert!(matches!(link.request(read(0)), Err(LinkError::Version(_))));
    }
}

#[test]
fn a_guest_that_ends_fails_what_is_under_way() {
    for seed in [1, 2] {
        let (to_guest, _guest_reads) = pipe(PERFECT, seed);
        let (guest_writes, from_guest) = pipe(PERFECT, seed);
        let (link, notices) = link_over(seed, timing(), from_guest, to_guest);
        let asked = std::thread::spawn(move || link.request(read(0)));
        drop(guest_writes);
        assert_eq!(asked.join().expect("no panic"), Err(LinkError::Ended));
        assert_eq!(notices.recv_timeout(STUCK), Ok(Notice::Ended));
    }
}

/// Runs of so many pages in all, as many a message as the line carries.
fn batches(capacity: Capacity, count: u64) -> Vec<Vec<Run>> {
    let most = capacity.to_host;
    let run = |first| vec![Run { first, count: most }];
    (0..count).step_by(most as usize).map(run).collect()
}

/// Bad lines of both kinds, each with its seed and with what two hundred pages are on it.
fn bad_lines() -> impl Iterator<Item = (u64, (Link, Receiver<Notice>), Vec<Vec<Run>>)> {
    let faults = Faults { lose: 60_000, flip: 60_000, delay: 9 };
    seeds().into_iter().flat_map(|seed| [(seed, NARROW), (seed, WIDE)]).map(move |(seed, capacity)| {
        println!("FLOB_SEED={seed}, {capacity:?}");
        (seed, connect_to(capacity, faults, seed, FITTING), batches(capacity, 200))
    })
}

/// Bytes of pages are lost, flipped and late like all others, whole messages of them are repeated: each page comes as it is.
#[test]
fn pages_come_whole_over_a_bad_line_raw_or_framed() {
    for (seed, (link, _notices), batches) in bad_lines() {
        let requests = (0..).zip(batches.iter().map(|runs| Request::SavePages { runs: runs.clone() }));
        let mut came = 0;
        link.pipeline(requests, |index, reply| {
            assert!(reply == Reply::Pages(pages(&batches[index as usize])), "batch {index}, seed {seed}");
            came += 1;
            Ok::<(), LinkError>(())
        })
        .expect("all answered");
        assert_eq!(came, batches.len());
    }
}

/// The other way: the guest takes each message once, with all its pages, however often it was sent.
#[test]
fn pages_go_whole_over_a_bad_line_and_are_taken_once() {
    for (seed, (link, _notices), batches) in bad_lines() {
        let put = |runs: &Vec<Run>| Request::RestorePages { runs: runs.clone(), bulk: pages(runs) };
        link.pipeline((0..).zip(batches.iter().map(put)), |_, reply| {
            assert_eq!(reply, Reply::Done, "seed {seed}");
            Ok::<(), LinkError>(())
        })
        .expect("all answered");
        for first in batches.iter().map(|runs| runs[0].first) {
            let times = link.bytes(read(first)).expect("answered");
            assert_eq!(times, 1_u32.to_le_bytes(), "page {first}, seed {seed}");
        }
    }
}

/// A message whose bulk stops half-way takes what follows for the rest: that is found out, and both come again.
#[test]
fn half_of_the_pages_are_none() {
    let (link, _notices) = connect_to(WIDE, PERFECT, 1, FITTING);
    for halves in [1, 3] {
        assert_eq!(link.request(Request::Blank { pages: halves }), Ok(Reply::Done));
        let batches = batches(WIDE, 40);
        let requests = (0..).zip(batches.iter().map(|runs| Request::SavePages { runs: runs.clone() }));
        link.pipeline(requests, |index, reply| {
            assert!(reply == Reply::Pages(pages(&batches[index as usize])), "batch {index}");
            Ok::<(), LinkError>(())
        })
        .expect("all answered");
    }
}
