//! The kernel's half of every address space, exactly: memory at the direct map, never to be executed, and the image
//! with each of its parts protected. Replaces the boot tables.

use crate::layout::{DIRECT_MAP, DIRECT_SLOT, IMAGE_SLOT, KERNEL_BASE};
use crate::table::{Table, bit};
use alloc::boxed::Box;
use flob_abi::PAGE_SIZE;
use flob_abi::memory::PAGE_SHIFT;

const LARGE_PAGE: u64 = 0x20_0000;
const GIB: u64 = 0x4000_0000;
const TO_TABLE: u64 = bit::PRESENT | bit::WRITE | bit::ACCESSED_DIRTY;
const KERNEL_PAGE: u64 = bit::PRESENT | bit::GLOBAL | bit::ACCESSED_DIRTY;

unsafe extern "C" {
    static text_start: u8;
    static text_end: u8;
    static rodata_end: u8;
    static stack_guard: u8;
    static kernel_end: u8;
}

/// Makes a root table with nothing but the kernel's half. Its tables are never given back.
pub fn root_table(memory_end: u64) -> Box<Table> {
    let mut root = empty();
    root.0[DIRECT_SLOT] = direct_map(memory_end);
    root.0[IMAGE_SLOT] = image();
    root
}

fn direct_map(memory_end: u64) -> u64 {
    let mut pointers = empty();
    for (place, start) in (0..memory_end).step_by(GIB as usize).enumerate() {
        let mut directory = empty();
        for (entry, address) in directory.0.iter_mut().zip((start..memory_end).step_by(LARGE_PAGE as usize)) {
            *entry = address | KERNEL_PAGE | bit::WRITE | bit::LARGE | bit::NO_EXECUTE;
        }
        pointers.0[place % 512] = keep(directory);
    }
    keep(pointers)
}

/// From 1 MiB to the end of the image, in small pages.
fn image() -> u64 {
    let end = address(&raw const kernel_end);
    let mut directory = empty();
    for (place, start) in (KERNEL_BASE..end).step_by(LARGE_PAGE as usize).enumerate() {
        let mut table = empty();
        for (entry, page) in table.0.iter_mut().zip((start..end).step_by(PAGE_SIZE as usize)) {
            *entry = image_page(page);
        }
        directory.0[place % 512] = keep(table);
    }
    let mut pointers = empty();
    pointers.0[(KERNEL_BASE >> 30) as usize % 512] = keep(directory);
    keep(pointers)
}

fn image_page(page: u64) -> u64 {
    let to = |place: *const u8| page < address(place);
    let page_at = |place: *const u8| page >> PAGE_SHIFT == address(place) >> PAGE_SHIFT;
    let present = (page - KERNEL_BASE) | KERNEL_PAGE;
    match () {
        () if to(&raw const text_start) || page_at(&raw const stack_guard) => 0,
        () if to(&raw const text_end) => present,
        () if to(&raw const rodata_end) => present | bit::NO_EXECUTE,
        () => present | bit::NO_EXECUTE | bit::WRITE,
    }
}

/// The entry that leads to this table.
fn keep(table: Box<Table>) -> u64 {
    let table: &'static Table = Box::leak(table);
    debug_assert!(core::ptr::from_ref(table) as u64 >= DIRECT_MAP);
    table.physical() | TO_TABLE
}

fn empty() -> Box<Table> {
    Box::new(Table::EMPTY)
}

fn address(symbol: *const u8) -> u64 {
    symbol.addr() as u64
}
