//! Kill and restore: checkpoints at random moments of programs that do everything, the power cut, a fresh guest for each;
//! what they say in the end is what they say undisturbed. In chains: what was restored is saved and killed again.
//!
//! Moments are events (so much output, a thread that begins to wait), not times. FLOB_SEED chooses programs and moments,
//! FLOB_ROUNDS says how often the power is cut.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use flob_tests::{World, count, random_text, rounds, seed};

/// How often a chain is cut before it is let run to its end.
const DEPTH: usize = 10;

/// A program, and what it says undisturbed.
struct Subject {
    world: World,
    arguments: Vec<String>,
    input: Option<PathBuf>,
    /// Its lines, which may come in any order.
    lines: Vec<String>,
    moments: Moments,
}

/// When the power is cut.
#[derive(Clone, Copy)]
enum Moments {
    /// After some output, by and by.
    Output,
    /// When a thread begins to wait for something.
    Waits,
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

impl Subject {
    /// The random program with this seed; run once, to know.
    fn random(seed: u64, options: &[&str]) -> Self {
        let (world, seed) = (World::new(), seed.to_string());
        let arguments = [words(&["random", &seed]), words(options)].concat();
        let all: Vec<&str> =
            ["run", "--headless"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        let lines = sorted(&world.flob_ok(&all));
        Self { world, arguments, input: None, lines, moments: Moments::Output }
    }

    fn philosophers(meals: usize) -> Self {
        let arguments = words(&["philosophers", "4", "--pace", "4", "--meals", &meals.to_string()]);
        let meal =
            |philosopher| (1..=meals).map(move |meal| format!("philosopher {philosopher}: meal {meal}"));
        let mut lines: Vec<String> = (0..4).flat_map(meal).collect();
        lines.push(format!("all 4 philosophers have had {meals} meals"));
        lines.sort_unstable();
        Self { world: World::new(), arguments, input: None, lines, moments: Moments::Output }
    }

    fn wordcount(random: &mut fastrand::Rng, bytes: usize) -> Self {
        let (world, text) = (World::new(), random_text(random, bytes));
        let input = Some(world.file("input", &text));
        let lines = sorted(&count(&text).report());
        Self { world, arguments: words(&["wordcount", "--pace", "4"]), input, lines, moments: Moments::Waits }
    }

    /// Everything that is printed, in bytes.
    fn bytes(&self) -> usize {
        self.lines.iter().map(|line| line.len() + 1).sum()
    }

    /// Cuts the power up to so many times, and compares what was said in the end. How often it was cut.
    fn chain(&self, most: usize, random: &mut fastrand::Rng) -> usize {
        let (mut said, mut checkpoint) = (String::new(), None);
        for cut in 0..most {
            let left = (self.bytes() - said.len()) / (most - cut);
            match self.run_on(checkpoint.as_deref(), random.usize(0..=left), random) {
                (text, Some(next)) => {
                    said.push_str(&text);
                    checkpoint = Some(next);
                }
                (text, None) => {
                    self.compare(&(said + &text), cut);
                    return cut;
                }
            }
        }
        let options = Self::options(checkpoint.as_deref(), random);
        let finished = self.world.start(&self.run(checkpoint.as_deref(), &options), self.input()).finish();
        assert_eq!(finished.code, Some(0), "{:?}: {finished}", self.arguments);
        self.compare(&(said + &finished.stdout), most);
        most
    }

    fn compare(&self, said: &str, cuts: usize) {
        assert_eq!(
            sorted(said),
            self.lines,
            "{:?} after {cuts} cuts, checkpoints in its store",
            self.arguments
        );
    }

    fn input(&self) -> Option<&Path> {
        self.input.as_deref()
    }

    /// The command that begins with this checkpoint, or with the program.
    fn run<'a>(&'a self, from: Option<&'a str>, options: &[&'a str]) -> Vec<&'a str> {
        let what = match from {
            Some(checkpoint) => vec!["--restore", checkpoint],
            None => self.arguments.iter().map(String::as_str).collect(),
        };
        [&["run", "--headless"], options, &what].concat()
    }

    /// Every other restore is a lazy one.
    fn options(from: Option<&str>, random: &mut fastrand::Rng) -> Vec<&'static str> {
        from.filter(|_| random.bool()).map_or_else(Vec::new, |_| vec!["--lazy"])
    }

    /// Runs on until it has printed so many more bytes, saves and cuts the power. What it had printed by then, and the
    /// checkpoint; without one it came to its end first.
    fn run_on(
        &self,
        from: Option<&str>,
        bytes: usize,
        random: &mut fastrand::Rng,
    ) -> (String, Option<String>) {
        let before = from.map_or(0, |checkpoint| printed(&self.world, checkpoint));
        let options = [&["--paused"], &*Self::options(from, random)].concat();
        let hub = self.world.start(&self.run(from, &options), self.input());
        let guest = self.world.guest_of(hub);
        guest.flob_ok(&["resume"]);
        let saved = match self.moments {
            Moments::Output => {
                guest.hub.wait_for_output(bytes);
                guest.flob(&["checkpoint", "save"])
            }
            Moments::Waits => {
                let what = ["mutex", "condition", "send", "receive", "input"][random.usize(..5)];
                guest.flob(&["checkpoint", "save", "--when", what])
            }
        };
        if saved.code != Some(0) {
            let finished = guest.finish();
            assert_eq!(finished.code, Some(0), "{saved}\n{finished}");
            return (finished.stdout, None);
        }
        let checkpoint = saved.stdout.trim().to_owned();
        if has_ended(&self.world, &checkpoint) {
            return (guest.finish().stdout, None);
        }
        let bytes = printed(&self.world, &checkpoint) - before;
        // What was printed before the save has to arrive before the power is cut.
        let said = guest.hub.wait_for_output(bytes);
        guest.power_cut();
        (said[..bytes].to_owned(), Some(checkpoint))
    }
}

/// Whether a checkpoint's program had ended.
fn has_ended(world: &World, checkpoint: &str) -> bool {
    !world.json(&["checkpoint", "show", "--json", checkpoint])["environment"]["exit"].is_null()
}

/// Bytes of output that a checkpoint's program had printed.
fn printed(world: &World, checkpoint: &str) -> usize {
    let shown = world.json(&["checkpoint", "show", "--json", checkpoint]);
    let streams = shown["environment"]["streams"].as_array().unwrap();
    let stream = streams.iter().find(|stream| stream["name"] == "stdout").unwrap();
    usize::from_str_radix(stream["position"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// Chains of subjects until the power was cut so often.
fn cut_in_chains(cuts: usize, depth: usize, mut subject: impl FnMut(&mut fastrand::Rng) -> Subject) {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut done = 0;
    while done < cuts {
        let subject = subject(&mut random);
        let cut = subject.chain(depth.min(cuts - done), &mut random);
        // A run that ends before it is saved is none; but that is no reason never to end.
        done += cut.max(1);
        eprintln!("{:?}: cut {cut} times, {done} of {cuts}", subject.arguments);
    }
}

#[test]
fn random_programs_are_saved_and_killed_in_chains_and_say_the_same() {
    cut_in_chains(rounds(DEPTH), DEPTH, |random| {
        Subject::random(random.u64(..), &["--rounds", "12", "--depth", "1"])
    });
}

#[test]
fn many_random_programs_are_saved_and_killed_once_and_say_the_same() {
    cut_in_chains(rounds(8), 1, |random| Subject::random(random.u64(..), &["--rounds", "3", "--depth", "1"]));
}

#[test]
fn children_of_children_are_saved_and_killed_and_say_the_same() {
    cut_in_chains(rounds(2), 2, |random| Subject::random(random.u64(..), &["--rounds", "1", "--depth", "2"]));
}

#[test]
fn philosophers_are_saved_and_killed_in_chains_and_have_each_meal_once() {
    cut_in_chains(rounds(DEPTH), DEPTH, |_| Subject::philosophers(40));
}

#[test]
fn wordcount_is_saved_and_killed_in_chains_and_counts_the_same() {
    cut_in_chains(rounds(DEPTH), DEPTH, |random| Subject::wordcount(random, 1_200_000));
}
