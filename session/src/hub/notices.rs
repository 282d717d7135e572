//! What comes from the guest unasked: output, stops, ends.

use std::{
    fs,
    path::Path,
    sync::{MutexGuard, atomic::Ordering},
};

use flob_abi::ExceptionCode;
use flob_image::Place;
use flob_link::{Event, Mark, Request, Scope, StopReason, host::Notice};

use super::{Books, Ending, Hub, holds::Member, lock, replacing::Beginning, save::Moment};
use crate::{Error, HubEvent, LinkState, Owner, instruction};

impl Hub {
    /// Does what the link's word asks for.
    pub(super) fn look_after(&self, notice: Notice) {
        match notice {
            Notice::Up(guest) => self.another_guest(&guest),
            Notice::Back => {
                self.set_link(LinkState::Up);
                drop(self.find_out());
            }
            Notice::GivenUp => {
                // What cannot be put in order now will be when somebody holds or lets go.
                drop(self.hold_by_the_books());
                drop(self.find_out());
            }
            Notice::Lost => self.set_link(LinkState::Lost),
            Notice::Version(text) => self.end(Ending::Failed(Error::Guest(text))),
            Notice::Progress(progress) => {
                self.look_whether_supplied(&progress);
                self.set_progress(progress);
            }
            Notice::Event { number, event } => self.happened(number, event),
            Notice::Ended => self.guest_died(),
        }
    }

    fn guest_died(&self) {
        // A save that waits for its moment waits no longer.
        *lock(&self.moments) = None;
        let console = &self.console;
        let text =
            format!("the guest has died; its logs are beside {}{}", console.display(), last_lines(console));
        if !self.is_closing.load(Ordering::Relaxed) {
            self.tell(HubEvent::GuestEnded(text.clone()));
        }
        self.set_link(LinkState::Dead);
        self.end(Ending::Failed(Error::Guest(text)));
    }

    fn happened(&self, number: u64, mut event: Event) {
        match &mut event {
            Event::Output { stream, position, bytes } => self.output.write(*stream, *position, bytes),
            Event::Stopped { thread, space, reason, state, whole } => {
                let member = Member { thread: *thread, space: Some(*space) };
                let Some(mut books) = self.books_with(number) else { return };
                if !self.stopped(&mut books, member, reason, state, *whole) {
                    return;
                }
                // Who is to know of which condition was found out; to clients it is a breakpoint.
                if matches!(reason, StopReason::Condition { .. }) {
                    *reason = StopReason::Breakpoint;
                }
            }
            Event::Died { .. } => {
                let Some(mut books) = self.books_with(number) else { return };
                books.holds.add(&Owner::User, Scope::Environment, &[]);
                drop(books);
                self.tell_save(Moment::Never("the program died before the moment came"));
            }
            Event::InputWanted { from, to } => self.input.wanted(*from, *to),
            Event::SaveReady => self.tell_save(Moment::Come),
            Event::Exited { .. } | Event::StandsStill if lock(&self.books).is_unannounced => return,
            Event::Exited { code } => {
                lock(&self.info).progress.exit = Some(*code);
                self.tell_save(Moment::Never("the program ended before the moment came"));
            }
            Event::Restored(mark) | Event::Restarted(mark) => {
                let mark = *mark;
                match self.announced(mark) {
                    Beginning::Ours => {}
                    Beginning::Over => return,
                    // What cannot be found out now will be when somebody looks.
                    Beginning::Unasked => {
                        drop(self.replaced_unasked(mark, matches!(event, Event::Restored(_))));
                    }
                }
            }
            Event::PageWanted { environment, page } => self.page_wanted(*environment, *page),
            Event::StandsStill | Event::Traced { .. } => {}
        }
        let ending = self.ending_of(&event);
        if matches!(event, Event::PageWanted { .. }) {
            return;
        }
        if !matches!(event, Event::Output { .. } | Event::InputWanted { .. } | Event::Traced { .. }) {
            lock(&self.cache).clear();
        }
        self.tell(HubEvent::Guest(event));
        if let Some(ending) = ending {
            self.end(ending);
        }
    }

    /// What is told from now on is of this environment. Whether that was put in place here.
    fn announced(&self, mark: Mark) -> Beginning {
        let beginning = lock(&self.books).hear_of(mark);
        if beginning != Beginning::Over {
            self.output.begins();
            // What runs now has not ended, whatever was there before.
            lock(&self.info).progress.exit = None;
        }
        beginning
    }

    fn ending_of(&self, event: &Event) -> Option<Ending> {
        match event {
            Event::Exited { code } => Some(Ending::Exited(*code)),
            Event::Died { thread, code, detail, address } => {
                Some(Ending::Died { code: *code, sentence: death(*thread, *code, *detail, *address) })
            }
            Event::StandsStill => Some(Ending::StandsStill),
            _ => None,
        }
    }

    /// An owner that has gone needs no notice.
    pub(super) fn end(&self, ending: Ending) {
        let _ = self.endings.send(ending);
    }

    /// The books, into which this event is about to be entered; unless it is of an environment that has been replaced.
    fn books_with(&self, number: u64) -> Option<MutexGuard<'_, Books>> {
        let mut books = lock(&self.books);
        books.unseen = number + 1;
        (!books.is_unannounced).then_some(books)
    }

    /// A thread was stopped (with all of its space, if that is `whole`). Whoever asked for that holds it from now on; whether anybody
    /// is to know, and why it was.
    fn stopped(
        &self,
        books: &mut Books,
        member: Member,
        reason: &mut StopReason,
        state: &[u8],
        whole: bool,
    ) -> bool {
        books.saw(member);
        let (thread, space) = (member.thread, member.space.unwrap_or(0));
        let owners = match reason {
            StopReason::Step => {
                // Who was to hold it has been made to let it go meanwhile.
                self.let_thread_go(books, member);
                return true;
            }
            StopReason::Debug(_) => books.clients.iter().map(|(_, owner)| owner.clone()).collect(),
            StopReason::Watched(_) | StopReason::Call(_) => {
                let owners = books.interested(space, reason);
                books.count_hit(&owners, space, reason);
                owners
            }
            StopReason::Breakpoint => books.hit((space, state), None),
            StopReason::Condition { met, failed } => books.hit((space, state), Some((*met, *failed))),
        };
        if owners.is_empty() && !matches!(reason, StopReason::Debug(_)) {
            let is_held = !books.holds.holders(member).is_empty();
            if is_held && matches!(reason, StopReason::Watched(_) | StopReason::Call(_)) {
                // Nobody wants that any more; but a step may have ended with it, and who asked for that waits.
                *reason = StopReason::Step;
                return true;
            }
            self.stopped_for_nobody(books, member, whole);
            return false;
        }
        let owners = if owners.is_empty() { vec![Owner::User] } else { owners };
        for owner in owners {
            books.holds.add(&owner, Scope::Thread(thread), &[member]);
        }
        if let Some(space) = member.space {
            self.stop_together(books, space, whole);
        }
        true
    }

    /// Whoever waited for it has gone since; or it was in code that its space shares with one that wanted this breakpoint.
    fn stopped_for_nobody(&self, books: &Books, member: Member, whole: bool) {
        self.let_thread_go(books, member);
        if let Some(space) = member.space.filter(|_| whole) {
            self.let_unheld_go(books, Scope::Space(space));
        }
    }

    /// The guest lets a thread go, unless somebody holds it. From a breakpoint it steps off by itself.
    fn let_thread_go(&self, books: &Books, member: Member) {
        if books.holds.holders(member).is_empty() {
            self.tell_guest(books.resume(Scope::Thread(member.thread)));
        }
    }

    /// Asks without waiting: the answer says nothing that an event does not.
    pub(super) fn tell_guest(&self, request: Request) {
        let (sender, _) = std::sync::mpsc::channel();
        self.link.submit(flob_link::host::Urgency::Urgent, request, 0, &sender);
    }
}

impl Books {
    /// Whom a stop of a thread in this state is for.
    fn hit(&mut self, (space, state): (Place, &[u8]), held: Option<(u32, u32)>) -> Vec<Owner> {
        instruction(state).map(|address| self.points.hit((space, address), held)).unwrap_or_default()
    }
}

fn death(thread: Place, code: u32, detail: u32, address: u64) -> String {
    let what = match ExceptionCode::from_number(code) {
        Some(ExceptionCode::Misuse) => flob_abi::Misuse::from_number(detail)
            .map_or("misuse of a call".to_owned(), |misuse| format!("misuse of a call: {}", misuse.text())),
        Some(known) => known.text().to_owned(),
        None => format!("exception {code}"),
    };
    format!("thread {thread:#x} died of an exception: {what}, address {address:#x}")
}

/// The end of a log, on lines of their own: the record of a kernel panic, if that is the end, else the last few. Empty if
/// there is nothing.
pub(super) fn last_lines(path: &Path) -> String {
    const LINES: usize = 8;
    const RECORD: usize = 64;
    const PANIC: &str = "=== kernel panic ===";
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let record = lines.iter().rev().take(RECORD).position(|line| *line == PANIC).map(|above| above + 1);
    let shown = record.unwrap_or(LINES);
    lines.iter().skip(lines.len().saturating_sub(shown)).map(|line| format!("\n  | {line}")).collect()
}
