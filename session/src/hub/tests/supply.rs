//! Pages of a lazy restore: they come, or everybody hears that they do not.

use super::*;
use guest::Commit;

impl Met {
    fn restore_lazily(&self, id: &str) -> Result<HubReply, crate::Error> {
        self.client.request(LongRequest::Restore { id: id.into(), force: true, lazy: true })
    }

    /// Waits until this is true of the session.
    fn wait_for_info(&self, is_so: impl Fn(&crate::SessionInfo) -> bool) {
        let end = Instant::now() + STUCK;
        while !is_so(&self.client.info().expect("it answers")) {
            assert!(Instant::now() < end, "that never happens");
            std::thread::yield_now();
        }
    }

    fn read(address: u64) -> HubRequest {
        HubRequest::Read { memory: Memory::Environment, address, count: 8 }
    }

    fn checkpoint_of_the_session(&self) -> Option<String> {
        self.client.info().expect("it answers").checkpoint
    }
}

/// It was told as an error, and the program stood at the first page that it lacked.
#[test]
fn a_lazy_restore_whose_pages_could_not_be_kept_has_not_happened() {
    let met = Met::new();
    let id = met.checkpoint();
    let lock = met.folder.path().join("store/store.lock");
    std::fs::remove_file(&lock).expect("it was there");
    std::fs::create_dir(&lock).expect("a folder in its place");
    met.restore_lazily(&id).expect_err("nobody can lock that");
    assert_eq!((met.guest.replaced(), met.holders()), (0, vec![]));
}

/// Its pages came from nowhere.
#[test]
fn a_lazy_restore_that_was_given_up_and_done_after_all_is_supplied() {
    let met = Met::impatient();
    let id = met.checkpoint();
    let events = met.client.subscribe().expect("subscribed");
    met.guest.commits(Commit::Silent);
    let error = met.restore_lazily(&id).expect_err("nobody answered");
    assert!(error.to_string().contains("does not answer"), "{error}");
    let is_told = |event| matches!(event, HubEvent::Arrived(Some(told)) if told == id);
    wait_for(&events, is_told);
    met.guest.wait_until_whole();
    assert_eq!((met.checkpoint_of_the_session(), met.holders()), (Some(id), vec![Owner::User]));
    met.ask(LongRequest::AwaitPages.into());
    assert_eq!(met.client.info().expect("it answers").lost, None);
}

#[test]
fn a_restore_that_was_given_up_and_done_after_all_is_of_its_checkpoint() {
    let met = Met::impatient();
    let id = met.checkpoint();
    met.guest.commits(Commit::Silent);
    let restore = LongRequest::Restore { id: id.clone(), force: true, lazy: false };
    met.client.request(restore).expect_err("nobody answered");
    met.wait_for_info(|info| info.checkpoint.as_ref() == Some(&id));
    assert_eq!(met.holders(), [Owner::User]);
}

/// What the guest restores later is not that one.
#[test]
fn a_restore_that_was_given_up_and_never_done_is_forgotten() {
    let met = Met::impatient();
    let id = met.checkpoint();
    met.ask(HubRequest::Hold { owner: gdb(), scope: Scope::Environment });
    met.guest.commits(Commit::Lost);
    met.restore_lazily(&id).expect_err("nobody answered");
    met.guest.wait_for_stops(2);
    assert_eq!((met.checkpoint_of_the_session(), met.holders()), (None, vec![gdb()]));
    assert!(crate::hub::lock(&met.session.hub.books).arriving.is_none());
}

/// Nobody said anything, and the program stood still for good.
#[test]
fn pages_that_come_from_nowhere_are_told() {
    let met = Met::impatient();
    met.guest.restores_without(5);
    let events = met.client.subscribe().expect("subscribed");
    met.guest.tell();
    let is_told = |event| matches!(event, HubEvent::PagesLost(text) if text.contains("5 pages"));
    wait_for(&events, is_told);
    assert!(met.client.info().expect("it answers").lost.is_some());
    assert!(matches!(met.session.wait(), crate::hub::Ending::PagesLost(_)));
    let id = met.checkpoint();
    met.restore_lazily(&id).expect("restored");
    met.guest.wait_until_whole();
    assert_eq!(met.client.info().expect("it answers").lost, None);
}

/// The word on the one before was taken for that on the present one, and then the present one's pages came from nowhere.
#[test]
fn late_word_of_another_environment_ends_no_supply() {
    let met = Met::new();
    let id = met.checkpoint();
    met.guest.restores();
    met.restore_lazily(&id).expect("restored");
    met.wait_until_known();
    met.guest.wait_until_whole();
    assert_eq!((met.checkpoint_of_the_session(), met.holders()), (Some(id), vec![Owner::User]));
}

/// It was asked a thousand times, each a round trip of the line, and the error did not say what to do.
#[test]
fn what_needs_pages_that_come_from_nowhere_is_refused_at_once() {
    let met = Met::new();
    met.guest.restores_without(5);
    met.wait_for(|event| matches!(event, HubEvent::PagesLost(_)));
    let error = met.client.request(Met::read(0x1000)).expect_err("nobody has that page");
    assert!(error.to_string().contains("'flob checkpoint restore ID'"), "{error}");
    assert!(met.guest.refusals() <= 2, "asked {} times", met.guest.refusals());
    met.ask(Met::read(0x5000));
}

#[test]
fn what_needs_pages_that_come_waits_for_them() {
    let met = Met::new();
    met.guest.commits(Commit::Late);
    met.guest.hides();
    let reading = met.client.start(Met::read(0x1000)).expect("asked");
    met.guest.wait_until_looked_at();
    let restore = LongRequest::Restore { id: met.checkpoint(), force: true, lazy: true };
    let restoring = met.client.start(restore).expect("asked");
    met.guest.wait_until_late();
    // It is in place there, and not yet here.
    met.guest.shows();
    // Who reads has heard of missing pages by then.
    for _ in 0..3 {
        met.ask(HubRequest::MeasureLine { messages: 0 });
    }
    met.guest.answers_late();
    restoring.wait().expect("restored");
    reading.wait().expect("its page has come");
}
