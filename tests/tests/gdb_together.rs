//! Two of Debian's gdbs on one space, each with watchpoints of its own: what touches both at once stops both, and nobody goes on before
//! both have let it go.
#![allow(missing_docs)]

use flob_tests::{
    Finished, World,
    debugged::{assert_has, wait_for_file, wordcount},
};

/// Takes the processor's registers for what is never hit, so that the page is watched: of two registers that one access hits the emulator
/// tells one.
const FILL_REGISTERS: &str = "python for i in range(4): gdb.execute('hbreak *%d' % (0x1000 + i))";

/// A stop, and where.
const GO_ON: [&str; 2] =
    ["continue", "python print('stopped:', gdb.selected_thread().name, hex(gdb.selected_frame().pc()))"];
/// It is read, and written.
const STOPS: usize = 2;

/// What both do, once each knows what it watches: the same stops.
fn watch<'a>(before: &[&'a str], watch: &'a str) -> Vec<&'a str> {
    [before, &["set language c", watch], &GO_ON.repeat(STOPS), &["delete", "detach"]].concat()
}

/// The threads and places of its stops, each of which was one of this watchpoint.
#[track_caller]
fn stops(gdb: &Finished, watchpoint: &str) -> Vec<String> {
    let hit = format!("hit Hardware access (read/write) watchpoint {watchpoint}");
    assert_eq!(gdb.stdout.matches(&hit).count(), STOPS, "{gdb}");
    gdb.stdout.lines().filter(|line| line.starts_with("stopped:")).map(str::to_owned).collect()
}

#[test]
fn an_access_that_touches_what_two_gdbs_watch_stops_both() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let wait = wait_for_file(&world.path("both"));
    // A worker's counter of eight bytes, which it reads and writes as a whole.
    let first = [
        FILL_REGISTERS,
        "tbreak wordcount::work::add_up",
        "continue",
        "finish",
        "python done = int(gdb.parse_and_eval('&chunks_done')); print('counter:', done)",
        "echo first is here\\n",
        &wait,
    ];
    let low = "python gdb.execute('awatch *(int *) %d' % done)";
    let first = session.gdb(&session.socket(), &watch(&first, low));
    let said = first.wait_for("first is here");
    let counter = said.lines().find_map(|line| line.strip_prefix("counter: ")).unwrap();
    let high = format!("awatch *(int *) ({counter} + 4)");
    let second = session.gdb(&session.socket(), &watch(&["echo second is here\\n"], &high));
    second.wait_for("second is here");
    world.file("both", b"");
    let (first, second) = (first.finish(), second.finish());
    let (one, other) = (stops(&first, "6: *(int *)"), stops(&second, "1: *(int *)"));
    assert_eq!(one, other, "one access is one stop\n{first}\n{second}");
    assert!(one.iter().all(|stop| stop.starts_with("stopped: worker-")), "{one:?}");
    assert_has(&first.stdout, &["detached]"]);
    assert_has(&second.stdout, &["detached]"]);
    session.ends_well();
}
