//! Who wants what traced. The guest traces what anybody wants, once; everybody reads the same trace.

use std::collections::BTreeSet;

use flob_link::{Failure, Reply, Request, Tracing, host::LinkError};

use super::{Books, Hub, lock, memory};
use crate::{HubEvent, Owner, TracePart};

/// What owners want traced.
#[derive(Debug, Default)]
pub struct Traces(Vec<(Owner, Tracing)>);

impl Traces {
    /// This owner wants this, and nothing else.
    pub fn set(&mut self, owner: &Owner, tracing: Tracing) {
        self.0.retain(|(other, _)| other != owner);
        if tracing.is_on() {
            self.0.push((owner.clone(), tracing));
        }
    }

    /// What anybody wants.
    pub fn all(&self) -> Tracing {
        let calls: BTreeSet<u64> = self.0.iter().flat_map(|(_, wanted)| &wanted.calls).copied().collect();
        Tracing {
            services: self.0.iter().any(|(_, wanted)| wanted.services),
            calls: calls.into_iter().collect(),
        }
    }
}

impl Hub {
    /// Traces this for this owner.
    pub(super) fn set_trace(&self, owner: &Owner, tracing: Tracing, connection: u64) -> Result<(), Failure> {
        let mut books = lock(&self.books);
        books.register(owner, Some(connection));
        self.trace_with(&mut books, owner, tracing)
    }

    /// Nothing is asked of the guest if it traces that already.
    pub(super) fn trace_with(
        &self,
        books: &mut Books,
        owner: &Owner,
        tracing: Tracing,
    ) -> Result<(), Failure> {
        let before = books.traces.all();
        books.traces.set(owner, tracing);
        let now = books.traces.all();
        if now == before {
            return Ok(());
        }
        let done = self.link.request(Request::SetTrace(now)).map_err(Failure::from).and_then(memory::done);
        if done.is_err() {
            books.traces.set(owner, Tracing::default());
        }
        done
    }

    /// Tells the subscribers all that the guest still has of the trace.
    pub(super) fn tell_last_trace(&self) {
        if !lock(&self.books).traces.all().is_on() {
            return;
        }
        let mut from = 0;
        while let Ok(part) = self.trace(from)
            && let Some(last) = part.records.last()
        {
            from = last.number + 1;
            self.tell(HubEvent::Trace(part));
        }
    }

    /// Some records from this number on.
    pub(super) fn trace(&self, from: u64) -> Result<TracePart, Failure> {
        match self.link.request(Request::Trace { from })? {
            Reply::Trace { records, next } => {
                Ok(TracePart { records, next, tracing: lock(&self.books).traces.all() })
            }
            other => Err(LinkError::unexpected(&other).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_wants_is_traced_until_nobody_wants_it() {
        let (user, gdb) = (Owner::User, Owner::Client("gdb".into()));
        let mut traces = Traces::default();
        traces.set(&user, Tracing { services: true, calls: vec![3, 1] });
        traces.set(&gdb, Tracing { services: false, calls: vec![2, 1] });
        assert_eq!(traces.all(), Tracing { services: true, calls: vec![1, 2, 3] });
        traces.set(&user, Tracing::default());
        assert_eq!(traces.all(), Tracing { services: false, calls: vec![1, 2] });
        traces.set(&gdb, Tracing::default());
        assert!(!traces.all().is_on());
    }
}
