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

impl<T> Arena<T> {
    /// Inserts an item behind another, or at the front (`NONE`). `node` says which node of an item the list runs through, here
    /// and below.
    #[inline]
    pub fn insert_behind(
        &mut self,
        list: &mut List,
        before: u32,
        index: u32,
        node: impl Fn(&mut T) -> Option<&mut Node> + Copy,
    ) {
        let after = match self.at_mut(before).and_then(node) {
            Some(links) => core::mem::replace(&mut links.next, index),
            None => core::mem::replace(&mut list.head, index),
        };
        match self.at_mut(after).and_then(node) {
            Some(links) => links.prev = index,
            None => list.tail = index,
        }
        if let Some(links) = self.at_mut(index).and_then(node) {
            *links = Node { next: after, prev: before };
        }
    }

    /// Appends an item.
    #[inline]
    pub fn push_back(
        &mut self,
        list: &mut List,
        index: u32,
        node: impl Fn(&mut T) -> Option<&mut Node> + Copy,
    ) {
        self.insert_behind(list, list.tail, index, node);
    }

    /// Appends a whole list.
    pub fn append(&mut self, list: &mut List, more: List, node: impl Fn(&mut T) -> Option<&mut Node>) {
        if more.is_empty() {
            return;
        }
        match self.at_mut(list.tail).and_then(&node) {
            Some(links) => links.next = more.head,
            None => list.head = more.head,
        }
        if let Some(links) = self.at_mut(more.head).and_then(node) {
            links.prev = list.tail;
        }
        list.tail = more.tail;
    }

    /// Takes an item out of the list it is in.
    #[inline]
    pub fn unlink(&mut self, list: &mut List, index: u32, node: impl Fn(&mut T) -> Option<&mut Node> + Copy) {
        let Some(links) = self.at_mut(index).and_then(node) else { return };
        let Node { next, prev } = core::mem::replace(links, Node::ALONE);
        match self.at_mut(prev).and_then(node) {
            Some(links) => links.next = next,
            None => list.head = next,
        }
        match self.at_mut(next).and_then(node) {
            Some(links) => links.prev = prev,
            None => list.tail = prev,
        }
    }
}
