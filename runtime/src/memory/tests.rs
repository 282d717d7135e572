//! The functions under names of their own, against the plain meaning of each, at every length and alignment around the borders of
//! their cases, and up to the last byte of a page behind which there is none.

extern crate std;

use core::ffi::{c_char, c_int};
use std::vec::Vec;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

crate::memory_functions!("flob_test_");

// SAFETY: as they are in C, and as the macro defines them.
unsafe extern "C" {
    fn flob_test_memcpy(to: *mut u8, from: *const u8, size: usize) -> *mut u8;
    fn flob_test_memmove(to: *mut u8, from: *const u8, size: usize) -> *mut u8;
    fn flob_test_memset(to: *mut u8, byte: c_int, size: usize) -> *mut u8;
    fn flob_test_memcmp(left: *const u8, right: *const u8, size: usize) -> c_int;
    fn flob_test_bcmp(left: *const u8, right: *const u8, size: usize) -> c_int;
    fn flob_test_strlen(text: *const c_char) -> usize;
}

/// Longest of all.
const MOST: usize = 300;
const PAGE: usize = 4096;

/// Every length that is to be tried: all short ones, and some around a page.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=MOST).chain(PAGE - 17..=PAGE + 17)
}

fn noise(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect()
}

#[test]
fn copies_at_every_length_and_alignment() {
    let from = noise(2 * PAGE);
    for size in lengths() {
        let step = if size > MOST { 5 } else { 1 };
        for source in (0..16).step_by(step) {
            for target in (0..16).step_by(step) {
                let mut to = std::vec![0xee; target + size + 16];
                let start = to[target..].as_mut_ptr();
                // SAFETY: both have so many bytes.
                let end = unsafe { flob_test_memcpy(start, from[source..].as_ptr(), size) };
                assert_eq!(end, start);
                assert_eq!(
                    to[target..target + size],
                    from[source..source + size],
                    "{size} {source} {target}"
                );
                let around = to[..target].iter().chain(&to[target + size..]);
                assert!(around.copied().all(|byte| byte == 0xee), "{size} {source} {target}");
            }
        }
    }
}

#[test]
fn moves_however_the_ranges_overlap() {
    for size in lengths() {
        let reach = size.min(MOST) + 2;
        let step = if size > MOST { 7 } else { 1 };
        let all = noise(size + 2 * reach + 16);
        for target in (0..=2 * reach).step_by(step) {
            let (mut ours, mut theirs) = (all.clone(), all.clone());
            let source = reach;
            theirs.copy_within(source..source + size, target);
            let start = ours.as_mut_ptr();
            // SAFETY: both ranges are inside.
            let end = unsafe { flob_test_memmove(start.add(target), start.add(source), size) };
            assert_eq!(end, ours[target..].as_mut_ptr());
            assert_eq!(ours, theirs, "{size} bytes from {source} to {target}");
        }
    }
}

#[test]
fn fills_at_every_length_and_alignment() {
    for size in lengths() {
        for target in 0..16 {
            let mut to = std::vec![0x11; target + size + 16];
            let start = to[target..].as_mut_ptr();
            // SAFETY: it has so many bytes. Only the lowest eight bits count.
            let end = unsafe { flob_test_memset(start, 0x7f_ffa5, size) };
            assert_eq!(end, start);
            let right = |(index, byte): (usize, &u8)| {
                *byte == if (target..target + size).contains(&index) { 0xa5 } else { 0x11 }
            };
            assert!(to.iter().enumerate().all(right), "{size} at {target}: {to:x?}");
        }
    }
}

fn compare(left: &[u8], right: &[u8]) -> [c_int; 2] {
    assert_eq!(left.len(), right.len());
    // SAFETY: both have so many bytes.
    unsafe {
        [
            flob_test_memcmp(left.as_ptr(), right.as_ptr(), left.len()),
            flob_test_bcmp(left.as_ptr(), right.as_ptr(), left.len()),
        ]
    }
}

#[test]
fn compares_by_the_first_byte_that_differs() {
    let all = noise(MOST + 16);
    for size in 0..=MOST {
        for alignment in [0, 1, 7, 8, 15] {
            let left = &all[alignment..alignment + size];
            let mut right = left.to_vec();
            assert_eq!(compare(left, &right), [0, 0], "{size}");
            for differs in 0..size {
                // What comes behind says the opposite.
                for change in [1_u8, 0x80, 0xff] {
                    right[differs] = left[differs].wrapping_add(change);
                    if differs + 1 < size {
                        right[differs + 1] = if right[differs] > left[differs] { 0 } else { 0xff };
                    }
                    let order = left.cmp(&right) as c_int;
                    let [memcmp, bcmp] = compare(left, &right);
                    assert_eq!(memcmp.signum(), order, "{size}, {differs}");
                    assert!(bcmp != 0, "{size}, {differs}");
                    right.copy_from_slice(left);
                }
            }
        }
    }
}

#[test]
fn lengths_of_texts() {
    for size in 0..40 {
        let mut text = std::vec![b'x'; size];
        text.push(0);
        // SAFETY: it ends with a zero.
        assert_eq!(unsafe { flob_test_strlen(text.as_ptr().cast()) }, size);
    }
}

/// A page between two that cannot be accessed.
struct Fenced(*mut u8);

impl Fenced {
    fn new() -> Self {
        let flags = MapFlags::PRIVATE;
        // SAFETY: new memory, wherever there is room.
        let start = unsafe { mmap_anonymous(core::ptr::null_mut(), 3 * PAGE, ProtFlags::empty(), flags) };
        let page = start.expect("memory").cast::<u8>().wrapping_add(PAGE);
        // SAFETY: nobody has it yet.
        unsafe { mprotect(page.cast(), PAGE, MprotectFlags::READ | MprotectFlags::WRITE) }
            .expect("accessible");
        Self(page)
    }

    /// The first and the last so many bytes.
    fn ends(&self, size: usize) -> [*mut u8; 2] {
        [self.0, self.0.wrapping_add(PAGE - size)]
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        // SAFETY: it was mapped so, and is not used any more.
        unsafe { munmap(self.0.wrapping_sub(PAGE).cast(), 3 * PAGE) }.expect("mapped");
    }
}

#[test]
fn nothing_outside_is_read_or_written() {
    let (one, other) = (Fenced::new(), Fenced::new());
    for size in (0..=MOST).chain([PAGE]) {
        for left in one.ends(size) {
            for right in other.ends(size) {
                // SAFETY: so many bytes are there, and not one more, before or behind.
                let order = unsafe {
                    flob_test_memset(left, 3, size);
                    flob_test_memcpy(right, left, size);
                    flob_test_memcmp(left, right, size)
                };
                assert_eq!(order, 0);
            }
        }
        let [first, last] = one.ends(size);
        // SAFETY: as above; the two overlap where they are long.
        unsafe {
            flob_test_memmove(last, first, size);
            flob_test_memmove(first, last, size);
        }
    }
}
