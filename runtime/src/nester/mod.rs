//! The nester toolkit: what a program needs to be the parent of another: make an environment ([`environment`]), load
//! a program into it ([`elf`]), answer its parent port and park what must wait ([`serve`]), find its flobs and what
//! their links mean ([`list`]). The nesters differ only in what they add.

pub mod elf;
pub mod environment;
pub mod list;
pub mod memory;
pub mod serve;

pub use elf::{Elf, ElfError, Fnv, ProgramFile};
pub use environment::{Environment, Loaded, Places, Setup, StartError, inherited};
pub use memory::ChildMemory;
pub use serve::{Desk, Parked, Reply};
