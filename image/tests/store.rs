//! The store: saving, loading, listing, removing; input and programs.

#[allow(dead_code, reason = "each test file uses a part of it")]
mod common;

use std::time::{Duration, Instant};

use common::environment;
use flob_image::store::{Details, Input, Origin, Spool, Store, StoreError};
use flob_image::{fields, hash};
use tempfile::TempDir;

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    (folder, store)
}

fn page(fill: u8) -> Vec<u8> {
    vec![fill; 4096]
}

/// Saves a checkpoint with one page of each fill, from page 0 on.
fn save(store: &Store, parent: Option<&str>, name: &str, fills: &[u8]) -> String {
    let mut builder = store.begin(parent).expect("begin");
    for (number, fill) in fills.iter().enumerate() {
        builder.add_page(number as u64, &page(*fill)).expect("a page");
    }
    let details = Details { name: Some(name.into()), kernel: "flob 0.1".into(), ..Details::default() };
    builder.finish(&environment(), details).expect("finish")
}

fn packs(folder: &TempDir) -> usize {
    std::fs::read_dir(folder.path().join("packs")).map_or(0, Iterator::count)
}

#[test]
fn saved_checkpoint_comes_back_whole() {
    let (_folder, store) = store();
    let id = save(&store, None, "first", &[1, 0, 3]);
    assert_eq!(id.len(), 8);
    let found = store.load(&id).expect("load");
    assert_eq!(found.environment(), &environment());
    assert_eq!(
        (found.name(), found.kernel(), found.origin(), found.parent()),
        (Some("first"), "flob 0.1", Origin::Saved, None)
    );
    assert_eq!(found.pages().map(|page| page.0).collect::<Vec<_>>(), [0, 2]);
    for (number, fill) in [(0, 1), (1, 0), (2, 3), (17, 0)] {
        assert_eq!(found.page(number).expect("a page").as_slice(), page(fill));
    }
    assert_eq!(found.read(4094, 4).expect("bytes"), [1, 1, 0, 0]);
    assert_eq!(found.read(0x2_0000 - 2, 4).expect("bytes"), [0, 0]);
    assert!(found.check().is_empty());
}

#[test]
fn pages_are_stored_once() {
    let (folder, store) = store();
    save(&store, None, "one", &[1, 2, 3, 3, 3]);
    assert_eq!(packs(&folder), 1);
    let id = save(&store, None, "two", &[3, 2, 1]);
    assert_eq!(packs(&folder), 1);
    assert_eq!(store.load(&id).expect("load").page(0).expect("page").as_slice(), page(3));
    // New pages before and after ones that are stored already.
    let id = save(&store, None, "three", &[7, 1, 8, 3, 7]);
    assert_eq!(packs(&folder), 2);
    let found = store.load(&id).expect("load");
    for (number, fill) in [7, 1, 8, 3, 7].into_iter().enumerate() {
        assert_eq!(found.page(number as u64).expect("a page").as_slice(), page(fill));
    }
    assert!(found.check().is_empty());
}

#[test]
fn many_pages_go_into_several_packs() {
    let (folder, store) = store();
    let mut environment = environment();
    environment.size = 2500 * 4096;
    let mut builder = store.begin(None).expect("begin");
    let contents = |number: u64| [number.to_le_bytes(), [9; 8]].concat().repeat(256);
    for number in 0..2500 {
        builder.add_page(number, &contents(number)).expect("a page");
    }
    let id = builder.finish(&environment, Details::default()).expect("finish");
    assert_eq!(packs(&folder), 3);
    let found = store.load(&id).expect("load");
    for number in [0, 1023, 1024, 2047, 2048, 2499] {
        assert_eq!(found.page(number).expect("a page").as_slice(), contents(number));
    }
    assert!(found.check().is_empty());
}

#[test]
fn list_is_a_tree_by_age() {
    let (_folder, store) = store();
    let root = save(&store, None, "root", &[1]);
    let child = save(&store, Some(&root), "child", &[2]);
    let other = save(&store, None, "other", &[3]);
    let grandchild = save(&store, Some("child"), "grandchild", &[4]);
    let second = save(&store, Some(&root[..6]), "second", &[5]);
    let shown = |store: &Store| {
        store.list().expect("a list").into_iter().map(|line| (line.depth, line.id)).collect::<Vec<_>>()
    };
    let all = [
        (0, root.clone()),
        (1, child.clone()),
        (2, grandchild.clone()),
        (1, second.clone()),
        (0, other.clone()),
    ];
    assert_eq!(shown(&store), all);
    store.remove(&child).expect("removed");
    assert_eq!(shown(&store), [(0, root), (1, second), (0, other), (0, grandchild)]);
}

#[test]
fn ids_are_found_by_beginning_and_name() {
    let (_folder, store) = store();
    let id = save(&store, None, "before the bug", &[1]);
    save(&store, None, "twice", &[2]);
    save(&store, None, "twice", &[3]);
    assert_eq!(store.resolve(&id[..7]).expect("a prefix"), id);
    assert_eq!(store.resolve(&id.to_uppercase()).expect("an id"), id);
    assert_eq!(store.resolve("before the bug").expect("a name"), id);
    assert!(
        matches!(store.resolve("twice"), Err(StoreError::Ambiguous { candidates, .. }) if candidates.len() == 2)
    );
    for nothing in ["", "zzz", "../../etc/passwd", "\0"] {
        assert!(matches!(store.resolve(nothing), Err(StoreError::NotFound(_))), "{nothing}");
    }
    assert!(matches!(store.load("zzz"), Err(StoreError::NotFound(_))));
    assert!(matches!(store.begin(Some("zzz")), Err(StoreError::NotFound(_))));
}

#[test]
fn what_has_come_of_the_input_so_far_stays_so_while_more_comes() {
    let (_folder, store) = store();
    let mut spool = store.spool().expect("a spool");
    spool.append(b"first").expect("appended");
    let so_far = spool.so_far();
    spool.append(b" and more").expect("appended");
    spool.end();
    assert_eq!((so_far.length(), so_far.has_ended()), (5, false));
    assert_eq!(so_far.read(0, 100).expect("read"), b"first");
    assert_eq!(spool.read(3, 100).expect("read"), b"st and more");
    let input = Input::Spool(&so_far);
    let builder = store.begin(None).expect("begin");
    let id = builder.finish(&environment(), Details { input, ..Details::default() }).expect("finish");
    assert_eq!(store.load(&id).expect("load").input_length(), 5);
}

#[test]
fn edited_checkpoint_is_a_new_one_with_the_old_as_parent() {
    let (folder, store) = store();
    let mut spool = store.spool().expect("a spool");
    spool.append(b"input").expect("appended");
    let mut builder = store.begin(None).expect("begin");
    builder.add_page(0, &page(1)).expect("a page");
    builder.add_page(1, &page(2)).expect("a page");
    let details = Details { input: Input::Spool(&spool), ..Details::default() };
    let id = builder.finish(&environment(), details).expect("finish");
    let old = store.load(&id).expect("load");

    let mut edited = environment();
    fields::set(edited.flob_mut(0x200).expect("a mutex"), "owner", "null").expect("set");
    let new = store.save_edited(&old, &edited, None, &[]).expect("saved");
    let poked = store.save_edited(&old, &edited, None, &[(1, page(9))]).expect("saved");
    assert_eq!(packs(&folder), 2);
    let new = store.load(&new).expect("load");
    assert_eq!((new.origin(), new.parent()), (Origin::Edited, Some(id.clone())));
    assert_eq!(new.environment(), &edited);
    assert_eq!(new.page(1).expect("page").as_slice(), page(2));
    assert_eq!(new.input_length(), 5);
    let poked = store.load(&poked).expect("load");
    assert_eq!(
        (poked.page(0).expect("page").as_slice(), poked.page(1).expect("page").as_slice()),
        (&page(1)[..], &page(9)[..])
    );
    assert_eq!(store.load(&id).expect("load").environment(), &environment());
}

#[test]
fn dropped_builder_leaves_the_store_as_it_was() {
    let (folder, store) = store();
    let id = save(&store, None, "kept", &[1, 2]);
    let mut builder = store.begin(Some(&id)).expect("begin");
    for number in 0..1100_u64 {
        builder.add_page(number, &number.wrapping_add(1).to_le_bytes().repeat(512)).expect("a page");
    }
    // A full pack is written while the next is filled.
    let patience = Instant::now() + Duration::from_secs(60);
    while packs(&folder) < 2 {
        assert!(Instant::now() < patience, "the full pack was not written");
        std::thread::yield_now();
    }
    // While somebody saves, nothing is freed.
    assert_eq!(store.gc().expect("gc").files, 0);
    drop(builder);
    assert_eq!(store.list().expect("a list").len(), 1);
    assert_eq!(store.gc().expect("gc").files, 1);
    assert_eq!(packs(&folder), 1);
    assert!(store.load(&id).expect("load").check().is_empty());
}

#[test]
fn nothing_is_written_behind_the_back_of_a_dropped_builder() {
    let (folder, store) = store();
    save(&store, None, "kept", &[1, 2]);
    for round in 0..10_u64 {
        let mut builder = store.begin(None).expect("begin");
        for number in 0..3 * 1024 + 1 {
            let bytes = ((round << 32) | (number + 1)).to_le_bytes().repeat(512);
            builder.add_page(number, &bytes).expect("a page");
        }
        drop(builder);
        store.gc().expect("gc");
        // What was still on its way would come after this.
        assert_eq!(packs(&folder), 1, "round {round}");
    }
    assert_eq!(packs(&folder), 1);
}

#[test]
fn removing_frees_what_nobody_else_needs() {
    let (folder, store) = store();
    let one = save(&store, None, "one", &[1, 2]);
    let two = save(&store, None, "two", &[1, 5]);
    assert_eq!(packs(&folder), 2);
    store.remove(&one).expect("removed");
    let left = store.load(&two).expect("load");
    assert!(left.check().is_empty());
    assert_eq!(packs(&folder), 2);
    store.remove("two").expect("removed");
    assert_eq!(packs(&folder), 0);
    assert!(store.list().expect("a list").is_empty());
    assert!(matches!(store.remove(&one), Err(StoreError::NotFound(_))));
}

#[test]
fn spooled_input_goes_on_where_it_was() {
    let (_folder, store) = store();
    let input: Vec<u8> = (0..700_000_u32).map(|number| ((number * 7) >> 3) as u8).collect();
    let mut spool = store.spool().expect("a spool");
    for part in input.chunks(33_333) {
        spool.append(part).expect("appended");
    }
    assert_eq!(spool.read(300_000, 10).expect("read"), input[300_000..300_010]);
    assert_eq!(spool.read(699_999, 10).expect("read"), input[699_999..]);
    assert!(spool.read(700_001, 10).expect("read").is_empty());
    assert_eq!(spool.hash(600_000).expect("hash"), Some(hash::fnv1a(hash::FNV_START, &input[..600_000])));
    assert_eq!(spool.hash(700_001).expect("hash"), None);

    let save = |spool: &Spool| {
        let details = Details { input: Input::Spool(spool), ..Details::default() };
        store.begin(None).expect("begin").finish(&environment(), details).expect("finish")
    };
    let first = save(&spool);
    spool.append(b"more").expect("appended");
    spool.end();
    let second = save(&spool);
    let first = store.load(&first).expect("load");
    assert_eq!((first.input_length(), first.input_ended()), (700_000, false));
    let mut again = first.spool().expect("a spool");
    assert_eq!(again.read(0, 800_000).expect("read"), input);
    again.append(b"!").expect("appended");
    assert_eq!(again.read(699_999, 9).expect("read"), [input[699_999], b'!']);
    let second = store.load(&second).expect("load").spool().expect("a spool");
    assert_eq!((second.length(), second.has_ended()), (700_004, true));
    assert_eq!(second.read(700_000, 9).expect("read"), b"more");
}

#[test]
fn programs_are_kept_by_build_id() {
    let (_folder, store) = store();
    let build_id = environment().build_id;
    assert_eq!(store.get_program(&build_id).expect("none"), None);
    let details = Details { program: Some(b"\x7fELF..."), ..Details::default() };
    let id = store.begin(None).expect("begin").finish(&environment(), details).expect("finish");
    assert_eq!(store.get_program(&build_id).expect("program").as_deref(), Some(&b"\x7fELF..."[..]));
    let file = store.program_file(&build_id).expect("program").expect("a file");
    assert_eq!(std::fs::read(&file).expect("the ELF"), b"\x7fELF...");
    for bad in ["", "../x", "12 34"] {
        assert!(matches!(store.put_program(bad, b""), Err(StoreError::Invalid(_))));
    }
    std::fs::write(&file, b"\x7fELF,..").expect("damaged");
    let error = store.get_program(&build_id).expect_err("damaged").to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");
    assert_eq!(store.load(&id).expect("load").check().len(), 1);
    store.put_program(&build_id, b"\x7fELF...").expect("mended");
    assert!(store.load(&id).expect("load").check().is_empty());
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let (_folder, store) = store();
    let mut builder = store.begin(None).expect("begin");
    assert!(matches!(builder.add_page(0, &[1; 100]), Err(StoreError::Invalid(_))));
    builder.add_page(1 << 40, &page(1)).expect("a page");
    assert!(matches!(builder.finish(&environment(), Details::default()), Err(StoreError::Invalid(_))));
    let mut unordered = environment();
    unordered.flobs.reverse();
    let builder = store.begin(None).expect("begin");
    assert!(matches!(builder.finish(&unordered, Details::default()), Err(StoreError::Invalid(_))));
    assert!(store.list().expect("a list").is_empty());
}

#[test]
fn savers_and_removers_at_once_lose_nothing() {
    let (folder, store) = store();
    let keep = save(&store, None, "keep", &[1, 2, 3]);
    std::thread::scope(|scope| {
        for thread in 0..3_u8 {
            // Each opens the store by itself, as another process would.
            let store = Store::open(folder.path()).expect("a store");
            let keep = &keep;
            scope.spawn(move || {
                for round in 0..8 {
                    let name = format!("{thread}-{round}");
                    let id = save(&store, Some(keep), &name, &[1, 10 + thread, 20 + round]);
                    assert!(store.load(&id).expect("load").check().is_empty());
                    if round % 2 == 0 {
                        store.remove(&id).expect("removed");
                    }
                }
            });
        }
    });
    let list = store.list().expect("a list");
    assert_eq!(list.len(), 13);
    for line in list {
        assert!(store.load(&line.id).expect("load").check().is_empty());
    }
}

#[test]
fn store_works_within_another_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (_folder, store) = store();
        let id = save(&store, None, "inside", &[1]);
        assert!(store.load(&id).expect("load").check().is_empty());
    });
}
