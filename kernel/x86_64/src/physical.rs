//! Physical memory as the kernel sees it: the direct map.

use crate::layout::{DIRECT_MAP, MEMORY_LIMIT};
use core::ptr::{self, NonNull};

/// The direct map's view of a physical range; `None` where the direct map does not reach.
pub fn range(physical: u64, size: u64) -> Option<NonNull<[u8]>> {
    let end = physical.checked_add(size)?;
    if end > MEMORY_LIMIT {
        return None;
    }
    let start = ptr::with_exposed_provenance_mut(usize::try_from(DIRECT_MAP.checked_add(physical)?).ok()?);
    Some(NonNull::slice_from_raw_parts(NonNull::new(start)?, usize::try_from(size).ok()?))
}

/// Bytes of physical memory to read.
///
/// # Safety
/// Nobody writes to them while the slice is used.
pub unsafe fn bytes<'a>(physical: u64, size: u64) -> Option<&'a [u8]> {
    // SAFETY: mapped (the range was checked), and the caller's promise.
    range(physical, size).map(|range| unsafe { range.as_ref() })
}

/// Bytes of physical memory to write.
///
/// # Safety
/// Nobody else uses them while the slice is used.
pub unsafe fn bytes_mut<'a>(physical: u64, size: u64) -> Option<&'a mut [u8]> {
    // SAFETY: mapped (the range was checked), and the caller's promise.
    range(physical, size).map(|mut range| unsafe { range.as_mut() })
}
