//! Threads: registers, waits, connections, and their requests across the border.

use alloc::{format, string::String, vec::Vec};

use flob_abi::{
    Call, ExceptionCode, FlobKind, MAX_PRIORITY, ThreadState, flob::thread_link, ipc, memory::is_canonical,
};

use super::{Code, Finding, name};
use crate::{Environment, Flob, Link, Place, State};

pub(super) fn thread(environment: &Environment, flob: &Flob, findings: &mut Vec<Finding>) {
    let State::Thread(state) = &flob.state else { return };
    let mut found = |code, text: String| findings.push(Finding { code, place: flob.place, text });
    if link(flob, thread_link::SPACE) == &Link::Null {
        found(Code::NoSpace, format!("the {} has no space", name(flob)));
    }
    if state.priority > MAX_PRIORITY {
        found(
            Code::Priority,
            format!("the {} has priority {}, above {MAX_PRIORITY}", name(flob), state.priority),
        );
    }
    let code = state.exception.code;
    if code != 0 && ExceptionCode::from_number(code).is_none() {
        found(
            Code::ExceptionCode,
            format!("the {} has a pending exception of the unknown code {code}", name(flob)),
        );
    }
    for (register, address) in addresses(state).into_iter().filter(|(_, address)| !is_canonical(*address)) {
        found(
            Code::NotCanonical,
            format!("`{register}` of the {} is {address:#x}: no such address", name(flob)),
        );
    }
    if let Some(mxcsr) = bad_mxcsr(state) {
        found(
            Code::BadRegister,
            format!("`vectors.mxcsr` of the {} is {mxcsr:#x}: undefined bits", name(flob)),
        );
    }
    wait(environment, flob, state, findings);
    connections(environment, flob, findings);
}

fn link(flob: &Flob, index: usize) -> &Link {
    flob.links.get(index).unwrap_or(&Link::Null)
}

fn addresses(state: &ThreadState) -> [(&'static str, u64); 8] {
    [
        ("registers.rip", state.registers.rip),
        ("registers.fs_base", state.registers.fs_base),
        ("registers.gs_base", state.registers.gs_base),
        ("handlers.trap", state.handlers.trap),
        ("handlers.interrupt", state.handlers.interrupt),
        ("handlers.client_alert", state.handlers.client_alert),
        ("handlers.server_alert", state.handlers.server_alert),
        ("saved.rip", state.saved.rip),
    ]
}

/// MXCSR if it has bits above the 16 that any processor defines.
fn bad_mxcsr(state: &ThreadState) -> Option<u32> {
    let bytes = state.vectors.get(24..28)?.try_into().ok()?;
    Some(u32::from_le_bytes(bytes)).filter(|mxcsr| mxcsr >> 16 != 0)
}

fn wait(environment: &Environment, flob: &Flob, state: &ThreadState, findings: &mut Vec<Finding>) {
    let Link::Flob(place) = link(flob, thread_link::WAITING_FOR) else { return };
    let Some(target) = environment.flob(*place) else { return };
    let kind = target.state.kind();
    let has_exception = state.exception.code != 0;
    let can_wait = match kind {
        FlobKind::Mutex | FlobKind::Condition | FlobKind::Port | FlobKind::PortSet | FlobKind::Thread => true,
        FlobKind::Space | FlobKind::Region => has_exception,
        // No link leads there: that has been found.
        FlobKind::Mapping | FlobKind::Reference => return,
    };
    let mut found = |code, text: String| findings.push(Finding { code, place: flob.place, text });
    if !can_wait {
        found(
            Code::WaitKind,
            format!("the {} waits for the {}, which cannot be waited for", name(flob), name(target)),
        );
    } else if !has_exception && !stage_fits(state.registers.rax, kind) {
        let text = format!(
            "the {} waits for the {}, but its call ({:#x} in rax) is none that does",
            name(flob),
            name(target),
            state.registers.rax
        );
        found(Code::WaitStage, text);
    }
}

/// Whether a thread with this call in `rax` can wait for a flob of this kind.
pub(crate) fn stage_fits(call: u64, kind: FlobKind) -> bool {
    let step = if ipc::is_valid(call) { ipc::next_step(call).unwrap_or(0) } else { 0 };
    match kind {
        FlobKind::Mutex => call == Call::MutexLock as u64,
        FlobKind::Condition => call == Call::ConditionSleep as u64,
        FlobKind::Port => step & (ipc::CONNECT | ipc::ONE_WAY | ipc::CALL) != 0,
        FlobKind::PortSet => step == ipc::WAIT,
        FlobKind::Thread => step & (ipc::ACKNOWLEDGE | ipc::SEND | ipc::OVER | ipc::RECEIVE | ipc::CALL) != 0,
        _ => false,
    }
}

/// Each link to a peer, and the link by which the peer must answer it.
const PAIRS: [(usize, usize, &str); 4] = [
    (thread_link::CLIENT_PEER, thread_link::SERVER_PEER, "client_peer"),
    (thread_link::SERVER_PEER, thread_link::CLIENT_PEER, "server_peer"),
    (thread_link::IDEMPOTENT_CLIENT, thread_link::IDEMPOTENT_SERVER, "idempotent_client"),
    (thread_link::IDEMPOTENT_SERVER, thread_link::IDEMPOTENT_CLIENT, "idempotent_server"),
];

/// Whether a thread is away from connections in which it is the client.
fn has_parked(client: &Flob) -> bool {
    matches!(&client.state, State::Thread(state) if state.parked_client_ends > 0)
}

fn connections(environment: &Environment, flob: &Flob, findings: &mut Vec<Finding>) {
    for (own, peers, link_name) in PAIRS {
        let Link::Flob(place) = link(flob, own) else { continue };
        let Some(peer) = environment.flob(*place) else { continue };
        let answered = link(peer, peers) == &Link::Flob(flob.place);
        // A server may have parked its end in a reference to the client.
        let parked = own == thread_link::CLIENT_PEER && is_parked(environment, flob.place)
            || own == thread_link::SERVER_PEER && has_parked(peer);
        if peer.state.kind() == FlobKind::Thread && !answered && !parked {
            let text = format!(
                "`{link_name}` of the {} leads to the {}, which knows nothing of it",
                name(flob),
                name(peer)
            );
            findings.push(Finding { code: Code::OneSided, place: flob.place, text });
        }
    }
}

fn is_parked(environment: &Environment, client: Place) -> bool {
    let parks =
        |flob: &Flob| flob.state.kind() == FlobKind::Reference && link(flob, 0) == &Link::Flob(client);
    environment.flobs.iter().any(parks)
}

pub(super) fn borders(environment: &Environment, findings: &mut Vec<Finding>) {
    for border in &environment.borders {
        let client = environment.flob(border.client).filter(|flob| flob.state.kind() == FlobKind::Thread);
        let crosses =
            client.is_some_and(|flob| matches!(link(flob, thread_link::CLIENT_PEER), Link::External(_)));
        let text = match (client, crosses) {
            (Some(_), true) => continue,
            (None, _) => {
                format!("the client of a request to `{}` is no thread: {:#x}", border.service, border.client)
            }
            (Some(flob), false) => {
                format!(
                    "the {} is the client of a request to `{}`, but not connected to it",
                    name(flob),
                    border.service
                )
            }
        };
        findings.push(Finding { code: Code::Border, place: border.client, text });
    }
}
