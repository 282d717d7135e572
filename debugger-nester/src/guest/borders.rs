//! What crosses the border of the environment: requests in the hands of each thread that has any.

use alloc::vec::Vec;

use flob_abi::Status;
use flob_checkpointer::border;
use flob_image::Border;
use flob_runtime::{
    flob::{FlobAt, OwnedReference, Reference, Thread},
    nester::serve::{AtHand, at_hand},
};

use super::carriers::{Carrier, Load};
use super::record::bearings;
use super::state::{Inbox, Nester, ParkedCall, ReadyAnswer, State};

/// Every request that has crossed the border and has not been answered.
pub fn borders(nester: &Nester, state: &State) -> Result<Vec<Border>, Status> {
    let mut borders: Vec<Border> = state.parked.iter().filter_map(|call| whole(state, call)).collect();
    let halves = state.halves.iter().filter_map(|call| whole(state, call));
    borders.extend(halves.map(|border| Border { whole: false, ..border }));
    borders.extend(state.ready.iter().filter_map(|answer| answered(state, answer, None)));
    borders.extend(of_services(nester, state)?);
    for carrier in &state.carriers.all {
        borders.extend(of_carrier(state, carrier)?);
    }
    Ok(borders)
}

fn whole(state: &State, call: &ParkedCall) -> Option<Border> {
    border::whole(&state.environment, call.connection.client(), call.service, call.request.clone())
}

/// A request whose answer is there. If it is on its way, `unsent` bytes are left; one that is not, and never was, is found anew.
fn answered(state: &State, answer: &ReadyAnswer, unsent: Option<usize>) -> Option<Border> {
    let border = whole(state, &answer.call)?;
    Some(match unsent.or(answer.delivered.map(|_| answer.rest().len())) {
        Some(unsent) => border::with_reply(border, &answer.bytes, unsent),
        None => border,
    })
}

/// What the services thread has at hand.
fn of_services(nester: &Nester, state: &State) -> Result<Option<Border>, Status> {
    let name = |alias| nester.desk.name(alias).unwrap_or_default();
    of_server(state, (state.own.services, &nester.received), name, None)
}

/// What a carrier has.
fn of_carrier(state: &State, carrier: &Carrier) -> Result<Option<Border>, Status> {
    match &carrier.load {
        Some(Load::Answer(answer)) => {
            let client = OwnedReference::new()?;
            let unsent = match at_hand(carrier.thread, client.at())? {
                AtHand::Sending { unsent, is_begun: true } => Some(unsent),
                _ => None,
            };
            Ok(answered(state, answer, unsent))
        }
        Some(Load::Half(call)) => {
            let client = call.connection.client();
            of_server(state, (carrier.thread, &carrier.inbox), |_| call.service, Some(client))
        }
        None => Ok(None),
    }
}

fn of_server<'a>(
    state: &'a State,
    (thread, inbox): (FlobAt<Thread>, &'a Inbox),
    name: impl Fn(u64) -> &'a str,
    client: Option<FlobAt<Reference>>,
) -> Result<Option<Border>, Status> {
    let server = border::Server {
        thread,
        inbox: &inbox.room,
        in_hand: inbox.hand.get().map(|(alias, bytes)| (name(alias), bytes)),
        answered: &state.last,
        name,
        client,
    };
    border::of_server(&state.environment, &server, bearings(state)?.reference(0))
}
