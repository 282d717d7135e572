//! Start-up and end of a program: the start page, arguments, panics. The entry stub itself is in [`crate::program!`].

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::ops::Range;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU64, Ordering};

use flob_abi::start::{START_MAGIC, StartInfo, start_reference};

use crate::flob::{Condition, FlobAt, Mutex, Reference};
use crate::{call, heap, service};

/// Exit code of a program that panicked.
pub const PANIC_CODE: i32 = 101;

/// Address of the start info; 0 before start-up (and always on the host).
static START_INFO: AtomicU64 = AtomicU64::new(0);

/// What the entry stub runs: prepares heap and arguments, runs `main` and exits with what it returns.
pub fn run(info: u64, main: fn(Vec<String>) -> i32) -> ! {
    START_INFO.store(info, Ordering::Relaxed);
    let Some(info) = info_if_started().filter(|info| info.magic == START_MAGIC) else {
        call::kernel_log(b"a program was started without a start page\n");
        forever();
    };
    heap::start(info.heap_start as usize..(info.heap_start + info.heap_size) as usize);
    let code = main(arguments(&info));
    exit(code)
}

/// The start info, if this is a started program.
fn info_if_started() -> Option<StartInfo> {
    let address = START_INFO.load(Ordering::Relaxed) as usize;
    if address == 0 {
        return None;
    }
    // SAFETY: whoever started the program passed the address of its start info; the page stays mapped.
    Some(unsafe { core::ptr::with_exposed_provenance::<StartInfo>(address).read() })
}

/// The start info; all zero where no program was started.
pub fn info() -> StartInfo {
    info_if_started().unwrap_or_default()
}

/// The memory of `size` bytes at `address`, for the ranges that the start info names (arguments, boot archive).
pub fn memory(address: u64, size: u64) -> &'static [u8] {
    let info = info();
    let named = [(info.arguments, info.arguments_size), (physical(info.archive), info.archive_size)];
    if size == 0 || !named.contains(&(address, size)) {
        return &[];
    }
    // SAFETY: the ranges in the start info are memory that nobody writes while the program lives.
    unsafe {
        core::slice::from_raw_parts(core::ptr::with_exposed_provenance(address as usize), size as usize)
    }
}

/// Where the first space sees this physical address. (An address in the window already is left alone.)
pub const fn physical(address: u64) -> u64 {
    if address < flob_abi::memory::PHYSICAL_WINDOW {
        flob_abi::memory::PHYSICAL_WINDOW + address
    } else {
        address
    }
}

/// The boot archive; empty in every program but the first.
pub fn archive() -> &'static [u8] {
    let info = info();
    if info.archive == 0 { &[] } else { memory(physical(info.archive), info.archive_size) }
}

fn arguments(info: &StartInfo) -> Vec<String> {
    memory(info.arguments, info.arguments_size)
        .split_inclusive(|byte| *byte == 0)
        .map(|text| String::from_utf8_lossy(text.strip_suffix(&[0]).unwrap_or(text)).into_owned())
        .collect()
}

fn start_page(offset: u64) -> u64 {
    START_INFO.load(Ordering::Relaxed) + offset
}

/// The reference to the parent's port; its target is nothing in the first space.
pub fn parent() -> FlobAt<Reference> {
    FlobAt::new(start_page(start_reference::PARENT))
}

/// The reference to the own space.
pub fn space() -> FlobAt<Reference> {
    FlobAt::new(start_page(start_reference::SPACE))
}

/// The reference to the first thread.
pub fn first_thread() -> FlobAt<Reference> {
    FlobAt::new(start_page(start_reference::THREAD))
}

unsafe extern "C" {
    static flob_image_start: u8;
    static flob_text_end: u8;
    static flob_data_start: u8;
    static flob_image_end: u8;
}

/// Where the program's own image lies, in whole pages.
#[derive(Clone, Debug)]
pub struct Image {
    /// Code.
    pub text: Range<u64>,
    /// Constants.
    pub constants: Range<u64>,
    /// Statics.
    pub data: Range<u64>,
}

/// The program's own image. Only for programs that are linked with a script of `link/`.
pub fn image() -> Image {
    let [start, text_end, data_start, end] = [
        &raw const flob_image_start,
        &raw const flob_text_end,
        &raw const flob_data_start,
        &raw const flob_image_end,
    ]
    .map(|symbol| symbol.addr() as u64);
    Image { text: start..text_end, constants: text_end..data_start, data: data_start..end }
}

/// Looks at each page of the program's code and constants, so that none of them has to be found first when there is no time.
pub fn touch_image() {
    let Image { text, constants, .. } = image();
    for page in (text.start..constants.end).step_by(flob_abi::PAGE_SIZE as usize) {
        // SAFETY: the image is mapped as a whole, and nobody writes this part of it.
        unsafe { core::ptr::read_volatile(page as *const u8) };
    }
}

/// Ends the program with this code.
pub fn exit(code: i32) -> ! {
    service::parent::exit(code);
    forever()
}

/// Blocks the calling thread for good: on a condition that nobody signals.
pub fn forever() -> ! {
    let (mutex, condition) = (Mutex::new(), Condition::new());
    let _ = mutex.at().create().and_then(|()| condition.at().create());
    loop {
        let _ = mutex.at().lock().and_then(|()| condition.at().wait(mutex.at()));
    }
}

/// A line on the stack, for messages when the heap cannot be trusted; what does not fit is dropped.
struct Line {
    bytes: [u8; 512],
    used: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.used..).unwrap_or_default();
        let count = room.len().min(text.len());
        for (to, from) in room.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        self.used += count;
        Ok(())
    }
}

/// What the panic handler does: says it on standard error and exits with [`PANIC_CODE`].
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    let mut line = Line { bytes: [0; 512], used: 0 };
    let _ = writeln!(line, "{info}");
    service::stderr_of_panic(line.bytes.get(..line.used).unwrap_or_default());
    exit(PANIC_CODE)
}
