//! The canonical form of an environment: the exported state of all its flobs with ranks as an order and links as places,
//! its memory, what was said. No generations, no tickets, nothing of the kernel's own.

use core::fmt;
use core::hash::{Hash, Hasher};
use std::collections::BTreeMap;
use std::vec::Vec;

use flob_abi::{FlobKind, ThreadState};
use zerocopy::{FromBytes, IntoBytes};

use crate::Kernel;
use crate::machine::{Frame, Machine};
use crate::record::{FlobId, ThreadId};
use crate::simulated::Simulated;
use crate::tests::scene::{Scene, address};
use crate::tests::sim::Sim;
use crate::wait::RESUME_FLAG;

/// A flob as it looks from outside.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Seen {
    place: u64,
    kind: FlobKind,
    state: Vec<u8>,
    links: Vec<Option<u64>>,
    /// Who waits for it, in order.
    waiters: Vec<u64>,
    /// A thread: whether it could run.
    runs: bool,
}

impl fmt::Debug for Seen {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, kind, state, links, waiters, runs } = self;
        write!(to, "\n{kind:?} at {place:#x}, links {links:x?}, waiters {waiters:x?}, runs {runs}: ")?;
        match ThreadState::read_from_bytes(state) {
            Ok(ThreadState { flags, registers, exception, .. }) => {
                write!(to, "flags {flags:#x}, {registers:x?}, {exception:x?}")
            }
            Err(_) => write!(to, "{state:x?}"),
        }
    }
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    flobs: Vec<Seen>,
    memory: Vec<u64>,
    said: BTreeMap<usize, Vec<u64>>,
}

impl Sim {
    fn place_named(&self, link: Option<FlobId>) -> Option<u64> {
        self.kernel.place_of(self.kernel.live(link)?).map(address)
    }

    fn seen(
        &mut self,
        (place, id, kind): (u64, FlobId, FlobKind),
        waiting: &[(u64, FlobId, ThreadId)],
    ) -> Seen {
        let kernel = &self.kernel;
        let mut state = kernel.state_bytes(id).expect("it exists");
        if kind == FlobKind::Reference {
            // Its own hash is nowhere to be read.
            state.clear();
        } else if kind == FlobKind::Thread {
            let mut thread = ThreadState::read_from_bytes(&state).expect("a thread's state");
            thread.rank = 0;
            thread.registers.rflags &= !RESUME_FLAG;
            state.copy_from_slice(thread.as_bytes());
        }
        let links = kernel.links(id).into_iter().map(|link| self.place_named(link));
        let links = links.take(kind.links().len()).collect();
        // A server that was woken to look for requests has not ceased to wait.
        let fit = waiting.iter().filter(|(_, on, thread)| *on == id && kernel.stage_fits(*thread, id));
        let waiters = fit.filter_map(|(_, _, thread)| self.place_named(Some((*thread).into()))).collect();
        let runs = id.as_thread().is_some_and(|thread| self.has_something_to_do(thread));
        Seen { place, kind, state, links, waiters, runs }
    }

    /// Whether a thread could run, and not only to find that there are no requests after all. Which of the servers of a
    /// request were woken for it does not count: any of them may look.
    pub fn has_something_to_do(&mut self, thread: ThreadId) -> bool {
        match self.kernel.thread(thread).waiting_for {
            Some(set) if self.kernel.port_set(set).is_some() => self.can_look(thread),
            _ => self.kernel.is_runnable(thread),
        }
    }

    /// Whether a thread is a server that waits, and there is a request for it.
    pub fn can_look(&mut self, thread: ThreadId) -> bool {
        let set = self.kernel.thread(thread).waiting_for;
        let set = set.filter(|set| self.kernel.port_set(*set).is_some());
        let request = set.is_some_and(|set| self.kernel.first_client(set).is_some());
        request && Kernel::<Simulated>::runs_at(&self.kernel.objects, self.kernel.thread(thread)).is_some()
    }

    /// The form of a scene in this system.
    pub fn form(&mut self, scene: &Scene) -> Form {
        let flobs = self.flobs_in(scene.range());
        let threads = flobs.iter().filter_map(|(_, id, _)| id.as_thread());
        let record = |id| (self.kernel.thread(id), id);
        let mut waiting: Vec<_> = threads
            .map(record)
            .filter_map(|(thread, id)| Some((thread.rank, thread.waiting_for?, id)))
            .collect();
        waiting.sort_unstable();
        Form {
            flobs: flobs.into_iter().map(|flob| self.seen(flob, &waiting)).collect(),
            memory: scene.data_frames().map(|frame| self.frame_form(scene, frame)).collect(),
            said: self.output.clone(),
        }
    }

    /// A number for what is in a frame; 0 as long as it is as it was at the beginning.
    fn frame_form(&self, scene: &Scene, frame: Frame) -> u64 {
        let (now, first) = (self.kernel.machine.frame(frame), scene.start.kernel.machine.frame(frame));
        if now == first {
            return 0;
        }
        let mut fold = Fold::default();
        fold.write(now.expect("memory").as_bytes());
        fold.finish()
    }
}

impl Form {
    pub fn number(&self) -> u64 {
        let mut fold = Fold::default();
        self.hash(&mut fold);
        fold.finish()
    }

    /// The first thing in which two forms differ.
    pub fn difference(&self, other: &Self) -> std::string::String {
        let pair = self.flobs.iter().zip(&other.flobs).find(|(one, two)| one != two);
        let Some((one, two)) = pair else {
            return std::format!("memory or output:\n{self:x?}\n{other:x?}");
        };
        std::format!("{one:?}\nand then{two:?}\namong{:?}", self.flobs)
    }
}

/// Multiplies and rotates: fast, and good enough to tell some million forms apart.
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0 ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
    }

    fn finish(&self) -> u64 {
        (self.0 ^ self.0 >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }
}
