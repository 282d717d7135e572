//! Protection and dirty pages.

use core::cell::UnsafeCell;
use core::mem::size_of;

use flob_program_shared::{Desk, expect, leak};
use flob_runtime::abi::call::Dirty;
use flob_runtime::abi::ipc::Flavour;
use flob_runtime::abi::{
    Call, ExceptionCode, ExceptionMessage, ExceptionReply, PAGE_SIZE, Protection, RegionState, Status,
};
use flob_runtime::call::{self, Transfer};
use flob_runtime::flob::{Links, Mapping, OwnedReference, Region};
use flob_runtime::{named, start, thread};
use zerocopy::{FromZeros, IntoBytes};

use crate::Outcome;

const PAGES: usize = 16;

/// Memory that nothing else lies in.
#[repr(C, align(4096))]
struct Pages(UnsafeCell<[[u8; PAGE_SIZE as usize]; PAGES]>);
// SAFETY: only raw accesses, below.
unsafe impl Sync for Pages {}

static PAGES_HERE: Pages = Pages(UnsafeCell::new([[0; PAGE_SIZE as usize]; PAGES]));

fn page(number: usize) -> *mut u8 {
    PAGES_HERE.0.get().cast::<u8>().wrapping_add(number * PAGE_SIZE as usize)
}

fn write(number: usize, value: u8) {
    // SAFETY: in the pages, which no reference leads to.
    unsafe { page(number).write_volatile(value) };
}

fn read(number: usize) -> u8 {
    // SAFETY: as above.
    unsafe { page(number).read_volatile() }
}

/// A region over the pages.
fn region() -> Result<&'static Region, Status> {
    let region: &'static Region = leak(Region::new());
    let start = page(0).expose_provenance() as u64;
    region.at().export(start::space(), start, PAGES as u64 * PAGE_SIZE, Protection::ALL)?;
    Ok(region)
}

/// The dirty pages since an epoch, a bit each.
fn dirty_bits(region: &Region, since: u64) -> Result<u64, Status> {
    let (mut offset, mut left, mut bits) = (0, PAGES as u64 * PAGE_SIZE, 0);
    while left > 0 {
        let mut found = [Dirty::default(); 2];
        let round = region.at().dirty(offset, left, &mut found, since)?;
        (offset, left) = (round.offset, round.size);
        for run in found.iter().take(round.count) {
            for page in run.offset / PAGE_SIZE..(run.offset + run.size) / PAGE_SIZE {
                bits |= 1 << page;
            }
        }
    }
    Ok(bits)
}

/// Begins an epoch that nobody has begun before; each lasts a millisecond at least.
fn new_epoch() -> Result<u64, Status> {
    let present = call::epoch_begin()?;
    loop {
        match call::epoch_begin()? {
            epoch if epoch == present => {}
            epoch => return Ok(epoch),
        }
    }
}

/// Each write is seen in its epoch: by the program, and by the kernel in its name.
pub fn dirty() -> Outcome {
    let region = region()?;
    for number in 0..PAGES {
        write(number, 1);
    }
    let first = new_epoch()?;
    expect("nothing", dirty_bits(region, first)?, 0)?;
    read(2);
    write(1, 2);
    write(3, 2);
    let own_handlers = page(5).expose_provenance() as u64;
    call::plain(u64::from(Call::ThreadGetHandlers as u32), own_handlers, 0).result()?;
    expect("first", dirty_bits(region, first)?, 0b10_1010)?;
    let second = new_epoch()?;
    read(1);
    write(3, 3);
    expect("second", dirty_bits(region, second)?, 0b1000)?;
    expect("first, still", dirty_bits(region, first)?, 0b10_1010)?;
    expect("elsewhere", dirty_bits(region, 1)?, (1 << PAGES) - 1)
}

/// A page that its region protects is asked for at the region's keeper, and had once the keeper unprotects it.
pub fn protection() -> Outcome {
    let desk = Desk::new(3)?;
    let region = region()?;
    let state: RegionState = region.at().get_state(&Links::NONE)?;
    let null = OwnedReference::new()?;
    let own_space = OwnedReference::new()?;
    start::space().copy_to(own_space.at())?;
    region.at().set_state(&state, &Links::of(&[own_space.at(), desk.port]))?;
    expect("null", u64::from(null.at().is_null() && own_space.at().check().is_ok()), 1)?;
    // The pages once more, at another place.
    const WINDOW: u64 = 0x7000_0000_0000;
    let mapping: &'static Mapping = leak(Mapping::new());
    let to_region = OwnedReference::new()?;
    region.at().reference(to_region.at())?;
    let size = PAGES as u64 * PAGE_SIZE;
    mapping.at().map((to_region.at(), 0), (own_space.at(), WINDOW), size, Protection::READ_WRITE)?;
    region.at().protect(Protection::READ)?;
    let port = desk.port;
    let writer = thread::spawn(move || {
        let window = core::ptr::with_exposed_provenance_mut::<u8>((WINDOW + 4 * PAGE_SIZE + 8) as usize);
        // SAFETY: mapped memory that no reference leads to.
        unsafe { window.write_volatile(42) };
        named::send(port, Transfer::default()).status
    })?;
    let mut message = ExceptionMessage::new_zeroed();
    let transfer = Transfer { receive: message.as_mut_bytes(), ..Transfer::default() };
    let heard = named::wait_receive(desk.set, transfer);
    expect("bytes", heard.received as u64, size_of::<ExceptionMessage>() as u64)?;
    expect("code", u64::from(message.code), ExceptionCode::PageFault as u64)?;
    expect("offset", message.offset, 4 * PAGE_SIZE + 8)?;
    expect("address", message.address, WINDOW + 4 * PAGE_SIZE + 8)?;
    region.at().protect(Protection::ALL)?;
    // The answer may be lost: then the exception comes again. The writer says when it is done.
    let reply = ExceptionReply { number: message.number, ..ExceptionReply::default() };
    loop {
        let transfer = Transfer { send: reply.as_bytes(), ..Transfer::default() };
        if named::reply_wait_receive(desk.set, transfer).flavour == Flavour::OneWay as u64 {
            break;
        }
    }
    expect("sent", writer.join()? as u64, 0)?;
    // SAFETY: in the pages, which no reference leads to.
    let written = unsafe { page(4).wrapping_add(8).read_volatile() };
    expect("written", u64::from(written), 42)?;
    mapping.at().protect(Protection::NONE)?;
    mapping.at().destroy().map_err(Into::into)
}
