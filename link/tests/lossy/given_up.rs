//! Orders that nobody waits for any more because the guest has said nothing for long.

use super::*;
use pipe::Gate;

/// A link that soon gives up, and what shuts its way to the guest.
fn impatient(faults: Faults, seed: u64) -> (Link, Receiver<Notice>, Gate) {
    let (to_guest, guest_reads) = pipe(faults, seed);
    let (guest_writes, from_guest) = pipe(faults, seed ^ 0xdead_beef);
    let gate = guest_reads.gate();
    Guest::start(guest_reads, guest_writes, FITTING, LONG, NARROW);
    let timing = Timing { lost: Duration::from_millis(100), give_up: Duration::from_millis(200), ..timing() };
    let (link, notices) = link_over(seed, timing, from_guest, to_guest);
    (link, notices, gate)
}

fn stop(thread: u64) -> Request {
    Request::Stop(Scope::Thread(thread))
}

/// The threads of the orders that were carried out until this notice.
fn done_until(notices: &Receiver<Notice>, last: impl Fn(&Notice) -> bool) -> Vec<u64> {
    let mut threads = Vec::new();
    first(notices, |notice| {
        threads.extend(done(&notice));
        last(&notice).then_some(())
    });
    threads
}

/// It was carried out at any time, and nobody learnt of that.
#[test]
fn what_came_of_an_order_that_was_given_up_is_told_before_that_is_said() {
    for seed in [1, 2] {
        let (link, notices, gate) = impatient(PERFECT, seed);
        assert_eq!(link.request(stop(1)), Ok(Reply::Threads(1)));
        gate.set_shut(true);
        assert_eq!(link.request(stop(2)), Err(LinkError::InDoubt(Effect::Stops)));
        assert_eq!(link.request(stop(3)), Err(LinkError::Silent), "it was never sent");
        gate.set_shut(false);
        assert_eq!(done_until(&notices, |notice| *notice == Notice::GivenUp), [1, 2]);
        assert_eq!(link.request(stop(4)), Ok(Reply::Threads(1)));
        assert_eq!(next_done(&notices), 4);
    }
}

/// Whatever else is lost, late or damaged.
#[test]
fn on_a_bad_line_an_order_that_was_given_up_is_done_once_or_never_and_not_behind_a_later_one() {
    for seed in seeds() {
        println!("FLOB_SEED={seed}");
        let (link, notices, gate) = impatient(Faults { lose: 300, flip: 300, delay: 7 }, seed);
        let (mut given, mut answered) = (0, Vec::new());
        let begun = Instant::now();
        for is_shut in [true, false].repeat(4) {
            gate.set_shut(is_shut);
            // When the guest answers again the first may still be given up.
            loop {
                given += 1;
                let is_answered = link.request(stop(given)).is_ok();
                answered.extend(is_answered.then_some(given));
                if is_answered || is_shut {
                    break;
                }
                assert!(begun.elapsed() < STUCK, "it never answers again, seed {seed}");
            }
        }
        let last = answered.last().copied().expect("one was answered");
        let done = std::iter::repeat_with(|| next_done(&notices));
        let mut done: Vec<u64> = done.take_while(|thread| *thread != last).collect();
        done.push(last);
        assert!(done.is_sorted_by(|one, next| one < next), "{done:?}, seed {seed}");
        assert!(answered.iter().all(|thread| done.contains(thread)), "{answered:?} of {done:?}, seed {seed}");
    }
}

#[test]
fn who_gives_up_a_question_has_nothing_to_find_out() {
    let (link, notices, gate) = impatient(PERFECT, 1);
    assert_eq!(link.bytes(read(1)), Ok(vec![0; 4]), "it has said hello");
    gate.set_shut(true);
    assert_eq!(link.request(read(1)), Err(LinkError::Silent));
    gate.set_shut(false);
    done_until(&notices, |notice| *notice == Notice::Back);
    assert_eq!(link.request(stop(1)), Ok(Reply::Threads(1)));
    assert!(notices.try_iter().all(|notice| notice != Notice::GivenUp));
}

/// It was told as if nothing had been done.
#[test]
fn who_gives_up_a_change_that_was_sent_is_told_that_it_may_have_been_made() {
    let (link, notices, gate) = impatient(PERFECT, 1);
    assert_eq!(link.bytes(read(1)), Ok(vec![0; 4]), "it has said hello");
    gate.set_shut(true);
    let effect = Effect::Memory { memory: Memory::Environment, address: 1 };
    assert_eq!(link.request(write(1)), Err(LinkError::InDoubt(effect)));
    assert_eq!(link.request(write(1)), Err(LinkError::Silent), "it was never sent");
    gate.set_shut(false);
    done_until(&notices, |notice| *notice == Notice::Back);
    assert_eq!(link.bytes(read(1)), Ok(vec![1, 0, 0, 0]), "it was written once");
}
