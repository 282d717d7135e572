//! Bytes in a message, as one piece: on the line they are what a list of numbers is, but nobody looks at each of them. Most
//! messages are made in the guest, where that was a third of the work.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserializer, Serializer, de};

pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_bytes(Bytes)
}

struct Bytes;

impl de::Visitor<'_> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Whole(#[serde(with = "super")] Vec<u8>);

    #[test]
    fn on_the_line_they_are_a_list_of_numbers() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let sent = postcard::to_allocvec(&Whole(bytes.clone())).expect("room");
        assert_eq!(sent, postcard::to_allocvec(&bytes).expect("room"));
        assert_eq!(postcard::from_bytes::<Whole>(&sent), Ok(Whole(bytes)));
        assert!(postcard::from_bytes::<Whole>(&[5, 1]).is_err());
    }
}
