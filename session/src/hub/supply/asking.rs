//! Requests for which pages may be missing: these are brought first. Where nobody brings any, what needs them is refused at once.

use flob_link::{Failure, FailureKind, Reply, Request, Run, host::LinkError};

use super::{Supply, Trouble};
use crate::hub::{Books, Hub, lock, runs};

/// Why something that needs missing pages cannot be done.
pub(super) fn nobody_brings_them() -> Failure {
    let text = "memory that this needs is missing: it was restored lazily, and nobody brings its pages any more. 'flob checkpoint \
                restore ID' of that checkpoint, or of another, puts a whole one in its place";
    Failure { kind: FailureKind::State, text: text.into() }
}

/// A checkpoint that was given up is in place after all, and nobody here has heard so yet.
fn is_being_replaced() -> Failure {
    let text = "a checkpoint is just taking the program's place: try again, or 'flob ps' shows what is there";
    Failure { kind: FailureKind::State, text: text.into() }
}

impl Hub {
    /// Asks the guest something for which pages may be missing, for who is not at the books.
    pub(in crate::hub) fn ask(&self, request: &Request) -> Result<Reply, LinkError> {
        match self.ask_supplied(request)? {
            Some(reply) => Ok(reply),
            // An environment may just be put in place. Whoever does that is at the books until its pages come.
            None => self.ask_with(&lock(&self.books), request),
        }
    }

    /// The same, for who is at the books.
    pub(in crate::hub) fn ask_with(&self, books: &Books, request: &Request) -> Result<Reply, LinkError> {
        let refused = || {
            LinkError::Refused(match books.arriving {
                Some(_) => is_being_replaced(),
                None => nobody_brings_them(),
            })
        };
        self.ask_supplied(request)?.ok_or_else(refused)
    }

    /// Nothing, if pages are missing for it that are not brought from here.
    fn ask_supplied(&self, request: &Request) -> Result<Option<Reply>, LinkError> {
        let mut brought: Option<(u32, Vec<Run>)> = None;
        loop {
            // If it ends meanwhile the pages have come, or it still has them.
            let before = lock(&self.supply).clone();
            let runs = match self.link.request(request.clone())? {
                Reply::Missing(runs) => runs,
                reply => return Ok(Some(reply)),
            };
            let Some(supply) = lock(&self.supply).clone().or(before) else { return Ok(None) };
            let next = (supply.environment, runs);
            if brought.as_ref() == Some(&next) {
                return Err(LinkError::unexpected(&Reply::Missing(next.1)));
            }
            if !self.bring(&supply, &next.1)? {
                return Ok(None);
            }
            brought = Some(next);
        }
    }

    /// Brings these pages. Whether they are of the environment that the guest has.
    fn bring(&self, supply: &Supply, runs: &[Run]) -> Result<bool, LinkError> {
        match self.send_pages(supply, runs::numbers(runs)) {
            Ok(()) => Ok(true),
            Err(Trouble::Link(LinkError::Refused(_))) => Ok(false),
            Err(Trouble::Link(error)) => Err(error),
            Err(Trouble::Store(page, error)) => {
                let failure = self.lost(supply, page, error);
                Err(LinkError::Refused(failure))
            }
        }
    }
}
