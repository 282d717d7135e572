//! The terminal interface on a real guest, in a terminal of the test: what a person sees and does.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_tests::{Running, Screen, Signal, World, random_text, seed, send};

const SIZES: [(u16, u16); 2] = [(80, 24), (200, 60)];
const DEADLOCK: &[&str] = &["run", "philosophers", "4", "--deadlock", "--meals", "3"];
const ENDLESS: &[&str] = &["run", "philosophers", "3", "--meals", "100000"];

const ENTER: &str = "\r";
const ESCAPE: &str = "\x1b";
const END: &str = "\x1b[F";
const F12: &str = "\x1b[24~";

/// A session that stands in a deadlock, on screen.
fn deadlock(world: &World, (columns, rows): (u16, u16)) -> Screen {
    let screen = Screen::start(world, DEADLOCK, columns, rows);
    screen.wait_for("DEADLOCK of 4: philosopher-0");
    // What the screen says of that must not come between the test and what it waits for.
    saved_by_itself(world);
    screen
}

/// A deadlock is: waits until it was.
fn saved_by_itself(world: &World) {
    world.wait_until("the deadlock is saved", || {
        !world.json(&["checkpoint", "list", "--json"]).as_array().unwrap().is_empty()
    });
}

fn pause(screen: &mut Screen) {
    screen.keys("p");
    screen.wait("that all is held", |text| text.contains("■ held"));
}

fn save(screen: &mut Screen) {
    screen.keys("c");
    screen.wait_for("saved checkpoint");
}

/// Sets a fork free by the keys of the detail pane; the question stands open.
fn unlock_a_fork(screen: &mut Screen) {
    screen.keys(":show FORKS[0]");
    screen.keys(ENTER);
    screen.wait("the fork's fields", |text| text.contains("owner") && text.contains("locked"));
    screen.keys(END);
    screen.keys("e");
    screen.wait_for("locked = true");
    screen.keys("\x7f\x7f\x7f\x7ffalse");
    screen.wait_for("locked = false");
    screen.keys(ENTER);
    screen.wait_for("1 edit is pending");
    screen.keys("a");
    screen.wait("the edit in the question", |text| text.contains("locked: true → false"));
}

fn let_run(screen: &mut Screen) {
    screen.keys("r");
    screen.keys("6");
    screen.wait_for("all 4 philosophers have had 3 meals");
}

fn stop(mut screen: Screen) {
    screen.keys("q");
    screen.wait_for("leave the session running");
    screen.keys("s");
    let left = screen.wait_until_left();
    assert_eq!(screen.end(), 0, "{left}");
}

#[test]
fn a_deadlock_is_named_edited_away_by_keys_and_the_meals_go_on() {
    for size in SIZES {
        let world = World::new();
        let mut screen = deadlock(&world, size);
        pause(&mut screen);
        save(&mut screen);
        unlock_a_fork(&mut screen);
        screen.keys(ENTER);
        screen.wait("that the edit is applied", |text| text.contains("applied"));
        let_run(&mut screen);
        stop(screen);
    }
}

#[test]
fn an_edited_checkpoint_is_restored_by_keys_and_the_meals_go_on() {
    for size in SIZES {
        let world = World::new();
        let mut screen = deadlock(&world, size);
        save(&mut screen);
        screen.keys("5");
        screen.wait_for("taken");
        screen.keys(ENTER);
        screen.wait("the opened checkpoint", |text| text.contains("edits are saved as a new checkpoint"));
        unlock_a_fork(&mut screen);
        screen.keys(ENTER);
        screen.wait_for("saved the edited checkpoint as");
        let saved = world.json(&["checkpoint", "list", "--json"]);
        let edited = saved.as_array().unwrap().iter().find(|saved| saved["origin"] == "edited").unwrap();
        let (id, parent) = (edited["id"].as_str().unwrap(), edited["parent"].as_str().unwrap());
        screen.keys(&format!(":checkpoint diff {parent} {id}\r"));
        screen.wait_for("locked: true → false");
        screen.keys(ESCAPE);
        screen.wait("that the comparison is closed", |text| !text.contains("locked: true → false"));
        screen.keys("R");
        screen.wait_for("Restore checkpoint");
        screen.keys(ENTER);
        screen.wait_for("restored; everything is held");
        let_run(&mut screen);
        stop(screen);
    }
}

#[test]
fn a_checkpoint_without_a_guest_is_looked_through_in_every_tab_and_edited() {
    for size in SIZES {
        let world = World::new();
        let guest = world.guest(&DEADLOCK[1..], None);
        saved_by_itself(&world);
        guest.flob_ok(&["stop"]);
        guest.finish();
        let saved = world.json(&["checkpoint", "list", "--json"]);
        let id = saved[0]["id"].as_str().unwrap();
        let mut screen = Screen::start(&world, &["attach", "--at", id], size.0, size.1);
        screen.wait_for("DEADLOCK of 4");
        for (keys, shown) in [
            ("2jj", "philosopher-1 waits for FORKS[2]"),
            ("D", "syscall"),
            (":goto table.rs:37\r", "; philosopher+"),
            ("D:goto rsp\r", "rsp philosopher-1"),
            ("4", "deadlock of 4"),
            ("5", id),
            ("6", "no running session here"),
            ("7", "edits are saved as a new checkpoint"),
            ("8", "no running session here"),
            ("9", "no running session here"),
        ] {
            screen.keys(keys);
            screen.wait_for(shown);
        }
        unlock_a_fork(&mut screen);
        screen.keys(ENTER);
        screen.wait_for("saved the edited checkpoint as");
        screen.keys("q");
        let left = screen.wait_until_left();
        assert_eq!(screen.end(), 0, "{left}");
    }
}

#[test]
fn the_console_grows_while_nobody_touches_a_key() {
    let world = World::new();
    let mut screen = Screen::start(&world, ENDLESS, 80, 24);
    screen.keys("6");
    let mut seen = 0;
    for _ in 0..3 {
        let text = screen.wait("another meal", |text| last_meal(text) > seen);
        seen = last_meal(&text);
    }
    stop(screen);
}

#[test]
fn a_program_with_a_file_as_its_input_is_watched_and_its_output_stays_on_the_terminal() {
    let world = World::new();
    let text = random_text(&mut fastrand::Rng::with_seed(seed()), 40_000);
    let input = world.file("input", &text);
    // A life that is long enough to be seen on a busy machine.
    let mut screen =
        Screen::start_with_input(&world, &["run", "wordcount", "--pace", "2000"], &input, 200, 60);
    screen.keys("2");
    screen.wait_for("reader");
    screen.wait_for("exited 0");
    screen.keys("6");
    let count = format!("{}", text.len());
    screen.wait_for(&count);
    screen.keys("q");
    screen.wait_for("leave the session running");
    screen.keys("s");
    screen.wait_until_left();
    assert_eq!(screen.end(), 0);
    screen.wait("what the program left", |left| left.contains(&count) && left.contains("exit code 0"));
}

#[test]
fn what_is_typed_is_the_programs_input_and_control_d_ends_it() {
    let world = World::new();
    let mut screen = Screen::start(&world, &["run", "wordcount"], 80, 24);
    screen.wait_for("reader");
    screen.keys("ihello wide world\r");
    screen.keys("\x04");
    let text = screen.wait("the counts", |text| text.contains("words: 3") && text.contains("bytes: 17"));
    assert!(text.contains("lines: 1"), "{text}");
    screen.wait_for("exited 0");
    stop(screen);
}

#[test]
fn keys_are_answered_while_a_checkpoint_travels() {
    // The slower line: over the other one it has travelled before a screen is drawn.
    const SLOW: &[&str] = &["run", "--link", "serial", "philosophers", "3", "--meals", "100000"];
    let world = World::new();
    let mut screen = Screen::start(&world, SLOW, 200, 60);
    screen.wait_for("philosopher-1");
    screen.keys("c");
    screen.wait_for("save pages");
    for (key, shown) in
        [("?", "Moving about"), (ESCAPE, "flobs, "), (":nonsense\r", "there is no command 'nonsense'")]
    {
        screen.keys(key);
        screen.wait_for(shown);
    }
    screen.keys("7");
    screen.wait_for("saved checkpoint");
    stop(screen);
}

#[test]
fn a_screen_that_is_left_gives_the_terminal_back_and_the_session_runs_on() {
    let world = World::new();
    let mut screen = Screen::start(&world, ENDLESS, 80, 24);
    screen.wait_for("running");
    assert!(screen.is_alternate());
    screen.keys("q");
    screen.wait_for("leave the session running");
    screen.keys("l");
    let left = screen.wait("the farewell", |text| text.contains("runs on"));
    assert!(!screen.is_alternate(), "{left}");
    assert_eq!(screen.end(), 0);
    assert_eq!(world.json(&["sessions", "--json"])[0]["state"], "running");
    let mut again = Screen::start(&world, &["attach"], 80, 24);
    again.wait_for("philosopher-1");
    again.keys("q");
    again.wait_for("leave the session running");
    again.keys("c");
    let left = again.wait("the farewell", |text| text.contains("is stopped; "));
    assert!(!again.is_alternate(), "{left}");
    assert_eq!(world.json(&["checkpoint", "list", "--json"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let world = World::new();
    let mut screen = Screen::start(&world, ENDLESS, 80, 24);
    screen.wait_for("running");
    send(Signal::TERM, screen.id());
    let left = screen.wait("the farewell", |text| text.contains("runs on"));
    assert!(!screen.is_alternate(), "{left}");
    assert_eq!(screen.end(), 0);
    world.flob_ok(&["stop"]);
}

#[test]
fn a_panic_gives_the_terminal_back_and_harms_no_session() {
    let world = World::new();
    let mut command = world.command(ENDLESS);
    command.env("FLOB_TEST_PANIC", "1");
    let mut screen = Screen::start_command(&command, 80, 24);
    screen.wait_for("running");
    screen.keys(F12);
    let left = screen.wait("the panic's report", |text| text.contains("a panic was asked for"));
    assert!(!screen.is_alternate(), "{left}");
    assert_eq!(screen.end(), 127);
    assert_eq!(world.json(&["sessions", "--json"])[0]["state"], "running");
    world.flob_ok(&["stop"]);
}

#[test]
fn a_guest_that_is_killed_is_shown_as_gone() {
    let world = World::new();
    let screen = Screen::start(&world, ENDLESS, 80, 24);
    screen.wait_for("▶ running");
    screen.wait_for("philosopher-1");
    let guest = world.json(&["sessions", "--json"])[0]["guest"].as_u64().expect("a process");
    send(Signal::KILL, u32::try_from(guest).expect("a process"));
    screen.wait("that the guest has ended", |text| text.contains("ended"));
}

/// The number of the last meal on screen.
fn last_meal(text: &str) -> u32 {
    let numbers =
        text.lines().filter_map(|line| line.split_once(": meal ")?.1.split_whitespace().next()?.parse().ok());
    numbers.max().unwrap_or(0)
}

/// Every line of the coach is followed to the letter.
#[test]
fn the_demo_leads_from_a_deadlock_to_a_freed_lock_and_back_in_time() {
    for size in SIZES {
        let world = World::new();
        let mut screen = Screen::start(&world, &["demo"], size.0, size.1);
        let steps = [
            ("Press 4", "4"),
            ("Press c", "c"),
            (":show FORKS[0]", ":show FORKS[0]\r"),
            ("Set it free", "\x1b[Fe\x15false\r"),
            ("Press a", "a\r"),
            ("Press 6", "6"),
        ];
        for (said, keys) in steps {
            screen.wait_for(said);
            screen.keys(keys);
        }
        screen.wait_for("all 4 philosophers have had 12 meals");
        screen.wait_for("press 5");
        screen.keys("5");
        // The one that was saved by hand: it has no other name than its id, the other says that it was saved by itself.
        screen.wait_for("taken");
        screen.keys("R");
        screen.wait_for("Restore checkpoint");
        screen.keys(ENTER);
        screen.wait_for("That was the demo");
        screen.wait("that it is held and has not ended", |text| text.contains("■ held"));
        screen.keys("2");
        screen.wait_for("DEADLOCK of 4");
        stop(screen);
    }
}

#[test]
fn a_script_of_commands_is_done_on_a_session_and_leaves_it_as_it_says() {
    let world = World::new();
    let mut screen = deadlock(&world, SIZES[0]);
    screen.keys("ql");
    screen.wait_until_left();
    let script = world.file("script", b"# free a fork\npause\nset FORKS[0] locked=false\nresume\nquit\n");
    let mut screen = Screen::start(&world, &["attach", "--commands", script.to_str().unwrap()], 80, 24);
    screen.wait_until_left();
    assert_eq!(screen.end(), 0);
    world.wait_until("the meals are had", || {
        let sessions = world.json(&["sessions", "--json"]);
        sessions[0]["exit"] == 0
    });
}

#[test]
fn the_config_file_gives_keys_and_a_bad_one_is_told_before_anything_is_started() {
    let world = World::new();
    std::fs::create_dir_all(world.path("config/flob")).unwrap();
    let config = world.path("config/flob/config.toml");
    std::fs::write(&config, "[keys]\npause = 'F5'\nsave = 'x'\n").unwrap();
    let mut screen = Screen::start(&world, ENDLESS, 80, 24);
    assert_eq!(screen.end(), 122, "{}", screen.text());
    let told = screen.wait_for("there is no command 'save'");
    assert!(told.contains("config.toml, line 3"), "{told}");
    assert_eq!(world.json(&["sessions", "--json"]).as_array().map(Vec::len), Some(0));
    assert!(world.flob(&["doctor"]).stdout.contains("line 3: there is no command 'save'"));

    std::fs::write(&config, "[screen]\nunicode = false\n[keys]\npause = 'F5'\n").unwrap();
    let mut screen = Screen::start(&world, ENDLESS, 80, 24);
    screen.wait_for("philosopher-1");
    let text = screen.wait_for("F5 pause");
    assert!(text.is_ascii(), "{text}");
    screen.keys("\x1b[15~");
    screen.wait_for("# held");
    // The palette: a few letters, Enter.
    screen.keys("\x10resu");
    screen.wait_for("let the threads go");
    screen.keys(ENTER);
    screen.wait_for("> running");
    stop(screen);
    let doctor = world.flob_ok(&["doctor"]);
    assert!(doctor.contains("flob/config.toml") && !doctor.contains("TROUBLE"), "{doctor}");
}

#[test]
fn a_screen_says_what_looking_costs_and_where_its_program_has_moved_to() {
    let world = World::new();
    let mut screen = Screen::start(&world, &[&["-s", "here"], ENDLESS].concat(), 80, 24);
    screen.wait_for("looks/s cost");
    let there = world.guest(&["--paused", "philosophers", "3", "--meals", "2"], None);
    world.flob_ok(&["migrate", "here", &there.name]);
    let told = format!("the program goes on in session '{}'", there.name);
    screen.wait_for(&told);
    screen.wait_for("session ended");
    screen.keys("q");
    screen.wait_until_left();
    // Once more, for whoever has left it.
    screen.wait_for(&told);
    assert_eq!(screen.end(), 0);
}

/// Each action is logged as the `flob` command that does the same: those commands are there, and take what stands behind them.
#[test]
fn the_commands_in_the_log_are_such_as_flob_takes() {
    const ACTIONS: &[&str] = &[
        "pause",
        "show FORKS[0]",
        "why main",
        "peek FORKS[0]",
        "resume main",
        "pause main",
        "set FORKS[0] locked=false",
        "checkpoint save one",
        "checkpoint save two",
        "break table.rs:37 if $rdi == 1",
        "trace calls",
        "resume",
        "pause",
        "undo",
        "checkpoint restore one",
        "checkpoint save three",
        "checkpoint rm two",
        "checkpoint diff one three",
    ];
    let world = World::new();
    let script = world.file("script", ACTIONS.join("\n").as_bytes());
    let mut screen = deadlock(&world, SIZES[0]);
    screen.keys("ql");
    screen.wait_until_left();
    let mut screen = Screen::start(&world, &["attach", "--commands", script.to_str().unwrap()], 200, 60);
    screen.wait("the comparison", |text| text.contains("from one to three") && text.contains("Esc close"));
    screen.keys(ESCAPE);
    // Esc and another key at once are one key with Alt.
    screen.wait("the comparison to be gone", |text| !text.contains("Esc close"));
    screen.keys("7");
    // Memory was shown before.
    let is_whole = |text: &str| {
        text.contains("$ flob why") && text.contains("diff one three") && !text.contains("00 00")
    };
    let text = screen.wait("the whole log, and nothing else", is_whole);
    let logged: Vec<&str> = text
        .lines()
        .filter_map(|line| Some(line.split_once("$ flob ")?.1.trim_end_matches(['│', ' '])))
        .collect();
    for command in &logged {
        let finished = Running::start(world.shell(&format!("\"$0\" {command}")), None).finish();
        assert!(!finished.stderr.contains("try '--help'"), "flob {command}: {finished}");
    }
    assert!(logged.len() > 15, "{logged:?}");
    stop(screen);
}
