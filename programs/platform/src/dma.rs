//! Memory that a device reads and writes. The first space sees the machine's memory at a fixed offset, so where the
//! device finds it is known.

use flob_runtime::abi::memory::PHYSICAL_WINDOW;
use flob_runtime::nester::ChildMemory;
use platform_devices::Memory;
use platform_devices::virtqueue::Piece;

/// A page-aligned block, taken for good.
pub struct Block {
    start: usize,
    size: usize,
}

impl Block {
    /// At least `size` bytes, all zero.
    pub fn take(size: usize) -> Option<Self> {
        let memory = ChildMemory::take(size as u64)?;
        Some(Self { start: memory.address(0) as usize, size: memory.size() as usize })
    }

    /// All of it, for the device to write to.
    pub fn to_be_written(&self) -> Option<Piece> {
        let bytes = u32::try_from(self.size).ok()?;
        Some(Piece { physical: self.physical(), bytes, device_writes: true })
    }

    /// What the device has written. To be called between its giving the block back and the next offer of it.
    pub fn written(&self, bytes: u32) -> &[u8] {
        let count = self.size.min(bytes as usize);
        // SAFETY: the block is ours for good and initialised; its one user, the driver thread, keeps to the above.
        unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(self.start), count) }
    }

    /// The place of a value, if it lies within and is aligned.
    fn place<T>(&self, offset: usize) -> Option<*mut T> {
        let end = offset.checked_add(size_of::<T>())?;
        let fits = end <= self.size && offset.is_multiple_of(align_of::<T>());
        fits.then(|| core::ptr::with_exposed_provenance_mut(self.start + offset))
    }

    fn load<T: Default>(&self, offset: usize) -> T {
        // SAFETY: the place lies within a block that is ours for good and no Rust object.
        self.place::<T>(offset).map_or_else(T::default, |place| unsafe { place.read_volatile() })
    }

    fn store<T>(&self, offset: usize, value: T) {
        if let Some(place) = self.place::<T>(offset) {
            // SAFETY: as above.
            unsafe { place.write_volatile(value) };
        }
    }
}

impl Memory for Block {
    fn physical(&self) -> u64 {
        (self.start as u64).wrapping_sub(PHYSICAL_WINDOW)
    }

    fn load16(&self, offset: usize) -> u16 {
        self.load(offset)
    }

    fn load32(&self, offset: usize) -> u32 {
        self.load(offset)
    }

    fn store16(&self, offset: usize, value: u16) {
        self.store(offset, value);
    }

    fn store32(&self, offset: usize, value: u32) {
        self.store(offset, value);
    }

    fn store64(&self, offset: usize, value: u64) {
        self.store(offset, value);
    }
}

/// So many bytes at this address, for the device to read; `None` if it cannot reach them or there are none. What it is sent are
/// they as they are when it takes them.
pub fn to_be_read(address: u64, size: usize) -> Option<Piece> {
    let physical = address.checked_sub(PHYSICAL_WINDOW)?;
    let bytes = u32::try_from(size).ok().filter(|count| *count > 0)?;
    Some(Piece { physical, bytes, device_writes: false })
}
