//! `get_state` and `set_state` of each kind.

use alloc::format;

use flob_runtime::abi::state::group;
use flob_runtime::abi::{FlobKind, Status, ThreadState};
use flob_runtime::flob::*;
use flob_runtime::start;

use crate::report::row;
use crate::timed::Block;
use crate::world::{NORMAL, address, leak, stopped_thread};

const GET: u64 = 4;
const SET: u64 = 5;

#[repr(C, align(64))]
struct Buffer([u64; size_of::<ThreadState>() / 8]);

fn timed(kind: FlobKind, call: u64, flob: u64, state: u64, links: u64, mask: u64) -> Result<u64, Status> {
    let mut block = Block::numbered(kind as u64 * 16 + call, [flob, state, links, mask]);
    block.run_counted();
    match block.rax {
        0 => Ok(crate::timed::between(block.begin, block.end)),
        status => Err(Status::from_number(status).unwrap_or(Status::InvalidState)),
    }
}

fn both(name: &str, kind: FlobKind, flob: u64, state: u64, links: u64, mask: u64) -> Result<(), Status> {
    row(&format!("get-{name}"), || timed(kind, GET, flob, state, links, mask))?;
    row(&format!("set-{name}"), || timed(kind, SET, flob, state, links, mask))
}

extern "C" fn nothing(_: u64) -> ! {
    start::forever()
}

/// The rows.
pub fn measure() -> Result<(), Status> {
    let buffer = leak(Buffer([0; size_of::<ThreadState>() / 8]));
    let state = address(buffer);
    let plain = |name: &str, kind: FlobKind, flob: u64| both(name, kind, flob, state, 0, group::ALL);
    macro_rules! each {
        ($($kind:ident),*) => {$(
            let flob = leak($kind::new());
            flob.at().create()?;
            plain(FlobKind::$kind.name(), FlobKind::$kind, flob.at().address())?;
        )*};
    }
    each!(Space, Region, Mapping, Port, PortSet, Mutex, Condition);
    let thread = stopped_thread(start::space(), NORMAL, nothing, 0)?.address();
    let kind = FlobKind::Thread;
    both("thread-head", kind, thread, state, 0, group::ALL & !group::VECTORS)?;
    both("thread-registers", kind, thread, state, 0, group::REGISTERS)?;
    both("thread-control", kind, thread, state, 0, group::CONTROL)?;
    both("thread-vectors", kind, thread, state, 0, group::ALL)?;
    let mut links = [0_u64; 6];
    for link in &mut links {
        let reference = OwnedReference::new()?;
        *link = reference.at().address();
        core::mem::forget(reference);
    }
    both("thread-links", kind, thread, 0, address(leak(links).as_slice()), 0)
}
