//! What crosses the border of an environment: the requests of its threads that its nester has received, and not answered.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};

use flob_abi::Status;
use flob_image::Border;
use flob_runtime::{
    flob::{FlobAt, Reference, Thread},
    nester::{
        Environment,
        memory::Peek,
        serve::{AtHand, at_hand},
    },
};

/// A request that a server thread has answered last, and how.
#[derive(Debug, Default)]
pub struct Answered {
    /// The service that was asked.
    pub service: &'static str,
    /// The request.
    pub request: Vec<u8>,
    /// The reply.
    pub reply: Vec<u8>,
}

/// The request that a server thread has received and not answered, as others see it: one more than its alias, and its bytes; 0 for none.
#[derive(Clone, Default)]
pub struct Hand(Arc<AtomicU64>);

impl Hand {
    /// It is in the hand.
    pub fn set(&self, alias: usize, bytes: usize) {
        self.0.store((alias as u64 + 1) << 32 | bytes as u64, Ordering::Release);
    }

    /// It is not any more.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Alias and bytes.
    pub fn get(&self) -> Option<(u64, usize)> {
        let value = self.0.load(Ordering::Acquire);
        Some(((value >> 32).checked_sub(1)?, (value & 0xffff_ffff) as usize))
    }
}

/// A server thread of the nester, as the nester knows it.
pub struct Server<'a, N> {
    /// The thread.
    pub thread: FlobAt<Thread>,
    /// What it receives into.
    pub inbox: &'a Peek,
    /// The request that it has received and not answered: the service, and how many bytes.
    pub in_hand: Option<(&'a str, usize)>,
    /// Its last answer.
    pub answered: &'a Answered,
    /// The name of the service with an alias.
    pub name: N,
    /// Whom it serves, if it has that from elsewhere: no link of its own says so while the connection is parked.
    pub client: Option<FlobAt<Reference>>,
}

/// What a blocked server thread has at hand. `client` is set to whom its link says that it serves.
pub fn of_server<'a>(
    environment: &Environment,
    server: &Server<'a, impl Fn(u64) -> &'a str>,
    client: FlobAt<Reference>,
) -> Result<Option<Border>, Status> {
    let at_hand = at_hand(server.thread, client)?;
    let client = server.client.unwrap_or(client);
    let border = |service: &str, request| whole(environment, client, service, request);
    let answered = server.answered;
    Ok(match (server.in_hand, at_hand) {
        (Some((service, bytes)), _) => border(service, server.inbox.copy(bytes)),
        (None, AtHand::Receiving { alias, bytes }) => {
            let border = border((server.name)(alias), server.inbox.copy(bytes));
            border.map(|border| Border { whole: false, ..border })
        }
        (None, AtHand::Sending { unsent, is_begun }) => {
            let border = border(answered.service, answered.request.clone());
            border.map(|border| if is_begun { with_reply(border, &answered.reply, unsent) } else { border })
        }
        (None, AtHand::Nothing) => None,
    })
}

/// A whole request of this client, if it is of the environment.
pub fn whole(
    environment: &Environment,
    client: FlobAt<Reference>,
    service: &str,
    request: Vec<u8>,
) -> Option<Border> {
    let client = client.locate(environment.region()).ok()?;
    let service = String::from(service);
    Some(Border { client, service, request, whole: true, delivered: 0, reply: Vec::new() })
}

/// The same when its reply is on its way.
pub fn with_reply(border: Border, reply: &[u8], unsent: usize) -> Border {
    Border { delivered: reply.len().saturating_sub(unsent) as u64, reply: reply.to_vec(), ..border }
}
