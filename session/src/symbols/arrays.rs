//! Statics that are arrays, from the debug information: a flob in one is called `FORKS[2]`.

use std::collections::HashMap;

use gimli::{
    AttributeValue, DW_AT_location, DW_AT_type, DW_TAG_array_type, DW_TAG_variable, Operation, Unit,
};

use super::Reader;

/// Address of each static array → bytes of an element.
pub fn find(dwarf: &gimli::Dwarf<Reader>) -> gimli::Result<HashMap<u64, u64>> {
    let mut arrays = HashMap::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let unit = dwarf.unit(header)?;
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            if entry.tag() != DW_TAG_variable {
                continue;
            }
            let location = entry.attr_value(DW_AT_location);
            let kind = entry.attr_value(DW_AT_type);
            if let (Some(AttributeValue::Exprloc(expression)), Some(AttributeValue::UnitRef(kind))) =
                (location, kind)
                && let Some(address) = fixed_address(expression, &unit)?
                && let Some(size) = element_size(&unit, kind)?
            {
                arrays.insert(address, size);
            }
        }
    }
    Ok(arrays)
}

fn fixed_address(expression: gimli::Expression<Reader>, unit: &Unit<Reader>) -> gimli::Result<Option<u64>> {
    match expression.operations(unit.encoding()).next()? {
        Some(Operation::Address { address }) => Ok(Some(address)),
        _ => Ok(None),
    }
}

fn element_size(unit: &Unit<Reader>, kind: gimli::UnitOffset) -> gimli::Result<Option<u64>> {
    let array = unit.entry(kind)?;
    if array.tag() != DW_TAG_array_type {
        return Ok(None);
    }
    let Some(AttributeValue::UnitRef(element)) = array.attr_value(DW_AT_type) else { return Ok(None) };
    let size = unit.entry(element)?.attr_value(gimli::DW_AT_byte_size).and_then(|size| size.udata_value());
    Ok(size.filter(|size| *size != 0))
}
