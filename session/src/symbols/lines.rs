//! From a line of the source to the instructions that come from it.

use std::path::Path;

use gimli::{Dwarf, LineProgramHeader, Reader as _, Unit};

use super::Reader;

/// The addresses at which code of this line begins; of the next line that has any, if this one has none. `file` is the end of
/// the file's path.
pub fn addresses(dwarf: &Dwarf<Reader>, file: &str, line: u64) -> gimli::Result<Vec<u64>> {
    let mut found: Vec<(u64, u64)> = Vec::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let unit = dwarf.unit(header)?;
        let Some(program) = unit.line_program.clone() else { continue };
        let (mut rows, mut before) = (program.rows(), None);
        while let Some((header, row)) = rows.next_row()? {
            let here =
                (!row.end_sequence()).then(|| (row.file_index(), row.line().map_or(0, |line| line.get())));
            let begins = here != before && row.is_stmt();
            before = here;
            if let Some((index, at)) = here.filter(|(_, at)| begins && *at >= line)
                && is_meant(dwarf, &unit, header, index, file)?
            {
                found.push((at, row.address()));
            }
        }
    }
    let first = found.iter().map(|(at, _)| *at).min();
    let mut addresses: Vec<u64> =
        found.into_iter().filter(|(at, _)| Some(*at) == first).map(|(_, address)| address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    // Code that the linker has left out lies at the beginning.
    addresses.retain(|address| *address >= flob_abi::PAGE_SIZE);
    Ok(addresses)
}

fn is_meant(
    dwarf: &Dwarf<Reader>,
    unit: &Unit<Reader>,
    header: &LineProgramHeader<Reader>,
    index: u64,
    wanted: &str,
) -> gimli::Result<bool> {
    let Some(file) = header.file(index) else { return Ok(false) };
    let text = |value| Ok::<_, gimli::Error>(dwarf.attr_string(unit, value)?.to_string_lossy()?.into_owned());
    let folder = file.directory(header).map(text).transpose()?.unwrap_or_default();
    let name = text(file.path_name())?;
    Ok(Path::new(&folder).join(name).ends_with(wanted))
}
