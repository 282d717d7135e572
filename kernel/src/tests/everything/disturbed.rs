//! Torture and amnesia of the program that makes every call.

use std::time::Instant;
use std::vec::Vec;

use flob_abi::{Call, PAGE_SIZE, Protection, Status, ipc};

use super::stages::Stages;
use super::{Said, everything, run};
use crate::tests::explore::programs::{keeper, kept};
use crate::tests::laws::Disturbance;
use crate::tests::program::*;
use crate::tests::random::{Random, rounds};
use crate::tests::scene::*;
use crate::tests::sim::Sim;
use crate::tests::talk::with_references;

fn compare(now: &Said, undisturbed: &Said) {
    for (channel, said) in &undisturbed.0 {
        let (now, said) = (now.0.get(channel).map_or(&[][..], Vec::as_slice), &said[..]);
        let place =
            now.iter().zip(said).position(|(one, two)| one != two).unwrap_or(now.len().min(said.len()));
        let around = |all: &[u64]| all[place.saturating_sub(5)..all.len().min(place + 5)].to_vec();
        assert!(
            now == said,
            "channel {channel} from word {place}: {:x?}, not {:x?}",
            around(now),
            around(said)
        );
    }
    let differs = now.1.iter().zip(&undisturbed.1).position(|(one, two)| one != two);
    assert_eq!(differs, None, "memory differs");
}

fn count_all(sim: &mut Sim, scene: &Scene, stages: &mut Stages) {
    let threads: Vec<_> = scene.threads(sim);
    threads.into_iter().for_each(|(_, id)| stages.count(sim, id));
}

/// What was done in some runs.
#[derive(Default)]
struct Done {
    stages: Stages,
    times: u64,
    runs: u64,
}

/// How a scene is disturbed: after every instruction, or every kernel entry, with one chance in so many.
#[derive(Clone, Copy)]
struct Plan {
    disturbance: Disturbance,
    one_in: u64,
    entries_only: bool,
}

/// Runs a scene disturbed, until that has happened so many times, at least once to its end.
fn disturbed(test: &str, scene: &Scene, plan: Plan, times: u64) -> Done {
    let undisturbed = run(scene, |_, _| ());
    let (mut seeds, mut done, begin) = (Random::new(test), Done::default(), Instant::now());
    while done.runs == 0 || done.times < times {
        let mut random = Random::seeded(seeds.next());
        let now = run(scene, |sim, entered| {
            if (entered || !plan.entries_only) && random.chance(plan.one_in) {
                count_all(sim, scene, &mut done.stages);
                plan.disturbance.happen(sim, scene, &mut random);
                done.times += 1;
            }
        });
        compare(&now, &undisturbed);
        done.runs += 1;
    }
    let Done { stages, times, runs } = &done;
    let (points, seconds) = (stages.points(), begin.elapsed().as_secs());
    std::println!(
        "proof: {test}: {points} points, {times} times {:?}, {runs} runs, {seconds} s, seed {}",
        plan.disturbance,
        seeds.first
    );
    done
}

/// So many in the long form; a share of it every day.
fn times(long: u64, quick: u64) -> u64 {
    quick.saturating_mul(rounds(1)).min(long)
}

/// Most threads of a scene: each is a point whenever all are taken out.
const THREADS: u64 = 6;

#[test]
fn every_thread_is_stopped_and_put_back_at_every_instruction_of_every_call() {
    let plan = Plan { disturbance: Disturbance::Scramble, one_in: 1, entries_only: false };
    let least = times(10_000_000 / THREADS, 10_000);
    disturbed("torture", &everything(), plan, least).stages.report("torture");
}

/// What `kernel.torture` does on hardware.
#[test]
fn a_thread_is_taken_out_and_put_back_in_every_entry() {
    let plan = Plan { disturbance: Disturbance::InOneEntry, one_in: 1, entries_only: true };
    disturbed("torture in the kernel", &everything(), plan, times(1_000_000, 10_000));
}

#[test]
fn everything_is_destroyed_and_made_anew_in_the_midst_of_every_call() {
    for (name, disturbance) in
        [("large torture", Disturbance::Rebuild), ("restore", Disturbance::FreshKernel)]
    {
        let plan = Plan { disturbance, one_in: 13, entries_only: false };
        disturbed(name, &everything(), plan, times(100_000, 500));
    }
}

#[test]
fn everything_derived_is_dropped_at_random_moments_of_every_call() {
    let plan = Plan { disturbance: Disturbance::Forget, one_in: 3, entries_only: false };
    disturbed("amnesia", &everything(), plan, times(1_000_000, 2_000));
}

/// By name: Mach's old problem. A long transfer over page faults that a slow keeper serves one by one.
#[test]
fn machs_old_problem() {
    let scene = slow_transfer();
    for disturbance in [Disturbance::Scramble, Disturbance::Rebuild, Disturbance::FreshKernel] {
        for (entries_only, one_in) in [(false, 1), (true, 1), (false, 5)] {
            let plan = Plan { disturbance, one_in, entries_only };
            disturbed("Mach's old problem", &scene, plan, times(20_000, 200));
        }
    }
    let (said, memory) = run(&scene, |_, _| ());
    assert_eq!((&said[&0][..], &said[&1][..]), (&[0][..], &[Status::ReceiveDisconnected as u64][..]));
    let at = |page: u64, offset: u64| (page * PAGE_SIZE + offset) as usize;
    let (from, to) = (at(GUARDED_PAGES.start, FROM), at(GUARDED_PAGES.start + 2, TO));
    assert_eq!(memory[from..from + LONG as usize], memory[to..to + LONG as usize]);
}

/// A transfer's length, and where it begins in its first pages: so that the page borders of both ends differ.
const LONG: u64 = PAGE_SIZE + 3000;
const FROM: u64 = 96;
const TO: u64 = 1000;

fn slow_transfer() -> Scene {
    let registers =
        |from, to| with_references(if from == (0, 0) { SET } else { TO_PORT }, from, to, (0, 0), (0, 0));
    let send = ipc::IPC | ipc::CONNECT | ipc::SEND | ipc::DISCONNECT;
    let sender = Program::new().raw_call(send, &registers((GUARDED + FROM, LONG), (0, 0))).output(0, Rax);
    let to = (GUARDED + 2 * PAGE_SIZE + TO, LONG);
    let receiver = Program::new().raw_call(ipc::SERVER_WAIT, &registers((0, 0), to)).output(1, Rax);
    let mut scene = kept(std::vec![sender, receiver, keeper(true)], Protection::NONE, 0);
    let bytes: Vec<u8> = (0..2 * PAGE_SIZE).map(|index| (index * 7 % 251) as u8).collect();
    scene.write(data(GUARDED_PAGES.start), &bytes);
    scene
}

/// The signaller signals between any two steps of taking the sleeper out and putting it back.
#[test]
fn a_signal_sent_while_the_waiter_is_stopped_or_half_imported_is_never_lost() {
    let sleeper =
        Program::new().call(Call::MutexLock, &[MUTEX]).call(Call::ConditionWait, &[CONDITION, MUTEX]);
    let scene = Scene::new(Protection::ALL, std::vec![sleeper.call(Call::MutexUnlock, &[MUTEX]).say(0, 1)]);
    let steps: [fn(&mut Sim, &Scene, &mut Random); 5] = [
        |sim, scene, _| {
            sim.stop(scene.thread(0));
        },
        |sim, scene, random| Disturbance::Rebuild.happen(sim, scene, random),
        |sim, _, _| sim.kernel.forget_derived(),
        |sim, scene, random| Disturbance::Scramble.happen(sim, scene, random),
        |sim, scene, random| Disturbance::FreshKernel.happen(sim, scene, random),
    ];
    for signal_before in 0..=steps.len() {
        for call in [Call::ConditionSignal, Call::ConditionBroadcast] {
            let mut random = Random::seeded(signal_before as u64);
            let mut sim = scene.start.clone();
            sim.ring();
            sim.run_out();
            for (index, step) in steps.iter().enumerate() {
                if index == signal_before {
                    sim.ok(call, &[scene.outside(CONDITION)]);
                }
                step(&mut sim, &scene, &mut random);
            }
            if signal_before == steps.len() {
                sim.ok(call, &[scene.outside(CONDITION)]);
            }
            sim.run_out();
            assert_eq!(sim.said(0), [], "it is stopped");
            sim.resume(scene.thread(0));
            sim.run_out();
            assert_eq!(sim.said(0), [1], "{call:?} before step {signal_before}");
        }
    }
}
