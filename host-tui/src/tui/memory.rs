//! The memory pane's state: which memory, from where, and the bytes that have come.

use std::{collections::BTreeMap, time::Duration};

use flob_link::Memory;

use super::disassembly::{self, Instruction, LEAD, LONGEST, Naming};

/// Bytes in a row.
pub const ROW: u64 = 16;

/// A byte that has not changed for this long is cold.
pub const COLD: Duration = Duration::from_secs(30);

/// What the memory pane shows.
#[derive(Clone, Debug)]
pub struct MemoryView {
    /// Which memory.
    pub memory: Memory,
    /// Address of the first row.
    pub top: u64,
    /// Address of the selected byte.
    pub cursor: u64,
    /// The bytes that came last, and from where.
    pub bytes: (u64, Vec<u8>),
    /// Those that differ from what was there before, by index.
    pub changed: Vec<bool>,
    /// When bytes were last seen to change, by address.
    pub heat: BTreeMap<u64, Duration>,
    /// Somebody has gone somewhere in it.
    pub was_chosen: bool,
    /// Rows are instructions.
    pub is_code: bool,
    /// The instructions in what has come, if so.
    pub code: Vec<Instruction>,
    /// Before this address there is no memory: nothing is read before it.
    pub begins: Option<u64>,
    /// Why there are none.
    pub error: Option<String>,
    /// When they came.
    pub arrived: Duration,
    /// What was asked for and has not come: address and count.
    pub asked: Option<(u64, u32)>,
}

impl Default for MemoryView {
    fn default() -> Self {
        Self {
            memory: Memory::Environment,
            top: 0,
            cursor: 0,
            bytes: (0, Vec::new()),
            changed: Vec::new(),
            heat: BTreeMap::new(),
            was_chosen: false,
            is_code: false,
            code: Vec::new(),
            begins: None,
            error: None,
            arrived: Duration::ZERO,
            asked: None,
        }
    }
}

impl MemoryView {
    /// Rows are instructions from now on, or bytes, beginning where the cursor is.
    pub fn show_rows(&mut self, is_code: bool) {
        self.is_code = is_code;
        self.top = self.cursor;
        self.code.clear();
        self.asked = None;
    }

    /// Shows another memory or address; what was there is forgotten if it is another memory.
    pub fn go(&mut self, memory: Memory, address: u64, rows: usize) {
        if memory != self.memory {
            *self = Self { memory, is_code: self.is_code, ..Self::default() };
        }
        self.cursor = address;
        self.was_chosen = true;
        // What somebody goes to is taken for the beginning of an instruction.
        if self.is_code && self.row_of(address).is_none() {
            self.top = address;
        }
        self.settle(rows);
    }

    /// Moves the selected byte.
    pub fn step(&mut self, by: i64, rows: usize) {
        self.cursor = self.cursor.saturating_add_signed(by);
        self.settle(rows);
    }

    /// Scrolls so that the selected byte is among the visible rows.
    pub fn settle(&mut self, rows: usize) {
        if self.is_code {
            return self.settle_code(rows);
        }
        let rows = rows.max(1) as u64;
        let row = self.cursor - self.cursor % ROW;
        let lowest = row.saturating_sub((rows - 1).saturating_mul(ROW));
        self.top = self.top.clamp(lowest, row);
    }

    /// What to read, for so many rows: from where, and how much.
    pub fn wanted(&self, rows: u64) -> (u64, u64) {
        if !self.is_code {
            return (self.top, rows.saturating_mul(ROW));
        }
        let from = if self.begins == Some(self.top) { self.top } else { self.top.saturating_sub(LEAD) };
        (from, (self.top - from).saturating_add(rows.saturating_mul(LONGEST)).saturating_add(LEAD))
    }

    /// The instruction at this address, as an index.
    fn row_of(&self, address: u64) -> Option<usize> {
        self.code.binary_search_by_key(&address, |one| one.address).ok()
    }

    /// The instructions from the first visible one on.
    pub fn visible_code(&self) -> &[Instruction] {
        let first = self.code.partition_point(|one| one.address < self.top);
        self.code.get(first..).unwrap_or_default()
    }

    /// Moves the selection by instructions; a byte at a time where none are known.
    pub fn step_code(&mut self, by: i64, rows: usize) {
        let index =
            self.row_of(self.cursor).and_then(|index| index.checked_add_signed(isize::try_from(by).ok()?));
        self.cursor = match index.and_then(|index| self.code.get(index)) {
            Some(one) => one.address,
            None if by < 0 => self.code.first().map_or(self.cursor.saturating_sub(1), |first| {
                if first.address < self.cursor { first.address } else { self.cursor.saturating_sub(1) }
            }),
            None => self.code.last().map_or(self.cursor, |last| last.address.max(self.cursor)),
        };
        self.settle(rows);
    }

    /// The first visible row is an instruction, and the selected one is visible.
    fn settle_code(&mut self, rows: usize) {
        if self.cursor < self.top {
            self.top = self.cursor;
        }
        let (Some(top), Some(cursor)) = (self.row_of(self.top), self.row_of(self.cursor)) else { return };
        let lowest = (cursor + 1).saturating_sub(rows.max(1));
        if let Some(one) = self.code.get(lowest).filter(|_| lowest > top) {
            self.top = one.address;
        }
    }

    /// Takes what has come for instructions.
    pub fn disassemble(&mut self, naming: Naming<'_>) {
        self.code = if self.is_code {
            disassembly::decode(self.bytes.0, &self.bytes.1, self.top, naming)
        } else {
            Vec::new()
        };
    }

    /// How long ago a byte was seen to change.
    pub fn age(&self, address: u64, now: Duration) -> Option<Duration> {
        self.heat.get(&address).map(|then| now.saturating_sub(*then))
    }

    /// The byte at this address, if it has come, and whether it has changed.
    pub fn byte(&self, address: u64) -> Option<(u8, bool)> {
        let index = usize::try_from(address.checked_sub(self.bytes.0)?).ok()?;
        let changed = self.changed.get(index).copied().unwrap_or_default();
        self.bytes.1.get(index).map(|byte| (*byte, changed))
    }

    /// The bytes from this address on, as many as have come, at most `count`.
    pub fn bytes_at(&self, address: u64, count: u64) -> Vec<u8> {
        (0..count).map_while(|offset| self.byte(address.checked_add(offset)?)).map(|(byte, _)| byte).collect()
    }

    /// Bytes have come.
    pub fn take(&mut self, memory: Memory, address: u64, result: Result<Vec<u8>, String>, now: Duration) {
        if memory != self.memory {
            return;
        }
        self.asked = None;
        self.arrived = now;
        match result {
            Ok(bytes) => {
                let differs = |(offset, byte): (usize, &u8)| {
                    let before = address.checked_add(offset as u64).and_then(|address| self.byte(address));
                    before.is_some_and(|(before, _)| before != *byte)
                };
                self.changed = bytes.iter().enumerate().map(differs).collect();
                self.heat.retain(|_, then| now.saturating_sub(*then) < COLD);
                let hot = self.changed.iter().zip(address..).filter(|(changed, _)| **changed);
                self.heat.extend(hot.map(|(_, address)| (address, now)));
                self.bytes = (address, bytes);
                self.error = None;
            }
            // What is wanted may be there, and only what lies before it not.
            Err(_) if self.is_code && address < self.top => self.begins = Some(self.top),
            Err(error) => self.error = Some(error),
        }
    }
}
