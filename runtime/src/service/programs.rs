//! The files of the boot archive.

use alloc::vec::Vec;

use super::messages::{ProgramsReply, ProgramsRequest};
use super::{Service, ServiceError, reply_room, request};

static PROGRAMS: Service = Service::new("programs");

/// Most bytes in one read.
const CHUNK: u32 = 60 * 1024;

/// The size of this file, if there is one.
pub fn size(name: &str) -> Result<Option<u64>, ServiceError> {
    let mut room = [0; 32];
    match request(PROGRAMS.port()?, &ProgramsRequest::Size { name }, &mut room, &[])? {
        ProgramsReply::Size { bytes } => Ok(Some(bytes)),
        ProgramsReply::NoProgram => Ok(None),
        ProgramsReply::Data { .. } => Err(ServiceError::Garbled),
    }
}

/// All of this file, if there is one.
pub fn read(name: &str) -> Result<Option<Vec<u8>>, ServiceError> {
    let Some(size) = size(name)? else { return Ok(None) };
    let mut room = reply_room();
    let mut file = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    while (file.len() as u64) < size {
        let wanted = ProgramsRequest::Read { name, offset: file.len() as u64, max: CHUNK };
        match request(PROGRAMS.port()?, &wanted, &mut room, &[])? {
            ProgramsReply::Data { bytes } if !bytes.is_empty() => file.extend_from_slice(bytes),
            _ => return Err(ServiceError::Garbled),
        }
    }
    Ok(Some(file))
}
