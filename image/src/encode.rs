//! An environment as bytes: magic, version, then postcard.
//!
//! ```text
//! 0   magic "FLOBENV\n"
//! 8   u32 version, little-endian
//! 12  postcard of Environment
//! ```
//!
//! No checksum here: the link's frames and the store's files each have theirs.

use alloc::vec::Vec;
use core::fmt;

use crate::Environment;

/// First bytes.
pub const MAGIC: [u8; 8] = *b"FLOBENV\n";
/// The version that is written. Every older one is read.
pub const VERSION: u32 = 1;

/// Why bytes are no environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They do not begin with [`MAGIC`].
    NotAnEnvironment,
    /// Written by a newer flob, in this version.
    Newer(u32),
    /// They end too early or make no sense.
    Malformed,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnEnvironment => out.write_str("this is no environment record"),
            Self::Newer(version) => {
                write!(out, "written in format {version}, this flob knows up to {VERSION}: use a newer flob")
            }
            Self::Malformed => out.write_str("the environment record is damaged"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// The bytes of an environment.
pub fn encode(environment: &Environment) -> Vec<u8> {
    let mut bytes = Vec::from(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    // Growing a vector is the only thing that serialising this model does, so it cannot fail; were it ever to, the
    // short record would be refused by `decode`.
    postcard::to_extend(environment, bytes).unwrap_or_default()
}

/// The environment in these bytes. What comes back has its flobs in ascending order, no two at one place, each with
/// the number of links of its kind; all else is for [`crate::verify`].
///
/// # Errors
/// If they hold none.
pub fn decode(bytes: &[u8]) -> Result<Environment, DecodeError> {
    let rest = bytes.strip_prefix(&MAGIC).ok_or(DecodeError::NotAnEnvironment)?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or(DecodeError::Malformed)?;
    let environment = match u32::from_le_bytes(*version) {
        0 => Err(DecodeError::Malformed),
        1 => postcard::from_bytes::<Environment>(rest).map_err(|_| DecodeError::Malformed),
        newer => Err(DecodeError::Newer(newer)),
    }?;
    if is_well_formed(&environment) { Ok(environment) } else { Err(DecodeError::Malformed) }
}

/// What the functions of this crate rely on: order by place, and links as many as the kind has.
pub fn is_well_formed(environment: &Environment) -> bool {
    let ordered = environment.flobs.is_sorted_by(|one, next| one.place < next.place);
    ordered && environment.flobs.iter().all(|flob| flob.links.len() == flob.state.kind().links().len())
}
