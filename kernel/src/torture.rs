//! Law 2 at every kernel entry: a thread is taken out and put back inside of it, wherever it is.

use flob_abi::flob::{MAX_LINKS, thread_link};
use flob_abi::memory::USER_END;
use flob_abi::{ExceptionCode, MAX_PRIORITY, Status, ThreadHead, group, state::VECTORS_SIZE, thread_flag};
use zerocopy::{FromBytes, IntoBytes};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::record::ThreadId;
use crate::state::NewLinks;

/// Links as they are.
const KEPT: NewLinks = [None; MAX_LINKS];

impl<M: Machine> Kernel<M> {
    /// Stops some thread, takes out what it is, sets it to garbage, sets it back and lets it go: what somebody who
    /// sees the thread could do by calls, in one entry. Its connections stay: only its peer's state could bring them
    /// back. `random` gives words. Law 2: nobody can tell, whichever thread it is and whatever it is doing.
    pub fn torture(&mut self, mut random: impl FnMut() -> u64) -> Result<(), Status> {
        let Some(id) = self.some_thread(random()) else { return Ok(()) };
        let record = self.thread(id);
        let (before, vectors) = (record.head(), record.context.vectors);
        let waiting_for = record.waiting_for;
        self.stop(id);
        // A rank that is set puts a thread behind all who wait.
        let choice = random();
        let (mask, link) = match choice & 1 {
            0 => (choice & group::ALL & !group::SCHEDULING | group::CONTROL, None),
            _ => (choice & group::ALL | group::SCHEDULING | group::CONTROL, Some(waiting_for)),
        };
        let links = |link| {
            let mut links = KEPT;
            if let Some(slot) = links.get_mut(thread_link::WAITING_FOR) {
                *slot = link;
            }
            links
        };
        let garbage: [u8; VECTORS_SIZE] = core::array::from_fn(|_| random() as u8);
        let state = garbage_head(&mut random);
        self.put(id, &state, &garbage, mask, links(link.map(|_| None)))?;
        let stopped = ThreadHead { flags: before.flags | thread_flag::STOPPED, ..before };
        self.put(id, &stopped, &vectors, mask, links(link))?;
        self.put(id, &before, &vectors, group::CONTROL, KEPT)
    }

    fn put(
        &mut self,
        id: ThreadId,
        head: &ThreadHead,
        vectors: &[u8; VECTORS_SIZE],
        mask: u64,
        links: NewLinks,
    ) -> Result<(), Status> {
        let vectors = (mask & group::VECTORS != 0).then_some(vectors);
        match self.set_thread(id, Some((head, vectors)), mask, links) {
            Status::Success => Ok(()),
            status => Err(status),
        }
    }

    /// The thread in the first slot that has one, from some slot on.
    fn some_thread(&self, random: u64) -> Option<ThreadId> {
        let end = self.threads.end();
        let first = (random % u64::from(end.max(1))) as u32;
        (first..end).chain(0..first).find_map(|index| self.threads.id_at(index)).map(ThreadId)
    }
}

/// Nonsense that a stopped thread can have for its state.
pub(crate) fn garbage_head(random: &mut impl FnMut() -> u64) -> ThreadHead {
    const WORDS: usize = size_of::<ThreadHead>() / 8;
    let words: [u64; WORDS] = core::array::from_fn(|_| random());
    let mut state = ThreadHead::read_from_bytes(words.as_bytes()).unwrap_or_default();
    state.flags = state.flags & thread_flag::ALL | thread_flag::STOPPED;
    state.priority %= 1 + MAX_PRIORITY;
    state.exception.code %= 1 + ExceptionCode::ALL.len() as u32;
    let (registers, handlers) = (&mut state.registers, &mut state.handlers);
    let addresses = [
        &mut registers.rip,
        &mut registers.fs_base,
        &mut registers.gs_base,
        &mut state.saved.rip,
        &mut handlers.trap,
        &mut handlers.interrupt,
        &mut handlers.client_alert,
        &mut handlers.server_alert,
    ];
    addresses.into_iter().chain(&mut state.debug.address).for_each(|address| *address %= USER_END);
    state
}
