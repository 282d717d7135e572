//! Bytes as instructions: the decoder is a library's, names of targets are the program's symbols.

use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction as Decoded, IntelFormatter, OpKind};

/// Bytes that are read before the first visible instruction, to find those before it.
pub const LEAD: u64 = 256;
/// The longest instruction.
pub const LONGEST: u64 = 15;

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Where it begins.
    pub address: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// `mov rax,[rdi+8]`, and what it leads to, where that has a name.
    pub text: String,
    /// The function that begins here.
    pub begins: Option<String>,
}

impl Instruction {
    /// The address behind it.
    pub fn end(&self) -> u64 {
        self.address.saturating_add(self.bytes.len() as u64)
    }
}

/// What an address is called: a symbol, and the offset in it.
pub type Naming<'a> = &'a dyn Fn(u64) -> Option<(String, u64)>;

/// The instructions in these bytes, of which one begins at `known`. Those before it begin where the function does, else at the first
/// place from which one after the other leads to it; without such a place there are none.
pub fn decode(start: u64, bytes: &[u8], known: u64, naming: Naming<'_>) -> Vec<Instruction> {
    let offset = usize::try_from(known.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len());
    let leads = |from: &usize| boundaries(start, bytes, *from).any(|at| at == known);
    // The beginning of a function is one of an instruction.
    let begin = naming(known).and_then(|(_, inside)| known.checked_sub(inside)?.checked_sub(start));
    let begin = begin.and_then(|begin| usize::try_from(begin).ok()).filter(leads);
    let from = begin.or_else(|| (0..offset).find(leads)).unwrap_or(offset);
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    let told = |instruction: Decoded| {
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        let target = targets(&instruction).into_iter().find_map(|target| Some(named(naming(target)?)));
        let text = target.map_or(text.clone(), |target| format!("{text}  ; {target}"));
        let address = instruction.ip();
        let at = usize::try_from(address.wrapping_sub(start)).unwrap_or(usize::MAX);
        let bytes = bytes.get(at..at.saturating_add(instruction.len())).unwrap_or_default().to_vec();
        let begins = naming(address).filter(|(_, offset)| *offset == 0).map(|(name, _)| name);
        Instruction { address, bytes, text, begins }
    };
    decoder(start, bytes, from).into_iter().filter(|instruction| instruction.len() > 0).map(told).collect()
}

fn decoder(start: u64, bytes: &[u8], from: usize) -> Vec<Decoded> {
    let rest = bytes.get(from..).unwrap_or_default();
    let ip = start.wrapping_add(from as u64);
    // The last one may be cut off: then it is none.
    let decoded = Decoder::with_ip(64, rest, ip, DecoderOptions::NONE).into_iter();
    let is_whole =
        |one: &Decoded| !one.is_invalid() || ip.wrapping_add(rest.len() as u64) - one.ip() >= LONGEST;
    decoded.take_while(is_whole).collect()
}

fn boundaries(start: u64, bytes: &[u8], from: usize) -> impl Iterator<Item = u64> {
    let decoded = decoder(start, bytes, from).into_iter();
    decoded.take_while(|instruction| !instruction.is_invalid()).map(|instruction| instruction.ip())
}

/// Addresses that an instruction names: where it jumps, what it reads at a fixed place, a number that may be one.
fn targets(instruction: &Decoded) -> Vec<u64> {
    let mut targets = Vec::new();
    if instruction.near_branch_target() != 0 {
        targets.push(instruction.near_branch_target());
    }
    for operand in 0..instruction.op_count() {
        match instruction.op_kind(operand) {
            OpKind::Memory if instruction.is_ip_rel_memory_operand() => {
                targets.push(instruction.ip_rel_memory_address())
            }
            OpKind::Memory => targets.push(instruction.memory_displacement64()),
            OpKind::Immediate32 | OpKind::Immediate64 | OpKind::Immediate32to64 => {
                targets.push(instruction.immediate(operand))
            }
            _ => {}
        }
    }
    targets.retain(|target| *target >= flob_abi::PAGE_SIZE);
    targets
}

/// A symbol and how far behind it something lies, for people.
pub fn named((name, offset): (String, u64)) -> String {
    if offset == 0 { name } else { format!("{name}+{offset:#x}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// push rbp; mov rbp,rsp; call 0x1020; mov eax,[rip+0x10]; pop rbp; ret
    const CODE: [u8; 17] =
        [0x55, 0x48, 0x89, 0xe5, 0xe8, 0x17, 0, 0, 0, 0x8b, 0x05, 0x10, 0, 0, 0, 0x5d, 0xc3];

    fn naming(address: u64) -> Option<(String, u64)> {
        match address {
            0x1004.. if address < 0x1010 => None,
            0x1000..0x1020 => Some(("main".into(), address - 0x1000)),
            0x1020..0x1030 => Some(("COUNT".into(), address - 0x1020)),
            _ => None,
        }
    }

    fn told(known: u64) -> Vec<(u64, String)> {
        decode(0x1000, &CODE, known, &naming).into_iter().map(|one| (one.address, one.text)).collect()
    }

    #[test]
    fn instructions_are_told_with_the_names_of_what_they_lead_to() {
        let all = told(0x1000);
        let texts: Vec<&str> = all.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts[..2], ["push rbp", "mov rbp,rsp"]);
        assert!(texts[2].starts_with("call ") && texts[2].ends_with("  ; COUNT"), "{texts:?}");
        assert!(texts[3].starts_with("mov eax,[") && texts[3].ends_with("  ; main+0x1f"), "{texts:?}");
        assert_eq!(texts[4..], ["pop rbp", "ret"]);
        let first = &decode(0x1000, &CODE, 0x1000, &naming)[0];
        assert_eq!((first.begins.as_deref(), first.end()), (Some("main"), 0x1001));
    }

    #[test]
    fn those_before_a_known_one_are_found_and_one_in_the_middle_of_another_is_believed() {
        assert_eq!(
            told(0x1009).iter().map(|(at, _)| *at).collect::<Vec<_>>()[..4],
            [0x1000, 0x1001, 0x1004, 0x1009]
        );
        // Somebody says that an instruction begins here.
        assert!(told(0x1002).iter().any(|(at, _)| *at == 0x1002));
    }

    #[test]
    fn what_is_no_instruction_is_told_as_such_and_what_is_cut_off_is_left_out() {
        let mut bytes = vec![0x06; 20];
        bytes.push(0x48);
        let all = decode(0, &bytes, 0, &naming);
        assert!(!all.is_empty() && all.iter().all(|one| one.text.contains("bad")), "{all:?}");
        assert!(all.last().is_some_and(|last| last.end() < 20), "{all:?}");
    }
}
