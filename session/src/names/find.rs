//! From what people type to the flob that is meant. Nothing is put together for that, so that 100,000 names can be gone through with each
//! key that is pressed; only what is unclear gets its words, when somebody is to read them.

use std::fmt;

use flob_abi::{FlobKind, flob::GRANULE};
use flob_image::{Place, fields::value::parse_number};

use super::{Name, Names, id};
use crate::Error;

/// Candidates listed for a name that fits several.
const MOST_CANDIDATES: usize = 12;

/// Why a text does not say which flob is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// No flob is called so.
    Nothing {
        #[expect(missing_docs, reason = "see above")]
        text: String,
    },
    /// Several may be meant.
    Several {
        #[expect(missing_docs, reason = "see above")]
        text: String,
        /// The first of them, with their whole names.
        some: Vec<(Place, String)>,
        /// How many there are.
        count: usize,
    },
}

/// A sentence; in the longer form (`{:#}`) with what to do next, and each candidate on a line of its own.
impl fmt::Display for Unclear {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_long = out.alternate();
        let (text, some, count) = match self {
            Self::Nothing { text } if is_long => {
                return write!(out, "there is no flob '{text}'; 'flob tree' lists them all");
            }
            Self::Nothing { text } => return write!(out, "there is no flob '{text}'"),
            Self::Several { text, some, count } => (text, some, *count),
        };
        write!(out, "'{text}' could be any of")?;
        let mut between = if is_long { "\n  " } else { " " };
        for (place, name) in some {
            write!(out, "{between}{name}")?;
            if is_long {
                write!(out, " {}", id(*place))?;
            } else {
                between = ", ";
            }
        }
        match count.saturating_sub(some.len()) {
            0 => Ok(()),
            more => write!(out, "{}… and {more} more", if is_long { between } else { " " }),
        }
    }
}

/// The short form, for the screen.
impl From<Unclear> for String {
    fn from(unclear: Unclear) -> Self {
        unclear.to_string()
    }
}

impl From<Unclear> for Error {
    fn from(unclear: Unclear) -> Self {
        let words = format!("{unclear:#}");
        match unclear {
            Unclear::Nothing { .. } => Self::NotFound(words),
            Unclear::Several { .. } => Self::Usage(words),
        }
    }
}

/// Whether a text contains a lower-case one, whatever the case of its letters.
pub fn contains(text: &str, lower: &str) -> bool {
    let mut windows = text.as_bytes().windows(lower.len().max(1));
    lower.is_empty()
        || windows.any(|window| window.eq_ignore_ascii_case(lower.as_bytes()))
        || !text.is_ascii() && text.to_lowercase().contains(lower)
}

impl Name {
    fn is(&self, text: &str) -> bool {
        let behind_kind = || text.strip_prefix(self.kind.name())?.strip_prefix(':');
        self.whole == text
            || self.label == text
            || self.nick.as_deref() == Some(text)
            || self.path.as_deref() == Some(text)
            || behind_kind() == Some(self.label.as_str())
            || (self.kind == FlobKind::Space && self.behind_kind() == text)
    }

    fn has(&self, lower: &str) -> bool {
        contains(&self.whole, lower) || self.nick.as_ref().is_some_and(|nick| contains(nick, lower))
    }
}

impl Names {
    /// The flob that is meant by a name, a part of one that fits no other, a short id, or its place (`0x2400`).
    pub fn find(&self, text: &str) -> Result<Place, Unclear> {
        self.find_among(text, |_| true)
    }

    /// The flob of one kind that is meant.
    pub fn find_kind(&self, text: &str, kind: FlobKind) -> Result<Place, Unclear> {
        self.find_among(text, |found| found == kind)
    }

    /// The flob that a link is to lead to: as [`Names::find`], but a number is a whole place or address, and no part of one.
    pub fn find_target(&self, text: &str) -> Result<Place, Unclear> {
        let text = text.trim();
        let is_whole = |name: &Name| name.label == text;
        let is_part =
            place_in(text).is_none_or(|place| self.of(place).is_none()) && !self.names.iter().any(is_whole);
        if parse_number(text).is_some() && is_part {
            return Err(Unclear::Nothing { text: text.to_owned() });
        }
        self.find(text)
    }

    fn find_among(&self, text: &str, wanted: impl Fn(FlobKind) -> bool) -> Result<Place, Unclear> {
        let text = text.trim();
        // An address may be the place of another flob.
        let is_wanted = |place: &Place| self.of(*place).is_some_and(|name| wanted(name.kind));
        if let Some(place) = place_in(text).or_else(|| self.place_of_id(text)).filter(is_wanted) {
            return Ok(place);
        }
        let exact = self.those(|name| wanted(name.kind) && name.is(text));
        let lower = text.to_lowercase();
        let found = match exact.as_slice() {
            [] if !text.is_empty() => self.those(|name| wanted(name.kind) && name.has(&lower)),
            _ => exact,
        };
        let text = text.to_owned();
        match found.as_slice() {
            [place] => Ok(*place),
            [] => Err(Unclear::Nothing { text }),
            several => {
                let some = several.iter().take(MOST_CANDIDATES).map(|place| (*place, self.flob(*place)));
                Err(Unclear::Several { text, some: some.collect(), count: several.len() })
            }
        }
    }

    fn those(&self, fits: impl Fn(&Name) -> bool) -> Vec<Place> {
        let all = self.places.iter().zip(&self.names);
        all.filter(|(_, name)| fits(name)).map(|(place, _)| *place).collect()
    }

    /// The flob with this short id: `#a3f`.
    fn place_of_id(&self, text: &str) -> Option<Place> {
        let number = u64::from_str_radix(text.strip_prefix('#')?, 16).ok()?;
        let first = self.places.partition_point(|place| place / GRANULE < number);
        self.places.get(first).copied().filter(|place| place / GRANULE == number)
    }
}

/// A place as it is written, wherever one is: `0x2400`. A number without its `0x` is none.
fn place_in(text: &str) -> Option<Place> {
    text.get(..2).filter(|begin| begin.eq_ignore_ascii_case("0x")).and_then(|_| parse_number(text))
}

#[cfg(test)]
mod tests {
    use flob_image::Flob;

    use super::super::tests::environment;
    use super::*;
    use crate::symbols::Symbols;

    #[test]
    fn names_lead_back_to_their_flobs() {
        let environment = environment();
        let names = Names::new(&environment, &Symbols::none());
        for flob in &environment.flobs {
            assert_eq!(names.find(&names.flob(flob.place)).expect("found"), flob.place);
            assert_eq!(names.find(&id(flob.place)).expect("found"), flob.place);
        }
        assert_eq!(names.find("main").expect("found"), 0x1000);
        assert_eq!(names.flob(0), "space:dinner");
    }

    #[test]
    fn places_lead_to_their_flobs_and_as_targets_are_no_parts_of_names() {
        let environment = environment();
        let names = Names::new(&environment, &Symbols::none());
        for flob in &environment.flobs {
            let place = format!("{:#x}", flob.place);
            assert_eq!(names.find(&place).expect("found"), flob.place);
            assert_eq!(names.find_target(&place).expect("found"), flob.place);
        }
        // A part of `+0x2200`, and of nothing else.
        assert_eq!(names.find("0x220").expect("found"), 0x2200);
        assert!(matches!(names.find_target("0x220"), Err(Unclear::Nothing { .. })));
        assert_eq!(names.find_target("main").expect("found"), 0x1000);
    }

    /// As targets of links, decimal numbers were places too.
    #[test]
    fn a_place_is_written_in_hexadecimal_wherever_one_is() {
        let names = Names::new(&environment(), &Symbols::none());
        let both = |text: &str| [names.find(text), names.find_target(text)];
        for place in ["0x2200", "0X2200", "0x22_00", " 0x2200 "] {
            assert_eq!(both(place), [Ok(0x2200), Ok(0x2200)], "{place}");
        }
        for number in ["8704", "0x+2200", "0"] {
            assert!(both(number).iter().all(|found| !matches!(found, Ok(0 | 0x2200))), "{number}");
        }
        assert_eq!(names.find_target("8704"), Err(Unclear::Nothing { text: "8704".into() }));
    }

    /// It was said to be either.
    #[test]
    fn a_place_is_meant_also_where_another_flob_has_that_address() {
        let mut names = Names::new(&environment(), &Symbols::none());
        names.rename(0x2200, "0x2000", None);
        assert_eq!(names.find("0x2000").expect("found"), 0x2000);
        assert_eq!(names.find_target("0x2000").expect("found"), 0x2000);
        assert_eq!(names.find_kind("0x2000", FlobKind::Mutex).expect("found"), 0x2000);
        assert_eq!(names.find("mutex:dinner/0x2000").expect("found"), 0x2200);
    }

    #[test]
    fn a_name_that_fits_several_lists_them() {
        let names = Names::new(&environment(), &Symbols::none());
        let error = names.find("mutex").expect_err("two mutexes");
        assert_eq!(error.to_string(), "'mutex' could be any of mutex:dinner/+0x2000, mutex:dinner/+0x2200");
        let lines = "'mutex' could be any of\n  mutex:dinner/+0x2000 #10\n  mutex:dinner/+0x2200 #11";
        assert_eq!(Error::from(error).to_string(), lines);
        assert!(matches!(Error::from(names.find("nonsense").expect_err("none")), Error::NotFound(_)));
    }

    /// Whatever the case of letters, and of a thread's own name too.
    #[test]
    fn a_part_of_a_name_that_fits_no_other_is_enough() {
        let mut names = Names::new(&environment(), &Symbols::none());
        names.rename(0x1000, "COOKS[1]", Some("cook-1"));
        for part in ["cooks[", "ook-1", " COOK ", "thread:d"] {
            assert_eq!(names.find(part), Ok(0x1000), "{part}");
        }
        assert_eq!(
            (names.flob(0x1000).as_str(), names.short(0x1000).as_str()),
            ("thread:dinner/COOKS[1]", "cook-1")
        );
        assert_eq!(names.find(""), Err(Unclear::Nothing { text: String::new() }));
    }

    #[test]
    fn of_very_many_candidates_the_first_are_named_and_the_rest_counted() {
        let mut environment = environment();
        let mutex = environment.flobs[2].clone();
        environment
            .flobs
            .extend((0..100).map(|number| Flob { place: 0x3000 + number * 0x200, ..mutex.clone() }));
        let names = Names::new(&environment, &Symbols::none());
        let error = names.find("mutex:").expect_err("102 mutexes");
        assert!(error.to_string().ends_with(" … and 90 more"), "{error}");
        assert!(format!("{error:#}").ends_with("\n  … and 90 more"), "{error:#}");
    }
}
