//! Amnesia and torture in a real guest: whatever is forgotten, or taken out of the kernel and put back, the program says the
//! same. FLOB_SEED chooses the moments, FLOB_ROUNDS the size of the work.
#![allow(missing_docs)]

use std::path::Path;

use flob_tests::{Finished, World, random_text, rounds, seed};

/// Most that one run is long; the long forms are many runs.
const LONGEST: usize = 100;
/// Points of the long form.
const MANY: usize = 100_000;

/// A program to be disturbed.
struct Workload {
    program: Vec<String>,
    input: Vec<u8>,
    /// Its lines come in any order.
    unordered: bool,
}

fn philosophers() -> Workload {
    let meals = rounds(12).min(LONGEST).to_string();
    let program = ["philosophers", "4", "--pace", "1", "--meals", &meals].map(str::to_owned).to_vec();
    Workload { program, input: Vec::new(), unordered: true }
}

fn wordcount(seed: u64) -> Workload {
    let input = random_text(&mut fastrand::Rng::with_seed(seed), 8_000 * rounds(12).min(LONGEST));
    Workload { program: vec!["wordcount".to_owned(), "--pace".into(), "10".into()], input, unordered: false }
}

impl Workload {
    fn run(&self, world: &World, options: &[&str]) -> Finished {
        let input = world.file("input", &self.input);
        let mut arguments = vec!["-s", "disturbed", "run", "--headless", "--memory", "128"];
        arguments.extend(options);
        arguments.extend(self.program.iter().map(String::as_str));
        world.start(&arguments, Some(&input)).finish()
    }

    fn said(&self, finished: &Finished) -> Vec<String> {
        let mut lines: Vec<_> = finished.stdout.lines().map(str::to_owned).collect();
        if self.unordered {
            lines.sort_unstable();
        }
        lines
    }

    /// Runs it undisturbed and disturbed, compares, and returns what the disturbed run left.
    fn check(&self, world: &World, options: &[&str]) -> Finished {
        let undisturbed = self.run(&World::new(), &[]);
        assert_eq!(undisturbed.code, Some(0), "{undisturbed}");
        let disturbed = self.run(world, options);
        let logs = world.path("run/flob/disturbed.logs");
        assert_eq!(
            disturbed.code,
            Some(0),
            "{disturbed}\nlogs were in {}\n{}",
            logs.display(),
            console(world)
        );
        assert_eq!(self.said(&disturbed), self.said(&undisturbed), "{disturbed}");
        disturbed
    }

    /// In as many runs as it takes.
    fn tortured(&self, size: &str, mut seed: u64, least: usize) {
        let (wanted, mut points) = (least.saturating_mul(rounds(1)).min(MANY), 0);
        while points < wanted {
            points += self.tortured_once(size, seed, least);
            seed = seed.wrapping_add(1);
        }
        let program = &self.program[0];
        eprintln!("proof: in QEMU: torture of {program}, {size}: {points} points, up to seed {seed}");
    }

    fn tortured_once(&self, size: &str, seed: u64, least: usize) -> usize {
        let finished = self.check(&World::new(), &["--torture", size, "--seed", &seed.to_string()]);
        let report: Vec<_> = finished.stderr.lines().filter(|line| line.starts_with("torture: ")).collect();
        eprintln!("{}", report.join("\n"));
        let head = report.first().copied().unwrap_or_default();
        let points = number_before(head, " points").unwrap_or(0);
        assert!(points >= least, "only {points} points: {finished}");
        assert_eq!(number_before(head, " complaints"), Some(0), "{finished}");
        points
    }

    fn forgotten(&self, seed: u64) {
        self.disturbed_by_the_kernel(["--amnesia", "20"], seed, ["amnesia: ", " drops"]);
    }

    fn tortured_at_every_entry(&self, seed: u64) {
        self.disturbed_by_the_kernel(["--torture", "entries"], seed, ["torture: ", " threads"]);
    }

    /// In as many runs as it takes. The kernel reports on its console: a line that begins so and has the number of times
    /// before this word, a lower bound.
    fn disturbed_by_the_kernel(&self, how: [&str; 2], mut seed: u64, [report, word]: [&str; 2]) {
        const LEAST: usize = 256;
        let (wanted, mut times) = (LEAST.saturating_mul(rounds(1)).min(MANY), 0);
        while times < wanted {
            let world = World::new();
            self.check(&world, &[how[0], how[1], "--seed", &seed.to_string()]);
            let console = console(&world);
            assert!(!console.contains("complaint"), "{console}");
            let last = console.lines().rfind(|line| line.starts_with(report)).unwrap_or_default();
            let now = number_before(last, word).unwrap_or(0);
            assert!(now >= LEAST, "only {now}: {console}");
            (times, seed) = (times + now, seed.wrapping_add(1));
        }
        eprintln!(
            "proof: in QEMU: {} {} of {}: {times}{word}, up to seed {seed}",
            how[0], how[1], self.program[0]
        );
    }
}

/// The kernel's early console of the disturbed run.
fn console(world: &World) -> String {
    let path = world.path("run/flob/disturbed.logs/console.log");
    std::fs::read(Path::new(&path))
        .map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The number in front of a word.
fn number_before(line: &str, word: &str) -> Option<usize> {
    line.split(word).next()?.rsplit(' ').next()?.parse().ok()
}

#[test]
fn philosophers_do_not_notice_that_the_kernel_forgets() {
    philosophers().forgotten(seed());
}

#[test]
fn wordcount_does_not_notice_that_the_kernel_forgets() {
    let seed = seed();
    wordcount(seed).forgotten(seed);
}

#[test]
fn philosophers_do_not_notice_that_a_thread_is_taken_out_and_put_back_at_every_kernel_entry() {
    philosophers().tortured_at_every_entry(seed());
}

#[test]
fn wordcount_does_not_notice_that_a_thread_is_taken_out_and_put_back_at_every_kernel_entry() {
    let seed = seed();
    wordcount(seed).tortured_at_every_entry(seed);
}

#[test]
fn philosophers_do_not_notice_that_threads_are_taken_out_and_put_back() {
    philosophers().tortured("small", seed(), 100);
}

#[test]
fn wordcount_does_not_notice_that_threads_are_taken_out_and_put_back() {
    let seed = seed();
    wordcount(seed).tortured("small", seed, 100);
}

#[test]
fn philosophers_do_not_notice_that_everything_is_destroyed_and_made_anew() {
    philosophers().tortured("large", seed(), 20);
}

#[test]
fn wordcount_does_not_notice_that_everything_is_destroyed_and_made_anew() {
    let seed = seed();
    wordcount(seed).tortured("large", seed, 20);
}
