//! The store in a bucket of a real S3 server: what a folder keeps a bucket keeps, and processes keep out of each other's way.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use flob_image::Environment;
use flob_image::store::{Builder, Details, ExportOptions, Freed, Input, Origin, Store, StoreError};
use flob_tests::{S3Server, rounds, seed};

const MINUTE: Duration = Duration::from_secs(60);

fn environment(build_id: &str) -> Environment {
    Environment {
        program: "nothing".into(),
        arguments: vec!["nothing".into()],
        build_id: build_id.into(),
        size: 0x10_0000,
        flobs: Vec::new(),
        streams: Vec::new(),
        borders: Vec::new(),
        clock: 1,
        exit: None,
    }
}

/// A checkpoint that is begun: its pages are of this byte.
fn begin(store: &Store, fill: u8) -> Result<Builder, StoreError> {
    let mut builder = store.begin(None)?;
    for number in 0..3 {
        builder.add_page(number, &[fill.wrapping_add(number as u8); 4096])?;
    }
    Ok(builder)
}

fn finish(store: &Store, builder: Builder, fill: u8) -> Result<String, StoreError> {
    let mut spool = store.spool()?;
    spool.append(&[fill; 100])?;
    let build_id = format!("{fill:02x}");
    let elf = format!("an ELF of {fill}");
    let details =
        Details { input: Input::Spool(&spool), program: Some(elf.as_bytes()), ..Details::default() };
    builder.finish(&environment(&build_id), details)
}

fn save(store: &Store, fill: u8) -> Result<String, StoreError> {
    let builder = begin(store, fill)?;
    finish(store, builder, fill)
}

fn assert_whole(store: &Store, id: &str) {
    let found = store.load(id).unwrap().check();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn what_a_folder_keeps_a_bucket_keeps() {
    let server = S3Server::default();
    let store = server.store();
    assert_eq!(store.list().unwrap().len(), 0);
    let first = save(&store, 1).unwrap();
    let there = server.store().load(&first).unwrap();
    assert_eq!(there.environment(), &environment("01"));
    assert_eq!(there.page(1).unwrap().as_slice(), [2; 4096]);
    assert_eq!(there.spool().unwrap().read(0, 200).unwrap(), [1; 100]);
    assert_eq!(store.get_program("01").unwrap().unwrap(), b"an ELF of 1");
    assert_whole(&store, &first);
    // Pages that are there do not travel again.
    let edited = store.save_edited(&there, there.environment(), Some("edited".into()), &[]).unwrap();
    assert_eq!(server.files("packs").len(), 1);
    assert_eq!(store.load("edited").unwrap().origin(), Origin::Edited);
    let list: Vec<(usize, String)> =
        store.list().unwrap().into_iter().map(|line| (line.depth, line.id)).collect();
    assert_eq!(list, [(0, first.clone()), (1, edited)]);
    // Out into a file, and in again.
    let file = tempfile::tempdir().unwrap();
    let file = file.path().join("exported");
    there.export(&file, ExportOptions::default(), &mut |_, _, _| ()).unwrap();
    store.remove("edited").unwrap();
    store.remove(&first).unwrap();
    assert_eq!(
        (store.list().unwrap().len(), server.files("packs").len(), server.files("input").len()),
        (0, 0, 0)
    );
    assert!(matches!(store.load(&first), Err(StoreError::NotFound(_))));
    assert_eq!(store.import(&file, &mut |_, _, _| ()).unwrap().id, first);
    assert_whole(&store, &first);
    assert_eq!(server.files("locks").len(), 0, "nobody holds a lock");
}

#[test]
fn damage_in_a_bucket_is_found_and_named() {
    let server = S3Server::default();
    let store = server.store();
    let (sound, victim) = (save(&store, 1).unwrap(), save(&store, 100).unwrap());
    let pack = store.load(&victim).unwrap();
    let file =
        server.files("packs").into_iter().find(|file| std::fs::read(file).unwrap().ends_with(&[102; 4096]));
    let file = file.unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[5000] ^= 4;
    std::fs::write(&file, bytes).unwrap();
    let found = pack.check();
    assert_eq!(found.len(), 1, "{found:?}");
    let text = found[0].to_string();
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(text.contains(&format!("s3://bucket/some/where/packs/{name}")), "{text}");
    assert!(text.contains("page 0x1") && text.contains("flob checkpoint rm"), "{text}");
    assert_whole(&store, &sound);
}

#[test]
fn many_savers_and_one_that_frees_do_not_harm_each_other() {
    let server = S3Server::default();
    let seed = seed();
    let count = rounds(4).min(100) as u8;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let savers: Vec<_> = (0..3_u8)
            .map(|number| {
                let server = &server;
                scope.spawn(move || {
                    // As processes of their own: nothing is shared but the server.
                    let store = server.store();
                    let mut random = fastrand::Rng::with_seed(seed + u64::from(number));
                    for round in 0..count {
                        // Often the pages that another one has just removed.
                        let id = save(&store, random.u8(..4)).unwrap();
                        assert_whole(&store, &id);
                        if round % 2 == 1 {
                            store.remove(&id).unwrap();
                        }
                    }
                })
            })
            .collect();
        let freer = scope.spawn(|| {
            let store = server.store();
            while !is_over.load(Ordering::SeqCst) {
                store.gc().unwrap();
            }
        });
        let results: Vec<_> = savers.into_iter().map(|saver| saver.join()).collect();
        is_over.store(true, Ordering::SeqCst);
        freer.join().unwrap();
        results.into_iter().for_each(|result| result.unwrap());
    });
    let store = server.store();
    let list = store.list().unwrap();
    assert_eq!(list.len(), 3 * usize::from(count.div_ceil(2)));
    list.iter().for_each(|line| assert_whole(&store, &line.id));
    assert_eq!(server.files("locks").len(), 0);
}

#[test]
fn who_frees_gives_up_while_somebody_saves() {
    let server = S3Server::default();
    let store = server.store();
    let builder = begin(&store, 1).unwrap();
    // Its pages are all in one pack that is not full: they are written at the end. These are there by now.
    server.write("packs/left-over.pack", "nobody needs this");
    assert_eq!(server.store().gc().unwrap(), Freed::default());
    let id = finish(&store, builder, 1).unwrap();
    assert_eq!(server.store().gc().unwrap().files, 1);
    assert_whole(&store, &id);
}

#[test]
fn who_saves_waits_for_who_frees() {
    let server = S3Server::default();
    server.write("locks/0123.freeing", "somewhere else 1 1");
    let is_gone = AtomicBool::new(false);
    thread::scope(|scope| {
        let saver = scope.spawn(|| {
            let id = save(&server.store(), 1).unwrap();
            assert!(is_gone.load(Ordering::SeqCst), "it did not wait");
            id
        });
        while !server.files("locks").iter().any(|file| file.to_string_lossy().ends_with(".saving")) {
            thread::yield_now();
        }
        // Time to go wrong in.
        (0..3).for_each(|_| drop(server.store().list().unwrap()));
        is_gone.store(true, Ordering::SeqCst);
        std::fs::remove_file(
            server.files("locks").into_iter().find(|file| file.ends_with("0123.freeing")).unwrap(),
        )
        .unwrap();
        assert_whole(&server.store(), &saver.join().unwrap());
    });
}

#[test]
fn locks_of_the_dead_are_no_obstacle() {
    let server = S3Server::default();
    let store = server.store();
    server.write("packs/left-over.pack", "nobody needs this");
    // Of another machine, and old.
    for lease in ["1.saving", "2.freeing"] {
        server.write(&format!("locks/{lease}"), "somewhere else 1 1");
        server.age(lease, 6 * MINUTE);
    }
    let id = save(&store, 1).unwrap();
    assert_eq!(store.gc().unwrap().files, 1, "{:?}", server.files("locks"));
    assert_whole(&store, &id);
    // Of another machine, and not so old.
    server.write("packs/left-over.pack", "nobody needs this");
    server.write("locks/3.saving", "somewhere else 1 1");
    server.age("3.saving", 3 * MINUTE);
    assert_eq!(store.gc().unwrap().files, 0);
}

#[test]
fn a_saver_that_stood_still_too_long_saves_nothing_and_says_so() {
    let server = S3Server::default();
    let store = server.store();
    let old = save(&store, 1).unwrap();
    let builder = begin(&store, 50).unwrap();
    server.age(".saving", 6 * MINUTE);
    server.store().gc().unwrap();
    let error = finish(&store, builder, 50).unwrap_err().to_string();
    assert!(error.contains("save again"), "{error}");
    assert_eq!(store.list().unwrap().len(), 1);
    assert_whole(&store, &old);
    let again = save(&store, 50).unwrap();
    assert_whole(&store, &again);
}

#[test]
fn what_a_saver_needs_that_stands_still_right_before_its_manifest_is_kept() {
    let mut server = S3Server::default();
    let store = server.store();
    let builder = begin(&store, 1).unwrap();
    // Writes: a pack, input, a program, the end of the lease; not the manifest. The files stay as they are then.
    server.restart(&["before=4"]);
    let error = finish(&store, builder, 1).unwrap_err().to_string();
    assert!(error.contains("no answer from"), "{error}");
    server.restart(&[]);
    assert_eq!(server.files("checkpoints").len(), 0);
    assert_eq!(server.files("packs").len(), 1);
    server.age(".saving", 6 * MINUTE);
    // This process lives, so the manifest may still come.
    server.store().gc().unwrap();
    assert_eq!((server.files("packs").len(), server.files("input").len()), (1, 1));
    // But not for ever.
    server.age(".end", 8 * 24 * 60 * MINUTE);
    server.store().gc().unwrap();
    server.store().gc().unwrap();
    assert_eq!((server.files("packs").len(), server.files("input").len()), (0, 0));
    assert_eq!(server.files("locks").len(), 0);
}

#[test]
fn a_server_that_dies_at_any_write_of_a_save_costs_no_checkpoint() {
    thread::scope(|scope| {
        for how in ["before", "after"] {
            // Two of the lease, a pack, input, a program, the end of the lease, the manifest.
            for at in 0..=7 {
                scope.spawn(move || cut(how, at));
            }
        }
    });
}

/// One save that is cut off at its n-th write.
fn cut(how: &str, at: usize) {
    let mut server = S3Server::default();
    let old = save(&server.store(), 1).unwrap();
    let store = server.store();
    server.restart(&[&format!("{how}={at}")]);
    let result = save(&store, 2);
    assert_eq!(result.is_ok(), at == 7, "{how}={at}");
    if let Err(error) = result {
        let text = error.to_string();
        assert!(text.contains("no answer from") && text.contains("AWS_ENDPOINT_URL"), "{how}={at}: {text}");
    }
    server.restart(&[]);
    let store = server.store();
    let list = store.list().unwrap();
    // The last write may be done although nobody was told.
    let most = if at == 7 || (how, at) == ("after", 6) { 2 } else { 1 };
    assert_eq!(list.len(), most, "{how}={at}");
    list.iter().for_each(|line| assert_whole(&store, &line.id));
    assert_whole(&store, &old);
    let again = save(&store, 3).unwrap();
    store.gc().unwrap();
    assert_whole(&store, &again);
    list.iter().for_each(|line| assert_whole(&store, &line.id));
}
