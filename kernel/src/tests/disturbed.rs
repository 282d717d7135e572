//! Amnesia and torture: the same program, undisturbed and disturbed, says the same.

use std::collections::BTreeMap;
use std::vec::Vec;

use flob_abi::FlobKind;

use super::environment::Environment;
use super::random::{Random, rounds};
use super::sim::Sim;
use super::workload::{last_words, workload};

type Said = (BTreeMap<usize, Vec<u64>>, (u64, bool));

/// Runs the workload to its end; `disturb` is called after kernel entries.
fn run(mut disturb: impl FnMut(&mut Sim, &mut Environment)) -> Said {
    let mut sim = Sim::new();
    let mut environment = workload(&mut sim);
    for _ in 0..20_000 {
        let mut entered = false;
        let executed = sim.run_until(200, |_, now| {
            entered = now;
            now
        });
        if executed < 200 && !entered {
            let said = last_words(&mut sim, &environment);
            return (sim.output, said);
        }
        disturb(&mut sim, &mut environment);
    }
    panic!("the disturbed program does not come to an end: {:?}", sim.output);
}

fn undisturbed() -> Said {
    let said = run(|_, _| ());
    assert_eq!(said.0[&1], [1, 2, 3, 4, 5, 6]);
    assert_eq!(said.0[&6], [7, 14, 21, 28, 35, 42]);
    assert_eq!(said.0[&3][1], 1077);
    assert_eq!(said.1, (12, true));
    said
}

/// Rounds of a disturbed run, each with a seed of its own.
fn disturbed(test: &str, quick: u64, disturb: impl Fn(&mut Sim, &mut Environment, &mut Random)) {
    let expected = undisturbed();
    let mut seeds = Random::new(test);
    for _ in 0..rounds(quick) {
        let seed = seeds.next();
        std::println!("round with seed {seed}");
        let mut random = Random::seeded(seed);
        assert_eq!(run(|sim, environment| disturb(sim, environment, &mut random)), expected);
    }
}

#[test]
fn whatever_is_derived_can_be_forgotten_at_any_moment() {
    disturbed("amnesia", 20, |sim, _, random| {
        if random.chance(3) {
            sim.kernel.forget_derived();
        }
    });
}

#[test]
fn any_thread_can_be_stopped_scrambled_and_put_back_at_any_kernel_entry() {
    disturbed("torture", 10, |sim, environment, random| {
        let threads: Vec<u64> = environment
            .flobs(sim)
            .into_iter()
            .filter_map(|(place, kind)| (kind == FlobKind::Thread).then_some(place))
            .collect();
        let thread = random.pick(&threads);
        environment.scramble(sim, thread, random);
    });
}

#[test]
fn a_whole_environment_can_be_destroyed_and_made_anew_at_any_kernel_entry() {
    disturbed("rebuild", 6, |sim, environment, random| {
        if random.chance(6) {
            environment.rebuild(sim, random);
        }
    });
}
