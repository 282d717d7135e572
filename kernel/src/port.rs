//! Ports and port sets.

use flob_abi::{PortState, Status};

use crate::kernel::Kernel;
use crate::list::Node;
use crate::machine::Machine;
use crate::record::{Body, FlobId, Object, Port};
use crate::state::{BATCH, NewLinks};

/// A port that was never set.
pub(crate) const EMPTY: Port = Port { alias: 0, set: None, in_set: Node::ALONE };

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
        let Some(set) = self.port(id).and_then(|port| port.set) else { return };
        let Some(mut list) = self.port_set(set).map(|set| set.ports) else { return };
        self.objects.unlink(&mut list, id.0.index, set_node);
        if let Some(set) = self.port_set_mut(set) {
            set.ports = list;
        }
    }

    pub(crate) fn link_port(&mut self, id: FlobId) {
        let Some(set) = self.port(id).and_then(|port| port.set) else { return };
        let Some(mut list) = self.port_set(set).map(|set| set.ports) else { return };
        self.objects.push_back(&mut list, id.0.index, set_node);
        if let Some(set) = self.port_set_mut(set) {
            set.ports = list;
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
            let Some(port) = self.port_set(id).and_then(|set| self.objects.id_at(set.ports.head)) else {
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
