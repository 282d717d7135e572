//! The byte stream that a debugger comes by: a Unix socket, or TCP.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    os::{fd::AsFd, unix::net::UnixStream},
};

/// A byte stream to a debugger.
pub trait Stream: Read + Write + AsFd + Send + Sized + 'static {
    /// A second handle, for reading beside writing.
    fn another(&self) -> io::Result<Self>;
    /// Ends it, also for a reader that is blocked.
    fn end(&self);
}

impl Stream for UnixStream {
    fn another(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn end(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Stream for TcpStream {
    fn another(&self) -> io::Result<Self> {
        self.set_nodelay(true)?;
        self.try_clone()
    }

    fn end(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}
