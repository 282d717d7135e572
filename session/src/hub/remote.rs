//! A guest that was there before the session and stays when it ends: met as it is, met again when it was started anew, and left in
//! order.

use flob_image::{Environment, Stream};
use flob_link::{
    Failure, Progress, Reply, Request, Scope,
    host::{Guest, LinkError},
};

use super::{Books, Hub, lock, replacing::Unknown};
use crate::{Error, HubEvent, LinkState, Owner, serial::Port, symbols};

impl Hub {
    /// Begins with what runs there. What another session has left in it is taken out; if threads are stopped, the user holds all. An error
    /// leaves that to whoever looks next.
    pub(super) fn meet(&self) -> Result<(), Failure> {
        let mut books = lock(&self.books);
        let (unseen, replaced) = (books.unseen, books.replaced + 1);
        // Nothing of the guest before is true of this one.
        *books = Books { unseen, replaced, unknown: Some(Unknown::Guest), ..Books::default() };
        lock(&self.cache).clear();
        *lock(&self.base) = None;
        self.supply_from(None);
        drop(books);
        self.find_out()
    }

    /// Takes out what another session has left in the guest.
    pub(super) fn clear_up(&self) -> Result<(), Failure> {
        match self.link.request(Request::Detach)? {
            Reply::Threads(0) => Ok(()),
            Reply::Threads(_) => self.hold(&Owner::User, Scope::Environment, None).map(drop),
            other => Err(LinkError::unexpected(&other).into()),
        }
    }

    /// The hello was answered once more: in the place of the guest there is one that was started since.
    pub(super) fn another_guest(&self, guest: &Guest) {
        self.greeted(guest);
        // What cannot be found out now will be when somebody looks.
        let _ = self.meet();
        self.set_link(LinkState::Up);
        lock(&self.info).progress = Progress::default();
        self.tell(HubEvent::AnotherGuest);
    }

    /// A guest has answered the hello: what its line carries, and with which event it begins.
    pub(super) fn greeted(&self, guest: &Guest) {
        *lock(&self.capacity) = guest.capacity;
        lock(&self.books).unseen = guest.first_event;
    }

    /// Nothing of ours stays in it, but that what the user holds stays held. Who holds as a client holds no longer than its connection.
    pub(super) fn leave(&self) {
        let clients: Vec<u64> = lock(&self.books).clients.iter().map(|(connection, _)| *connection).collect();
        for connection in clients {
            self.clean_up_after(connection);
        }
        // One that does not answer now is tidied up by whoever comes next.
        let _ = self.link.request(Request::Detach);
    }

    /// Symbols, and the program's file for checkpoints. Without it there are no symbols.
    pub(super) fn keep_known_program(&self, environment: &Environment) {
        if let Some(elf) = self.known.iter().find(|elf| symbols::is_program_of(elf, environment)) {
            let _ = self.store.put_program(&environment.build_id, elf);
        }
    }

    /// Its input from where it stands: what it has read before nobody has kept.
    pub(super) fn spool_from(&self, environment: &Environment) -> Result<flob_image::store::Spool, Failure> {
        let consumed = |stream: &&Stream| stream.name == "stdin";
        let position = environment.streams.iter().find(consumed).map_or(0, |stream| stream.position);
        let mut spool = self.store.spool().map_err(Error::from)?;
        spool.begin_at(position).map_err(Error::from)?;
        Ok(spool)
    }
}

/// The device is there, and nothing comes.
pub(super) fn nobody_answers(port: &Port) -> Error {
    Error::Guest(format!(
        "nobody answers at {}: is a guest running there whose first serial port this is, at {} bits a second? If it uses another \
         speed, say it: --serial {},SPEED",
        port.path.display(),
        port.speed,
        port.path.display()
    ))
}
