//! Spaces that see a program at the same addresses as the first.

use flob_runtime::abi::start::START_PAGE;
use flob_runtime::abi::{PAGE_SIZE, Protection, Status};
use flob_runtime::flob::{FlobAt, Mapping, Reference, Region, Space};
use flob_runtime::start;

use crate::{leak, refer};

/// A space that sees this program at the same addresses, and what it changes there.
pub fn another() -> Result<FlobAt<Reference>, Status> {
    let space = leak(Space::new()).at();
    space.create()?;
    let space = refer(space)?;
    let (image, info) = (start::image(), start::info());
    for (range, protection) in [
        (image.text, Protection::READ_EXECUTE),
        (image.constants, Protection::READ),
        (image.data, Protection::READ_WRITE),
        (info.heap_start..info.heap_start + info.heap_size, Protection::READ_WRITE),
        (START_PAGE..START_PAGE + PAGE_SIZE, Protection::READ_WRITE),
    ] {
        let (region, size) = (leak(Region::new()).at(), range.end - range.start);
        region.export(start::space(), range.start, size, Protection::ALL)?;
        leak(Mapping::new()).at().map((refer(region)?, 0), (space, range.start), size, protection)?;
    }
    Ok(space)
}
