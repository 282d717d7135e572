//! The register of breakpoints, watchpoints and caught calls. The guest knows each place once; what it is to do there follows from
//! all that are enabled.

use flob_image::Place;
use flob_link::{Failure, FailureKind, Hit, MAX_CONDITIONS, Request};

use super::{Books, Hub, lock, memory};
use crate::{Condition, Owner, Point, PointChange, Spot};

/// A program that always holds: for an owner without a condition where others have one.
const ALWAYS: [u8; 1] = [flob_link::condition::code::THREAD];
/// Most bytes of all conditions at one place: they travel in one message.
const MOST_CODE: usize = 4096;

/// All of them, in the order of their numbers.
#[derive(Debug, Default)]
pub struct Points {
    all: Vec<Point>,
    last: u32,
}

impl Points {
    /// Adds one, enabled; one of this owner at the same spot stays, with another condition. Its number.
    pub fn add(&mut self, owner: &Owner, spot: Spot, condition: Option<Condition>) -> u32 {
        if let Some(known) = self.find(owner, &spot) {
            (known.condition, known.is_enabled, known.has_failed) = (condition, true, false);
            // Of calls there is one list a space and owner.
            known.spot = spot;
            return known.id;
        }
        self.last += 1;
        let id = self.last;
        let owner = owner.clone();
        self.all.push(Point { id, owner, spot, is_enabled: true, condition, hits: 0, has_failed: false });
        id
    }

    fn find(&mut self, owner: &Owner, spot: &Spot) -> Option<&mut Point> {
        self.all.iter_mut().find(|point| point.owner == *owner && is_same(&point.spot, spot))
    }

    /// Takes one of this owner away.
    pub fn forget(&mut self, owner: &Owner, spot: &Spot) {
        self.all.retain(|point| point.owner != *owner || !is_same(&point.spot, spot));
    }

    /// Takes the one with this number away.
    pub fn remove(&mut self, id: u32) {
        self.all.retain(|point| point.id != id);
    }

    /// The one with this number.
    pub fn get(&mut self, id: u32) -> Option<&mut Point> {
        self.all.iter_mut().find(|point| point.id == id)
    }

    /// All of them.
    pub fn all(&self) -> &[Point] {
        &self.all
    }

    /// Those of an owner.
    pub fn of(&self, owner: &Owner) -> Vec<Point> {
        self.all.iter().filter(|point| point.owner == *owner).cloned().collect()
    }

    /// All places in code that somebody wants to stop at.
    pub fn locations(&self) -> Vec<(Place, u64)> {
        let location = |point: &Point| match point.spot {
            Spot::Code { space, address } if point.is_enabled => Some((space, address)),
            _ => None,
        };
        let mut all: Vec<_> = self.all.iter().filter_map(location).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn at(&mut self, (space, address): (Place, u64)) -> impl Iterator<Item = &mut Point> {
        let spot = Spot::Code { space, address };
        self.all.iter_mut().filter(move |point| point.is_enabled && point.spot == spot)
    }

    /// Whom a stop at this place is for: all, or those whose conditions hold or have failed, a bit each in the order of the
    /// programs that the guest was given. Counts it.
    pub fn hit(&mut self, location: (Place, u64), held: Option<(u32, u32)>) -> Vec<Owner> {
        let mut owners = Vec::new();
        for (index, point) in self.at(location).enumerate() {
            let bit = u32::try_from(index).ok().and_then(|index| 1_u32.checked_shl(index)).unwrap_or(0);
            point.has_failed = held.is_some_and(|(_, failed)| failed & bit != 0);
            if held.is_none_or(|(met, failed)| (met | failed) & bit != 0) {
                point.hits += 1;
                owners.push(point.owner.clone());
            }
        }
        owners
    }

    /// Counts a stop of these owners at watched memory or before a call.
    pub fn count(&mut self, owners: &[Owner], fits: impl Fn(&Spot) -> bool) {
        for point in &mut self.all {
            if point.is_enabled && owners.contains(&point.owner) && fits(&point.spot) {
                point.hits += 1;
            }
        }
    }

    /// What the guest is to do at a place: `None` if nobody wants anything there, else the conditions, of which there are none if
    /// it always stops.
    fn wanted(&mut self, location: (Place, u64)) -> Option<Vec<Vec<u8>>> {
        let programs: Vec<Option<Vec<u8>>> = self
            .at(location)
            .map(|point| point.condition.as_ref().map(|condition| condition.code.clone()))
            .collect();
        if programs.is_empty() {
            return None;
        }
        if programs.iter().all(Option::is_none) {
            return Some(Vec::new());
        }
        Some(programs.into_iter().map(|program| program.unwrap_or_else(|| ALWAYS.to_vec())).collect())
    }
}

/// Whether it is the same place, memory, or space of caught calls.
fn is_same(one: &Spot, other: &Spot) -> bool {
    match (one, other) {
        (Spot::Calls { space: one, .. }, Spot::Calls { space: other, .. }) => one == other,
        _ => one == other,
    }
}

/// Whether memory that is watched is meant by a stop at this address.
pub fn watches(spot: &Spot, space: Place, hit: Hit) -> bool {
    let Spot::Memory(watch) = spot else { return false };
    watch.space == space && watch.is_hit(hit)
}

impl Hub {
    /// Tells the guest what anybody wants at a place in code.
    pub(super) fn settle_code(&self, books: &mut Books, location: (Place, u64)) -> Result<(), Failure> {
        let (space, address) = location;
        let request = match books.points.wanted(location) {
            Some(conditions) => Request::SetBreakpoint { space, address, conditions },
            None => Request::ClearBreakpoint { space, address },
        };
        memory::done(self.ask_with(books, &request)?)
    }

    /// Adds a breakpoint, watchpoint or caught calls of this owner: its number.
    pub(super) fn add_point(
        &self,
        owner: &Owner,
        spot: Spot,
        condition: Option<Condition>,
        connection: u64,
    ) -> Result<u32, Failure> {
        let invalid = |text: &str| Failure { kind: FailureKind::Invalid, text: text.into() };
        if let Some(condition) = &condition {
            if !matches!(spot, Spot::Code { .. }) {
                return Err(invalid("only breakpoints in code have conditions"));
            }
            flob_link::condition::check(&condition.code)
                .map_err(|wrong| invalid(&format!("the condition is malformed: {wrong:?}")))?;
        }
        let mut books = lock(&self.books);
        books.register(owner, Some(connection));
        if let Spot::Code { space, address } = spot {
            let others = books.points.wanted((space, address)).unwrap_or_default();
            let bytes: usize = others.iter().map(Vec::len).sum();
            let own = condition.as_ref().map_or(0, |condition| condition.code.len());
            if others.len() >= MAX_CONDITIONS || bytes + own > MOST_CODE {
                return Err(invalid("there are too many conditions at this place already"));
            }
        }
        let id = books.points.add(owner, spot, condition);
        let done = self.apply_point(&mut books, id, true);
        if done.is_err() {
            books.points.remove(id);
        }
        drop(books);
        self.changed();
        done.map(|()| id)
    }

    /// Enables, disables or deletes one, whosever it is.
    pub(super) fn change_point(&self, id: u32, change: PointChange) -> Result<(), Failure> {
        let mut books = lock(&self.books);
        let Some(point) = books.points.get(id) else {
            let text = format!("there is no breakpoint {id}; 'flob break --list' lists them");
            return Err(Failure { kind: FailureKind::NotFound, text });
        };
        let wanted = change == PointChange::Enable;
        let was = std::mem::replace(&mut point.is_enabled, wanted);
        let done = if was == wanted { Ok(()) } else { self.apply_point(&mut books, id, wanted) };
        if done.is_ok() && change == PointChange::Delete {
            books.points.remove(id);
        } else if done.is_err()
            && let Some(point) = books.points.get(id)
        {
            point.is_enabled = was;
        }
        drop(books);
        self.changed();
        done
    }

    /// Has the guest do what one wants, or no more.
    fn apply_point(&self, books: &mut Books, id: u32, wanted: bool) -> Result<(), Failure> {
        let Some(point) = books.points.get(id).cloned() else { return Ok(()) };
        match point.spot {
            Spot::Code { space, address } => self.settle_code(books, (space, address)),
            Spot::Memory(watch) if wanted => self.set_watch_with(books, &point.owner, watch),
            Spot::Memory(watch) => self.clear_watch_with(books, &point.owner, watch),
            Spot::Calls { space, calls } => {
                let calls = if wanted { calls } else { Vec::new() };
                self.catch_with(books, &point.owner, space, &calls)
            }
        }
    }

    /// All of them.
    pub(super) fn points(&self) -> Vec<Point> {
        lock(&self.books).points.all().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: (Place, u64) = (1, 0x1000);
    const SPOT: Spot = Spot::Code { space: 1, address: 0x1000 };

    fn gdb() -> Owner {
        Owner::Client("gdb".into())
    }

    fn condition(code: u8) -> Option<Condition> {
        Some(Condition { text: "$rax".into(), code: vec![code] })
    }

    #[test]
    fn the_guest_is_given_one_program_for_each_owner_if_anybody_has_one() {
        let mut points = Points::default();
        assert_eq!(points.wanted(HERE), None);
        points.add(&gdb(), SPOT, None);
        assert_eq!(points.wanted(HERE), Some(vec![]));
        points.add(&Owner::User, SPOT, condition(7));
        assert_eq!(points.wanted(HERE), Some(vec![ALWAYS.to_vec(), vec![7]]));
        points.forget(&gdb(), &SPOT);
        assert_eq!(points.wanted(HERE), Some(vec![vec![7]]));
    }

    #[test]
    fn a_stop_is_for_those_whose_condition_holds_and_is_counted() {
        let mut points = Points::default();
        let user = points.add(&Owner::User, SPOT, condition(7));
        points.add(&gdb(), SPOT, None);
        assert_eq!(points.hit(HERE, Some((0b10, 0))), [gdb()]);
        assert_eq!(points.hit(HERE, Some((0b10, 0b01))), [Owner::User, gdb()]);
        let point = points.get(user).expect("it is there");
        assert_eq!((point.hits, point.has_failed), (1, true));
        point.is_enabled = false;
        assert_eq!(points.hit(HERE, None), [gdb()]);
        assert_eq!(points.hit((1, 0x1001), None), []);
    }

    #[test]
    fn numbers_are_never_used_again_and_setting_again_keeps_them() {
        let mut points = Points::default();
        let first = points.add(&Owner::User, SPOT, None);
        assert_eq!(points.add(&Owner::User, SPOT, condition(7)), first);
        points.remove(first);
        assert_eq!(points.add(&Owner::User, SPOT, None), first + 1);
        let calls = |calls: Vec<u64>| Spot::Calls { space: 1, calls };
        let caught = points.add(&Owner::User, calls(vec![1]), None);
        assert_eq!(points.add(&Owner::User, calls(vec![1, 2]), None), caught);
        assert_eq!(points.get(caught).map(|point| point.spot.clone()), Some(calls(vec![1, 2])));
    }
}
