//! The second space: made by the program itself, of its own memory. It sees code, constants, statics, heap and start
//! page at the same addresses as the first, through regions that export them and mappings that import them.

use core::ops::Range;

use flob_runtime::abi::start::START_PAGE;
use flob_runtime::abi::{PAGE_SIZE, Protection, Status};
use flob_runtime::flob::{FlobAt, Mapping, OwnedReference, Reference, Region, Space};
use flob_runtime::start;

static TALLY_SPACE: Space = Space::new();
/// Names [`TALLY_SPACE`].
static TALLY_SPACE_REFERENCE: Reference = Reference::new();
/// What is exported: the image, the heap, the start page.
static REGIONS: [Region; 3] = [const { Region::new() }; 3];
/// How it is imported: code, constants, statics, heap, start page.
static MAPPINGS: [Mapping; 5] = [const { Mapping::new() }; 5];

/// A reference to the space.
pub fn reference() -> FlobAt<Reference> {
    TALLY_SPACE_REFERENCE.at()
}

/// Makes it.
pub fn make() -> Result<(), Status> {
    // It inherits the ceiling of the space it is made in, and is granted no device.
    TALLY_SPACE.at().create()?;
    TALLY_SPACE_REFERENCE.at().create()?;
    TALLY_SPACE.at().reference(reference())?;

    let image = start::image();
    let image_start = image.text.start;
    let info = start::info();
    let heap = info.heap_start..info.heap_start + info.heap_size;
    let start_page = START_PAGE..START_PAGE + PAGE_SIZE;
    let exports = [image_start..image.data.end, heap.clone(), start_page.clone()];
    for (region, range) in REGIONS.iter().zip(exports) {
        region.at().export(start::space(), range.start, range.end - range.start, Protection::ALL)?;
    }
    let [of_image, of_heap, of_start_page] = &REGIONS;
    let imports = [
        (of_image, image_start, image.text, Protection::READ_EXECUTE),
        (of_image, image_start, image.constants, Protection::READ),
        (of_image, image_start, image.data, Protection::READ_WRITE),
        (of_heap, heap.start, heap, Protection::READ_WRITE),
        (of_start_page, start_page.start, start_page, Protection::READ_WRITE),
    ];
    for (mapping, (region, region_start, range, protection)) in MAPPINGS.iter().zip(imports) {
        map(mapping, region, region_start, range, protection)?;
    }
    Ok(())
}

/// Imports `range` of a region that begins at `region_start`, at the same address.
fn map(
    mapping: &Mapping,
    region: &Region,
    region_start: u64,
    range: Range<u64>,
    protection: Protection,
) -> Result<(), Status> {
    let region_reference = OwnedReference::new()?;
    region.at().reference(region_reference.at())?;
    let from = (region_reference.at(), range.start - region_start);
    mapping.at().map(from, (reference(), range.start), range.end - range.start, protection)
}
