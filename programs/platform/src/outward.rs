//! Datagrams with bulk on their way to the host, without a line: what a request for one asks, and what goes to the device.

use alloc::vec::Vec;

use flob_abi::Sum;
use flob_link::frame::{self, TooLong};
use flob_runtime::service::messages::{BulkRequest, HostReply};

/// What goes to the device.
#[derive(Debug, PartialEq, Eq)]
pub enum Outward {
    /// A frame with everything in it.
    Whole(Vec<u8>),
    /// A frame behind which the bulk goes as it is.
    Head(Vec<u8>),
    /// Nothing: the bulk was changed on its way here, and must not come to look whole.
    Nothing,
}

impl Outward {
    /// A message with so many bytes of bulk that had this sum, for a line that loses nothing or one that may: for that it is copied.
    pub fn new(
        is_lossless: bool,
        channel: u8,
        message: &[u8],
        (size, copy): (usize, impl FnOnce() -> Vec<u8>),
        sum: u64,
    ) -> Result<Self, TooLong> {
        let mut encoded = Vec::new();
        // Nothing goes raw that is not there: no decoder waits for that.
        if is_lossless && size > 0 {
            // Who receives it looks at the sum.
            frame::encode_raw_head(channel, message, size, sum, &mut encoded)?;
            return Ok(Self::Head(encoded));
        }
        let bulk = copy();
        if Sum::of(&bulk) != sum {
            return Ok(Self::Nothing);
        }
        frame::encode_with_bulk(channel, message, &bulk, &mut encoded)?;
        Ok(Self::Whole(encoded))
    }
}

/// Answers a request of the service `bulk`, whose datagram `send` sends with its bulk. None if it is no request: nothing is sent then,
/// and its connection ends.
pub fn answer(
    request: &[u8],
    send: impl FnOnce(&BulkRequest<'_>) -> Result<(), HostReply<'static>>,
) -> Option<Vec<u8>> {
    let sent = send(&postcard::from_bytes(request).ok()?);
    postcard::to_allocvec(&sent.map_or_else(|refusal| refusal, |()| HostReply::Sent)).ok()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use flob_link::MAX_FRAME;
    use flob_link::frame::{Decoder, MAX_BULK};

    use super::*;

    const CHANNEL: u8 = 1;
    const MESSAGE: &[u8] = b"pages, and a zero: \0";

    fn bulk(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|index| (index * 31 % 251) as u8).collect()
    }

    fn outward(is_lossless: bool, message: &[u8], bulk: &[u8], sum: u64) -> Result<Outward, TooLong> {
        Outward::new(is_lossless, CHANNEL, message, (bulk.len(), || bulk.to_vec()), sum)
    }

    /// Channel, message and bulk.
    type Came = (u8, Vec<u8>, Vec<u8>);

    /// Everything that the host finds in these bytes, and how many frames were damaged.
    fn received(parts: &[&[u8]]) -> (Vec<Came>, u64) {
        let (mut decoder, mut found) = (Decoder::new(), Vec::new());
        for part in parts {
            decoder.feed(part, |frame| found.push((frame.channel, frame.payload.to_vec(), frame.bulk)));
        }
        (found, decoder.garbled())
    }

    #[test]
    fn bulk_of_any_length_comes_as_it_was_over_either_line() {
        for bytes in [0, 1, 7, 8, 4095, 4096, 4097, MAX_BULK - 1, MAX_BULK] {
            let bulk = bulk(bytes);
            let sent = |is_lossless| outward(is_lossless, MESSAGE, &bulk, Sum::of(&bulk));
            let came = (vec![(CHANNEL, MESSAGE.to_vec(), bulk.clone())], 0);
            match sent(true) {
                Ok(Outward::Head(head)) if bytes > 0 => {
                    assert_eq!(received(&[&head, &bulk]), came, "{bytes} bytes");
                }
                Ok(Outward::Whole(frame)) if bytes == 0 => assert_eq!(received(&[&frame]), came),
                other => panic!("{bytes} bytes: {other:?}"),
            }
            if bytes <= 4097 {
                let Ok(Outward::Whole(frame)) = sent(false) else { panic!("{bytes} bytes are not framed") };
                assert_eq!(received(&[&frame]), came, "{bytes} bytes in a frame");
            }
        }
    }

    #[test]
    fn what_is_too_long_is_refused_and_not_cut() {
        let (long, longer) = (bulk(MAX_FRAME + 1), bulk(MAX_BULK + 1));
        for (is_lossless, message, bulk) in [
            (true, MESSAGE, &*longer),
            (true, &*long, MESSAGE),
            (false, MESSAGE, &*long),
            (false, &*long, MESSAGE),
        ] {
            assert_eq!(outward(is_lossless, message, bulk, Sum::of(bulk)), Err(TooLong));
        }
    }

    /// The program that it is of may write it while it is on its way.
    #[test]
    fn bulk_that_was_changed_on_its_way_never_looks_whole() {
        let bulk = bulk(4096);
        let before = Sum::of(&[1; 4096]);
        let Ok(Outward::Head(head)) = outward(true, MESSAGE, &bulk, before) else {
            panic!("its sum is looked at where it comes")
        };
        assert_eq!(received(&[&head, &bulk]), (Vec::new(), 1));
        assert_eq!(outward(false, MESSAGE, &bulk, before), Ok(Outward::Nothing));
    }

    /// What comes behind it is not taken for its bulk, nor lost.
    #[test]
    fn a_garbled_head_loses_its_own_bulk_only() {
        let (lost, bulk) = (vec![7; 4096], bulk(100));
        let head = |bulk: &[u8]| match outward(true, MESSAGE, bulk, Sum::of(bulk)) {
            Ok(Outward::Head(head)) => head,
            other => panic!("{other:?}"),
        };
        let (mut first, second) = (head(&lost), head(&bulk));
        first[3] ^= 1;
        let (found, garbled) = received(&[&first, &lost, &second, &bulk]);
        assert_eq!(found, [(CHANNEL, MESSAGE.to_vec(), bulk)]);
        assert!(garbled > 0);
    }

    fn asked(channel: &str) -> Vec<u8> {
        let pieces = vec![(0x1000, 8192), (0x7f_f000, 4096)];
        postcard::to_allocvec(&BulkRequest { channel, message: MESSAGE, sum: u64::MAX / 3, pieces }).unwrap()
    }

    #[test]
    fn a_request_that_is_cut_sends_nothing_and_gets_no_answer() {
        let request = asked("debugger");
        for end in 0..request.len() {
            assert_eq!(answer(&request[..end], |_| panic!("{end} bytes are no request")), None);
        }
        let sent = answer(&request, |asked| {
            assert_eq!((asked.channel, asked.message, asked.sum), ("debugger", MESSAGE, u64::MAX / 3));
            assert_eq!(asked.pieces, [(0x1000, 8192), (0x7f_f000, 4096)]);
            Ok(())
        });
        assert_eq!(postcard::from_bytes(&sent.unwrap()), Ok(HostReply::Sent));
    }

    #[test]
    fn who_asks_for_what_cannot_be_sent_is_told_why() {
        for why in [HostReply::NoChannel, HostReply::TooLong, HostReply::Elsewhere] {
            let told = answer(&asked("nobody"), |_| Err(why)).unwrap();
            assert_eq!(postcard::from_bytes(&told), Ok(why));
        }
    }
}
