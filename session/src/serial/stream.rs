//! The open device as a stream that outlives it: when it goes, reading says so once and then waits until it is back; what is
//! written meanwhile is lost, as on any bad line, and the link repeats it.

use std::{
    fs::File,
    io::{self, Read, Write},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use flob_link::host::{Inlet, Outlet};

use super::{
    Port,
    open::{Name, open, open_again, release},
};
use crate::{Error, hub::lock};

/// How often a device that is gone is looked for. Nothing tells that a port can be opened.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A serial device that is open, or is waited for. Clones are of the same.
#[derive(Clone, Debug)]
pub struct Device {
    port: Port,
    place: Arc<Mutex<Place>>,
}

/// What was found where it is.
#[derive(Debug)]
struct Place {
    /// It, while it is there.
    present: Option<Arc<File>>,
    /// Its name when it was there last.
    name: Name,
}

impl Place {
    fn new(file: File, name: Name) -> Self {
        Self { present: Some(Arc::new(file)), name }
    }
}

impl Device {
    /// Opens it, or says what is in the way.
    pub fn open(port: Port) -> Result<Self, Error> {
        let name = Name::of(&port);
        let place = Place::new(open(&port)?, name);
        Ok(Self { port, place: Arc::new(Mutex::new(place)) })
    }

    /// Which it is.
    pub const fn port(&self) -> &Port {
        &self.port
    }

    /// Lets others have it, whoever of us is still waiting for something to read.
    pub fn release(&self) {
        if let Some(file) = self.present() {
            release(&file);
        }
    }

    fn present(&self) -> Option<Arc<File>> {
        lock(&self.place).present.clone()
    }

    /// Waits until it can be opened again.
    fn await_it(&self) -> Arc<File> {
        loop {
            if let Some(file) = self.present() {
                return file;
            }
            let (before, name) = (lock(&self.place).name, Name::of(&self.port));
            match open_again(&self.port, before) {
                Ok(file) => *lock(&self.place) = Place::new(file, name),
                Err(_) => thread::sleep(LOOK_AGAIN),
            }
        }
    }
}

impl Read for Device {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = self.await_it();
        match (&*file).read(buffer) {
            Ok(count @ 1..) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            // A terminal has no end: what was at the other side is gone.
            Ok(_) | Err(_) => {
                lock(&self.place).present = None;
                Err(io::ErrorKind::NotConnected.into())
            }
        }
    }
}

impl Write for Device {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.present().map(|file| (&*file).write(bytes)) {
            Some(Ok(count @ 1..)) => Ok(count),
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            // The reader finds out what is wrong.
            None | Some(Ok(_) | Err(_)) => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is awaited is the device that is there, or its coming back.
impl Inlet for Device {}

/// A device may take its time for each byte.
impl Outlet for Device {}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use super::*;
    use crate::serial::plug_in;

    fn port(path: PathBuf) -> Port {
        Port { path, speed: 115_200 }
    }

    fn code(path: &Path) -> Option<u8> {
        Device::open(port(path.to_owned())).err().map(|error| error.exit_code())
    }

    /// The system gives its number to the next terminal that somebody opens.
    #[test]
    fn another_terminal_with_the_number_of_one_that_is_gone_is_let_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("line"), folder.path().join("other"));
        let other_end = plug_in(&path);
        let number = fs::read_link(&path).expect("a link");
        for name in [path.clone(), number.clone()] {
            let before = Name::of(&port(name.clone()));
            open_again(&port(name), before).expect_err("it was not made anew");
        }
        let before = Name::of(&port(path.clone()));
        drop(other_end);
        let _others: Vec<File> = (0..8).map(|_| plug_in(&other)).collect();
        // Whether or not one of them has the number: nobody has said that it is to be used.
        open_again(&port(path.clone()), before).expect_err("nobody plugged it in");
        let _plugged = plug_in(&path);
        open_again(&port(path), before).expect("it is there again");
    }

    #[test]
    fn every_byte_passes_as_it_is_and_a_device_that_is_gone_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("line");
        let mut other_end = plug_in(&path);
        let mut device = Device::open(port(path.clone())).expect("it opens");
        let all: Vec<u8> = (0..=255).collect();
        let mut came = vec![0; all.len()];
        other_end.write_all(&all).expect("written");
        device.read_exact(&mut came).expect("read");
        assert_eq!(came, all);
        device.write_all(&all).expect("written");
        came.fill(0);
        other_end.read_exact(&mut came).expect("read");
        assert_eq!(came, all);

        drop(other_end);
        let gone = device.read(&mut came).expect_err("nothing is there");
        assert_eq!(gone.kind(), io::ErrorKind::NotConnected);
        device.write_all(b"lost on the way").expect("nobody waits");
        let back = thread::spawn(move || plug_in(&path));
        let mut other_end = back.join().expect("it is back");
        let writer = thread::spawn(move || other_end.write_all(b"here again").map(|()| other_end));
        device.read_exact(&mut came[..10]).expect("read");
        assert_eq!(&came[..10], b"here again");
        drop(writer.join());
    }

    #[test]
    fn what_cannot_be_opened_says_why() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("line");
        assert_eq!(code(&path), Some(121), "there is none");
        fs::write(&path, "no terminal").expect("written");
        assert_eq!(code(&path), Some(122));
        assert_eq!(code(folder.path()), Some(122));
        let _other_end = plug_in(&path);
        let device = Device::open(port(path.clone())).expect("it opens");
        assert_eq!(code(&path), Some(123), "somebody has it");
        drop(device);
        assert_eq!(code(&path), None);
    }
}
