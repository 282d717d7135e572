//! The child: the outermost nester (or, to try one out, any program) in nearly all memory.

use alloc::format;
use alloc::string::String;

use flob_runtime::abi::{PAGE_SIZE, SpaceState};
use flob_runtime::heap;
use flob_runtime::nester::{ChildMemory, Desk, Environment, Loaded, Places, Setup};

use crate::{files, service};

/// What stays for the platform itself: stacks and buffers of its servers, frames on their way.
pub const OWN_MEMORY: usize = 8 << 20;
/// No thread below runs above this priority; the platform's own do.
pub const CEILING: u32 = 27;

/// A child that is loaded.
pub struct Child {
    /// All its memory.
    pub environment: Environment,
    /// Where in it is what the child names.
    pub places: Places,
}

/// Loads the program that `stack` names first, with `stack` as its arguments.
pub fn load(desk: &Desk, stack: &[String]) -> Result<Child, String> {
    let name = stack.first().map_or("", String::as_str);
    let mut file =
        files::find(name).ok_or_else(|| format!("there is no program '{name}' in the boot archive"))?;
    let size = heap::untouched().saturating_sub(OWN_MEMORY) / PAGE_SIZE as usize * PAGE_SIZE as usize;
    let memory = ChildMemory::take(size as u64).ok_or("there is too little memory")?;
    let kernel = |status: flob_runtime::abi::Status| format!("'{name}' cannot be started: {}", status.text());
    let environment = Environment::over(memory).map_err(kernel)?;
    let parent = desk.reference(service::PARENT).ok_or("the parent port is missing")?;
    let setup = Setup {
        parent,
        keeper: desk.reference(service::KEEPER),
        debug_port: None,
        space: SpaceState { ceiling: CEILING, ..SpaceState::default() },
        arguments: stack,
    };
    let loaded = environment.load(&mut file, &setup);
    let Loaded { places, .. } = loaded.map_err(|error| format!("'{name}' cannot be started: {error}"))?;
    Ok(Child { environment, places })
}

impl Child {
    /// Lets it run.
    pub fn start(&self) -> Result<(), String> {
        self.environment.start().map_err(|status| format!("the child cannot be started: {}", status.text()))
    }
}
