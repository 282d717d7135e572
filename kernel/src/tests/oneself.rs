//! Calls of a thread about itself: handlers, saved area.

use flob_abi::{Call, Handlers, Misuse, SavedArea, Status, memory::USER_END};
use zerocopy::{FromBytes, IntoBytes};

use super::program::*;
use super::sim::Sim;

#[test]
fn handlers_are_set_and_read_back_and_must_be_canonical() {
    let mut sim = Sim::new();
    let page = sim.page();
    let good = Handlers { trap: 1, interrupt: 2, client_alert: 3, server_alert: 4 };
    sim.write(page, good.as_bytes());
    sim.write(page + 64, Handlers { interrupt: 1 << 50, ..good }.as_bytes());
    let program = Program::new()
        .call(Call::ThreadSetHandlers, &[page])
        .output(0, Rax)
        .call(Call::ThreadSetHandlers, &[page + 64])
        .output(0, Rax)
        .call(Call::ThreadGetHandlers, &[page + 128])
        .output(0, Rax);
    let thread = sim.spawn(5, program.end());
    sim.run_out();
    assert_eq!(sim.said(0), [0, Status::InvalidState as u64, 0]);
    assert_eq!(Handlers::read_from_bytes(&sim.read(page + 128, 32)), Ok(good));
    assert_eq!(sim.stop(thread).handlers, good);
}

#[test]
fn the_saved_area_is_set_and_read_back_and_holds_only_what_can_be_loaded() {
    let mut sim = Sim::new();
    let page = sim.page();
    let target = sim.load(Program::new().output(0, Rdx).end());
    let saved = SavedArea { rdx: 42, rip: target, rflags: !0x100, ..SavedArea::default() };
    sim.write(page, saved.as_bytes());
    sim.write(page + 64, SavedArea { rip: 1 << 47, ..saved }.as_bytes());
    let program = Program::new()
        .call(Call::ThreadSetSavedState, &[page])
        .output(0, Rax)
        .call(Call::ThreadSetSavedState, &[page + 64])
        .output(0, Rax)
        .call(Call::ThreadGetSavedState, &[page + 128])
        .output(0, Rax)
        .call(Call::ReturnFromException, &[]);
    sim.spawn(5, program.end());
    sim.run_out();
    assert_eq!(sim.said(0), [0, Status::InvalidState as u64, 0, 42]);
    let back = SavedArea::read_from_bytes(&sim.read(page + 128, 64)).expect("a saved area");
    assert_eq!(back, SavedArea { rflags: crate::thread::settable_rflags(saved.rflags), ..saved });
}

#[test]
fn buffers_of_ones_own_state_must_be_user_memory() {
    let mut sim = Sim::new();
    let calls = [
        Call::ThreadGetHandlers,
        Call::ThreadSetHandlers,
        Call::ThreadGetSavedState,
        Call::ThreadSetSavedState,
    ];
    for call in calls {
        assert_eq!(sim.wrong(call, &[USER_END]), Misuse::InvalidAddress, "{}", call.name());
    }
}
