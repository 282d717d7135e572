//! Ports and port sets.

use flob_abi::{PortState, Status};

use crate::kernel::Kernel;
use crate::list::{List, Node};
use crate::machine::Machine;
use crate::record::{Body, FlobId, Object, Port, PortSet};
use crate::state::{BATCH, NewLinks};

/// A port that was never set.
pub(crate) const EMPTY: Port = Port { alias: 0, set: None, in_set: Node::ALONE, pending: false };

fn set_node(object: &mut Object) -> Option<&mut Node> {
    match &mut object.body {
        Body::Port(port) => Some(&mut port.in_set),
        _ => None,
    }
}

impl<M: Machine> Kernel<M> {
    pub(crate) fn set_port(&mut self, id: FlobId, state: Option<PortState>, links: NewLinks) -> Status {
        self.unlink_port(id);
        if let Some(port) = self.port_mut(id) {
            port.alias = state.map_or(port.alias, |state| state.alias);
            let [set, ..] = links;
            port.set = set.unwrap_or(port.set);
        }
        self.link_port(id);
        if !self.waiters(id).is_empty() {
            self.notify_servers(id);
        }
        Status::Success
    }

    fn unlink_port(&mut self, id: FlobId) {
        let Some(&Port { set: Some(set), pending, .. }) = self.port(id) else { return };
        let Some(mut list) = self.ports_of(set, pending) else { return };
        self.objects.unlink(&mut list, id.0.index(), set_node);
        self.set_ports_of(set, pending, list);
    }

    /// Puts a port among those of its set.
    pub(crate) fn link_port(&mut self, id: FlobId) {
        let pending = !self.waiters(id).is_empty();
        let Some(port) = self.port_mut(id) else { return };
        port.pending = pending;
        let Some(set) = port.set else { return };
        let Some(mut list) = self.ports_of(set, pending) else { return };
        self.objects.push_back(&mut list, id.0.index(), set_node);
        self.set_ports_of(set, pending, list);
    }

    /// The first waiter has come to a port, or the last one has gone.
    pub(crate) fn set_pending(&mut self, id: FlobId) {
        self.unlink_port(id);
        self.link_port(id);
    }

    fn ports_of(&self, set: FlobId, pending: bool) -> Option<List> {
        self.port_set(set).map(|set| if pending { set.pending } else { set.ports })
    }

    fn set_ports_of(&mut self, set: FlobId, pending: bool, list: List) {
        if let Some(set) = self.port_set_mut(set) {
            *(if pending { &mut set.pending } else { &mut set.ports }) = list;
        }
    }

    /// Before a port is destroyed.
    pub(crate) fn detach_port(&mut self, id: FlobId) {
        self.unlink_port(id);
    }

    /// Before a port set is destroyed: its ports are of no set then. False if there are more of them than one entry may
    /// take.
    pub(crate) fn detach_port_set(&mut self, id: FlobId) -> bool {
        for _ in 0..BATCH {
            let head = |set: &PortSet| if set.ports.is_empty() { set.pending.head } else { set.ports.head };
            let Some(port) = self.port_set(id).and_then(|set| self.objects.id_at(head(set))) else {
                return true;
            };
            self.unlink_port(FlobId(port));
            if let Some(port) = self.port_mut(FlobId(port)) {
                port.set = None;
            }
        }
        false
    }
}
