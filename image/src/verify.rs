//! Names what is odd about an environment, each kind of oddity by a code. Odd environments may still be restored: the
//! kernel survives them; whether the program does is another matter.
//!
//! [`Severity::Error`]: cannot be restored as it stands. [`Severity::Warning`]: can, but a program rarely gets there by
//! itself, so it is worth a look.

mod flobs;
mod memory;
mod threads;

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{Environment, Place};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Allowed, but rarely meant.
    Warning,
    /// Cannot be restored as it stands.
    Error,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $severity:ident, $text:literal;)*) => {
        /// What is odd.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// `V003`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// How bad.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// In a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// Flobs not ascending by place, or two at one.
    Order = "V001", Error, "flobs out of order";
    /// A place that is no multiple of the kind's size.
    Misaligned = "V002", Error, "misaligned place";
    /// A flob beyond the end of the memory.
    Outside = "V003", Error, "outside the memory";
    /// Two flobs in the same bytes.
    Overlap = "V004", Error, "flobs overlap";
    /// Too many or too few links for the kind.
    LinkCount = "V005", Error, "wrong number of links";
    /// A link to a place without a flob.
    LinkToNothing = "V006", Error, "link to nothing";
    /// A link to a flob of a kind that cannot be there.
    LinkKind = "V007", Error, "link to the wrong kind";
    /// A link out of the environment to something its nester did not know.
    LinkUnknown = "V008", Error, "unknown link to the outside";
    /// A link to a service that no nester of flob's has.
    ServiceUnknown = "V009", Warning, "unknown service";
    /// Bits that are not defined, or reserved bytes that are not zero.
    UndefinedBits = "V010", Warning, "undefined bits";
    /// A mapping or region that does not begin or end at a page.
    NotPaged = "V011", Error, "not on a page";
    /// A mapping or region that reaches beyond user addresses.
    NotUser = "V012", Error, "beyond user addresses";
    /// Two mappings of one space that overlap.
    MappingOverlap = "V013", Warning, "mappings overlap";
    /// A mapping of more than its region has.
    MappingBeyond = "V014", Warning, "mapping reaches beyond its region";
    /// A region or mapping of no space, or a mapping of no region.
    Loose = "V015", Warning, "belongs nowhere";
    /// A mutex that is locked and has no owner.
    LockedWithoutOwner = "V016", Warning, "locked mutex without owner";
    /// A mutex that is not locked and has an owner.
    OwnerOfUnlocked = "V017", Warning, "owner of an unlocked mutex";
    /// A thread that has no space.
    NoSpace = "V018", Warning, "thread without space";
    /// A thread waits for a flob that nothing can wait for.
    WaitKind = "V019", Warning, "nobody can wait for that";
    /// A thread waits for something, but its registers hold another call.
    WaitStage = "V020", Warning, "registers do not fit the wait";
    /// A connection that only one of its ends knows of.
    OneSided = "V021", Warning, "one-sided connection";
    /// An address in RIP, a base or a handler that the processor cannot hold.
    NotCanonical = "V022", Error, "impossible address";
    /// Register contents that the processor does not accept.
    BadRegister = "V023", Error, "impossible register";
    /// A priority above the highest.
    Priority = "V024", Error, "priority too high";
    /// A pending exception with a code that does not exist.
    ExceptionCode = "V025", Warning, "unknown exception";
    /// A request across the border whose client is no thread, or is not waiting for its answer.
    Border = "V026", Error, "request without client";
}

/// One oddity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub code: Code,
    /// The flob it is about.
    pub place: Place,
    /// One sentence.
    pub text: String,
}

impl Finding {
    /// How bad.
    pub const fn severity(&self) -> Severity {
        self.code.severity()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(out, "{} {word}: {}", self.code.name(), self.text)
    }
}

/// All oddities, in the order of places.
pub fn verify(environment: &Environment) -> Vec<Finding> {
    let mut findings = Vec::new();
    flobs::places(environment, &mut findings);
    for flob in &environment.flobs {
        flobs::links(environment, flob, &mut findings);
        flobs::bits(flob, &mut findings);
        flobs::mutex(flob, &mut findings);
        memory::ranges(environment, flob, &mut findings);
        threads::thread(environment, flob, &mut findings);
    }
    memory::overlaps(environment, &mut findings);
    threads::borders(environment, &mut findings);
    findings.sort_by_key(|finding| (finding.place, finding.code));
    findings
}

/// The worst there is.
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(Finding::severity).max()
}

/// How findings are written: `mutex at 0x2400`.
fn name(flob: &crate::Flob) -> String {
    alloc::format!("{} at {:#x}", flob.state.kind().name(), flob.place)
}
