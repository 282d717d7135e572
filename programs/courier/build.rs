//! Links a guest program.

#[path = "../../runtime/link/guest.rs"]
mod guest;

fn main() {
    guest::link("program.ld");
}
