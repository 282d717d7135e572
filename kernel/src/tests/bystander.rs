//! A bystander: a program of its own that computes beside whatever else goes on, a round whenever it is asked. Nobody may do
//! it harm or keep it waiting.

use flob_abi::{Call, FlobKind, PAGE_SIZE, Protection, SpaceState, Status, group};

use super::program::*;
use super::sim::{ROOT_SPACE, Sim};
use crate::Event;

/// Where it sees its memory.
const AT: u64 = 0x40_0000;
/// It waits for this line between its rounds.
const LINE: u8 = 5;
/// What it adds to its sum in each round.
const STEP: u64 = 3;
/// Above those who might disturb it, below the driver.
const PRIORITY: u32 = 20;

pub struct Bystander {
    memory: u64,
    rounds: u64,
}

impl Bystander {
    /// In a space of its own, waiting for its first round.
    pub fn new(sim: &mut Sim) -> Self {
        let memory = sim.pages(2);
        let (_, region) = sim.make_region(ROOT_SPACE, memory, 2 * PAGE_SIZE, Protection::ALL, 0);
        let (space, to_space) = sim.make_space(PRIORITY, None);
        let state = SpaceState { ceiling: PRIORITY, interrupts: 1 << LINE, ..SpaceState::default() };
        assert_eq!(sim.set_state(space, &state, group::ALL, &[]), Status::Success);
        sim.make_mapping(region, to_space, (0, AT, 2 * PAGE_SIZE), Protection::ALL);
        sim.create_at(FlobKind::Mutex, memory);
        let program = Program::new()
            .call(Call::InterruptWait, &[u64::from(LINE)])
            .call(Call::MutexLock, &[AT])
            .set(R14, AT + PAGE_SIZE)
            .op(Op::Load(R15, R14, 8))
            .op(Op::Add(R15, STEP))
            .op(Op::Store(R14, 8, R15))
            .call(Call::MutexUnlock, &[AT])
            .op(Op::Jump(0));
        sim.spawn_in(to_space, PRIORITY, program);
        sim.run(100);
        Self { memory, rounds: 0 }
    }

    /// Everybody runs for so many instructions, in which it must do a round: an error says what its sum is instead.
    pub fn round(&mut self, sim: &mut Sim, instructions: u64) -> Result<(), u64> {
        self.rounds += 1;
        // The device asks until it is heard: after an amnesia it must have been waited for anew.
        while !sim.kernel.machine().fire(LINE) {
            assert_eq!(sim.run(1), 1, "the bystander does not wait for its round");
        }
        sim.kernel.event(Event::Interrupt { line: LINE });
        sim.run(instructions);
        let sum = sim.read_word(self.memory + PAGE_SIZE + 8);
        if sum == STEP * self.rounds { Ok(()) } else { Err(sum) }
    }
}
