//! What was seen of an environment while it stood, and the record that is made of it when it runs on again: whatever becomes of
//! the environment meanwhile. `adapt` makes of a flob as it was seen one that is recorded: without its nester's marks.

use alloc::vec::Vec;

use flob_abi::{Status, flob::thread_link};
use flob_image::{Border, Environment as Image, Flob, Link, Place, State};
use flob_runtime::nester::{Environment, list::Listed};

use crate::look::{Bearings, look_at_each};
use crate::record::{Damaged, Writer};
use crate::sights::Sights;
use crate::stop::Standing;

/// See the module.
pub struct Draft {
    flobs: Flobs,
    borders: Vec<Border>,
}

/// Flobs as they were told all at once, or as they are to be recorded: more take too much memory, and are written one by one, in
/// a tenth of it.
enum Flobs {
    Told(Sights),
    Written { writer: Writer, connected: Vec<Place>, threads: Vec<Standing> },
}

impl Draft {
    /// Of flobs that were told all at once: finds out what leads out of them. The environment must be as it was told.
    pub fn of_told(
        mut sights: Sights,
        environment: &Environment,
        bearings: &Bearings<'_>,
        borders: Vec<Border>,
    ) -> Result<Self, Status> {
        sights.find_bearings(environment, bearings, &clients(&borders))?;
        Ok(Self { flobs: Flobs::Told(sights), borders })
    }

    /// Of these flobs, looked at one after the other, with these groups of the threads' states. What stands before them in the record
    /// is that of `head`.
    pub fn of_listed(
        environment: &Environment,
        bearings: &Bearings<'_>,
        borders: Vec<Border>,
        head: &Image,
        (listed, groups): (&[Listed], u64),
        mut adapt: impl FnMut(&mut Flob),
    ) -> Result<Self, Status> {
        let too_large = |_: Damaged| Status::NoMemory;
        let mut writer = Writer::new(head, listed.len()).map_err(too_large)?;
        let (mut connected, mut threads) = (Vec::new(), Vec::new());
        let surroundings = (bearings, &clients(&borders)[..]);
        look_at_each(environment, surroundings, groups, listed.iter().copied(), |mut flob| {
            threads.extend(Standing::of(&flob));
            adapt(&mut flob);
            connected.extend(crosses_border(&flob).then_some(flob.place));
            writer.flob(&flob).map_err(too_large)
        })?;
        Ok(Self { flobs: Flobs::Written { writer, connected, threads }, borders })
    }

    /// All threads, ascending by place.
    pub fn threads(&self) -> &[Standing] {
        match &self.flobs {
            Flobs::Told(sights) => &sights.threads,
            Flobs::Written { threads, .. } => threads,
        }
    }

    /// How many flobs there are.
    pub fn count(&self) -> usize {
        match &self.flobs {
            Flobs::Told(sights) => sights.count(),
            Flobs::Written { writer, .. } => writer.count(),
        }
    }

    /// The record, with all of `head` but its flobs and borders; and the room of what was told, to be used again. `region` is the
    /// tag of the environment's region.
    pub fn record(
        self,
        head: Image,
        (bearings, region): (&Bearings<'_>, &str),
        adapt: impl FnMut(&mut Flob),
    ) -> (Result<Vec<u8>, Damaged>, Option<Sights>) {
        let Self { flobs, borders } = self;
        let (written, sights) = match flobs {
            Flobs::Written { writer, connected, .. } => (Ok((writer, connected)), None),
            Flobs::Told(sights) => {
                (write(&head, &sights, (bearings, region), &clients(&borders), adapt), Some(sights))
            }
        };
        let record = written.and_then(|(writer, connected)| {
            let crosses = |border: &Border| connected.binary_search(&border.client).is_ok();
            let borders = borders.into_iter().filter(crosses).collect();
            writer.end(&Image { borders, ..head })
        });
        (record, sights)
    }
}

/// Writes all flobs that were told; with the threads that are connected with something outside.
fn write(
    head: &Image,
    sights: &Sights,
    surroundings: (&Bearings<'_>, &str),
    clients: &[(Place, &str)],
    mut adapt: impl FnMut(&mut Flob),
) -> Result<(Writer, Vec<Place>), Damaged> {
    let (mut writer, mut connected) = (Writer::new(head, sights.count())?, Vec::new());
    sights.each(surroundings, clients, |mut flob| {
        adapt(&mut flob);
        connected.extend(crosses_border(&flob).then_some(flob.place));
        writer.flob(&flob)
    })?;
    Ok((writer, connected))
}

/// Who has asked, and for what service.
pub fn clients(borders: &[Border]) -> Vec<(Place, &str)> {
    borders.iter().map(|border| (border.client, border.service.as_str())).collect()
}

/// Whether this is a thread that is connected with something outside.
pub fn crosses_border(flob: &Flob) -> bool {
    matches!(flob.state, State::Thread(_))
        && matches!(flob.links.get(thread_link::CLIENT_PEER), Some(Link::External(_)))
}
