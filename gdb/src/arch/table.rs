//! The table of registers, by the features of the target description that they belong to, and that description.

use std::fmt::Write;

use flob_abi::ThreadState;

/// Where a register's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// These bytes of the state (the rest of a wider register reads 0).
    State { offset: usize, size: usize },
    /// Always this; writing it does nothing.
    Fixed(u64),
    /// The x87 tag word, which FXSAVE keeps in a shorter form.
    Tags,
    /// The number of the call in which the thread waits; -1 if it does not.
    Call,
}

/// One register.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    pub name: &'static str,
    pub bytes: usize,
    /// Its type in the target description.
    kind: &'static str,
    /// The group it is shown in by the debugger; empty: by its type.
    group: &'static str,
    pub source: Source,
}

/// Where the vector state begins.
pub const VECTORS: usize = std::mem::offset_of!(ThreadState, vectors);

const fn general(name: &'static str, offset: usize, kind: &'static str) -> Register {
    Register { name, bytes: 8, kind, group: "", source: Source::State { offset, size: 8 } }
}

const fn fixed(name: &'static str, value: u64) -> Register {
    Register { name, bytes: 4, kind: "int32", group: "", source: Source::Fixed(value) }
}

const fn x87_control(name: &'static str, offset: usize, size: usize) -> Register {
    let source = Source::State { offset: VECTORS + offset, size };
    Register { name, bytes: 4, kind: "int", group: "float", source }
}

const fn x87(name: &'static str, index: usize) -> Register {
    let source = Source::State { offset: VECTORS + 32 + 16 * index, size: 10 };
    Register { name, bytes: 10, kind: "i387_ext", group: "", source }
}

const fn sse(name: &'static str, index: usize) -> Register {
    let source = Source::State { offset: VECTORS + 160 + 16 * index, size: 16 };
    Register { name, bytes: 16, kind: "vec128", group: "", source }
}

macro_rules! general {
    ($field:ident, $kind:literal) => {
        general(stringify!($field), std::mem::offset_of!(ThreadState, registers.$field), $kind)
    };
}

/// Selectors of user code and data: constants of the kernel that no program can change.
const CODE_SELECTOR: u64 = 0x2b;
const DATA_SELECTOR: u64 = 0x23;

const CORE: &[Register] = &[
    general!(rax, "int64"),
    general!(rbx, "int64"),
    general!(rcx, "int64"),
    general!(rdx, "int64"),
    general!(rsi, "int64"),
    general!(rdi, "int64"),
    general!(rbp, "data_ptr"),
    general!(rsp, "data_ptr"),
    general!(r8, "int64"),
    general!(r9, "int64"),
    general!(r10, "int64"),
    general!(r11, "int64"),
    general!(r12, "int64"),
    general!(r13, "int64"),
    general!(r14, "int64"),
    general!(r15, "int64"),
    general!(rip, "code_ptr"),
    Register {
        name: "eflags",
        bytes: 4,
        kind: "i386_eflags",
        group: "",
        source: Source::State { offset: std::mem::offset_of!(ThreadState, registers.rflags), size: 4 },
    },
    fixed("cs", CODE_SELECTOR),
    fixed("ss", DATA_SELECTOR),
    fixed("ds", 0),
    fixed("es", 0),
    fixed("fs", 0),
    fixed("gs", 0),
    x87("st0", 0),
    x87("st1", 1),
    x87("st2", 2),
    x87("st3", 3),
    x87("st4", 4),
    x87("st5", 5),
    x87("st6", 6),
    x87("st7", 7),
    x87_control("fctrl", 0, 2),
    x87_control("fstat", 2, 2),
    Register { name: "ftag", bytes: 4, kind: "int", group: "float", source: Source::Tags },
    x87_control("fiseg", 12, 2),
    x87_control("fioff", 8, 4),
    x87_control("foseg", 20, 2),
    x87_control("fooff", 16, 4),
    x87_control("fop", 6, 2),
];

const SSE: &[Register] = &[
    sse("xmm0", 0),
    sse("xmm1", 1),
    sse("xmm2", 2),
    sse("xmm3", 3),
    sse("xmm4", 4),
    sse("xmm5", 5),
    sse("xmm6", 6),
    sse("xmm7", 7),
    sse("xmm8", 8),
    sse("xmm9", 9),
    sse("xmm10", 10),
    sse("xmm11", 11),
    sse("xmm12", 12),
    sse("xmm13", 13),
    sse("xmm14", 14),
    sse("xmm15", 15),
    Register {
        name: "mxcsr",
        bytes: 4,
        kind: "i386_mxcsr",
        group: "vector",
        source: Source::State { offset: VECTORS + 24, size: 4 },
    },
];

const SEGMENTS: &[Register] = &[general!(fs_base, "int64"), general!(gs_base, "int64")];

const CALL: &[Register] =
    &[Register { name: "flob_call", bytes: 8, kind: "int64", group: "system", source: Source::Call }];

/// The features of the target description, in order: register numbers count through them.
const FEATURES: &[(&str, &str, &[Register])] = &[
    ("org.gnu.gdb.i386.core", CORE_TYPES, CORE),
    ("org.gnu.gdb.i386.sse", SSE_TYPES, SSE),
    ("org.gnu.gdb.i386.segments", "", SEGMENTS),
    ("org.flob.call", "", CALL),
];

const CORE_TYPES: &str = r#"<flags id="i386_eflags" size="4">
<field name="CF" start="0" end="0"/><field name="" start="1" end="1"/><field name="PF" start="2" end="2"/>
<field name="AF" start="4" end="4"/><field name="ZF" start="6" end="6"/><field name="SF" start="7" end="7"/>
<field name="TF" start="8" end="8"/><field name="IF" start="9" end="9"/><field name="DF" start="10" end="10"/>
<field name="OF" start="11" end="11"/><field name="RF" start="16" end="16"/><field name="AC" start="18" end="18"/>
</flags>
"#;

const SSE_TYPES: &str = r#"<vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/>
<vector id="v4i32" type="int32" count="4"/><vector id="v2i64" type="int64" count="2"/>
<union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>
<field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/><field name="v4_int32" type="v4i32"/>
<field name="v2_int64" type="v2i64"/><field name="uint128" type="uint128"/></union>
<flags id="i386_mxcsr" size="4">
<field name="IE" start="0" end="0"/><field name="DE" start="1" end="1"/><field name="ZE" start="2" end="2"/>
<field name="OE" start="3" end="3"/><field name="UE" start="4" end="4"/><field name="PE" start="5" end="5"/>
<field name="DAZ" start="6" end="6"/><field name="IM" start="7" end="7"/><field name="DM" start="8" end="8"/>
<field name="ZM" start="9" end="9"/><field name="OM" start="10" end="10"/><field name="UM" start="11" end="11"/>
<field name="PM" start="12" end="12"/><field name="FZ" start="15" end="15"/></flags>
"#;

const fn total(registers: &[Register]) -> usize {
    let (mut sum, mut index) = (0, 0);
    while index < registers.len() {
        sum += registers[index].bytes;
        index += 1;
    }
    sum
}

/// Bytes of the `g` packet.
pub const REGISTER_BYTES: usize = total(CORE) + total(SSE) + total(SEGMENTS) + total(CALL);

/// The description that gdb and lldb ask for: `target.xml`.
pub fn target_xml() -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n\
         <architecture>i386:x86-64</architecture>\n<osabi>none</osabi>\n",
    );
    let mut number = 0;
    for (feature, types, registers) in FEATURES {
        let _ = writeln!(xml, "<feature name=\"{feature}\">\n{types}");
        for register in *registers {
            let _ = writeln!(xml, "{}", describe(register, number));
            number += 1;
        }
        xml.push_str("</feature>\n");
    }
    xml.push_str("</target>\n");
    xml
}

fn describe(register: &Register, number: usize) -> String {
    let Register { name, bytes, kind, group, .. } = register;
    let group = if group.is_empty() { String::new() } else { format!(" group=\"{group}\"") };
    let bits = bytes * 8;
    format!("<reg name=\"{name}\" bitsize=\"{bits}\" type=\"{kind}\" regnum=\"{number}\"{group}/>")
}

/// All of them, in the order of their numbers.
pub fn all() -> impl Iterator<Item = &'static Register> {
    FEATURES.iter().flat_map(|(_, _, registers)| registers.iter())
}
