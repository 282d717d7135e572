//! The real store behind the checkpoints pane.

use std::sync::Arc;

use flob_image::{
    State as FlobState,
    store::{Details, Store as Files},
};
use flob_link::Memory;

use super::world::{environment, fork, insight};
use crate::tui::{Library, Poke, Store};

#[test]
fn a_checkpoint_is_listed_opened_edited_and_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Files::open(folder.path()).expect("a store");
    let mut builder = store.begin(None).expect("a checkpoint begins");
    builder.add_page(2, &[7; 4096]).expect("a page");
    let details = Details { name: Some("dinner".into()), ..Details::default() };
    let id = builder.finish(&environment(true), details).expect("it is saved");

    let library = Library { store, insight: insight(), compare: Arc::new(|_, _| Ok(Vec::new())) };
    let list = library.list().expect("a list");
    assert_eq!(
        (list[0].id.as_str(), list[0].name.as_deref(), list[0].bytes),
        (id.as_str(), Some("dinner"), 4096)
    );
    let (opened, mut source) = library.open("dinner").expect("it opens by its name");
    let mut copy = source.environment(true).expect("an environment");
    assert_eq!((&opened, &copy), (&id, &environment(true)));
    assert_eq!(library.read(&id, Memory::Environment, 0x2ffe, 4).expect("bytes")[..2], [7, 7]);

    if let FlobState::Mutex(mutex) = &mut copy.flob_mut(fork(2)).expect("a fork").state {
        mutex.locked = 0;
    }
    let poke = Poke { memory: Memory::Environment, address: 0x2fff, bytes: vec![1, 2] };
    let edited = library.save_edited(&id, &copy, &[poke]).expect("a new one is saved");
    assert_ne!(edited, id);
    let mut again = library.open(&edited).expect("it opens").1;
    assert_eq!(again.environment(true).expect("an environment"), copy);
    assert_eq!(library.read(&edited, Memory::Environment, 0x2ffe, 3).expect("bytes"), [7, 1, 2]);
    assert_eq!(library.read(&id, Memory::Environment, 0x2ffe, 2).expect("the old one stays"), [7, 7]);
    let newest = library.list().expect("a list").pop().expect("the new one");
    assert_eq!((newest.parent.as_deref(), newest.edited), (Some(id.as_str()), true));

    let outside = Poke { memory: Memory::Environment, address: 4 << 20, bytes: vec![1] };
    assert!(library.save_edited(&id, &copy, &[outside]).is_err());
    library.remove(&edited).expect("it is removed");
    assert_eq!(library.list().expect("a list").len(), 1);
}

#[test]
fn the_text_form_names_flobs_and_comes_back_edited() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Files::open(folder.path()).expect("a store");
    let builder = store.begin(None).expect("a checkpoint begins");
    let id = builder.finish(&environment(true), Details::default()).expect("it is saved");
    let library = Library { store, insight: insight(), compare: Arc::new(|_, _| Ok(Vec::new())) };
    let text = library.text(&id, &[fork(2)]).expect("a text");
    assert!(text.contains("mutex:philosophers/FORKS[2]"), "{text}");
    let edited = library.with_text(&id, &text.replace("locked = true", "locked = false")).expect("it parses");
    assert!(
        matches!(&edited.flob(fork(2)).expect("a fork").state, FlobState::Mutex(mutex) if mutex.locked == 0)
    );
    let wrong = library
        .with_text(&id, &text.replace("locked = true", "locked = perhaps"))
        .expect_err("it does not parse");
    assert!(wrong.to_string().contains("line "), "{wrong}");
}
