//! Saving: pages one by one, then everything else. Until `finish` has written the manifest there is no checkpoint.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::SystemTime;

use super::backend::Lock;
use super::checkpoint::Checkpoint;
use super::manifest::{Chunk, Hash, Head, Manifest, Origin, PackReference, PageEntry, hex, short};
use super::pack::{OpenPack, PAGE};
use super::writer::Writer;
use super::{Spool, Store, StoreError};
use crate::{Environment, encode};

/// The standard input that belongs to a checkpoint.
#[derive(Default)]
pub enum Input<'a> {
    /// None.
    #[default]
    None,
    /// All that was read so far, consumed by the program or not.
    Spool(&'a Spool),
    /// The same as that of another checkpoint.
    Of(&'a Checkpoint),
}

/// What is known of a checkpoint besides its environment and memory.
#[derive(Default)]
pub struct Details<'a> {
    /// A name to call it by.
    pub name: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// Identification of the kernel.
    pub kernel: String,
    /// The ELF of the program, if it is at hand: kept by the environment's build id.
    pub program: Option<&'a [u8]>,
    /// Its standard input.
    pub input: Input<'a>,
}

/// A page of the checkpoint that is being built.
struct Page {
    hash: Hash,
    pack: Pack,
    slot: u32,
}

/// A pack with pages of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Pack {
    /// One that is there already.
    Other(usize),
    /// A new one.
    Own(usize),
}

/// A checkpoint that is being built. Dropped without [`Builder::finish`] it leaves nothing but files that the next
/// [`Store::gc`] frees.
pub struct Builder {
    store: Store,
    /// Before the lock: what it writes is written before that is let go.
    writer: Writer,
    lock: Box<dyn Lock>,
    parent: Option<String>,
    pages: BTreeMap<u64, Page>,
    others: Vec<PackReference>,
    other_index: HashMap<Hash, usize>,
    open: OpenPack,
    /// Packs that were filled before.
    filled: usize,
    /// Pages of the new packs.
    own: HashMap<Hash, (usize, u32)>,
    /// Packs of others that were found sound or not.
    sound: HashMap<Hash, bool>,
}

impl Store {
    /// Begins a checkpoint. The parent is given as for [`Store::load`].
    ///
    /// # Errors
    /// If there is no such parent or the store cannot be read.
    pub fn begin(&self, parent: Option<&str>) -> Result<Builder, StoreError> {
        let lock = self.lock_for_saving()?;
        let parent = parent.map(|given| self.resolve_full(given)).transpose()?;
        self.learn_places(parent.as_deref())?;
        Ok(Builder {
            store: self.clone(),
            writer: Writer::new(self.clone()),
            lock,
            parent,
            pages: BTreeMap::new(),
            others: Vec::new(),
            other_index: HashMap::new(),
            open: OpenPack::default(),
            filled: 0,
            own: HashMap::new(),
            sound: HashMap::new(),
        })
    }
}

impl Builder {
    /// Adds a page of 4096 bytes; one that is all zero costs nothing, one that is stored already hardly anything.
    /// Adding a page again replaces it.
    ///
    /// # Errors
    /// If it has another size or cannot be written.
    pub fn add_page(&mut self, number: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let page: &[u8; PAGE] = bytes.try_into().map_err(|_| {
            StoreError::Invalid(format!("page {number:#x} has {} bytes, not {PAGE}", bytes.len()))
        })?;
        if page.iter().all(|byte| *byte == 0) {
            self.pages.remove(&number);
            return Ok(());
        }
        let hash = *blake3::hash(page).as_bytes();
        let (pack, slot) = match self.place(&hash) {
            Some(place) => place,
            None => self.push(hash, page)?,
        };
        self.pages.insert(number, Page { hash, pack, slot });
        Ok(())
    }

    /// Adds a page by its hash, if the store has it already: whether it has.
    pub fn add_stored_page(&mut self, number: u64, hash: &[u8; 32]) -> bool {
        let Some((pack, slot)) = self.place(hash) else { return false };
        self.pages.insert(number, Page { hash: *hash, pack, slot });
        true
    }

    /// Takes over all pages of another checkpoint, without reading them.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn add_pages_of(&mut self, other: &Checkpoint) -> Result<(), StoreError> {
        for page in &other.manifest.pages {
            let known = other
                .manifest
                .packs
                .get(page.pack as usize)
                .filter(|pack| self.is_sound(&pack.name))
                .cloned();
            match known {
                Some(pack) => {
                    let pack = self.other(pack);
                    self.pages.insert(page.number, Page { hash: page.hash, pack, slot: page.slot });
                }
                // Reading it alone finds out whether it is this page that is damaged.
                None => self.add_page(page.number, other.page(page.number)?.as_slice())?,
            }
        }
        Ok(())
    }

    /// Where a page with these contents is already.
    fn place(&mut self, hash: &Hash) -> Option<(Pack, u32)> {
        if let Some((pack, slot)) = self.own.get(hash) {
            return Some((Pack::Own(*pack), *slot));
        }
        let stored = self.store.place_of(hash)?;
        if !self.is_sound(&stored.pack) {
            return None;
        }
        let pack = self.other(PackReference { name: stored.pack, pages: stored.pages });
        Some((pack, stored.slot))
    }

    /// Whether a pack of others can be relied upon: a checkpoint must not be born damaged.
    fn is_sound(&mut self, pack: &Hash) -> bool {
        let store = &self.store;
        *self.sound.entry(*pack).or_insert_with(|| store.is_sound(pack))
    }

    fn other(&mut self, pack: PackReference) -> Pack {
        let Self { others, other_index, .. } = self;
        Pack::Other(*other_index.entry(pack.name).or_insert_with(|| {
            others.push(pack);
            others.len() - 1
        }))
    }

    fn push(&mut self, hash: Hash, page: &[u8; PAGE]) -> Result<(Pack, u32), StoreError> {
        if self.open.is_full() {
            self.flush()?;
        }
        let slot = self.open.pages();
        self.open.push(page);
        self.own.insert(hash, (self.filled, slot));
        Ok((Pack::Own(self.filled), slot))
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.open.pages() != 0 {
            self.filled += 1;
            self.writer.write(self.open.take())?;
        }
        Ok(())
    }

    /// Writes the checkpoint; its id.
    ///
    /// # Errors
    /// If something cannot be written or does not fit together. Then there is no new checkpoint.
    pub fn finish(mut self, environment: &Environment, details: Details<'_>) -> Result<String, StoreError> {
        self.validate(environment)?;
        self.flush()?;
        // While the last packs are on their way.
        let (input, input_ended) = self.write_input(&details.input)?;
        if let Some(elf) = details.program {
            self.store.keep_program(&environment.build_id, elf)?;
        }
        let (packs, pages) = self.used()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let head = Head {
            writer: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: details.kernel,
            name: details.name,
            parent: self.parent.take(),
            origin: details.origin,
            saved: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
            environment: encode::encode(environment),
            input,
            input_ended,
        };
        let manifest = Manifest { head, packs, pages };
        self.store.write_manifest(&*self.lock, manifest, &environment.build_id)
    }

    /// Writes the checkpoint that has this head and id elsewhere; one with that id is replaced.
    pub(super) fn finish_as(mut self, head: Head, build_id: &str, id: &Hash) -> Result<(), StoreError> {
        self.flush()?;
        let (packs, pages) = self.used()?;
        let manifest = Manifest { head, packs, pages };
        let (bytes, found) = manifest.seal()?;
        if found != *id {
            return Err(StoreError::Invalid(
                "its pages are not those of the checkpoint that it names".into(),
            ));
        }
        self.store.put_manifest(&*self.lock, &manifest, build_id, &hex(id), bytes)
    }

    fn validate(&self, environment: &Environment) -> Result<(), StoreError> {
        let pages = environment.size.div_ceil(PAGE as u64);
        if let Some(last) = self.pages.keys().next_back().filter(|last| **last >= pages) {
            let text = format!("page {last:#x} lies outside the {:#x} bytes of memory", environment.size);
            return Err(StoreError::Invalid(text));
        }
        if !encode::is_well_formed(environment) {
            let text = "the flobs of this environment are not in order or have the wrong number of links";
            return Err(StoreError::Invalid(text.to_owned()));
        }
        Ok(())
    }

    fn write_input(&self, input: &Input<'_>) -> Result<(Vec<Chunk>, bool), StoreError> {
        match input {
            Input::None => Ok((Vec::new(), false)),
            Input::Of(other) => Ok((other.manifest.head.input.clone(), other.manifest.head.input_ended)),
            Input::Spool(spool) => Ok((spool.store_chunks(&self.store)?, spool.has_ended())),
        }
    }

    /// The packs that are needed, and the pages with indices into those. All new packs are there now.
    fn used(&mut self) -> Result<(Vec<PackReference>, Vec<PageEntry>), StoreError> {
        let own = self.writer.finish()?;
        let needed: BTreeSet<Pack> = self.pages.values().map(|page| page.pack).collect();
        let (mut packs, mut indices, mut named) = (Vec::new(), HashMap::new(), HashMap::new());
        for pack in needed {
            let (Pack::Other(index) | Pack::Own(index)) = pack;
            let found = if let Pack::Own(_) = pack { &own } else { &self.others };
            let missing = || StoreError::Invalid("a pack of this checkpoint was not written".to_owned());
            let found = found.get(index).ok_or_else(missing)?;
            // Somebody else may have written the same one meanwhile.
            let index = *named.entry(found.name).or_insert_with(|| {
                packs.push(found.clone());
                packs.len() as u32 - 1
            });
            indices.insert(pack, index);
        }
        let entry = |(number, page): (&u64, &Page)| PageEntry {
            number: *number,
            hash: page.hash,
            pack: indices.get(&page.pack).copied().unwrap_or(u32::MAX),
            slot: page.slot,
        };
        Ok((packs, self.pages.iter().map(entry).collect()))
    }
}

impl Store {
    /// Writes a manifest under an id that no other has.
    fn write_manifest(
        &self,
        lock: &dyn Lock,
        mut manifest: Manifest,
        build_id: &str,
    ) -> Result<String, StoreError> {
        let taken: HashSet<String> = self.manifest_names()?.iter().map(|name| short(name)).collect();
        loop {
            let (bytes, hash) = manifest.seal()?;
            let full = hex(&hash);
            if taken.contains(&short(&full)) {
                // A nanosecond more gives another id.
                manifest.head.saved = manifest.head.saved.wrapping_add(1);
                continue;
            }
            self.put_manifest(lock, &manifest, build_id, &full, bytes)?;
            return Ok(short(&full));
        }
    }

    /// Writes a manifest: from the moment that it is there, there is the checkpoint.
    fn put_manifest(
        &self,
        lock: &dyn Lock,
        manifest: &Manifest,
        build_id: &str,
        full: &str,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        let path = format!("checkpoints/{full}.flob");
        let failed = |source| StoreError::io(format!("writing {}", self.backend.name(&path)), source);
        let needed: Vec<String> = manifest.needed(build_id).collect();
        lock.commit(&path, &needed).map_err(failed)?;
        // One with this name has these contents, or is damaged.
        self.backend.put(&path, bytes, true).map_err(failed)?;
        lock.written();
        Ok(())
    }

    /// Saves a checkpoint that differs from another only in its flobs (and the pages given here).
    ///
    /// # Errors
    /// If the other is damaged or the new one cannot be written.
    pub fn save_edited(
        &self,
        parent: &Checkpoint,
        environment: &Environment,
        name: Option<String>,
        pages: &[(u64, Vec<u8>)],
    ) -> Result<String, StoreError> {
        let mut builder = self.begin(Some(&parent.full))?;
        builder.add_pages_of(parent)?;
        for (number, bytes) in pages {
            builder.add_page(*number, bytes)?;
        }
        let kernel = parent.kernel().to_owned();
        let input = Input::Of(parent);
        builder.finish(environment, Details { name, origin: Origin::Edited, kernel, program: None, input })
    }
}
