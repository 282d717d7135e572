//! `--store PLACE` is `FLOB_STORE=PLACE` for this command and whatever it starts: so the command begins anew with it.

use std::env;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

use flob_image::store::Location;
use flob_session::Error;

/// Returns if the place is in the environment already; else this process becomes one in which it is.
pub fn choose(place: &OsStr) -> Result<(), Error> {
    Location::parse(place)?;
    if env::var_os("FLOB_STORE").is_some_and(|there| there == place) {
        return Ok(());
    }
    let program = env::current_exe().map_err(|error| Error::io("finding flob itself", error))?;
    let error = Command::new(program).args(env::args_os().skip(1)).env("FLOB_STORE", place).exec();
    Err(Error::io("starting flob again for --store", error))
}
