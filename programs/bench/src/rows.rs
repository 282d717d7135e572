//! The rows, one file for each part of the kernel.

pub mod calls;
pub mod faults;
pub mod nesting;
pub mod restart;
pub mod rpc;
pub mod state;
pub mod switch;
