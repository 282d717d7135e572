//! Wrong input: one clear message, the documented exit code, and nothing lost.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flob_tests::{Finished, Guest, Running, World, rounds, seed};

/// It failed with this code and one line, which says this.
fn assert_says(finished: &Finished, code: i32, text: &str) {
    assert_eq!(finished.code, Some(code), "{finished}");
    assert_eq!(finished.stdout, "", "{finished}");
    assert_eq!(finished.stderr.lines().count(), 1, "{finished}");
    assert!(
        finished.stderr.starts_with("flob: ") && finished.stderr.contains(text),
        "no {text:?} in {finished}"
    );
}

fn no_panic(finished: &Finished) {
    assert!(!finished.stderr.contains("panicked"), "{finished}");
}

#[test]
fn programs_that_are_none() {
    let world = World::new();
    let run = |program: &str| world.flob(&["run", "--headless", program]);
    assert_says(&run("wordcuont"), 121, "'wordcuont' is neither a bundled program (");
    for (name, contents) in [("empty", &b""[..]), ("text", b"#!/bin/sh\n"), ("cut", b"\x7fELF\x02\x01")] {
        let file = world.file(name, contents);
        assert_says(&run(file.to_str().unwrap()), 122, "is no ELF");
    }
    assert_says(&run("/bin/true"), 122, "is not linked statically to fixed addresses");
    assert_says(&run(world.path("").to_str().unwrap()), 121, "is neither a bundled program");
}

#[test]
fn a_program_whose_file_was_cut_off_is_refused() {
    let world = World::new();
    assert_eq!(
        world.flob(&["run", "--headless", "philosophers", "2", "--meals", "1", "--pace", "0"]).code,
        Some(0)
    );
    let [whole] = &files(&world.path("store").join("programs"))[..] else {
        panic!("the bundled program is kept")
    };
    let elf = std::fs::read(whole).unwrap();
    for size in [64, 600, elf.len() / 2, elf.len() - 1] {
        let file = world.file("cut", &elf[..size]);
        assert_says(&world.flob(&["run", "--headless", file.to_str().unwrap()]), 122, "is cut off");
    }
}

#[test]
fn arguments_that_are_wrong() {
    let world = World::new();
    for arguments in [
        &["fly"][..],
        &["run"],
        &["run", "--memory", "1", "wordcount"],
        &["checkpoint", "save", "--when", "noon"],
    ] {
        let finished = world.flob(arguments);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(120), ""), "{finished}");
        assert!(finished.stderr.starts_with("error: "), "{finished}");
    }
    assert_says(
        &world.flob(&["-s", "a b", "run", "--headless", "wordcount"]),
        120,
        "'a b' is no session name",
    );
}

#[test]
fn an_emulator_that_is_missing_or_does_not_work() {
    let world = World::new();
    let run = |emulator: &str| {
        let mut command = world.command(&["run", "--headless", "philosophers"]);
        command.env("FLOB_QEMU", emulator);
        Running::start(command, None).finish()
    };
    assert_says(&run("/nonexistent/qemu"), 123, "FLOB_QEMU=/nonexistent/qemu was not found: install QEMU");
    let mut command = world.command(&["run", "--headless", "philosophers"]);
    command.env("PATH", world.path("config"));
    assert_says(
        &Running::start(command, None).finish(),
        123,
        "qemu-system-x86_64 was not found: install QEMU",
    );
    let broken = world.script("qemu", "echo the machine is on fire >&2\nexit 3");
    let finished = run(&broken);
    assert_eq!(finished.code, Some(124), "{finished}");
    assert!(finished.stderr.starts_with("flob: the guest did not come up"), "{finished}");
    assert!(finished.stderr.contains("the machine is on fire"), "{finished}");
}

#[test]
fn a_port_in_use() {
    let world = World::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert_says(&world.flob(&["run", "--headless", "--gdb", &port, "philosophers"]), 123, &port);
}

#[test]
fn sessions_that_are_not_there_and_sessions_that_are_too_many() {
    let world = World::new();
    assert_says(&world.flob(&["ps"]), 121, "no session is running: start one with");
    assert_says(&world.flob(&["-s", "nobody", "ps"]), 121, "there is no session 'nobody' (none is running)");
    let start = |name| world.guest(&["--paused", "philosophers", name], None);
    let (first, second) = (start("2"), start("3"));
    assert_eq!((first.name.as_str(), second.name.as_str()), ("philosophers", "philosophers-2"));
    let several = world.flob(&["ps"]);
    assert_says(
        &several,
        120,
        "several sessions are running: philosophers, philosophers-2; choose one with -s NAME",
    );
    let taken = world.flob(&["-s", "philosophers", "run", "--headless", "wordcount"]);
    assert_says(&taken, 123, "a session of this name is running");
    let mut command = world.command(&["ps"]);
    command.env("FLOB_SESSION", "philosophers-2");
    assert_eq!(Running::start(command, None).finish().code, Some(0));
    first.power_cut();
    assert_says(
        &world.flob(&["-s", "philosophers", "ps"]),
        121,
        "there is no session 'philosophers' (running: philosophers-2)",
    );
    world.flob_ok(&["ps"]);
    world.flob_ok(&["stop"]);
    assert_eq!(second.finish().code, Some(0));
}

#[test]
fn flobs_fields_and_values_that_are_not_there() {
    let world = World::new();
    let guest = stuck(&world);
    let before = guest.json(&["show", "--json", "FORKS[0]"]);
    let cases: [(&[&str], i32, &str); 12] = [
        (&["show", "FORKS[7]"], 121, "there is no flob 'FORKS[7]'"),
        (&["why", "FORKS[0]"], 121, "FORKS[0]"),
        (&["why", "nobody"], 121, "nobody"),
        (&["set", "FORKS[7]", "locked=false"], 121, "there is no flob 'FORKS[7]'"),
        (
            &["set", "FORKS[0]", "colour=1"],
            122,
            "a mutex has no field or link `colour`; it has flags, locked, owner",
        ),
        (
            &["set", "FORKS[0]", "locked=perhaps"],
            122,
            "`perhaps` is no value for `locked`: expected true or false",
        ),
        (&["set", "FORKS[0]", "owner=nobody"], 121, "there is no flob 'nobody'"),
        (&["set", "FORKS[0]", "locked=false", "colour=1"], 122, "`colour`"),
        (&["set", "FORKS[0]", "locked"], 120, "'locked' is not FIELD=VALUE"),
        (&["peek", "nowhere"], 121, "'nowhere' is neither an address nor a symbol"),
        (&["poke", "FORKS", "0x1"], 120, "is not bytes in hexadecimal"),
        (&["pause", "FORKS[0]"], 120, "is neither a space nor a thread"),
    ];
    for (arguments, code, text) in cases {
        assert_says(&guest.flob(arguments), code, text);
    }
    let ambiguous = guest.flob(&["show", "FORKS"]);
    assert_eq!((ambiguous.code, ambiguous.stdout.as_str()), (Some(120), ""), "{ambiguous}");
    assert!(
        ambiguous.stderr.contains("'FORKS' could be any of") && ambiguous.stderr.contains("FORKS[2]"),
        "{ambiguous}"
    );
    assert_eq!(guest.json(&["show", "--json", "FORKS[0]"]), before, "nothing was changed");
}

#[test]
fn checkpoints_that_are_not_there() {
    let world = World::new();
    let cases: [&[&str]; 6] = [
        &["run", "--headless", "--restore", "beef"],
        &["checkpoint", "show", "beef"],
        &["checkpoint", "edit", "beef"],
        &["checkpoint", "rm", "beef"],
        &["ps", "--at", "beef"],
        &["show", "--at", "beef", "FORKS[0]"],
    ];
    for arguments in cases {
        assert_says(&world.flob(arguments), 121, "beef");
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Philosophers that wait for each other for good: whatever is done to them, they are in the middle of it. They do not read
/// their input, but it is kept.
fn stuck(world: &World) -> Guest<'_> {
    let text = world.file("input", &b"some words \n".repeat(2000));
    let guest = world.guest(&["philosophers", "3", "--deadlock", "--pace", "0"], Some(&text));
    guest.wait_for_threads("nobody can eat", |threads| {
        threads.iter().filter(|thread| thread["deadlock"] == 3).count() == 3
    });
    guest
}

/// A world with two checkpoints of one run, and their ids.
fn two_checkpoints() -> (World, [String; 2]) {
    let world = World::new();
    let guest = stuck(&world);
    let ids = [guest.save(&["first"]), guest.save(&["second"])];
    guest.power_cut();
    (world, ids)
}

/// Both checkpoints are listed; whether each one is found whole by `show`. What is damaged cannot be restored.
fn soundness(world: &World, ids: &[String; 2]) -> [bool; 2] {
    let listed = world.json(&["checkpoint", "list", "--json"]);
    let listed: Vec<&str> =
        listed.as_array().unwrap().iter().map(|listed| listed["id"].as_str().unwrap()).collect();
    assert!(ids.iter().all(|id| listed.contains(&id.as_str())), "{listed:?} misses one of {ids:?}");
    world.flob_ok(&["checkpoint", "list"]);
    ids.each_ref().map(|id| {
        let shown = world.flob(&["checkpoint", "show", id]);
        no_panic(&shown);
        if shown.code == Some(0) {
            return true;
        }
        assert_eq!(shown.code, Some(122), "{shown}");
        assert_eq!(shown.stderr.lines().count(), 1, "{shown}");
        assert_says(&world.flob(&["run", "--headless", "--restore", id]), 122, "");
        let looked = world.flob(&["ps", "--at", id]);
        no_panic(&looked);
        assert!(matches!(looked.code, Some(0 | 122)), "{looked}");
        false
    })
}

#[test]
fn damage_anywhere_in_the_store_is_found_and_named_and_hurts_no_other_checkpoint() {
    let mut random = fastrand::Rng::with_seed(seed());
    let (world, ids) = two_checkpoints();
    assert_eq!(soundness(&world, &ids), [true, true]);
    let mut harmed = [false, false];
    for path in files(&world.path("store")) {
        let whole = std::fs::read(&path).unwrap();
        for _ in 0..rounds(2) {
            let mut flipped = whole.clone();
            let cut = random.usize(0..=whole.len().saturating_sub(1));
            if let Some(byte) = flipped.get_mut(cut) {
                *byte ^= 1 << random.u8(0..8);
            }
            for (what, damaged) in [("flipped", &flipped[..]), ("cut", &whole[..cut])] {
                std::fs::write(&path, damaged).unwrap();
                let sound = soundness(&world, &ids);
                eprintln!("{} {what} at {cut} of {}: {sound:?}", path.display(), whole.len());
                harmed = [harmed[0] | !sound[0], harmed[1] | !sound[1]];
                let is_manifest = path.to_string_lossy().contains("manifest")
                    || path.to_string_lossy().contains("checkpoint");
                assert!(!is_manifest || sound != [false, false], "a manifest is of one checkpoint");
            }
        }
        std::fs::write(&path, &whole).unwrap();
    }
    assert_eq!(harmed, [true, true], "each was damaged once");
    assert_eq!(soundness(&world, &ids), [true, true]);
}

/// The editor leaves the text as it is the second time it is asked.
fn edit(world: &World, sed: &str) -> Finished {
    let mut command = world.command(&["checkpoint", "edit", "first", "FORKS[0]"]);
    let once = world.path("edited-once");
    std::fs::remove_file(&once).ok();
    let once = once.display();
    let lines =
        format!("for file; do :; done\n[ -e {once} ] && exit 0\ntouch {once}\nsed -i '{sed}' \"$file\"");
    command.env("EDITOR", world.script("editor", &lines));
    Running::start(command, None).finish()
}

#[test]
fn edited_texts_that_cannot_be_taken_over() {
    let (world, _) = two_checkpoints();
    let before = world.flob_ok(&["checkpoint", "list", "--json"]);
    for (sed, text) in [
        ("s/^locked = .*/locked = = 1/", "line"),
        ("s/^locked = .*/colour = 1/", "`colour`"),
        ("s/^locked = .*/locked = \"perhaps\"/", "`perhaps` is no value for `locked`"),
        ("s/^\\[mutex.*/[mutex.0x10]/", "0x10"),
        ("s/^\\[mutex/[mutexx/", "mutexx"),
        ("$a [[", "line"),
    ] {
        let finished = edit(&world, sed);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(122), ""), "{sed}: {finished}");
        assert!(
            finished.stderr.contains(text) && finished.stderr.contains("the text was given up"),
            "{sed}: {finished}"
        );
    }
    let unchanged = edit(&world, "s/nothing/else/");
    assert_eq!((unchanged.code, unchanged.stdout.as_str()), (Some(0), ""), "{unchanged}");
    assert_eq!(unchanged.stderr.trim(), "flob: nothing was changed; no new checkpoint");
    let mut command = world.command(&["checkpoint", "edit", "first", "FORKS[0]"]);
    command.env("EDITOR", "false");
    assert_says(&Running::start(command, None).finish(), 123, "false ended with");
    assert_eq!(world.flob_ok(&["checkpoint", "list", "--json"]), before, "no new checkpoint");
}

/// The checkpoints that a hub says it has saved by itself.
fn saved_by_itself(said: &str) -> Vec<String> {
    let after = said.split("saved as checkpoint ").skip(1);
    after.filter_map(|rest| rest.split(':').next()).map(str::to_owned).collect()
}

#[test]
fn a_guest_that_dies_in_the_middle_of_a_save_costs_only_that_save() {
    let mut random = fastrand::Rng::with_seed(seed());
    let world = World::new();
    let mut known = Vec::new();
    for round in 0..rounds(4) {
        let guest = stuck(&world);
        known.push(guest.save(&[]));
        // Once while it waits for its moment, then while it is sent.
        let when: &[&str] = if round == 0 { &["--when", "send"] } else { &[] };
        let arguments = [&["-s", &guest.name, "checkpoint", "save"], when].concat();
        let saving = world.start(&arguments, None);
        std::thread::sleep(Duration::from_millis(random.u64(0..60)));
        guest.qemu.kill();
        let saved = saving.finish();
        no_panic(&saved);
        match saved.code {
            Some(0) => known.push(saved.stdout.trim().to_owned()),
            Some(124 | 121) => assert_eq!(saved.stderr.lines().count(), 1, "{saved}"),
            _ => panic!("{saved}"),
        }
        let hub = guest.finish();
        assert_eq!(hub.code, Some(124), "{hub}");
        assert!(hub.stderr.contains("flob: the guest has died"), "{hub}");
        no_panic(&hub);
        // The black box may have come before.
        known.extend(saved_by_itself(&hub.stderr));
    }
    let listed = world.json(&["checkpoint", "list", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), known.len(), "{listed:#}");
    for id in known {
        world.flob_ok(&["checkpoint", "show", &id]);
    }
}

#[test]
fn the_programs_own_exit_code_and_messages_pass() {
    let world = World::new();
    let finished = world.flob(&["run", "--headless", "philosophers", "nonsense"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{finished}");
    assert!(finished.stderr.starts_with("philosophers: 'nonsense' is neither an option nor"), "{finished}");
    assert!(!finished.stderr.contains("flob:"), "{finished}");
}

#[test]
fn an_exception_ends_the_run_with_128_and_its_number_and_leaves_a_checkpoint() {
    let world = World::new();
    let guest = stuck(&world);
    guest.flob_ok(&["pause"]);
    guest.flob_ok(&["set", "PHILOSOPHERS[1]", "waiting_for=null", "registers.rip=0x10"]);
    guest.flob_ok(&["resume"]);
    let finished = guest.finish();
    assert_eq!(finished.code, Some(129), "{finished}");
    assert!(finished.stderr.contains("page fault"), "{finished}");
    let id = saved_by_itself(&finished.stderr).pop().unwrap();
    let threads = world.flob_ok(&["ps", "--at", &id]);
    assert!(threads.contains("exception"), "{threads}");
}

/// The image of a thread that waits for its nester to do something about an exception: as it is it dies of that again, and mended,
/// in the image or in a guest, it runs on.
#[test]
fn a_thread_whose_exception_waits_for_its_nester_is_saved_restored_and_mended() {
    let world = World::new();
    let guest = stuck(&world);
    guest.flob_ok(&["pause"]);
    let sound = guest.json(&["show", "--json", "PHILOSOPHERS[1]"]);
    let rip = sound["state"]["registers.rip"].as_str().unwrap();
    guest.flob_ok(&["set", "PHILOSOPHERS[1]", "waiting_for=null", "registers.rip=0x10"]);
    guest.flob_ok(&["resume"]);
    let id = saved_by_itself(&guest.finish().stderr).pop().unwrap();
    let restore = |id: &str| world.flob(&["run", "--headless", "--restore", id]);
    let again = restore(&id);
    assert!(again.code == Some(129) && again.stderr.contains("page fault"), "{again}");
    // The call runs again where it stood, and a fork is free.
    let mended = [format!("registers.rip={rip}"), "exception.code=none".to_owned()];
    let sets = mended.each_ref().map(|change| format!("thread:philosophers/PHILOSOPHERS[1].{change}"));
    let edited = world.flob_ok(&[
        "checkpoint",
        "edit",
        &id,
        "--set",
        &sets[0],
        "--set",
        &sets[1],
        "--set",
        "FORKS[2].locked=false",
    ]);
    let finished = restore(edited.trim());
    assert!(finished.code == Some(0) && finished.stdout.contains("have had"), "{finished}");
    let guest = world.guest(&["--paused", "--restore", &id], None);
    guest.flob_ok(&["set", "PHILOSOPHERS[1]", &mended[0], &mended[1]]);
    guest.flob_ok(&["set", "FORKS[2]", "locked=false"]);
    guest.flob_ok(&["resume"]);
    let finished = guest.finish();
    assert!(finished.code == Some(0) && finished.stdout.contains("have had"), "{finished}");
}
