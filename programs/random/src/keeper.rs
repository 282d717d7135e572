//! Pages whose contents come from a keeper: a region denies all access, and its keeper fills each page when it is first
//! touched, and lifts the denial.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use flob_runtime::abi::{
    ExceptionMessage, ExceptionReply, PAGE_SIZE, Protection, RegionState, Status, exception::reply_action,
};
use flob_runtime::flob::{FlobAt, Links, Mapping, PortSet, Region};
use flob_runtime::ipc::{Answer, Server};
use flob_runtime::{start, thread};
use zerocopy::FromBytes;

use crate::Round;
use crate::options::Options;
use flob_program_shared::{Desk, Failure, expect, leak, mix, refer};
use flob_runtime::random::Random;

const PAGES: u64 = 24;
const WORDS: usize = PAGE_SIZE as usize / 8;
/// Where the denied pages are seen.
const WINDOW: u64 = 0x6000_0000_0000;

#[repr(C, align(4096))]
struct Page([AtomicU64; WORDS]);

/// The pages where nobody denies them, and the seed of their contents.
struct Store {
    pages: Vec<Page>,
    seed: AtomicU64,
}

pub fn prepare(_: &Options) -> Result<Round, Failure> {
    let pages = (0..PAGES).map(|_| Page([const { AtomicU64::new(0) }; WORDS])).collect();
    let store: &'static Store = leak(Store { pages, seed: AtomicU64::new(0) });
    let (desk, region) = (Desk::new(1)?, leak(Region::new()).at());
    let start = store.pages.as_ptr().expose_provenance() as u64;
    region.export(start::space(), start, PAGES * PAGE_SIZE, Protection::NONE)?;
    let state: RegionState = region.get_state(&Links::NONE)?;
    region.set_state(&state, &Links::of(&[start::space(), desk.port]))?;
    let (from, to) = ((refer(region)?, 0), (start::space(), WINDOW));
    leak(Mapping::new()).at().map(from, to, PAGES * PAGE_SIZE, Protection::READ_WRITE)?;
    thread::spawn(move || keep(desk.set, store))?.detach();
    Ok(Box::new(move |random| read(region, store, random)))
}

/// The word that belongs there.
fn contents(seed: u64, page: u64, word: u64) -> u64 {
    mix(seed, page << 16 | word)
}

/// The keeper.
fn keep(set: FlobAt<PortSet>, store: &Store) {
    let Ok(mut server) = Server::new(set) else { return };
    let mut answer = Answer::None;
    loop {
        let (request, _) = server.next(answer);
        let Ok((message, _)) = ExceptionMessage::read_from_prefix(request.bytes) else {
            answer = Answer::None;
            continue;
        };
        let (number, seed) = (message.offset / PAGE_SIZE, store.seed.load(Ordering::SeqCst));
        if let Some(page) = usize::try_from(number).ok().and_then(|number| store.pages.get(number)) {
            for (word, at) in page.0.iter().enumerate() {
                at.store(contents(seed, number, word as u64), Ordering::Relaxed);
            }
        }
        answer = Answer::Exception(ExceptionReply {
            number: message.number,
            action: reply_action::LIFT,
            access: Protection::READ.0,
        });
    }
}

/// Empties all pages, denies them, and reads them in two threads.
fn read(region: FlobAt<Region>, store: &Store, random: &mut Random) -> Result<u64, Failure> {
    let seed = random.word();
    region.protect(Protection::NONE)?;
    store.seed.store(seed, Ordering::SeqCst);
    for word in store.pages.iter().flat_map(|page| &page.0) {
        word.store(0, Ordering::Relaxed);
    }
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let random = Random::new(random.word());
            thread::spawn(move || read_some(seed, random))
        })
        .collect::<Result<_, Status>>()?;
    let mut sum = 0_u64;
    for reader in readers {
        sum = sum.wrapping_add(reader.join()??);
    }
    Ok(sum)
}

fn read_some(seed: u64, mut random: Random) -> Result<u64, Failure> {
    let mut sum = 0;
    for _ in 0..2 * PAGES {
        let (page, word) = (random.below(PAGES), random.below(WORDS as u64));
        let at = core::ptr::with_exposed_provenance::<u64>((WINDOW + page * PAGE_SIZE + word * 8) as usize);
        // SAFETY: mapped, aligned, and only ever looked at as numbers.
        let is = unsafe { at.read_volatile() };
        expect("page", is, contents(seed, page, word))?;
        sum = mix(sum, is);
    }
    Ok(sum)
}
