//! Philosophers that wait for each other for good, and the ways to help them: one fork is unlocked from outside.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_tests::{Finished, Guest, World};

/// Philosophers at the table.
const SEATS: usize = 5;
/// Meals each is to have.
const MEALS: usize = 3;

/// Everybody holds the left fork and waits for the right one.
fn deadlock(world: &World) -> Guest<'_> {
    let (seats, meals) = (SEATS.to_string(), MEALS.to_string());
    let guest = world.guest(&["philosophers", &seats, "--meals", &meals, "--deadlock", "--pace", "2"], None);
    guest.wait_for_threads("nobody can eat", |threads| {
        threads.iter().filter(|thread| thread["deadlock"] == SEATS).count() == SEATS
    });
    guest
}

/// One has noticed that the fork was taken, and everybody has had all meals.
fn all_have_eaten(finished: &Finished, robbed: usize) {
    assert_eq!(finished.code, Some(0), "{finished}");
    let lines: Vec<&str> = finished.stdout.lines().collect();
    let notice = format!("philosopher {robbed}: someone took my fork");
    assert_eq!(lines.iter().filter(|line| line.contains("someone took my fork")).count(), 1, "{finished}");
    assert!(lines.contains(&notice.as_str()), "{finished}");
    for seat in 0..SEATS {
        for meal in 1..=MEALS {
            let line = format!("philosopher {seat}: meal {meal}");
            assert_eq!(lines.iter().filter(|other| **other == line).count(), 1, "{line} in {finished}");
        }
    }
    assert_eq!(lines.last().copied(), Some("all 5 philosophers have had 3 meals"), "{finished}");
}

#[test]
fn why_and_tree_name_the_circle() {
    let world = World::new();
    let guest = deadlock(&world);
    // Between the two stands the place in the source.
    let before = "philosopher-1 waits for FORKS[2] at table.rs:";
    let behind = ", held by philosopher-2, which waits for FORKS[3], held by philosopher-3, which waits for FORKS[4], held by \
                  philosopher-4, which waits for FORKS[0], held by philosopher-0, which waits for FORKS[1], held by \
                  philosopher-1: deadlock of 5";
    let says_so = |text: &str| text.contains(before) && text.contains(behind);
    for verb in [vec!["why", "philosopher-1"], vec!["tree"], vec!["ps"]] {
        let said = guest.flob_ok(&verb);
        assert!(says_so(&said), "{verb:?} says\n{said}");
    }
    let why = guest.json(&["why", "philosopher-1", "--json"]);
    assert!(says_so(why["why"].as_str().unwrap()), "{why:#}");
    let circle: Vec<&str> =
        why["deadlock"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    let names = [1, 2, 3, 4, 0].map(|seat| format!("thread:philosophers/PHILOSOPHERS[{seat}]"));
    assert_eq!(circle, names);
    assert_eq!(why["call"], "mutex_lock");
    let source = why["backtrace"].as_array().unwrap().iter();
    assert!(
        source
            .filter_map(|frame| frame["file"].as_str())
            .any(|file| file.ends_with("philosophers/src/table.rs"))
    );
    let graph = guest.flob_ok(&["graph"]);
    assert!(
        graph.lines().any(|line| line == "philosopher-1 → FORKS[2] → philosopher-2  (deadlock)"),
        "{graph}"
    );
    let dot = guest.flob_ok(&["graph", "--dot"]);
    assert_eq!(dot.matches("[label=\"waiting_for\", color=red]").count(), SEATS, "{dot}");
    let json = guest.json(&["graph", "--json"]);
    let stuck = json["flobs"].as_array().unwrap().iter().filter(|flob| flob["deadlock"] == true).count();
    assert_eq!(stuck, SEATS, "{json:#}");
    // A checkpoint says the same, without any guest.
    let checkpoint = guest.save(&["stuck"]);
    guest.power_cut();
    for id in [checkpoint.as_str(), "stuck"] {
        assert!(says_so(&world.flob_ok(&["why", "--at", id, "philosopher-1"])));
        assert!(says_so(&world.flob_ok(&["tree", "--at", id])));
    }
}

#[test]
fn it_is_saved_by_itself_once() {
    let world = World::new();
    let guest = deadlock(&world);
    let checkpoints = || world.json(&["checkpoint", "list", "--json"]).as_array().unwrap().clone();
    world.wait_until("the deadlock is saved", || !checkpoints().is_empty());
    let id = checkpoints()[0]["id"].as_str().unwrap().to_owned();
    assert!(world.flob_ok(&["why", "--at", &id, "philosopher-0"]).contains("deadlock of 5"));
    // To look, and even to save it again, changes nothing: it is the same standstill.
    guest.flob_ok(&["tree"]);
    guest.save(&[]);
    guest.flob_ok(&["set", "FORKS[2]", "locked=false", "owner=null"]);
    let finished = guest.finish();
    assert!(finished.stderr.contains("deadlock of 5"), "{finished}");
    assert!(finished.stderr.contains(&format!("saved as checkpoint {id}")), "{finished}");
    let saved = checkpoints();
    let for_undo =
        saved.iter().filter(|one| one["name"].as_str().is_some_and(|it| it.starts_with("before set")));
    assert_eq!((saved.len(), for_undo.count()), (3, 1), "{finished}");
    all_have_eaten(&finished, 2);
}

#[test]
fn it_stands_still() {
    let world = World::new();
    let guest = deadlock(&world);
    let look = || guest.json(&["ps", "--json"]);
    let before = look();
    let (first, second) = (guest.save(&[]), guest.save(&[]));
    assert_eq!(look(), before);
    let flobs = |id: &str| world.json(&["checkpoint", "show", "--json", id])["environment"]["flobs"].clone();
    assert_eq!(flobs(&first), flobs(&second), "every flob is as it was");
    let cut = guest.power_cut();
    assert_eq!(cut.stdout, "", "nobody has had a meal");
}

#[test]
fn a_fork_unlocked_live_lets_the_meals_go_on() {
    let world = World::new();
    let guest = deadlock(&world);
    let said = guest.flob_ok(&["set", "FORKS[2]", "locked=false", "owner=null"]);
    assert!(said.contains("mutex:philosophers/FORKS[2] locked: true → false"), "{said}");
    all_have_eaten(&guest.finish(), 2);
}

#[test]
fn a_fork_unlocked_in_a_checkpoint_lets_the_meals_go_on_after_its_restore() {
    let world = World::new();
    let guest = deadlock(&world);
    let checkpoint = guest.save(&["stuck"]);
    guest.power_cut();
    let editor = world.script(
        "editor",
        "grep -q 'mutex:philosophers/FORKS\\[3\\]' \"$1\"\n\
         sed -i 's/^locked = .*/locked = false/; s/^owner = .*/owner = \"null\"/' \"$1\"",
    );
    let mut command = world.command(&["checkpoint", "edit", "stuck", "FORKS[3]", "--name", "cured"]);
    command.env("EDITOR", editor);
    let edited = flob_tests::Running::start(command, None).finish();
    assert_eq!(edited.code, Some(0), "{edited}");
    let cured = edited.stdout.trim();
    assert_ne!(cured, checkpoint);
    assert!(edited.stderr.contains("FORKS[3] locked: true → false"), "{edited}");
    let shown = world.json(&["checkpoint", "show", "--json", "cured"]);
    assert!(shown["parent"].as_str().unwrap().starts_with(&checkpoint), "{:#}", shown["parent"]);
    assert_eq!((&shown["origin"], &shown["id"]), (&"edited".into(), &cured.into()));
    // The old one is as it was.
    assert!(world.flob_ok(&["why", "--at", "stuck", "philosopher-0"]).contains("deadlock of 5"));
    assert!(!world.flob_ok(&["why", "--at", "cured", "philosopher-0"]).contains("deadlock"));
    all_have_eaten(&world.flob(&["run", "--headless", "--restore", "cured"]), 3);
}

#[test]
fn an_edit_on_the_command_line_and_what_differs_by_it() {
    let world = World::new();
    let guest = deadlock(&world);
    guest.save(&["stuck"]);
    let before = guest.flob_ok(&["peek", "LEFT_FORKS_TAKEN", "--json"]);
    guest.power_cut();
    let sets = ["FORKS[3].locked=false", "FORKS[3].owner=null", "philosophers/PHILOSOPHERS[3].priority=9"];
    let sets = sets.iter().flat_map(|set| ["--set", *set]);
    let edit: Vec<&str> =
        ["checkpoint", "edit", "stuck", "--name", "cured"].into_iter().chain(sets).collect();
    let edited = world.flob(&edit);
    assert_eq!(edited.code, Some(0), "{edited}");
    let differs = world.flob_ok(&["checkpoint", "diff", "stuck", "cured"]);
    let lines: Vec<&str> = differs.lines().collect();
    assert_eq!(lines.len(), 3, "{differs}");
    assert!(differs.contains("mutex:philosophers/FORKS[3] locked: true → false"), "{differs}");
    assert!(differs.contains("thread:philosophers/PHILOSOPHERS[3] priority: "), "{differs}");
    let json = world.json(&["checkpoint", "diff", "stuck", "cured", "--json"]);
    assert_eq!(json["changed"].as_array().unwrap().len(), 2, "{json:#}");
    assert_eq!((&json["memory"], &json["clock"]), (&serde_json::json!([]), &"0".into()), "{json:#}");
    let at =
        serde_json::from_str::<serde_json::Value>(&before).unwrap()["address"].as_str().unwrap().to_owned();
    let poked =
        world.flob(&["checkpoint", "edit", "cured", "--name", "poked", "--poke", &format!("{at}=a5a5")]);
    assert_eq!(poked.code, Some(0), "{poked}");
    let peeked = world.json(&["peek", "--at", "poked", &at, "2", "--json"]);
    assert_eq!(peeked["bytes"], "a5a5");
    let differs = world.json(&["checkpoint", "diff", "cured", "poked", "--json"]);
    assert_eq!(differs["memory"][0]["bytes"], 2, "{differs:#}");
    assert_eq!(differs["memory"][0]["address"], at.as_str(), "{differs:#}");
    assert!(world.flob_ok(&["checkpoint", "verify"]).lines().all(|line| line.ends_with("sound")));
    assert!(world.flob_ok(&["checkpoint", "gc"]).contains("freed"));
    let wrong = [
        (vec!["--set", "FORKS[1].nothing=1"], 121),
        (vec!["--set", "NOBODY.locked=1"], 121),
        (vec!["--set", "FORKS[1].locked=maybe"], 122),
        (vec!["--set", "FORKS[1]"], 120),
        (vec!["--poke", "0x1=00"], 121),
        (vec!["--poke", "LEFT_FORKS_TAKEN=xyz"], 120),
    ];
    for (arguments, code) in wrong {
        let said = world.flob(&[&["checkpoint", "edit", "stuck"][..], &arguments[..]].concat());
        assert_eq!((said.code, said.stderr.lines().count()), (Some(code), 1), "{arguments:?}: {said}");
    }
    let cured = world.flob(&["run", "--headless", "--restore", "cured"]);
    all_have_eaten(&cured, 3);
}

#[test]
fn an_edited_checkpoint_takes_the_place_of_a_running_environment() {
    let world = World::new();
    let guest = deadlock(&world);
    guest.save(&["stuck"]);
    let editor = world
        .script("editor", "sed -i 's/^locked = .*/locked = false/; s/^owner = .*/owner = \"null\"/' \"$1\"");
    let mut command = world.command(&["checkpoint", "edit", "stuck", "FORKS[0]", "--name", "cured"]);
    command.env("VISUAL", editor);
    let edited = flob_tests::Running::start(command, None).finish();
    assert_eq!(edited.code, Some(0), "{edited}");
    guest.flob_ok(&["checkpoint", "restore", "cured", "--resume"]);
    all_have_eaten(&guest.finish(), 0);
}

#[test]
fn edits_and_restores_are_undone_in_turn() {
    let world = World::new();
    let guest = deadlock(&world);
    let field = |flob: &str, field: &str| guest.json(&["show", "--json", flob])["state"][field].clone();
    let nothing = guest.flob(&["undo"]);
    assert_eq!((nothing.code, nothing.stderr.lines().count()), (Some(121), 1), "{nothing}");
    let priority = field("PHILOSOPHERS[3]", "priority");
    let place = guest.json(&["peek", "--json", "FORKS[0]", "8"]);
    guest.flob_ok(&["set", "PHILOSOPHERS[3]", "priority=9"]);
    guest.flob_ok(&["set", "PHILOSOPHERS[3]", "priority=8"]);
    guest.flob_ok(&["poke", "LEFT_FORKS_TAKEN", "1122334455667788"]);
    let poked = guest.save(&["poked"]);
    let before = guest.json(&["peek", "--json", "LEFT_FORKS_TAKEN", "8"]);
    guest.flob_ok(&["checkpoint", "restore", &poked]);
    let undone = |what: &str| {
        let said = guest.flob_ok(&["undo"]);
        assert!(said.starts_with(&format!("undone: {what}")), "{said}");
    };
    undone("restore");
    assert_eq!(guest.json(&["peek", "--json", "LEFT_FORKS_TAKEN", "8"]), before);
    undone("poke LEFT_FORKS_TAKEN 1122334455667788");
    assert_ne!(guest.json(&["peek", "--json", "LEFT_FORKS_TAKEN", "8"]), before);
    assert_eq!(guest.json(&["peek", "--json", "FORKS[0]", "8"]), place);
    assert_eq!(field("PHILOSOPHERS[3]", "priority"), 8);
    undone("set thread:philosophers/PHILOSOPHERS[3] priority=8");
    assert_eq!(field("PHILOSOPHERS[3]", "priority"), 9);
    undone("set thread:philosophers/PHILOSOPHERS[3] priority=9");
    assert_eq!(field("PHILOSOPHERS[3]", "priority"), priority);
    assert_eq!(guest.flob(&["undo"]).code, Some(121));
    // It goes on from there.
    guest.flob_ok(&["set", "FORKS[1]", "locked=false"]);
    guest.flob_ok(&["undo", "--resume"]);
    guest.flob_ok(&["set", "FORKS[3]", "locked=false"]);
    all_have_eaten(&guest.finish(), 3);
}
