//! Doubly linked lists through the slots of an arena: no allocation, removal in constant time.

use crate::arena::Arena;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// Both ends of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct List {
    pub head: u32,
    pub tail: u32,
}

/// An item's neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub next: u32,
    pub prev: u32,
}

impl List {
    pub const EMPTY: Self = Self { head: NONE, tail: NONE };

    pub fn is_empty(self) -> bool {
        self.head == NONE
    }
}

impl Node {
    pub const ALONE: Self = Self { next: NONE, prev: NONE };
}

/// Which node of an item a list runs through.
pub(crate) type NodeOf<T> = fn(&mut T) -> Option<&mut Node>;

impl<T> Arena<T> {
    fn node(&mut self, index: u32, node: NodeOf<T>) -> Option<&mut Node> {
        node(self.at_mut(index)?)
    }

    /// The item behind this one.
    pub fn next(&mut self, index: u32, node: NodeOf<T>) -> u32 {
        self.node(index, node).map_or(NONE, |links| links.next)
    }

    /// The item before this one.
    pub fn prev(&mut self, index: u32, node: NodeOf<T>) -> u32 {
        self.node(index, node).map_or(NONE, |links| links.prev)
    }

    /// Inserts an item behind another, or at the front (`NONE`).
    pub fn insert_behind(&mut self, list: &mut List, before: u32, index: u32, node: NodeOf<T>) {
        let after = if before == NONE { list.head } else { self.next(before, node) };
        if let Some(links) = self.node(index, node) {
            *links = Node { next: after, prev: before };
        }
        match self.node(before, node) {
            Some(links) => links.next = index,
            None => list.head = index,
        }
        match self.node(after, node) {
            Some(links) => links.prev = index,
            None => list.tail = index,
        }
    }

    /// Appends an item.
    pub fn push_back(&mut self, list: &mut List, index: u32, node: NodeOf<T>) {
        self.insert_behind(list, list.tail, index, node);
    }

    /// Takes an item out of the list it is in.
    pub fn unlink(&mut self, list: &mut List, index: u32, node: NodeOf<T>) {
        let Some(links) = self.node(index, node) else { return };
        let Node { next, prev } = core::mem::replace(links, Node::ALONE);
        match self.node(prev, node) {
            Some(links) => links.next = next,
            None => list.head = next,
        }
        match self.node(next, node) {
            Some(links) => links.prev = prev,
            None => list.tail = prev,
        }
    }
}
