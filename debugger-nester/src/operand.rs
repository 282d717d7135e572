//! How many bytes of memory an instruction accesses at once: what a page fault says is where the first of them is, and whether
//! it is written. Told from prefixes and opcode alone; vector extensions beyond SSE2 are taken for their widest.

/// Longest instruction.
pub const LONGEST: usize = 15;

/// Prefixes that matter.
#[derive(Clone, Copy, Default)]
struct Prefixes {
    /// 66: two bytes instead of four, or the packed form.
    narrow: bool,
    /// REX.W: eight bytes.
    wide: bool,
    /// F2 or F3.
    repeat: Option<u8>,
}

impl Prefixes {
    /// Of an operand of the usual size.
    const fn usual(self) -> u64 {
        match (self.wide, self.narrow) {
            (true, _) => 8,
            (false, true) => 2,
            (false, false) => 4,
        }
    }

    /// Of a vector, or of the scalar that an F2 or F3 makes of it.
    const fn vector(self) -> u64 {
        match self.repeat {
            Some(0xf3) => 4,
            Some(_) => 8,
            None => 16,
        }
    }

    /// Four bytes, or eight with REX.W.
    const fn word(self) -> u64 {
        if self.wide { 8 } else { 4 }
    }
}

/// Whether it is `syscall`: then the kernel accesses memory for it.
pub fn is_call(instruction: &[u8]) -> bool {
    instruction.starts_with(&[0x0f, 0x05])
}

/// Bytes that this instruction accesses at one address.
pub fn width(instruction: &[u8]) -> u64 {
    let mut prefixes = Prefixes::default();
    let mut rest = instruction.iter().copied();
    loop {
        match rest.next() {
            Some(0x66) => prefixes.narrow = true,
            Some(prefix @ (0xf2 | 0xf3)) => prefixes.repeat = Some(prefix),
            Some(0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0x67 | 0xf0) => {}
            Some(rex @ 0x40..=0x4f) => prefixes.wide = rex & 8 != 0,
            Some(0x0f) => return long_opcode(prefixes, rest.next(), rest.next()),
            // VEX and EVEX.
            Some(0xc4 | 0xc5) => return 32,
            Some(0x62) => return 64,
            Some(opcode) => return short_opcode(prefixes, opcode, rest.next()),
            None => return 1,
        }
    }
}

fn short_opcode(prefixes: Prefixes, opcode: u8, operand: Option<u8>) -> u64 {
    match opcode {
        // The eight arithmetic operations: byte forms are the even ones.
        0x00..=0x3f if opcode & 1 == 0 => 1,
        0x63 => 4,
        // The stack.
        0x50..=0x5f | 0x68 | 0x6a | 0x8f | 0x9c | 0x9d | 0xc2 | 0xc3 | 0xc8 | 0xc9 | 0xe8 => 8,
        0xff => match operand.unwrap_or(0) >> 3 & 7 {
            0 | 1 => prefixes.usual(),
            _ => 8,
        },
        0x80 | 0x84 | 0x86 | 0x88 | 0x8a | 0xa0 | 0xa2 | 0xa4 | 0xa6 | 0xaa | 0xac | 0xae | 0xc0 | 0xc6
        | 0xd0 | 0xd2 | 0xd7 | 0xf6 | 0xfe | 0x6c | 0x6e => 1,
        // Of the x87 unit.
        0xd8 | 0xd9 | 0xda | 0xde => 4,
        0xdb | 0xdf => 10,
        0xdc | 0xdd => 8,
        _ => prefixes.usual(),
    }
}

fn long_opcode(prefixes: Prefixes, opcode: Option<u8>, operand: Option<u8>) -> u64 {
    match opcode.unwrap_or(0) {
        0x90..=0x9f | 0xb0 | 0xb6 | 0xbe | 0xc0 => 1,
        0xb7 | 0xbf | 0xc4 => 2,
        0xb1 | 0xc1 | 0xc3 | 0x40..=0x4f | 0xa3..=0xa5 | 0xab..=0xad | 0xaf | 0xb3 | 0xb8 | 0xba..=0xbd => {
            prefixes.usual()
        }
        0xc7 => {
            if prefixes.wide {
                16
            } else {
                8
            }
        }
        // FXSAVE and its kin; the others of the group are of four bytes.
        0xae => {
            if operand.unwrap_or(0) >> 3 & 7 < 2 {
                512
            } else {
                4
            }
        }
        0x12 | 0x13 | 0x16 | 0x17 | 0xd6 => 8,
        0x2a | 0x2c | 0x2d => match prefixes.repeat {
            Some(0xf3) => 4,
            Some(_) | None => 8,
        },
        0x2e | 0x2f => {
            if prefixes.narrow {
                8
            } else {
                4
            }
        }
        0x6e => prefixes.word(),
        0x7e => {
            if prefixes.repeat.is_some() {
                8
            } else {
                prefixes.word()
            }
        }
        0x6f | 0x7f => {
            if prefixes.narrow || prefixes.repeat.is_some() {
                16
            } else {
                8
            }
        }
        0x5a | 0xe6 if prefixes.repeat.is_none() => {
            if prefixes.narrow {
                16
            } else {
                8
            }
        }
        0x10 | 0x11 | 0x51..=0x5f | 0xc2 => prefixes.vector(),
        _ => 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_compilers_make_of_loads_and_stores() {
        for (bytes, expected) in [
            (&[0x48, 0x89, 0x08][..], 8),          // mov [rax],rcx
            (&[0x89, 0x08], 4),                    // mov [rax],ecx
            (&[0x66, 0x89, 0x08], 2),              // mov [rax],cx
            (&[0x88, 0x08], 1),                    // mov [rax],cl
            (&[0x40, 0x8a, 0x30], 1),              // mov sil,[rax]
            (&[0x0f, 0xb6, 0x00], 1),              // movzx eax,byte [rax]
            (&[0x48, 0x0f, 0xb7, 0x00], 2),        // movzx rax,word [rax]
            (&[0x48, 0x63, 0x00], 4),              // movsxd rax,dword [rax]
            (&[0x48, 0xff, 0x00], 8),              // inc qword [rax]
            (&[0xff, 0x10], 8),                    // call [rax]
            (&[0x55], 8),                          // push rbp
            (&[0xc3], 8),                          // ret
            (&[0xf3, 0xa4], 1),                    // rep movsb
            (&[0xf3, 0x48, 0xa5], 8),              // rep movsq
            (&[0xf0, 0x48, 0x0f, 0xb1, 0x0f], 8),  // lock cmpxchg [rdi],rcx
            (&[0xf0, 0x48, 0x0f, 0xc7, 0x0f], 16), // lock cmpxchg16b [rdi]
            (&[0x0f, 0x11, 0x00], 16),             // movups [rax],xmm0
            (&[0xf3, 0x0f, 0x11, 0x00], 4),        // movss [rax],xmm0
            (&[0xf2, 0x0f, 0x10, 0x00], 8),        // movsd xmm0,[rax]
            (&[0x66, 0x0f, 0x7f, 0x00], 16),       // movdqa [rax],xmm0
            (&[0xf3, 0x0f, 0x7e, 0x00], 8),        // movq xmm0,[rax]
            (&[0x66, 0x48, 0x0f, 0x7e, 0x00], 8),  // movq [rax],xmm0
            (&[0x0f, 0x94, 0x00], 1),              // sete [rax]
            (&[0x80, 0x38, 0x00], 1),              // cmp byte [rax],0
            (&[0x83, 0x38, 0x00], 4),              // cmp dword [rax],0
            (&[0xc6, 0x00, 0x01], 1),              // mov byte [rax],1
            (&[0x0f, 0xae, 0x00], 512),            // fxsave [rax]
        ] {
            assert_eq!(width(bytes), expected, "{bytes:02x?}");
        }
        assert!(is_call(&[0x0f, 0x05, 0xc3]) && !is_call(&[0x0f]));
    }
}
