//! Who waits for whom: what each thread is blocked on, who could end that, and the cycles among them.

use flob_abi::{ExceptionCode, FlobKind, flob::thread_link, thread_flag};
use flob_image::{Environment, Flob, Link, Place, State};

/// Whether a thread can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing keeps it.
    Ready,
    /// Blocked in a call.
    Waiting,
    /// Kept by an exception that is not answered yet.
    Exception(u32),
    /// Held back, by the debugger or by its own program.
    Stopped,
}

impl Status {
    /// In a few words.
    pub fn text(self) -> String {
        match self {
            Self::Ready => "ready".into(),
            Self::Waiting => "waiting".into(),
            Self::Stopped => "stopped".into(),
            Self::Exception(code) => match ExceptionCode::from_number(code) {
                Some(code) => code.text().into(),
                None => format!("exception {code}"),
            },
        }
    }
}

/// What is known of a thread beyond its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The thread's index in the list of flobs.
    pub flob: u32,
    /// The thread.
    pub place: Place,
    /// Whether it can run.
    pub status: Status,
    /// Where it stands in the source, or its instruction pointer.
    pub position: String,
    /// What it waits for, by name; empty if for nothing.
    pub waits_for: String,
    /// The flob it waits for.
    pub target: Option<Place>,
    /// The thread that could end its waiting.
    pub holder: Option<Place>,
    /// The number of its deadlock, if it is in one or waits for one.
    pub deadlock: Option<usize>,
    /// One sentence.
    pub why: String,
}

/// Threads that wait for each other in a ring, each for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlock {
    /// The ring, beginning with the thread at the lowest place.
    pub threads: Vec<Place>,
}

/// The state of a thread flob.
pub fn status(flob: &Flob) -> Status {
    let State::Thread(state) = &flob.state else { return Status::Ready };
    if state.exception.code != 0 {
        Status::Exception(state.exception.code)
    } else if state.flags & thread_flag::STOPPED != 0 {
        Status::Stopped
    } else if waiting_link(flob) != &Link::Null {
        Status::Waiting
    } else {
        Status::Ready
    }
}

fn waiting_link(thread: &Flob) -> &Link {
    thread.links.get(thread_link::WAITING_FOR).unwrap_or(&Link::Null)
}

/// What a thread waits for, and the thread that could end it.
pub fn target(environment: &Environment, thread: &Flob) -> (Option<Place>, Option<Place>) {
    let Link::Flob(target) = waiting_link(thread) else { return (None, None) };
    let holder = environment.flob(*target).and_then(|flob| match flob.state.kind() {
        FlobKind::Thread => Some(*target),
        _ => owner(flob),
    });
    (Some(*target), holder)
}

/// Who holds a mutex; `None` for a free one, whatever its link says, and for other flobs.
fn owner(flob: &Flob) -> Option<Place> {
    match (&flob.state, flob.links.first()) {
        (State::Mutex(mutex), Some(Link::Flob(owner))) if mutex.locked != 0 => Some(*owner),
        _ => None,
    }
}

/// The rings among threads that each wait for at most one other.
pub fn deadlocks(threads: &[Facts]) -> Vec<Deadlock> {
    let index_of = |place: Place| threads.binary_search_by_key(&place, |facts| facts.place).ok();
    let next = |index: usize| threads.get(index).and_then(|facts| facts.holder).and_then(index_of);
    let mut round = vec![0usize; threads.len()];
    let mut found = Vec::new();
    for start in 0..threads.len() {
        let mut at = Some(start);
        while let Some(index) = at.filter(|index| round.get(*index) == Some(&0)) {
            if let Some(mark) = round.get_mut(index) {
                *mark = start + 1;
            }
            at = next(index);
        }
        if let Some(entry) = at.filter(|index| round.get(*index) == Some(&(start + 1))) {
            found.push(ring(threads, entry, next));
        }
    }
    found
}

fn ring(threads: &[Facts], entry: usize, next: impl Fn(usize) -> Option<usize>) -> Deadlock {
    let mut members = vec![entry];
    while let Some(index) = next(*members.last().unwrap_or(&entry)).filter(|index| *index != entry) {
        members.push(index);
    }
    let lowest =
        members.iter().enumerate().min_by_key(|(_, index)| **index).map_or(0, |(position, _)| position);
    members.rotate_left(lowest);
    Deadlock {
        threads: members.iter().filter_map(|index| threads.get(*index)).map(|facts| facts.place).collect(),
    }
}
