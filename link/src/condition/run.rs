//! What a program comes to.

use super::{
    Fault, MAX_DEPTH, World,
    check::{Step, step},
};

/// Values under way.
#[derive(Default)]
struct Stack {
    values: [u64; MAX_DEPTH],
    depth: usize,
}

impl Stack {
    fn push(&mut self, value: u64) -> Result<(), Fault> {
        *self.values.get_mut(self.depth).ok_or(Fault::Malformed)? = value;
        self.depth += 1;
        Ok(())
    }

    fn pop(&mut self) -> Result<u64, Fault> {
        self.depth = self.depth.checked_sub(1).ok_or(Fault::Malformed)?;
        self.values.get(self.depth).copied().ok_or(Fault::Malformed)
    }
}

/// Runs a program that was checked.
pub fn run(program: &[u8], world: &mut dyn World) -> Result<u64, Fault> {
    let (mut stack, mut at) = (Stack::default(), 0);
    while at < program.len() {
        let (step, next) = step(program, at).map_err(|_| Fault::Malformed)?;
        at = next;
        match step {
            Step::Push(value) => stack.push(value)?,
            Step::Register(number) => stack.push(world.register(number))?,
            Step::Thread => stack.push(world.thread())?,
            Step::Field { kind, offset, bytes } => {
                let (place, mut room) = (stack.pop()?, [0; 8]);
                let wanted = room.get_mut(..usize::from(bytes)).ok_or(Fault::Malformed)?;
                if !world.field(place, kind, offset, wanted) {
                    return Err(Fault::Flob(place));
                }
                stack.push(u64::from_le_bytes(room))?;
            }
            Step::Link { kind, link } => {
                let place = stack.pop()?;
                stack.push(world.link(place, kind, link).ok_or(Fault::Flob(place))?)?;
            }
            Step::Load(bytes, signed) => {
                let address = stack.pop()?;
                stack.push(load(world, address, bytes, signed)?)?;
            }
            Step::Binary(operation) => {
                let (right, left) = (stack.pop()?, stack.pop()?);
                stack.push(operation.apply(left, right)?)?;
            }
            Step::Negate => {
                let value = stack.pop()?;
                stack.push(value.wrapping_neg())?;
            }
            Step::Complement => {
                let value = stack.pop()?;
                stack.push(!value)?;
            }
            Step::Not => {
                let value = stack.pop()?;
                stack.push(u64::from(value == 0))?;
            }
            Step::Skip { count, if_zero } => {
                let value = stack.pop()?;
                if (value == 0) == if_zero {
                    stack.push(value)?;
                    at += count;
                }
            }
        }
    }
    stack.pop()
}

fn load(world: &mut dyn World, address: u64, bytes: u32, signed: bool) -> Result<u64, Fault> {
    let mut room = [0; 8];
    let wanted = room.get_mut(..bytes as usize).ok_or(Fault::Malformed)?;
    if !world.read(address, wanted) {
        return Err(Fault::Memory(address));
    }
    let value = u64::from_le_bytes(room);
    let unused = 64 - 8 * bytes;
    Ok(if signed { ((value << unused) as i64 >> unused) as u64 } else { value })
}
