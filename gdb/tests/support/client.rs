//! A client without a debugger: each packet as a test wants it.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use flob_gdb::packet::{Framer, Incoming, frame};

use crate::support::Server;

pub struct Client {
    pub stream: UnixStream,
    framer: Framer,
}

impl Client {
    pub fn connect(server: &Server) -> Self {
        let stream = UnixStream::connect(&server.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { stream, framer: Framer::default() }
    }

    pub fn next(&mut self) -> Incoming {
        loop {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).expect("the connection should have survived");
            if let Some(incoming) = self.framer.push(byte[0]) {
                return incoming;
            }
        }
    }

    /// The next packet that is no console line; acknowledged, its repeats written out.
    pub fn packet(&mut self) -> String {
        loop {
            if let Incoming::Packet(body) = self.next() {
                self.stream.write_all(b"+").unwrap();
                let body = expand(&body);
                if !body.starts_with('O') || body == "OK" {
                    return body;
                }
            }
        }
    }

    pub fn ask(&mut self, body: &[u8]) -> String {
        self.stream.write_all(&frame(body)).unwrap();
        self.packet()
    }
}

/// `x*N` stands for x and N - 29 more of it.
fn expand(body: &[u8]) -> String {
    let (mut text, mut rest) = (Vec::new(), body);
    while let Some((byte, tail)) = rest.split_first() {
        rest = match (byte, tail.split_first()) {
            (b'*', Some((count, tail))) => {
                let last = *text.last().unwrap();
                text.extend(vec![last; usize::from(*count) - 29]);
                tail
            }
            _ => {
                text.push(*byte);
                tail
            }
        };
    }
    String::from_utf8_lossy(&text).into_owned()
}
