//! What holds between kernel entries: every thread is in exactly the list that its record says, and every list is sound.

use std::collections::BTreeMap;

use crate::Kernel;
use crate::device::ByDeadline;
use crate::list::{List, NONE};
use crate::machine::Machine;
use crate::record::{Body, FlobId, Queue, Standing, ThreadId, Waiters};
use crate::wait::ByRank;

impl<M: Machine> Kernel<M> {
    /// The thread at an address of the first space.
    pub(crate) fn thread_at(&mut self, address: u64) -> ThreadId {
        let root = self.root.expect("there is a first space");
        let found = self.find(root, address, flob_abi::FlobKind::Thread, flob_abi::Protection::READ);
        found.expect("a thread").as_thread().expect("a thread")
    }

    fn walk(&self, list: List) -> std::vec::Vec<u32> {
        let mut found = std::vec::Vec::new();
        let mut index = list.head;
        let mut last = NONE;
        while index != NONE {
            let thread = self.threads.at(index).expect("a list of threads leads to threads");
            assert_eq!(thread.node.prev, last, "lists lead back as they lead on");
            assert!(!found.contains(&index), "a list runs in a circle");
            found.push(index);
            (last, index) = (index, thread.node.next);
        }
        assert_eq!(list.tail, last, "a list ends at its tail");
        found
    }

    /// All waiters; the trees are sorted, and stopped threads are where they belong.
    fn walk_waiters(&self, waiters: Waiters) -> std::vec::Vec<u32> {
        let mut found = std::vec::Vec::new();
        for standing in [Standing::Going, Standing::Stopped, Standing::Kept] {
            let root = waiters.of(standing);
            let mut last = None;
            let mut index = self.threads.tree_first::<ByRank>(root, None);
            while index != NONE {
                let thread = self.threads.at(index).expect("a tree of threads leads to threads");
                assert_eq!((thread.standing, thread.standing_now()), (standing, standing), "thread {index}");
                assert!(last < Some((thread.rank, index)), "a tree of waiters is not sorted");
                last = Some((thread.rank, index));
                found.push(index);
                index = self.threads.tree_first::<ByRank>(root, Some(index));
            }
        }
        found
    }

    /// Panics if lists and records disagree.
    pub fn check_queues(&self) {
        let mut queues: BTreeMap<u32, Queue> = BTreeMap::new();
        for (priority, [list, stale]) in self.ready.lists() {
            for index in self.walk(list) {
                assert_eq!(queues.insert(index, Queue::Ready(priority)), None);
                self.check_ready(index, priority);
            }
            for index in self.walk(stale) {
                assert_eq!(queues.insert(index, Queue::Ready(priority)), None);
                assert!(self.in_arrears(), "nobody will look at stale threads");
            }
        }
        if let Some((priority, index)) = self.ready.next() {
            assert_eq!(queues.insert(index, Queue::Ready(priority)), None, "it is in a list too");
            self.check_ready(index, priority);
        }
        let mut timer = self.threads.tree_first::<ByDeadline>(self.timers, None);
        while timer != NONE {
            assert_eq!(queues.insert(timer, Queue::Timer), None);
            timer = self.threads.tree_first::<ByDeadline>(self.timers, Some(timer));
        }
        for (line, list) in (0..).zip(self.lines) {
            for index in self.walk(list) {
                assert_eq!(queues.insert(index, Queue::Line(line)), None);
            }
        }
        let threads = (0..self.threads.end())
            .filter_map(|index| self.threads.id_at(index))
            .map(|id| ThreadId(id).into());
        let objects = (0..self.objects.end()).filter_map(|index| self.objects.id_at(index)).map(FlobId);
        for id in threads.chain(objects) {
            for index in self.walk_waiters(self.waiters(id)) {
                assert_eq!(queues.insert(index, Queue::Waiters(id)), None);
                assert_eq!(self.threads.at(index).expect("walked").waiting_for, Some(id));
            }
        }
        for index in self.walk_waiters(self.released) {
            let queue = self.threads.at(index).expect("walked").queue;
            assert!(matches!(queue, Queue::Waiters(id) if !self.exists(id)), "released too early");
            assert_eq!(queues.insert(index, queue), None);
        }
        for index in 0..self.threads.end() {
            let Some(id) = self.threads.id_at(index) else { continue };
            let thread = self.thread(ThreadId(id));
            if thread.queue == Queue::Peer {
                let peer = thread.waiting_for.and_then(FlobId::as_thread).expect("a peer is a thread");
                let record = self.threads.get(peer.0).expect("whose peer is gone is in a list");
                assert!(
                    thread.is_peer_of(ThreadId(id), record, peer),
                    "thread {index} waits for one that does not name it"
                );
                assert_eq!(queues.get(&index), None, "thread {index}");
                continue;
            }
            assert_eq!(thread.queue, queues.get(&index).copied().unwrap_or(Queue::None), "thread {index}");
            if thread.queue == Queue::None && self.current != Some(ThreadId(id)) {
                assert!(!self.is_runnable(ThreadId(id)), "thread {index} could run and is in no queue");
            }
        }
        self.check_lists();
    }

    /// A thread in the ready queue can run, at that priority.
    fn check_ready(&self, index: u32, priority: u8) {
        let thread = self.threads.at(index).expect("walked");
        let own = Self::runs_at(&self.objects, thread);
        assert_eq!(own, Some(priority), "ready thread {index} is in the wrong place");
    }

    /// Links between flobs and the lists derived from them agree.
    fn check_lists(&self) {
        let mut mappings = (0, 0);
        let mut regions = (0, 0);
        let mut ports = (0, 0);
        for index in 0..self.objects.end() {
            let Some(object) = self.objects.at(index) else { continue };
            match &object.body {
                Body::Mapping(mapping) => {
                    mappings.0 +=
                        usize::from(mapping.space.is_some()) + usize::from(mapping.region.is_some());
                }
                Body::Region(region) => {
                    regions.0 += usize::from(region.space.is_some());
                    mappings.1 += self.count(region.mappings, true);
                }
                Body::Space(space) => {
                    mappings.1 += self.count_tree(space.mappings, (0, u64::MAX)).0;
                    regions.1 += self.count(space.regions, false);
                }
                Body::Port(port) => {
                    ports.0 += usize::from(port.set.is_some());
                    assert_eq!(
                        port.pending,
                        !object.waiters.is_empty(),
                        "a port is pending while somebody waits"
                    );
                }
                Body::PortSet(set) => {
                    ports.1 += self.count(set.ports, false) + self.count(set.pending, false);
                }
                _ => {}
            }
        }
        assert_eq!(mappings.0, mappings.1, "mappings are in the lists that their links say");
        assert_eq!(regions.0, regions.1, "regions are in the lists that their links say");
        assert_eq!(ports.0, ports.1, "ports are in the lists that their links say");
    }

    /// Items of a tree of mappings and their highest end. All starts lie in a range, and every item knows the highest end.
    fn count_tree(&self, root: u32, (low, high): (u64, u64)) -> (usize, u64) {
        if root == NONE {
            return (0, 0);
        }
        let object = self.objects.at(root).expect("a tree of flobs leads to flobs");
        let Body::Mapping(mapping) = &object.body else { panic!("a tree leads to a flob of the wrong kind") };
        assert!((low..=high).contains(&mapping.start), "a tree of mappings is not sorted");
        let left = self.count_tree(mapping.in_space.left, (low, mapping.start));
        let right = self.count_tree(mapping.in_space.right, (mapping.start, high));
        let most = (mapping.start + mapping.size).max(left.1).max(right.1);
        assert_eq!(mapping.in_space.most, most, "a tree of mappings does not know its highest end");
        (left.0 + right.0 + 1, most)
    }

    fn count(&self, list: List, by_region: bool) -> usize {
        let mut count = 0;
        let mut index = list.head;
        while index != NONE {
            let object = self.objects.at(index).expect("a list of flobs leads to flobs");
            index = match &object.body {
                Body::Mapping(mapping) if by_region => mapping.in_region.next,
                Body::Region(region) => region.in_space.next,
                Body::Port(port) => port.in_set.next,
                _ => panic!("a list leads to a flob of the wrong kind"),
            };
            count += 1;
            assert!(count < 100_000, "a list runs in a circle");
        }
        count
    }
}
