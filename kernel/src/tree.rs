//! Search trees through the slots of an arena: no allocation; finding, inserting and removing take about as many steps as
//! the logarithm of the number of items, whatever their order. A treap: the shape is that of a tree into which items were
//! put in random order. Each item also knows the highest end in its part of the tree, which finds intervals.

use crate::arena::Arena;
use crate::list::NONE;

/// An item's place in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Branch {
    pub left: u32,
    pub right: u32,
    /// The highest end of this item and all below it.
    pub most: u64,
}

impl Branch {
    pub const ALONE: Self = Self { left: NONE, right: NONE, most: 0 };
}

/// Which items are in a tree, and by what they are sorted.
pub(crate) trait Sorted<T> {
    /// What they are sorted by: no two are equal.
    type Key: Ord;
    fn branch(item: &T) -> Option<&Branch>;
    fn branch_mut(item: &mut T) -> Option<&mut Branch>;
    fn key(index: u32, item: &T) -> Option<Self::Key>;
    /// Where its interval ends, if it is one.
    #[inline]
    fn end(_: &T) -> u64 {
        0
    }
}

impl<T> Arena<T> {
    /// How high an item stands in a tree: as good as random to whoever chooses the items.
    fn height(&self, index: u32) -> u64 {
        let mixed = (u64::from(index) ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    #[inline]
    fn branch<S: Sorted<T>>(&self, index: u32) -> Option<Branch> {
        self.at(index).and_then(S::branch).copied()
    }

    #[inline]
    fn most<S: Sorted<T>>(&self, index: u32) -> u64 {
        self.branch::<S>(index).map_or(0, |branch| branch.most)
    }

    fn key<S: Sorted<T>>(&self, index: u32) -> Option<S::Key> {
        self.at(index).and_then(|item| S::key(index, item))
    }

    /// Sets what is below an item.
    #[inline]
    fn join<S: Sorted<T>>(&mut self, index: u32, left: u32, right: u32) -> u32 {
        let below = self.most::<S>(left).max(self.most::<S>(right));
        if let Some(item) = self.at_mut(index) {
            let most = S::end(item).max(below);
            if let Some(branch) = S::branch_mut(item) {
                *branch = Branch { left, right, most };
            }
        }
        index
    }

    /// Puts an item into the tree with this root; returns the new root.
    #[inline]
    pub fn tree_insert<S: Sorted<T>>(&mut self, root: u32, item: u32) -> u32 {
        if root == NONE { self.join::<S>(item, NONE, NONE) } else { self.tree_grow::<S>(root, item) }
    }

    /// Takes an item out of the tree with this root; returns the new root.
    #[inline]
    pub fn tree_remove<S: Sorted<T>>(&mut self, root: u32, item: u32) -> u32 {
        let alone = |branch: Branch| branch.left == NONE && branch.right == NONE;
        if root == item && self.branch::<S>(root).is_some_and(alone) {
            return NONE;
        }
        self.tree_shrink::<S>(root, item)
    }

    #[inline(never)]
    fn tree_grow<S: Sorted<T>>(&mut self, root: u32, item: u32) -> u32 {
        let Some(branch) = self.branch::<S>(root).filter(|_| self.height(root) >= self.height(item)) else {
            let (left, right) = self.tree_split::<S>(root, item);
            return self.join::<S>(item, left, right);
        };
        if self.key::<S>(item) < self.key::<S>(root) {
            let left = self.tree_grow::<S>(branch.left, item);
            self.join::<S>(root, left, branch.right)
        } else {
            let right = self.tree_grow::<S>(branch.right, item);
            self.join::<S>(root, branch.left, right)
        }
    }

    #[inline(never)]
    fn tree_shrink<S: Sorted<T>>(&mut self, root: u32, item: u32) -> u32 {
        let Some(branch) = self.branch::<S>(root) else { return root };
        if root == item {
            let root = self.tree_merge::<S>(branch.left, branch.right);
            self.join::<S>(item, NONE, NONE);
            return root;
        }
        if self.key::<S>(item) < self.key::<S>(root) {
            let left = self.tree_shrink::<S>(branch.left, item);
            self.join::<S>(root, left, branch.right)
        } else {
            let right = self.tree_shrink::<S>(branch.right, item);
            self.join::<S>(root, branch.left, right)
        }
    }

    /// All items below `item` in order, and all above it.
    fn tree_split<S: Sorted<T>>(&mut self, root: u32, item: u32) -> (u32, u32) {
        let Some(branch) = self.branch::<S>(root) else { return (NONE, NONE) };
        if self.key::<S>(root) < self.key::<S>(item) {
            let (left, right) = self.tree_split::<S>(branch.right, item);
            (self.join::<S>(root, branch.left, left), right)
        } else {
            let (left, right) = self.tree_split::<S>(branch.left, item);
            (left, self.join::<S>(root, right, branch.right))
        }
    }

    /// One tree of two, all of whose items are in order.
    fn tree_merge<S: Sorted<T>>(&mut self, left: u32, right: u32) -> u32 {
        let (Some(one), Some(other)) = (self.branch::<S>(left), self.branch::<S>(right)) else {
            return if left == NONE { right } else { left };
        };
        if self.height(left) >= self.height(right) {
            let below = self.tree_merge::<S>(one.right, right);
            self.join::<S>(left, one.left, below)
        } else {
            let below = self.tree_merge::<S>(left, other.left);
            self.join::<S>(right, below, other.right)
        }
    }

    /// The first item, in order, whose interval holds `point`; `start` says where an item's interval begins, by which the
    /// items must be sorted first.
    pub fn tree_find<S: Sorted<T>>(&self, root: u32, point: u64, start: impl Fn(&T) -> u64) -> u32 {
        let mut index = root;
        while let Some((item, branch)) = self.at(index).and_then(|item| Some((item, S::branch(item)?))) {
            if self.most::<S>(branch.left) > point {
                // If any holds it, the first that does is here: all others begin behind one of these.
                index = branch.left;
            } else if start(item) > point {
                return NONE;
            } else if S::end(item) > point {
                return index;
            } else {
                index = branch.right;
            }
        }
        NONE
    }

    /// The first item, in order, whose interval ends behind `from`; or the next such one behind an item.
    pub fn tree_reaching<S: Sorted<T>>(&self, root: u32, behind: Option<u32>, from: u64) -> u32 {
        let behind = behind.and_then(|index| self.key::<S>(index));
        self.reaching::<S>(root, behind.as_ref(), from)
    }

    /// As deep as the tree is high.
    fn reaching<S: Sorted<T>>(&self, index: u32, behind: Option<&S::Key>, from: u64) -> u32 {
        let Some((item, branch)) = self.at(index).and_then(|item| Some((item, S::branch(item)?))) else {
            return NONE;
        };
        if branch.most <= from {
            return NONE;
        }
        if behind.is_none() || self.key::<S>(index).as_ref() > behind {
            let left = self.reaching::<S>(branch.left, behind, from);
            if left != NONE {
                return left;
            }
            if S::end(item) > from {
                return index;
            }
        }
        self.reaching::<S>(branch.right, behind, from)
    }

    /// The first item, in order, and the next one behind an item.
    #[inline]
    pub fn tree_first<S: Sorted<T>>(&self, root: u32, behind: Option<u32>) -> u32 {
        let behind = behind.and_then(|index| self.key::<S>(index));
        let (mut index, mut best) = (root, NONE);
        while let Some(branch) = self.branch::<S>(index) {
            if behind.is_none() || self.key::<S>(index) > behind {
                best = index;
                index = branch.left;
            } else {
                index = branch.right;
            }
        }
        best
    }
}
