//! A cable for tests: a pseudo-terminal in the place of a serial device.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::Path,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// The other end of a pseudo-terminal that is to be found at this path.
pub fn plug_in(path: &Path) -> File {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&ours).expect("granted");
    unlockpt(&ours).expect("unlocked");
    let name = ptsname(&ours, Vec::new()).expect("a name").to_string_lossy().into_owned();
    let _ = fs::remove_file(path);
    symlink(name, path).expect("a link");
    File::from(ours)
}
