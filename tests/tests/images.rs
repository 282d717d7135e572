//! Saved checkpoints with no guest running: given away as files, taken elsewhere, and run on there.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use flob_tests::{Finished, World};
use serde_json::Value as Json;

/// Philosophers in a deadlock, saved; the checkpoint. Their guest is gone.
fn deadlocked(world: &World) -> String {
    let guest = world.guest(&["philosophers", "5", "--meals", "3", "--deadlock", "--pace", "2"], None);
    guest.wait_for_threads("nobody can eat", |threads| {
        threads.iter().filter(|thread| thread["deadlock"] == 5).count() == 5
    });
    let checkpoint = guest.save(&["stuck"]);
    guest.power_cut();
    checkpoint
}

fn assert_fails(finished: &Finished, code: i32, text: &str) {
    assert_eq!(finished.code, Some(code), "{finished}");
    assert_eq!(finished.stderr.lines().count(), 1, "{finished}");
    assert!(finished.stderr.contains(text), "no {text:?} in {finished}");
}

#[test]
fn a_checkpoint_goes_to_another_machine_in_a_file_and_runs_on_there() {
    let (here, there) = (World::new(), World::new());
    let checkpoint = deadlocked(&here);
    let path = there.path("stuck.flob");
    let path = path.to_str().unwrap();
    let exported = here.json(&["checkpoint", "export", "--json", "stuck", path]);
    assert_eq!(exported["bytes"], std::fs::metadata(path).unwrap().len());
    assert_fails(&here.flob(&["checkpoint", "export", "stuck", path]), 122, "--force");
    assert_eq!(there.flob_ok(&["checkpoint", "import", path]).trim(), checkpoint);
    let again = there.flob(&["checkpoint", "import", path]);
    assert_eq!((again.code, again.stdout.trim()), (Some(0), checkpoint.as_str()), "{again}");
    assert!(again.stderr.contains("in the store already"), "{again}");
    assert!(there.flob_ok(&["checkpoint", "verify"]).contains(&format!("{checkpoint}: sound")));
    // Symbols came along: names and places in the source are the same.
    let looks = [&["why", "--at", "stuck", "philosopher-1"][..], &["tree", "--at", "stuck"]];
    for look in looks {
        assert_eq!(there.flob_ok(look), here.flob_ok(look));
    }
    let edited = there.flob_ok(&["checkpoint", "edit", "stuck", "--set", "FORKS[2].locked=false"]);
    let finished = there.start(&["run", "--headless", "--restore", edited.trim()], None).finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    assert_eq!(finished.stdout.lines().last(), Some("all 5 philosophers have had 3 meals"), "{finished}");
    // A damaged file brings nothing.
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
    assert_fails(&World::new().flob(&["checkpoint", "import", path]), 122, "nothing was imported");
}

#[test]
fn the_graph_of_a_checkpoint_is_drawn_with_no_guest() {
    let world = World::new();
    let checkpoint = deadlocked(&world);
    let json = world.json(&["graph", "--at", &checkpoint, "--json"]);
    let (flobs, links) = (json["flobs"].as_array().unwrap(), json["links"].as_array().unwrap());
    let svg = world.flob_ok(&["graph", "--at", &checkpoint, "--svg"]);
    let outside = svg.matches("class=\"flob outside\"").count();
    assert_eq!(svg.matches("class=\"flob ").count(), flobs.len() + outside, "{svg}");
    assert_eq!(svg.matches("class=\"arrow ").count(), links.len(), "{svg}");
    assert_eq!(svg.matches("class=\"arrow waiting_for deadlock\"").count(), 5, "{svg}");
    assert_eq!(svg.matches("class=\"flob thread deadlock\"").count(), 5, "{svg}");
    for flob in flobs {
        assert!(svg.contains(&format!(">{}</text>", flob["flob"].as_str().unwrap())), "{flob} in {svg}");
    }
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    let dot = world.flob_ok(&["graph", "--at", &checkpoint, "--dot"]);
    let shown = world.json(&["checkpoint", "show", "--json", &checkpoint]);
    dot_has_what_json_has(&dot, &shown["environment"]["flobs"], flobs, links);
}

/// A statement of a graph in the language of graphviz: a node or an arrow, its label, its other attributes.
struct Statement<'a> {
    head: &'a str,
    label: &'a str,
    attributes: &'a str,
}

fn statements(dot: &str) -> Vec<Statement<'_>> {
    let body = dot.strip_prefix("digraph \"philosophers\" {\n  rankdir=LR;\n").unwrap();
    let statement = |line| -> Option<Statement<'_>> {
        let (head, rest) = str::trim(line).strip_suffix("];")?.split_once(" [label=\"")?;
        let (label, attributes) = rest.split_once('"')?;
        Some(Statement { head, label, attributes })
    };
    let lines = body.strip_suffix("}\n").unwrap().lines();
    lines.map(|line| statement(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// Each flob is a node of its own, and each link an arrow between the right two, with its name.
fn dot_has_what_json_has(dot: &str, places: &Json, flobs: &[Json], links: &[Json]) {
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let (arrows, nodes): (Vec<_>, Vec<_>) =
        statements(dot).into_iter().partition(|statement| statement.head.contains(" -> "));
    let labels: BTreeMap<&str, &str> = nodes.iter().map(|node| (node.head, node.label)).collect();
    assert_eq!(labels.len(), nodes.len(), "each node comes once: {dot}");
    for (flob, place) in flobs.iter().zip(places.as_array().unwrap()) {
        let head = format!("n{}", text(&place["place"]).trim_start_matches("0x"));
        let node = nodes.iter().find(|node| node.head == head).unwrap_or_else(|| panic!("no {head}: {dot}"));
        assert_eq!((node.label, &flob["kind"]), (flob["flob"].as_str().unwrap(), &place["kind"]));
        assert_eq!(node.attributes.contains("color=red"), flob["deadlock"] == true, "{flob}");
    }
    let outside: BTreeSet<String> =
        links.iter().map(|link| text(&link["to"])).filter(|to| to.starts_with("outside:")).collect();
    let dashed = nodes.iter().filter(|node| node.attributes.contains("style=dashed"));
    assert_eq!(dashed.map(|node| node.label.to_owned()).collect::<BTreeSet<_>>(), outside);
    assert_eq!(nodes.len(), flobs.len() + outside.len(), "{dot}");
    let drawn = arrows.iter().map(|arrow| {
        let (from, to) = arrow.head.split_once(" -> ").unwrap();
        [labels[from], arrow.label, labels[to]].map(str::to_owned)
    });
    let named = links.iter().map(|link| [&link["from"], &link["link"], &link["to"]].map(text));
    let sorted = |mut all: Vec<[String; 3]>| {
        all.sort();
        all
    };
    assert_eq!(sorted(drawn.collect()), sorted(named.collect()));
}

/// What plain gdb says to these commands about a core file.
fn gdb(program: &str, core: &str, commands: &[&str]) -> String {
    let mut command = Command::new("gdb");
    command.args(["-nx", "-batch"]);
    command.args(commands.iter().flat_map(|line| ["-ex", line]));
    let output = command.args([program, core]).output().expect("gdb is there");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("warning:"), "{text}");
    text
}

/// The hexadecimal digits behind these words.
fn behind<'a>(text: &'a str, words: &str) -> &'a str {
    let rest = text.split_once(words).unwrap_or_else(|| panic!("no {words:?} in\n{text}")).1.trim_start();
    let rest = rest.trim_start_matches("0x");
    rest.split(|letter: char| !letter.is_ascii_hexdigit()).next().unwrap()
}

#[test]
fn plain_gdb_opens_a_core_file_of_a_checkpoint() {
    let world = World::new();
    let checkpoint = deadlocked(&world);
    // Vectors that a program of integers does not have by itself.
    let (thread, vector) = ("thread:philosophers/PHILOSOPHERS[1]", "000102030405060708090a0b0c0d0e0f");
    let (xmm, mxcsr) = (format!("{thread}.vectors.xmm5={vector}"), format!("{thread}.vectors.mxcsr=0x1fa0"));
    let edited = world.flob_ok(&["checkpoint", "edit", &checkpoint, "--set", &xmm, "--set", &mxcsr]);
    let edited = edited.trim();
    let core = world.path("core");
    let core = core.to_str().unwrap();
    let exported = world.json(&["checkpoint", "export", "--core", "--json", edited, core]);
    let threads: Vec<&str> =
        exported["threads"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(threads.len(), 6, "{exported:#}");
    let number = threads.iter().position(|name| *name == thread).unwrap() + 1;
    let text = gdb(
        exported["program"].as_str().unwrap(),
        core,
        &[
            "info threads",
            &format!("thread {number}"),
            "bt",
            "p/x $xmm5.uint128",
            "p/x $mxcsr",
            "p/x $rip",
            "p/x $rsp",
            "p/x $r12",
            "x/2xg $rsp",
        ],
    );
    for number in 1..=6 {
        assert!(text.contains(&format!("LWP {number}")), "{text}");
    }
    assert!(text.contains("philosophers::table::") && text.contains("table.rs:"), "{text}");
    assert_eq!(behind(&text, "$1 = "), "f0e0d0c0b0a09080706050403020100", "{text}");
    assert_eq!(behind(&text, "$2 = "), "1fa0", "{text}");
    let shown = world.json(&["show", "--at", edited, "--json", thread]);
    for (answer, field) in [("$3 = ", "rip"), ("$4 = ", "rsp"), ("$5 = ", "r12")] {
        let value = shown["state"][format!("registers.{field}")].as_str().unwrap();
        assert_eq!(behind(&text, answer), value.trim_start_matches("0x"), "{field} in {text}");
    }
    let stack = format!("0x{}", behind(&text, "$4 = "));
    let bytes = world.json(&["peek", "--at", edited, "--json", &stack, "8"]);
    let mut bytes: Vec<&str> = bytes["bytes"].as_str().unwrap().as_bytes().chunks(2).map(as_text).collect();
    bytes.reverse();
    assert!(text.contains(&format!("0x{}", bytes.concat())), "no {bytes:?} in {text}");
    assert_fails(&world.flob(&["checkpoint", "export", "--core", edited, core]), 122, "--force");
}

fn as_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Images of every format version in the corpus, made by real runs then, run on in a guest of today.
#[test]
fn images_of_every_version_run_on_today() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let versions = std::fs::read_dir(corpus).unwrap().map(|version| version.unwrap().path());
    let mut count = 0;
    for version in versions {
        let world = World::new();
        let file = version.join("philosophers.flobx");
        let id = if file.exists() {
            world.flob_ok(&["checkpoint", "import", file.to_str().unwrap()])
        } else {
            // Version 1 had no exported files.
            copy(&version.join("store"), &world.path("store"));
            "2c1e90e8".to_owned()
        };
        let id = id.trim();
        let shown = world.flob_ok(&["checkpoint", "show", id]);
        assert!(shown.contains("philosophers 3 --meals 3 --deadlock --pace 2"), "{shown}");
        let why = world.flob_ok(&["why", "--at", id, "thread-a0"]);
        assert!(why.contains("deadlock of 3"), "{why}");
        let edited = world.flob_ok(&["checkpoint", "edit", id, "--set", "0x430a00.locked=false"]);
        let finished = world.start(&["run", "--headless", "--restore", edited.trim()], None).finish();
        assert_eq!(finished.code, Some(0), "{}: {finished}", version.display());
        assert_eq!(finished.stdout.lines().last(), Some("all 3 philosophers have had 3 meals"), "{finished}");
        count += 1;
    }
    assert!(count >= 2, "{count} versions");
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            std::fs::create_dir_all(to.join(&name)).unwrap();
            copy(&path, &to.join(&name));
        } else {
            std::fs::copy(&path, to.join(&name)).unwrap();
        }
    }
}

#[test]
fn statics_are_changed_and_compared_by_name_and_value() {
    let world = World::new();
    let guest = world.guest(&["--paused", "random", "1"], None);
    let before = guest.save(&[]);
    guest.power_cut();
    let edits = ["TRAPS=+42", "INTERRUPTS=0xffffffffffffffff", "STOP=+1", "SAVED[2]=+7", "SAVED+0x18=0900"];
    let edits: Vec<&str> = edits.iter().flat_map(|edit| ["--poke", edit]).collect();
    let edit: Vec<&str> = ["checkpoint", "edit", &before].into_iter().chain(edits).collect();
    let after = world.flob_ok(&edit);
    let diff = ["checkpoint", "diff", &before, after.trim()];
    let text = world.flob_ok(&diff);
    for line in [
        "  TRAPS: 0 → 42",
        "  INTERRUPTS: 0 → 18446744073709551615",
        "  STOP: 0 → 1",
        "  SAVED[2]: 0 → 7",
        "  SAVED[3]: 0 → 9",
    ] {
        assert!(text.lines().any(|other| other == line), "no {line:?} in\n{text}");
    }
    let json = world.json(&[&diff[..], &["--json"]].concat());
    let pieces = json["memory"].as_array().unwrap().iter();
    let values: Vec<_> = pieces.flat_map(|piece| piece["values"].as_array().unwrap()).collect();
    assert_eq!(values.len(), 5, "{json:#}");
    let traps = values.iter().find(|value| value["symbol"] == "TRAPS").unwrap();
    assert_eq!((&traps["before"], &traps["after"]), (&"0".into(), &"42".into()));
    let peeked = world.json(&["peek", "--at", after.trim(), "--json", "SAVED[2]", "8"]);
    assert_eq!(peeked["bytes"], "0700000000000000");
    for (wrong, says) in [
        ("STOP=0x100", "is no value of 'STOP'"),
        ("TRAPS=-1", "is no value of 'TRAPS'"),
        ("TRAPS=0x10000000000000000", "is no value of 'TRAPS'"),
    ] {
        assert_fails(&world.flob(&["checkpoint", "edit", &before, "--poke", wrong]), 120, says);
    }
    assert_fails(
        &world.flob(&["checkpoint", "edit", &before, "--poke", "SAVED[99999]=+1"]),
        121,
        "SAVED[99999]",
    );
}
