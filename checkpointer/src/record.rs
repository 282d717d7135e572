//! The record of an environment as bytes, written and read one flob at a time: a hundred thousand flobs as a list of
//! [`Flob`]s would take more memory than their nester has.
//!
//! The bytes are those of a whole [`Environment`] (postcard), so whoever has the memory may read them at once.

use alloc::vec::Vec;

use flob_abi::FlobKind;
use flob_image::{Environment, Flob, Place};
use serde::{Serialize, de::DeserializeOwned};

/// Why bytes are no record, or a record cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// Writes a record. Between [`Writer::new`] and [`Writer::end`] there have to come as many flobs as were announced.
pub struct Writer {
    bytes: Vec<u8>,
    count: usize,
    left: usize,
}

impl Writer {
    /// Begins with what stands before the flobs; those of `environment` are left out.
    pub fn new(environment: &Environment, flobs: usize) -> Result<Self, Damaged> {
        let Environment { program, arguments, build_id, size, .. } = environment;
        let mut writer = Self { bytes: Vec::new(), count: flobs, left: flobs };
        writer.put(&(program, arguments, build_id, size))?;
        writer.put(&flobs)?;
        Ok(writer)
    }

    /// How many flobs were announced.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The next flob.
    pub fn flob(&mut self, flob: &Flob) -> Result<(), Damaged> {
        self.left = self.left.checked_sub(1).ok_or(Damaged)?;
        self.put(flob)
    }

    /// Ends with what stands behind the flobs.
    pub fn end(mut self, environment: &Environment) -> Result<Vec<u8>, Damaged> {
        let Environment { streams, borders, clock, exit, .. } = environment;
        self.put(&(streams, borders, clock, exit))?;
        if self.left == 0 { Ok(self.bytes) } else { Err(Damaged) }
    }

    fn put(&mut self, value: &impl Serialize) -> Result<(), Damaged> {
        let bytes = core::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(value, bytes).map_err(|_| Damaged)?;
        Ok(())
    }
}

/// Where a flob is in the bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    place: Place,
    kind: FlobKind,
    offset: u32,
}

/// A record that was read: everything but the flobs, and where each of those is.
pub struct Record<'a> {
    /// Everything else.
    pub environment: Environment,
    bytes: &'a [u8],
    /// Ascending by place.
    entries: Vec<Entry>,
}

/// Reads a value from the front of `bytes`.
fn take<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, Damaged> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|_| Damaged)?;
    *bytes = rest;
    Ok(value)
}

impl<'a> Record<'a> {
    /// Reads all of it once; only what is small is kept.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let mut rest = bytes;
        let (program, arguments, build_id, size) = take(&mut rest)?;
        let count: usize = take(&mut rest)?;
        let mut entries = Vec::new();
        // A flob takes some bytes: so a wrong count asks for no more memory than there can be use for.
        entries.try_reserve_exact(count.min(rest.len())).map_err(|_| Damaged)?;
        for _ in 0..count {
            let offset = u32::try_from(bytes.len() - rest.len()).map_err(|_| Damaged)?;
            let flob: Flob = take(&mut rest)?;
            entries.push(Entry { place: flob.place, kind: flob.state.kind(), offset });
        }
        let (streams, borders, clock, exit) = take(&mut rest)?;
        let flobs = Vec::new();
        let environment =
            Environment { program, arguments, build_id, size, flobs, streams, borders, clock, exit };
        if rest.is_empty() { Ok(Self { environment, bytes, entries }) } else { Err(Damaged) }
    }

    fn at(&self, entry: &Entry) -> Option<Flob> {
        let mut bytes = self.bytes.get(entry.offset as usize..)?;
        take(&mut bytes).ok()
    }

    /// All flobs, in their order.
    pub fn flobs(&self) -> impl Iterator<Item = Flob> {
        self.entries.iter().filter_map(|entry| self.at(entry))
    }

    fn entry(&self, place: Place) -> Option<&Entry> {
        let index = self.entries.binary_search_by_key(&place, |entry| entry.place).ok()?;
        self.entries.get(index)
    }

    /// The flob at this place.
    pub fn flob(&self, place: Place) -> Option<Flob> {
        self.entry(place).and_then(|entry| self.at(entry))
    }
}

/// The flobs of an image, however they are kept.
pub trait Flobs {
    /// The kind of the flob at this place.
    fn kind(&self, place: Place) -> Option<FlobKind>;

    /// Does something with each, ascending by place, until that fails.
    fn each<E>(&self, act: impl FnMut(&Flob) -> Result<(), E>) -> Result<(), E>;
}

impl Flobs for Environment {
    fn kind(&self, place: Place) -> Option<FlobKind> {
        self.flob(place).map(|flob| flob.state.kind())
    }

    fn each<E>(&self, act: impl FnMut(&Flob) -> Result<(), E>) -> Result<(), E> {
        self.flobs.iter().try_for_each(act)
    }
}

impl Flobs for Record<'_> {
    fn kind(&self, place: Place) -> Option<FlobKind> {
        self.entry(place).map(|entry| entry.kind)
    }

    fn each<E>(&self, mut act: impl FnMut(&Flob) -> Result<(), E>) -> Result<(), E> {
        self.flobs().try_for_each(|flob| act(&flob))
    }
}

#[cfg(test)]
mod tests {
    use flob_abi::{MutexState, ThreadState};
    use flob_image::{Border, Link, State, Stream};

    use super::*;

    fn environment() -> Environment {
        let mutex = |place| Flob {
            place,
            state: State::Mutex(MutexState { hash: place + 1, ..MutexState::default() }),
            links: vec![Link::External("stdin".into())],
        };
        let thread = Flob {
            place: 0x80_000,
            state: State::Thread(ThreadState::default()),
            links: vec![Link::Null; 6],
        };
        let border = Border {
            client: 0x80_000,
            service: "clock".into(),
            request: vec![1, 2, 3],
            whole: true,
            delivered: 0,
            reply: Vec::new(),
        };
        Environment {
            program: "p".into(),
            arguments: vec!["p".into(), "--x".into()],
            build_id: "ab".into(),
            size: 1 << 20,
            flobs: [(1..200).map(|index| mutex(index * 512)).collect(), vec![thread]].concat(),
            streams: vec![Stream { name: "stdin".into(), position: 300, hash: 4 }],
            borders: vec![border],
            clock: 77,
            exit: Some(-1),
        }
    }

    fn written(environment: &Environment) -> Result<Vec<u8>, Damaged> {
        let mut writer = Writer::new(environment, environment.flobs.len())?;
        environment.flobs.iter().try_for_each(|flob| writer.flob(flob))?;
        writer.end(environment)
    }

    #[test]
    fn what_is_written_flob_by_flob_is_the_whole_at_once() {
        let environment = environment();
        assert_eq!(written(&environment), Ok(postcard::to_allocvec(&environment).unwrap()));
    }

    #[test]
    fn what_is_read_flob_by_flob_is_the_whole() {
        let environment = environment();
        let bytes = written(&environment).unwrap();
        let record = Record::read(&bytes).unwrap();
        assert_eq!(record.flobs().collect::<Vec<_>>(), environment.flobs);
        assert_eq!(record.flob(1024).as_ref(), environment.flob(1024));
        assert_eq!((record.flob(7), record.kind(0x80_000)), (None, Some(FlobKind::Thread)));
        let flobs = Vec::new();
        assert_eq!(record.environment, Environment { flobs, ..environment });
    }

    #[test]
    fn cut_or_lengthened_bytes_are_no_record() {
        let bytes = written(&environment()).unwrap();
        for end in 0..bytes.len() {
            assert!(Record::read(&bytes[..end]).is_err(), "{end}");
        }
        assert!(Record::read(&[bytes.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn a_writer_wants_as_many_flobs_as_were_announced() {
        let environment = environment();
        let mut writer = Writer::new(&environment, 1).unwrap();
        assert!(writer.flob(&environment.flobs[0]).is_ok() && writer.flob(&environment.flobs[1]).is_err());
        assert_eq!(Writer::new(&environment, 1).unwrap().end(&environment), Err(Damaged));
    }
}
