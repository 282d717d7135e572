//! The memory pane's state: which memory, from where, and the bytes that have come.

use std::time::Duration;

use flob_link::Memory;

/// Bytes in a row.
pub const ROW: u64 = 16;

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
            error: None,
            arrived: Duration::ZERO,
            asked: None,
        }
    }
}

impl MemoryView {
    /// Shows another memory or address; what was there is forgotten if it is another memory.
    pub fn go(&mut self, memory: Memory, address: u64, rows: usize) {
        if memory != self.memory {
            *self = Self { memory, ..Self::default() };
        }
        self.cursor = address;
        self.settle(rows);
    }

    /// Moves the selected byte.
    pub fn step(&mut self, by: i64, rows: usize) {
        self.cursor = self.cursor.saturating_add_signed(by);
        self.settle(rows);
    }

    /// Scrolls so that the selected byte is among the visible rows.
    pub fn settle(&mut self, rows: usize) {
        let rows = rows.max(1) as u64;
        let row = self.cursor - self.cursor % ROW;
        let lowest = row.saturating_sub((rows - 1).saturating_mul(ROW));
        self.top = self.top.clamp(lowest, row);
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
                self.bytes = (address, bytes);
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
    }
}
