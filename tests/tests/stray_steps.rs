//! Single steps that no debugger has asked for, or not any more: they stop nobody, and the machine goes on.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use flob_tests::{
    Guest, World,
    debugged::{assert_has, wordcount},
};

/// RFLAGS.TF.
const TRAP_FLAG: u64 = 0x100;

/// Sets a thread's registers as a program does that got them while it was stepped.
fn bring_back(guest: &Guest<'_>, thread: &str) {
    let state = guest.json(&["show", thread, "--json"]);
    let rflags = state["state"]["registers.rflags"].as_str().unwrap().trim_start_matches("0x").to_owned();
    let rflags = u64::from_str_radix(&rflags, 16).unwrap() | TRAP_FLAG;
    guest.flob_ok(&["set", thread, &format!("registers.rflags={rflags:#x}")]);
}

#[test]
fn what_a_debuggers_step_leaves_in_a_copy_of_a_thread_stops_nobody() {
    let world = World::new();
    let guest = world.guest(&["--paused", "philosophers", "3", "--meals", "1"], None);
    guest.flob_ok(&["step", "main"]);
    bring_back(&guest, "main");
    guest.flob_ok(&["resume"]);
    assert_eq!(guest.finish().code, Some(0));
}

/// Finds the instruction that changes `chunks_done`, and stops before it the next time that a worker comes by.
const BEFORE_THE_CHANGE: &str = "python
done = int(gdb.parse_and_eval('&chunks_done'))
look = lambda: gdb.selected_inferior().read_memory(done, 8).tobytes()
was = look()
while look() == was:
    place = gdb.selected_frame().pc()
    gdb.execute('stepi')
gdb.execute('set language c')
gdb.execute('tbreak *%d' % place)
gdb.execute('continue')
gdb.execute('set language rust')
done = int(gdb.parse_and_eval('&chunks_done'))
gdb.execute('set language c')
gdb.execute('watch *(long *) %d' % done)";

#[test]
fn a_thread_that_steps_itself_over_what_it_watches_does_not_hang_the_machine() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let text = session.debug(&[
        "tbreak work.rs:60",
        "continue",
        BEFORE_THE_CHANGE,
        "set $eflags |= 0x100",
        // The step itself is told to nobody, and finds nothing. The next time it is an ordinary one.
        "continue",
        "delete",
        "detach",
    ]);
    assert_has(&text, &["hit Hardware watchpoint 3: *(long *)", "detached]"]);
    session.ends_well();
}

#[test]
fn what_the_search_for_a_moment_leaves_in_a_copy_of_a_thread_stops_nobody() {
    let world = World::new();
    let guest = world.guest(&["--paused", "philosophers", "3", "--meals", "20"], None);
    let save = world.start(&["-s", &guest.name, "checkpoint", "save", "--when", "mutex"], None);
    save.wait_for_error("come to no moment: 'flob resume' lets them go");
    guest.flob_ok(&["resume"]);
    assert_eq!(save.finish().code, Some(0));
    guest.flob_ok(&["pause"]);
    bring_back(&guest, "main");
    guest.flob_ok(&["resume"]);
    assert_eq!(guest.finish().code, Some(0));
}
