//! The files of the boot archive.

use alloc::vec::Vec;

use super::messages::{ProgramsReply, ProgramsRequest};
use super::{Service, ServiceError, reply_room, request};
use crate::nester::ProgramFile;

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

/// A file that is read in pieces: for programs that are to be loaded.
pub struct File<'a> {
    name: &'a str,
    size: u64,
    room: Vec<u8>,
}

impl<'a> File<'a> {
    /// Most bytes that are read at a time.
    const READ: usize = 32 * 1024;

    /// The file of this name, if there is one.
    pub fn open(name: &'a str) -> Result<Option<Self>, ServiceError> {
        Ok(size(name)?.map(|size| Self { name, size, room: reply_room() }))
    }

    fn read_piece(&mut self, offset: u64, piece: &mut [u8]) -> Result<usize, ServiceError> {
        let wanted = ProgramsRequest::Read { name: self.name, offset, max: piece.len() as u32 };
        match request(PROGRAMS.port()?, &wanted, &mut self.room, &[])? {
            ProgramsReply::Data { bytes } => {
                let count = bytes.len().min(piece.len());
                if let (Some(to), Some(from)) = (piece.get_mut(..count), bytes.get(..count)) {
                    to.copy_from_slice(from);
                }
                Ok(count)
            }
            _ => Err(ServiceError::Garbled),
        }
    }
}

impl ProgramFile for File<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> bool {
        let mut done = 0;
        while done < buffer.len() {
            let end = buffer.len().min(done + Self::READ);
            let Some(piece) = buffer.get_mut(done..end) else { return false };
            match self.read_piece(offset + done as u64, piece) {
                Ok(count) if count > 0 => done += count,
                _ => return false,
            }
        }
        true
    }
}
