//! What a debugger changes: registers, memory, flobs, and the whole environment. Before that the state is kept for `flob undo`.

use flob_image::{Flob, Place, State};
use flob_link::Change;
use flob_session::Error;

use crate::{arch, guest::Guest, inferior::Inferior};

impl<G: Guest> Inferior<G> {
    /// Writes those registers that differ from what the thread has.
    pub fn set_registers(
        &mut self,
        thread: Place,
        registers: &arch::Registers,
        vectors: bool,
    ) -> Result<(), Error> {
        let (before, _) = self.state(thread, vectors)?;
        let mut after = before;
        registers.store(&mut after);
        let mut mask = 0;
        if after.registers != before.registers {
            mask |= flob_abi::group::REGISTERS;
        }
        if vectors && after.vectors != before.vectors {
            mask |= flob_abi::group::VECTORS;
        }
        if mask == 0 {
            return Ok(());
        }
        self.keep_once();
        let state = Some(State::Thread(after).as_bytes().to_vec());
        self.guest.set(thread, before.hash, Change { mask, state, links: Vec::new() })?;
        self.own_changes += 1;
        self.forget_flobs();
        self.seen.insert(thread, after.registers);
        Ok(())
    }

    /// Has the state kept for `flob undo`. That it cannot be kept is told, and no reason not to go on.
    fn keep(&mut self, what: &str) {
        if let Err(error) = self.guest.remember(what) {
            self.console.push(format!("flob: this will not be undone by 'flob undo': {error}"));
        }
        self.is_kept = false;
    }

    /// The same before registers or memory are written: once a stop, because debuggers write much for one command.
    fn keep_once(&mut self) {
        if !self.is_kept {
            self.keep("what gdb wrote");
            self.is_kept = true;
        }
    }

    /// Writes those fields and links of a flob that differ; `what` says so to people.
    pub fn set_flob(&mut self, old: &Flob, new: &Flob, what: &str) -> Result<(), Error> {
        self.keep(what);
        let hash = flob_image::fields::field(&old.state, "hash").map_or(0, |value| value.number());
        self.guest.set(old.place, hash, flob_session::edit::difference(old, new))?;
        self.own_changes += 1;
        // Registers that the debugger has seen are others now, and that is how it was meant.
        self.seen.remove(&old.place);
        self.forget();
        Ok(())
    }

    /// Puts a checkpoint in the place of the environment: its id. The space is held again, the others go on.
    pub fn restore(&mut self, id: &str) -> Result<String, Error> {
        self.keep(&format!("restore {id}"));
        let id = self.guest.restore(id)?;
        self.own_environments += 1;
        self.begin_anew();
        self.stop_world();
        self.release_user()?;
        Ok(id)
    }

    /// Lets go what the user holds.
    pub fn release_user(&mut self) -> Result<(), Error> {
        self.guest.release_user()?;
        self.own_changes += 1;
        Ok(())
    }

    /// Writes memory.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        // Behind it the same memory may be seen at other addresses too.
        self.pages.clear();
        self.keep_once();
        self.guest.write(self.space, address, bytes)?;
        self.own_changes += 1;
        Ok(())
    }

    /// Begins the program anew; whatever the debugger was attached to is gone.
    pub fn restart(&mut self, arguments: Option<Vec<String>>, what: &str) -> Result<(), Error> {
        self.keep(what);
        self.detach();
        self.guest.restart(arguments)?;
        self.own_environments += 1;
        // It may be another build than what was restored before.
        self.symbols = None;
        Ok(())
    }
}
