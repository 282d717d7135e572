//! The checkpoint store as the TUI uses it.

use std::{collections::BTreeMap, sync::Arc, time::UNIX_EPOCH};

use flob_abi::PAGE_SIZE;
use flob_image::{
    Environment, Place,
    store::{Checkpoint, Listed, Origin},
    text,
};
use flob_link::Memory;
use flob_session::{Error, Source, Stored, translate::Translation};

use super::{
    insight::Insight,
    store::{Poke, Saved, Store},
};

/// Says in what the second of two checkpoints differs from the first.
pub type Compare = Arc<dyn Fn(&str, &str) -> Result<Vec<String>, Error> + Send + Sync>;

/// The store, and names for the comments in texts.
#[derive(Clone)]
pub struct Library {
    /// Where the checkpoints are.
    pub store: flob_image::store::Store,
    /// Names of flobs.
    pub insight: Arc<dyn Insight>,
    /// See [`Compare`].
    pub compare: Compare,
}

impl Store for Library {
    fn list(&self) -> Result<Vec<Saved>, Error> {
        Ok(self.store.list()?.into_iter().map(saved).collect())
    }

    fn open(&self, id: &str) -> Result<(String, Box<dyn Source>), Error> {
        let stored = Stored::open(&self.store, id)?;
        Ok((stored.checkpoint().id(), Box::new(stored)))
    }

    fn read(&self, id: &str, memory: Memory, address: u64, count: u32) -> Result<Vec<u8>, Error> {
        Stored::open(&self.store, id)?.read(memory, address, count)
    }

    fn save_edited(&self, parent: &str, environment: &Environment, pokes: &[Poke]) -> Result<String, Error> {
        let parent = self.store.load(parent)?;
        let pages = pages(&parent, pokes)?;
        Ok(self.store.save_edited(&parent, environment, None, &pages)?)
    }

    fn remove(&self, id: &str) -> Result<(), Error> {
        self.store.remove(id)?;
        Ok(())
    }

    fn compare(&self, before: &str, after: &str) -> Result<Vec<String>, Error> {
        (self.compare)(before, after)
    }

    fn text(&self, id: &str, places: &[Place]) -> Result<String, Error> {
        let checkpoint = self.store.load(id)?;
        let environment = checkpoint.environment();
        let explained = self.insight.explain(environment, &mut Stored::open(&self.store, id)?);
        let name = |place: Place| {
            explained.names.of(place).map_or_else(|| format!("{place:#x}"), |name| name.whole().to_owned())
        };
        let places = Some(places).filter(|places| !places.is_empty());
        Ok(text::to_text(environment, places, &name))
    }

    fn with_text(&self, id: &str, text: &str) -> Result<Environment, Error> {
        let mut environment = self.store.load(id)?.environment().clone();
        text::apply_text(&mut environment, text).map_err(|error| Error::BadInput(error.to_string()))?;
        Ok(environment)
    }
}

fn saved(listed: Listed) -> Saved {
    match listed.summary {
        Ok(summary) => Saved {
            id: summary.id,
            name: summary.name,
            parent: summary.parent,
            program: summary.program,
            bytes: summary.stored,
            flobs: summary.flobs,
            time: summary.saved.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            edited: summary.origin == Origin::Edited,
        },
        // A damaged one is listed too, so that it can be removed.
        Err(error) => Saved { id: listed.id, name: Some(error.to_string()), ..Saved::default() },
    }
}

/// The pages that pokes change, as they will be.
fn pages(parent: &Checkpoint, pokes: &[Poke]) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    let translation = Translation::new(parent.environment());
    let mut pages: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for poke in pokes {
        for (offset, byte) in poke.bytes.iter().enumerate() {
            let address = poke.address.checked_add(offset as u64);
            let place = match poke.memory {
                Memory::Environment => address,
                Memory::Space(space) => address.and_then(|address| translation.place(space, address)),
            };
            let place = place.filter(|place| *place < parent.environment().size);
            let place = place.ok_or_else(|| Error::BadInput(super::text::NO_BYTES.into()))?;
            let number = place / PAGE_SIZE;
            let page = match pages.entry(number) {
                std::collections::btree_map::Entry::Occupied(page) => page.into_mut(),
                std::collections::btree_map::Entry::Vacant(slot) => {
                    slot.insert(parent.page(number)?.to_vec())
                }
            };
            if let Some(target) = page.get_mut((place % PAGE_SIZE) as usize) {
                *target = *byte;
            }
        }
    }
    Ok(pages.into_iter().collect())
}
