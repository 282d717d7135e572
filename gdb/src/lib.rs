//! The gdb server over a session.
//!
//! One connection is one space: a process with all its threads. In extended mode ([`extended`]) it may turn to another. What comes in is put in order by [`filter`], sorted by
//! [`dispatch`] into what is answered here and what gdbstub answers, and checked by [`grammar`], because gdbstub ends at
//! packets it does not expect. [`inferior`] is the space as the debugger believes it to be; [`resume`] and [`events`]
//! are how it goes on and stops. [`guest`] is what all of it needs of a session.
//!
//! The stops of a debugger are holds of its own owner: they and its breakpoints end with its connection, and the program
//! goes on unless somebody else holds it.
#![forbid(unsafe_code)]

pub mod arch;
pub mod dispatch;
mod edits;
pub mod events;
mod extended;
pub mod files;
pub mod filter;
pub mod grammar;
pub mod guest;
pub mod inferior;
mod inputs;
mod line;
pub mod listen;
mod monitor;
pub mod names;
pub mod packet;
mod pages;
pub mod resume;
mod server;
pub mod stop;
mod stream;
mod tag;
mod target;
pub mod xfer;

use std::{
    io::Write,
    sync::{Arc, atomic::AtomicBool},
};

use flob_image::{Environment, Place};
use flob_session::{Client, Error, Hears};

pub use guest::{Guest, SessionGuest};
pub use listen::{listen_tcp, listen_unix};
pub use stream::Stream;

/// Which space a debugger gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// The one that the program began in.
    #[default]
    Program,
    /// The one at this place.
    Space(Place),
}

/// How to serve.
#[derive(Default)]
pub struct Options {
    /// Which space.
    pub selection: Selection,
    /// Set as long as the program waits, since it began, for whoever debugs it (`flob run --paused`): it is this debugger from then on.
    pub awaited: Arc<AtomicBool>,
    /// Where every packet is written, for people in trouble.
    pub log: Option<Box<dyn Write + Send>>,
}

/// Serves one debugger on `stream` until it goes or the session ends; blocks meanwhile. The client should be a
/// connection of its own: what the debugger held ends with it.
pub fn serve<S: Stream>(stream: S, client: Client, options: Options) -> Result<(), Error> {
    serve_guest(stream, SessionGuest::new(client), options)
}

/// The same over any guest.
pub fn serve_guest<S: Stream, G: Guest>(stream: S, guest: G, options: Options) -> Result<(), Error> {
    server::run(stream, guest, options)
}

/// Attaches to the chosen space; what happens from then on is told.
fn attach<G: Guest>(
    mut guest: G,
    hears: Hears,
    selection: Selection,
) -> Result<inferior::Inferior<G>, Error> {
    guest.tell(hears)?;
    let space = select(&guest.environment(false)?, selection)?;
    inferior::Inferior::attach(guest, space)
}

fn select(environment: &Environment, selection: Selection) -> Result<Place, Error> {
    let mut spaces = flob_session::names::spaces(environment);
    match selection {
        Selection::Program => spaces.next(),
        Selection::Space(place) => spaces.find(|space| *space == place),
    }
    .ok_or_else(|| match selection {
        Selection::Program => Error::NotFound("the program has no space any more".into()),
        Selection::Space(place) => Error::NotFound(format!("there is no space at {place:#x}")),
    })
}
