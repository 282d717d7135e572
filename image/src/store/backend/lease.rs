//! Locks on a service that knows none: leases, of objects and conditional writes.
//!
//! ```text
//! locks/ID.saving    somebody saves or exports; written again every BEAT, and void once it is older than LEASE, or when its
//!                    owner is known to be gone
//! locks/ID.freeing   somebody frees; likewise
//! locks/ID.end       the end of a lease, created by whoever comes first, and never replaced: by its holder, who is about to
//!                    write a manifest (it says which, and what that needs), or by another process, for which the lease is void
//! ```
//!
//! Who wants a lock writes its own lease first and looks for others' then; so of two, one at least sees the other. Who saves
//! waits for who frees; who frees gives up while anybody saves. Ages are differences of times that the service wrote, so clocks
//! need not agree.
//!
//! A saver that stands still for longer than LEASE can find its lease taken away; but then it learns so before its manifest is
//! written, because only one of the two can create the end. What a saver needs that stands still *after* that is kept.

mod beat;
mod end;

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::objects::Objects;
use super::owner::Owner;
use super::trouble::conditions_missing;
use super::{Entry, Lock};
use beat::Beat;
use end::End;

/// Where leases are.
pub(super) const FOLDER: &str = "locks";
/// A lease that was not written for so long is void.
const LEASE: Duration = Duration::from_secs(300);
/// How often who waits looks again.
const LOOK: Duration = Duration::from_millis(300);
/// When the end of a lease is forgotten that nobody has cleared away.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a lease is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Saving or exporting.
    Saving,
    /// Freeing.
    Freeing,
}

impl Kind {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Saving => ".saving",
            Self::Freeing => ".freeing",
        }
    }
}

/// A lease, held until dropped.
pub(super) struct Lease {
    objects: Arc<Objects>,
    id: String,
    kind: Kind,
    owner: String,
    beat: Beat,
    committed: AtomicBool,
    written: AtomicBool,
    spoken_for: Vec<String>,
}

/// What lies in the folder of leases, and the service's time.
struct Survey {
    now: SystemTime,
    entries: Vec<Entry>,
}

impl Lease {
    /// Writes a lease; whether others are in its way is to be found out then.
    pub fn take(objects: Arc<Objects>, kind: Kind) -> Result<Self> {
        let id = new_id();
        let path = format!("{FOLDER}/{id}{}", kind.suffix());
        let owner = Owner::this().map_or_else(String::new, |owner| owner.to_line());
        let write = || objects.put(&path, owner.clone().into_bytes(), false);
        // The second must be refused; a service that takes it would take two ends of one lease.
        if write()? && write()? {
            let _ = objects.delete(&path);
            return Err(conditions_missing());
        }
        let beat = Beat::start(objects.clone(), path, end_path(&id), owner.clone())?;
        let (committed, written) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { objects, id, kind, owner, beat, committed, written, spoken_for: Vec::new() })
    }

    /// Waits until nobody frees.
    pub fn wait_for_freeing(&self) -> Result<()> {
        loop {
            let survey = self.survey()?;
            let mut somebody_frees = false;
            for (id, entry) in survey.leases(Kind::Freeing) {
                somebody_frees |= !self.take_away_if_void(&survey, id, entry, Kind::Freeing)?;
            }
            if !somebody_frees {
                return Ok(());
            }
            // The service tells nobody of changes.
            std::thread::sleep(LOOK);
            self.beat.now()?;
        }
    }

    /// Whether nobody saves, and nobody else frees; void leases are taken away.
    pub fn is_alone(&mut self) -> Result<bool> {
        let survey = self.survey()?;
        for (id, entry) in survey.leases(Kind::Saving) {
            if !self.take_away_if_void(&survey, id, entry, Kind::Saving)? {
                return Ok(false);
            }
        }
        for (id, entry) in survey.leases(Kind::Freeing).filter(|(id, _)| *id != self.id) {
            // Of two that begin at once one must go on.
            let goes_first = *id < *self.id;
            if !self.take_away_if_void(&survey, id, entry, Kind::Freeing)? && goes_first {
                return Ok(false);
            }
        }
        self.spoken_for = self.read_ends()?;
        Ok(true)
    }

    fn survey(&self) -> Result<Survey> {
        let entries = self.objects.list(FOLDER)?.unwrap_or_default();
        let own = format!("{}{}", self.id, self.kind.suffix());
        let now = entries.iter().find(|entry| entry.name == own).map(|entry| entry.modified);
        let unseen = || Error::other("the lock that was just written is not there: was it removed by hand?");
        Ok(Survey { now: now.ok_or_else(unseen)?, entries })
    }

    /// Ends another's lease if it is void; whether it was.
    fn take_away_if_void(&self, survey: &Survey, id: &str, entry: &Entry, kind: Kind) -> Result<bool> {
        let path = format!("{FOLDER}/{id}{}", kind.suffix());
        // One that is not there any more has ended as it should.
        let Some(owner) = self.objects.get(&path)? else { return Ok(true) };
        if survey.age(entry) <= LEASE && !is_gone(&String::from_utf8_lossy(&owner)) {
            return Ok(false);
        }
        // If it has an end already, that one counts.
        self.objects.put(&end_path(id), End::TakenAway.to_bytes(), false)?;
        self.objects.delete(&path)?;
        Ok(true)
    }

    /// What those need whose lease ended between commit and manifest; ends that are done with are removed.
    fn read_ends(&self) -> Result<Vec<String>> {
        let survey = self.survey()?;
        let mut spoken_for = Vec::new();
        for (id, entry) in survey.named(".end") {
            let path = end_path(id);
            let Some(bytes) = self.objects.get(&path)? else { continue };
            let age = survey.age(entry);
            let (is_done, needed) = match End::parse(&bytes) {
                End::Committed { owner, manifest, needed } => {
                    // What a process has sent right before it died may still arrive.
                    let never_will_be = age > LEASE && is_gone(&owner);
                    (never_will_be || self.objects.size(&manifest)?.is_some(), needed)
                }
                End::TakenAway => (false, Vec::new()),
            };
            if is_done || age > FORGOTTEN {
                self.objects.delete(&path)?;
            } else {
                spoken_for.extend(needed);
            }
        }
        Ok(spoken_for)
    }

    fn end_is(&self, end: &End) -> Result<bool> {
        Ok(self.objects.get(&end_path(&self.id))?.is_some_and(|there| there == end.to_bytes()))
    }
}

impl Lock for Lease {
    fn commit(&self, manifest: &str, needed: &[String]) -> Result<()> {
        let (owner, manifest) = (self.owner.clone(), manifest.to_owned());
        let end = End::Committed { owner, manifest, needed: needed.to_vec() };
        self.committed.store(true, Ordering::SeqCst);
        // A write may have come through although its answer was lost: then it is this one that is there.
        if self.objects.put(&end_path(&self.id), end.to_bytes(), false)? || self.end_is(&end)? {
            return Ok(());
        }
        Err(lost("nothing was saved: save again"))
    }

    fn written(&self) {
        self.written.store(true, Ordering::SeqCst);
    }

    fn spoken_for(&self) -> &[String] {
        &self.spoken_for
    }

    fn check(&self) -> Result<()> {
        // Together with the longest request there is as much time again.
        if self.beat.age() > LEASE / 2 { Err(lost("run `flob checkpoint gc` again")) } else { Ok(()) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.beat.stop();
        // What cannot be removed is void after a while.
        let _ = self.objects.delete(&format!("{FOLDER}/{}{}", self.id, self.kind.suffix()));
        // A manifest whose write seems to have failed may still arrive.
        if self.written.load(Ordering::SeqCst) || !self.committed.load(Ordering::SeqCst) {
            let _ = self.objects.delete(&end_path(&self.id));
        }
    }
}

impl Survey {
    fn age(&self, entry: &Entry) -> Duration {
        self.now.duration_since(entry.modified).unwrap_or_default()
    }

    fn leases(&self, kind: Kind) -> impl Iterator<Item = (&str, &Entry)> {
        self.named(kind.suffix())
    }

    fn named<'a>(&'a self, suffix: &'static str) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        self.entries.iter().filter_map(move |entry| Some((entry.name.strip_suffix(suffix)?, entry)))
    }
}

/// Whether the owner in this line is known to be gone.
fn is_gone(line: &str) -> bool {
    Owner::parse(line).is_some_and(|owner| owner.is_gone())
}

fn end_path(id: &str) -> String {
    format!("{FOLDER}/{id}.end")
}

fn lost(advice: &str) -> Error {
    let text =
        format!("this process has not been heard of for too long, and its lock was taken away; {advice}");
    Error::new(ErrorKind::TimedOut, text)
}

/// A name that nobody else has.
fn new_id() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // The standard library's only source of randomness: each state has keys of its own.
    let word = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word() ^ u64::from(std::process::id()))
}
