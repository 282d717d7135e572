//! Every verb of `flob checkpoint` with the checkpoints in a bucket of a real S3 server, and what is said when that is not there.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;

use flob_tests::{Finished, Running, S3Server, World};

/// Exit code, and one line that says what to do.
fn assert_fails(finished: &Finished, code: i32, texts: &[&str]) {
    assert_eq!(finished.code, Some(code), "{finished}");
    assert_eq!(finished.stderr.lines().count(), 1, "{finished}");
    assert!(texts.iter().all(|text| finished.stderr.contains(text)), "not all of {texts:?} in {finished}");
}

#[test]
fn a_run_is_saved_looked_at_edited_given_away_and_restored_with_nothing_kept_here() {
    let server = S3Server::default();
    let world = World::with_store_on(&server);
    let guest = world.guest(&["philosophers", "4", "--meals", "3", "--deadlock", "--pace", "2"], None);
    guest.wait_for_threads("nobody can eat", |threads| {
        threads.iter().filter(|thread| thread["deadlock"] == 4).count() == 4
    });
    let stuck = guest.save(&["stuck"]);
    let again = guest.save(&["again"]);
    guest.power_cut();
    assert_eq!(std::fs::read_dir(world.path("store")).unwrap().count(), 0, "nothing is kept here");
    let list = world.json(&["checkpoint", "list", "--json"]);
    assert!(list.to_string().contains(&stuck) && list.to_string().contains(&again), "{list:#}");
    assert!(world.flob_ok(&["checkpoint", "show", "stuck"]).contains("philosophers"));
    // Symbols come from the program in the bucket, through a copy.
    assert!(world.flob_ok(&["why", "--at", "stuck", "philosopher-1"]).contains("deadlock of 4"));
    let edited = world.flob_ok(&["checkpoint", "edit", "stuck", "--set", "FORKS[2].locked=false"]);
    assert!(world.flob_ok(&["checkpoint", "diff", "stuck", edited.trim()]).contains("FORKS[2]"));
    assert!(world.flob_ok(&["checkpoint", "verify", "stuck"]).contains("sound"));
    let (file, core) = (world.path("file"), world.path("core"));
    let (file, core) = (file.to_str().unwrap(), core.to_str().unwrap());
    world.flob_ok(&["checkpoint", "export", "stuck", file]);
    world.flob_ok(&["checkpoint", "export", "--core", "stuck", core]);
    for id in ["again", "stuck"] {
        world.flob_ok(&["checkpoint", "rm", id]);
    }
    assert_eq!(world.flob_ok(&["checkpoint", "import", file]).trim(), stuck);
    world.flob_ok(&["checkpoint", "gc"]);
    let finished = world.start(&["run", "--headless", "--restore", edited.trim()], None).finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    assert_eq!(finished.stdout.lines().last(), Some("all 4 philosophers have had 3 meals"), "{finished}");
    assert_eq!(server.files("locks"), Vec::<PathBuf>::new());
}

#[test]
fn a_server_that_dies_under_a_session_costs_that_save_alone() {
    let mut server = S3Server::default();
    let world = World::with_store_on(&server);
    let guest = world.guest(&["philosophers", "3", "--meals", "100000", "--pace", "1"], None);
    let first = guest.save(&["first"]);
    // Two writes of the lease, then something of the save.
    server.restart(&["before=2"]);
    let finished = world.flob(&["checkpoint", "save", "--full"]);
    assert_eq!(finished.code, Some(123), "{finished}");
    assert!(
        finished.stderr.contains("no answer from") && finished.stderr.contains("AWS_ENDPOINT_URL"),
        "{finished}"
    );
    server.restart(&[]);
    assert!(world.flob_ok(&["checkpoint", "verify"]).contains(&format!("{first}: sound")));
    let second = guest.save(&["second"]);
    assert!(world.flob_ok(&["checkpoint", "verify"]).contains(&format!("{second}: sound")));
    guest.power_cut();
    world.guest(&["--restore", &first], None).power_cut();
}

#[test]
fn what_a_killed_process_leaves_hinders_nobody_and_is_freed() {
    let mut server = S3Server::default();
    let world = World::with_store_on(&server);
    let image = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/2/philosophers.flobx");
    // Two writes of the lease and a pack are done.
    server.restart(&["stall=3"]);
    let saver = world.start(&["checkpoint", "import", image], None);
    world.wait_until("a pack is written", || !server.files("packs").is_empty());
    // Who frees does not while it lives.
    world.flob_ok(&["checkpoint", "gc"]);
    assert_eq!(server.files("packs").len(), 1);
    saver.kill();
    world.flob_ok(&["checkpoint", "gc"]);
    assert_eq!((server.files("packs").len(), server.files("checkpoints").len()), (0, 0));
    world.flob_ok(&["checkpoint", "import", image]);
    assert!(world.flob_ok(&["checkpoint", "verify"]).contains("sound"));
}

#[test]
fn whatever_is_wrong_with_the_service_is_said_in_one_line() {
    let mut server = S3Server::default();
    let world = World::with_store_on(&server);
    let list = |variables: &[(&str, &str)]| {
        let mut command = world.command(&["checkpoint", "list"]);
        command.envs(variables.iter().copied());
        Running::start(command, None).finish()
    };
    assert_eq!(list(&[]).code, Some(0));
    assert_fails(&list(&[("FLOB_STORE", "s3://nobodys")]), 126, &["no bucket `nobodys`", server.address()]);
    for wrong in [("AWS_ACCESS_KEY_ID", "another"), ("AWS_SECRET_ACCESS_KEY", "another")] {
        assert_fails(&list(&[wrong]), 126, &["refuses", "AWS_SECRET_ACCESS_KEY", "bucket"]);
    }
    let nowhere = [("AWS_ACCESS_KEY_ID", ""), ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")];
    assert_fails(&list(&nowhere), 126, &["there are no keys", "AWS_ACCESS_KEY_ID"]);
    assert_fails(&list(&[("AWS_ALLOW_HTTP", "")]), 126, &["AWS_ALLOW_HTTP=true"]);
    assert_fails(&list(&[("FLOB_STORE", "gs://bucket")]), 122, &["s3://BUCKET/PREFIX"]);
    assert_fails(&world.flob(&["checkpoint", "list", "--store", "s3://"]), 122, &["s3://BUCKET/PREFIX"]);
    server.restart(&["careless"]);
    assert_eq!(list(&[]).code, Some(0));
    assert_fails(&world.flob(&["checkpoint", "gc"]), 126, &["If-None-Match"]);
    server.kill();
    assert_fails(&list(&[]), 126, &["no answer from", server.address(), "AWS_ENDPOINT_URL"]);
}

#[test]
fn another_place_is_chosen_for_one_command() {
    let server = S3Server::default();
    let (here, there) = (World::new(), World::with_store_on(&server));
    let other = here.path("other");
    here.flob_ok(&["--store", other.to_str().unwrap(), "checkpoint", "gc"]);
    assert!(other.is_dir());
    let list = there.flob_ok(&["checkpoint", "list", "--store", there.path("store").to_str().unwrap()]);
    assert_eq!(list, there.flob_ok(&["checkpoint", "list"]));
    server.write(
        "checkpoints/0000000000000000000000000000000000000000000000000000000000000000.flob",
        "damaged",
    );
    assert!(there.flob_ok(&["checkpoint", "list"]).contains("damaged"));
    assert_eq!(
        list,
        there.flob_ok(&["checkpoint", "list", "--store", there.path("store").to_str().unwrap()])
    );
}

/// A verb that frees, and dies with the server at its n-th change; whether it came to its end before.
fn freed_until(how: &str, at: usize, verb: &[&str]) -> bool {
    let what = format!("{verb:?}, {how}={at}");
    let mut server = S3Server::default();
    let world = World::with_store_on(&server);
    let image = |name| format!("{}/corpus/2/{name}.flobx", env!("CARGO_MANIFEST_DIR"));
    let [kept, victim] = ["philosophers", "wordcount"]
        .map(|name| world.flob_ok(&["checkpoint", "import", &image(name)]).trim().to_owned());
    // What a save has left that did not come to its end.
    for file in ["packs/left.pack", "packs/over.pack", "input/left.chunk"] {
        server.write(file, "nobody needs this");
    }
    server.restart(&[&format!("{how}={at}")]);
    let verb: Vec<&str> = verb.iter().map(|word| if *word == "VICTIM" { &*victim } else { word }).collect();
    let mut running = world.start(&[&["checkpoint"], &*verb].concat(), None);
    world.wait_until(&what, || running.has_ended() || server.is_dead());
    let is_done = !server.is_dead();
    let finished = running.kill();
    assert!(!is_done || finished.code == Some(0), "{what}: {finished}");
    server.restart(&[]);
    let list = world.json(&["checkpoint", "list", "--json"]);
    let ids: Vec<&str> = list.as_array().unwrap().iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&kept.as_str()), "{what}: {list:#}");
    assert!(verb[0] == "rm" || ids.contains(&victim.as_str()), "{what}: {list:#}");
    assert!(!is_done || verb[0] == "gc" || ids.len() == 1, "{what}: {list:#}");
    let sound = |ids: &[&str]| {
        let said = world.flob_ok(&["checkpoint", "verify"]);
        assert_eq!(
            said.lines().filter(|line| line.ends_with(": sound")).count(),
            ids.len(),
            "{what}: {said}"
        );
    };
    sound(&ids);
    // The next one is not kept waiting, and finishes what was begun.
    world.flob_ok(&["checkpoint", "gc"]);
    sound(&ids);
    assert_eq!(server.files("packs").len(), ids.len(), "{what}: each has one");
    let is_left_over = |file: &PathBuf| file.to_string_lossy().contains("left");
    assert!(!server.files("input").iter().any(is_left_over), "{what}");
    // Of who was killed only that its lease is void.
    let locks = server.files("locks");
    assert!(locks.iter().all(|file| file.extension().is_some_and(|kind| kind == "end")), "{what}: {locks:?}");
    is_done
}

#[test]
fn who_frees_and_is_killed_at_any_change_costs_no_checkpoint_and_hinders_nobody() {
    std::thread::scope(|scope| {
        for verb in [&["gc"][..], &["rm", "VICTIM"]] {
            for how in ["before", "after"] {
                scope.spawn(move || {
                    let changes = (0..).find(|at| freed_until(how, *at, verb)).unwrap();
                    // Two of the lease, three of what is left over, the end of the lease.
                    assert!(changes >= 6, "{verb:?}: {changes} changes");
                });
            }
        }
    });
}
