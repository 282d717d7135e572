//! The line discipline that stands before gdbstub: acknowledges, asks again, repeats. What passes is whole and comes
//! once. Pure: bytes in, packets and bytes out.

use std::collections::VecDeque;

use crate::packet::{Framer, Incoming, frame};

/// What the debugger wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A packet, whole and for the first time: its body.
    Packet(Vec<u8>),
    /// Ctrl-C.
    Interrupt,
}

/// The state of a line.
#[derive(Debug, Default)]
pub struct Filter {
    framer: Framer,
    /// The debugger has switched acknowledgements off: the transport is reliable.
    trusting: bool,
    /// Sent and not acknowledged, oldest first; framed.
    unacknowledged: VecDeque<Vec<u8>>,
    /// Sent last; framed.
    last_sent: Vec<u8>,
    /// Received last, until its answer is acknowledged: the same again would be a repeat.
    last_received: Option<Vec<u8>>,
}

impl Filter {
    /// Takes bytes from the debugger; what must go back at once is put into `out`.
    pub fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for byte in bytes {
            if let Some(incoming) = self.framer.push(*byte) {
                wanted.extend(self.sort(incoming, out));
            }
        }
        wanted
    }

    /// Sends a packet with this body.
    pub fn send(&mut self, body: &[u8], out: &mut Vec<u8>) {
        self.last_sent = frame(body);
        out.extend_from_slice(&self.last_sent);
        if !self.trusting {
            self.unacknowledged.push_back(self.last_sent.clone());
        }
    }

    /// No acknowledgements from now on.
    pub fn trust(&mut self) {
        self.trusting = true;
        self.unacknowledged.clear();
        self.last_received = None;
    }

    fn sort(&mut self, incoming: Incoming, out: &mut Vec<u8>) -> Option<Wanted> {
        match incoming {
            Incoming::Packet(body) if self.trusting => Some(Wanted::Packet(body)),
            Incoming::Packet(body) => self.packet(body, out),
            Incoming::Damaged if self.trusting => None,
            Incoming::Damaged => {
                out.push(b'-');
                None
            }
            Incoming::Acknowledged => {
                self.unacknowledged.pop_front();
                if self.unacknowledged.is_empty() {
                    self.last_received = None;
                }
                None
            }
            Incoming::Again => {
                self.repeat(out);
                None
            }
            Incoming::Interrupt => Some(Wanted::Interrupt),
        }
    }

    /// The same packet before its answer was acknowledged means that our acknowledgement, or the answer, was lost.
    fn packet(&mut self, body: Vec<u8>, out: &mut Vec<u8>) -> Option<Wanted> {
        out.push(b'+');
        if self.last_received.as_ref() == Some(&body) {
            if !self.unacknowledged.is_empty() {
                out.extend_from_slice(&self.last_sent);
            }
            return None;
        }
        // A new packet says that the debugger has what it waited for.
        self.unacknowledged.clear();
        self.last_received = Some(body.clone());
        Some(Wanted::Packet(body))
    }

    fn repeat(&mut self, out: &mut Vec<u8>) {
        // It goes to the end of the queue: its acknowledgement comes behind those of the packets after it.
        if let Some(packet) = self.unacknowledged.pop_front() {
            out.extend_from_slice(&packet);
            self.unacknowledged.push_back(packet);
        } else {
            out.extend_from_slice(&self.last_sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(body: &[u8]) -> Wanted {
        Wanted::Packet(body.to_vec())
    }

    #[test]
    fn a_good_packet_is_acknowledged_and_passed_on() {
        let (mut filter, mut out) = (Filter::default(), Vec::new());
        assert_eq!(filter.receive(&frame(b"g"), &mut out), [packet(b"g")]);
        assert_eq!(out, b"+");
    }

    #[test]
    fn a_damaged_packet_is_asked_for_again_and_then_taken() {
        let (mut filter, mut out) = (Filter::default(), Vec::new());
        assert!(filter.receive(b"$g#00", &mut out).is_empty());
        assert_eq!(out, b"-");
        assert_eq!(filter.receive(&frame(b"g"), &mut out), [packet(b"g")]);
    }

    #[test]
    fn a_nack_repeats_the_answer() {
        let (mut filter, mut out) = (Filter::default(), Vec::new());
        filter.receive(&frame(b"qAttached"), &mut out);
        filter.send(b"1", &mut out);
        out.clear();
        assert!(filter.receive(b"-", &mut out).is_empty());
        assert_eq!(out, frame(b"1"));
        assert!(filter.receive(b"+", &mut out).is_empty());
    }

    #[test]
    fn a_nack_of_the_first_of_two_packets_repeats_the_first() {
        let (mut filter, mut out) = (Filter::default(), Vec::new());
        filter.send(b"O41", &mut out);
        filter.send(b"T05", &mut out);
        out.clear();
        filter.receive(b"-+", &mut out);
        assert_eq!(out, frame(b"O41"));
        out.clear();
        filter.receive(b"-", &mut out);
        assert_eq!(out, frame(b"O41"));
    }

    #[test]
    fn a_repeated_packet_is_answered_again_and_not_done_again() {
        let (mut filter, mut out) = (Filter::default(), Vec::new());
        assert_eq!(filter.receive(&frame(b"vCont;s:1"), &mut out).len(), 1);
        out.clear();
        assert!(filter.receive(&frame(b"vCont;s:1"), &mut out).is_empty());
        assert_eq!(out, b"+", "it is still running: there is no answer to repeat");
        filter.send(b"T05", &mut out);
        out.clear();
        assert!(filter.receive(&frame(b"vCont;s:1"), &mut out).is_empty());
        assert_eq!(out, [b"+".to_vec(), frame(b"T05")].concat());
    }

    #[test]
    fn the_same_packet_after_an_acknowledged_answer_is_a_new_one() {
        let (mut filter, mut out) = (Filter::default(), Vec::new());
        filter.receive(&frame(b"vCont;s:1"), &mut out);
        filter.send(b"T05", &mut out);
        filter.receive(b"+", &mut out);
        assert_eq!(filter.receive(&frame(b"vCont;s:1"), &mut out), [packet(b"vCont;s:1")]);
    }

    #[test]
    fn a_trusting_line_sends_no_acknowledgements() {
        let (mut filter, mut out) = (Filter::default(), Vec::new());
        filter.trust();
        assert_eq!(filter.receive(&frame(b"g"), &mut out).len(), 1);
        assert_eq!(filter.receive(&frame(b"g"), &mut out).len(), 1);
        filter.receive(b"$g#00", &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn garbage_does_no_harm() {
        let (mut filter, mut out) = (Filter::default(), Vec::new());
        let mut seed = 0x2545_f491_4f6c_dd1du64;
        for _ in 0..200_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            filter.receive(&[seed as u8], &mut out);
        }
        filter.receive(b"#00#00", &mut out);
        out.clear();
        assert_eq!(filter.receive(&frame(b"?"), &mut out), [packet(b"?")]);
    }
}
