//! Two debuggers on two spaces of one session at once: each has its own threads, holds and breakpoints, by a socket or port of its
//! own, and what the environment does not have neither is told of.
#![allow(missing_docs)]

use flob_tests::{
    Running, World,
    debugged::{Session, assert_has, wait_for_file, wordcount},
};

/// `flob gdb-server` with these arguments, and where it listens.
fn serve(world: &World, session: &Session<'_>, arguments: &[&str]) -> (Running, String) {
    world.wait_until("there is a second space", || session.guest.flob_ok(&["tree"]).contains("TALLY_THREAD"));
    let server = world.start(&[&["-s", &session.guest.name, "gdb-server"], arguments].concat(), None);
    let said = server.wait_for("extended-remote ");
    let said = if said.ends_with('\n') { said } else { server.wait_for("\n") };
    let target = said.trim_end().rsplit(' ').next().unwrap().to_owned();
    (server, target)
}

#[test]
fn two_gdbs_debug_two_spaces_at_once_and_neither_stands_in_the_others_way() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let (server, target) = serve(&world, &session, &["--space", "TALLY_SPACE"]);
    let go_on = world.path("go-on");
    let second = session.gdb(
        &target,
        &[
            "break wordcount_core::tally::Tally::serve",
            "continue",
            "info threads",
            "info auxv",
            "info sharedlibrary",
            "echo second stands\\n",
            &wait_for_file(&go_on),
            "continue",
            "continue",
            "print $_inferior_thread_count",
            "delete",
            "detach",
        ],
    );
    second.wait_for("second stands");
    // The tally stands and nobody else: the workers run, or wait for it.
    assert_eq!(session.session()["holders"].as_array().unwrap().len(), 1);
    let first = session.gdb(
        &session.socket(),
        &[
            "info threads",
            "break wordcount::work::add_up",
            "echo first goes on\\n",
            "continue",
            "info breakpoints",
            "delete",
            "detach",
        ],
    );
    first.wait_for("first goes on");
    world.file("go-on", b"");
    let first = first.finish();
    assert_has(
        &first.stdout,
        &["\"worker-0\" (", "hit Breakpoint 1, wordcount::work::add_up", "already hit 1 time", "detached]"],
    );
    assert!(!first.stdout.contains("\"tally-thread\"") && !first.stdout.contains("Tally::serve"), "{first}");
    let second = second.finish();
    assert_eq!(
        second.stdout.matches("Breakpoint 1, wordcount_core::tally::Tally::serve").count(),
        3,
        "{second}"
    );
    assert_has(&second.stdout, &["\"tally-thread\" (", "No shared libraries loaded", "$1 = 1", "detached]"]);
    assert!(!second.stdout.contains("\"worker-0\""), "{second}");
    assert_has(&second.stderr, &["No auxiliary vector found"]);
    session.ends_well();
    assert_eq!(server.finish().code, Some(0), "the server ends with its session");
}

#[test]
fn a_space_is_served_at_a_socket_by_its_number_and_what_is_not_there_is_refused() {
    let world = World::new();
    let session = wordcount(&world, &[]);
    let path = world.path("space.gdb");
    let (server, target) = serve(&world, &session, &["--space", "1", "--socket", path.to_str().unwrap()]);
    let text = session.gdb(&target, &["tbreak wordcount::work::add_up", "continue", "detach"]).finish();
    assert_has(&text.stdout, &["hit Temporary breakpoint 1", "detached]"]);
    let refused = session.guest.flob(&["gdb-server", "--space", "7"]);
    assert_eq!(refused.code, Some(121), "{refused}");
    assert_has(&refused.stderr, &["there is no space 7, but these:", "\n  1 space:wordcount"]);
    session.ends_well();
    assert_eq!(server.finish().code, Some(0), "the server ends with its session");
    assert!(!path.exists(), "it takes its socket with it");
}
