//! `flob attach --serial`: a session with a guest that runs elsewhere, behind a serial device. Its hub is a process of its own, as that
//! of `flob run`; the guest is not started by it, and stays when it ends.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;
use flob_image::store::Store;
use flob_link::host::Timing;
use flob_session::{
    Claim, Error,
    hub::{Config, GuestPlan, Standard},
    serial::Port,
    sessions,
};

use super::{gdb_server::Servers, hub::Plan};
use crate::guest;

/// Arguments of `attach --serial`, and of the hub that it starts.
#[derive(Args, Clone, Debug)]
pub struct Serial {
    /// A guest that runs elsewhere, behind this serial device, at 115200 bits a second or SPEED
    #[arg(long, value_name = "DEVICE[,SPEED]")]
    pub serial: Option<Port>,
    /// The ELF of the program that runs there, for symbols; bundled programs are known
    #[arg(long, value_name = "FILE", requires = "serial")]
    elf: Option<PathBuf>,
    /// Serve gdb on this TCP port too, on the loopback interface
    #[arg(long, value_name = "PORT", requires = "serial")]
    gdb: Option<u16>,
}

impl Serial {
    fn port(&self) -> Result<&Port, Error> {
        self.serial.as_ref().ok_or_else(|| Error::Usage("which serial device? Say --serial DEVICE".into()))
    }

    /// What can be told before the screen is taken.
    pub fn check(&self) -> Result<(), Error> {
        self.known()?;
        flob_session::serial::Device::open(self.port()?.clone()).map(drop)
    }

    /// The program is one of these, or has no symbols.
    fn known(&self) -> Result<Vec<Vec<u8>>, Error> {
        let given = self.elf.as_ref().map(|path| guest::find(&path.to_string_lossy())).transpose()?;
        let bundled = guest::bundled().filter_map(guest::carried);
        Ok(given.into_iter().chain(bundled).map(|program| program.elf).collect())
    }
}

impl Plan for Serial {
    const VERB: &str = "serial-hub";

    fn label(&self) -> String {
        self.serial.as_ref().map(Port::label).unwrap_or_default()
    }

    fn to_arguments(&self) -> Vec<OsString> {
        let port = self.serial.as_ref().map(|port| ("--serial", port.to_string().into()));
        let elf = self.elf.as_ref().map(|path| ("--elf", path.into()));
        let gdb = self.gdb.map(|port| ("--gdb", port.to_string().into()));
        let all: [Option<(&str, OsString)>; 3] = [port, elf, gdb];
        all.into_iter().flatten().flat_map(|(name, value)| [name.into(), value]).collect()
    }

    /// What a program did before is not known: it is looked at, typed to, and not run like a filter.
    fn standard(&self) -> Standard {
        Standard { input: false, output: false }
    }

    fn prepare(&self, name: Option<&str>, standard: Standard) -> Result<(Config, Servers), Error> {
        let port = self.port()?.clone();
        let name = name.map_or_else(|| sessions::free_name(&self.label()), |name| Ok(name.to_owned()))?;
        let claim = Claim::take(&name)?;
        let servers = Servers::bind(&claim, self.gdb, false)?;
        let config = Config {
            claim,
            program: String::new(),
            arguments: Vec::new(),
            elf: None,
            guest: GuestPlan::Remote { port, known: self.known()? },
            paused: false,
            restore: None,
            force: false,
            lazy: false,
            store: Store::open_default()?,
            standard,
            timing: Timing::default(),
            gdb_socket: Some(servers.socket().to_owned()),
            gdb_port: self.gdb,
        };
        Ok((config, servers))
    }
}
