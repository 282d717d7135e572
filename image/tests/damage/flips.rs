//! Files of the store with a byte flipped, or cut off, or missing.

use super::*;

/// Most bytes of a file that are tried in the short form.
const MOST: usize = 1500;

/// What loading a checkpoint, or then reading all of it, finds.
fn find(case: &Case) -> Option<StoreError> {
    match case.store.load(&case.victim) {
        Err(error) => Some(error),
        Ok(checkpoint) => checkpoint.check().into_iter().next(),
    }
}

/// Writes these bytes over a file: that must be found, and the file named.
fn assert_found(case: &Case, file: &Path, bytes: &[u8], what: &str) {
    std::fs::write(file, bytes).expect("written");
    let found = find(case).unwrap_or_else(|| panic!("{what} of {} not found", file.display()));
    let text = found.to_string();
    assert!(matches!(found, StoreError::Damaged { .. }), "{what}: {text}");
    assert!(text.contains(&name(file)) && !text.contains('\n'), "{what}: {text}");
    let is_program = file.parent().is_some_and(|folder| folder.ends_with("programs"));
    let advice = if is_program { "only symbols are lost".into() } else { format!("rm {}", case.victim) };
    assert!(text.contains(&advice), "{what}: {text}");
}

/// Each bit in the long form, else one.
fn bits(numbers: &mut fastrand::Rng) -> Vec<u8> {
    if is_soak() { (0..8).collect() } else { vec![numbers.u8(0..8)] }
}

#[test]
fn every_flipped_byte_of_every_file_is_found_and_named() {
    let mut numbers = fastrand::Rng::with_seed(seed());
    let case = Case::new();
    let (mut flips, mut bytes) = (0, 0);
    for file in case.files_of_victim() {
        let good = std::fs::read(&file).expect("a file");
        bytes += good.len();
        for index in positions(&mut numbers, good.len(), MOST) {
            for bit in bits(&mut numbers) {
                let mut bad = good.clone();
                bad[index] ^= 1 << bit;
                assert_found(&case, &file, &bad, &format!("bit {bit} of byte {index}"));
                flips += 1;
            }
        }
        case.assert_rest_is_sound();
        std::fs::write(&file, &good).expect("written");
        assert!(find(&case).is_none());
    }
    println!("damage: {flips} bits flipped in {bytes} bytes of the store, all found");
}

#[test]
fn every_file_truncated_at_any_length_or_longer_is_found_and_named() {
    let mut numbers = fastrand::Rng::with_seed(seed());
    let case = Case::new();
    let mut count = 0;
    for file in case.files_of_victim() {
        let good = std::fs::read(&file).expect("a file");
        for length in positions(&mut numbers, good.len(), MOST) {
            assert_found(&case, &file, &good[..length], &format!("length {length}"));
            count += 1;
        }
        assert_found(&case, &file, &[&good[..], &[0]].concat(), "a byte more");
        case.assert_rest_is_sound();
        std::fs::write(&file, &good).expect("written");
    }
    println!("damage: {count} truncated files of the store, all found");
}

#[test]
fn missing_pack_or_input_is_found_and_named() {
    let case = Case::new();
    for file in case.files_of_victim() {
        let folder = file.parent().expect("a folder").to_owned();
        // Without a manifest there is no checkpoint; without a program there are no symbols.
        if folder.ends_with("checkpoints") || folder.ends_with("programs") {
            continue;
        }
        let good = std::fs::read(&file).expect("a file");
        std::fs::remove_file(&file).expect("removed");
        assert_names(&find(&case).expect("missing"), &file, &case.victim);
        std::fs::write(&file, good).expect("written");
    }
}

#[test]
fn with_a_damaged_manifest_nothing_is_freed_until_it_is_removed() {
    let case = Case::new();
    let file = case.manifest();
    let mut bytes = std::fs::read(&file).expect("a manifest");
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    assert!(case.store.gc().is_err(), "nobody knows what is needed");
    case.store.remove(&case.victim).expect("a damaged checkpoint can be removed");
    assert!(case.store.load(&case.sound).expect("load").check().is_empty());
    assert_eq!(files(&case.folder.path().join("packs")).len(), 1);
}

#[test]
fn damaged_page_or_input_is_never_handed_out() {
    let case = Case::new();
    let checkpoint = case.store.load(&case.victim).expect("load");
    for (file, page) in [(case.pack(), Some(0)), (case.input(), None)] {
        let good = std::fs::read(&file).expect("a file");
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 0x10;
        std::fs::write(&file, bad).expect("written");
        let error = match page {
            Some(page) => checkpoint.page(page).expect_err("a damaged page"),
            None => checkpoint.spool().err().expect("damaged input"),
        };
        assert_names(&error, &file, &case.victim);
        assert!(page.is_none() || error.to_string().contains("page 0x0"), "{error}");
        std::fs::write(&file, good).expect("written");
    }
}

#[test]
fn new_checkpoint_does_not_build_upon_a_damaged_pack() {
    let case = Case::new();
    let file = case.pack();
    let mut bytes = std::fs::read(&file).expect("a pack");
    bytes[20] ^= 1;
    std::fs::write(&file, &bytes).expect("written");
    let id = save(&case.store, 10..11).expect("saved");
    assert!(case.store.load(&id).expect("load").check().is_empty());
    // It has mended the old one: the pack has the same contents.
    assert!(case.store.load(&case.victim).expect("load").check().is_empty());
}

#[test]
fn manifest_of_a_newer_flob_is_named_as_such() {
    let case = Case::new();
    let file = case.manifest();
    let mut bytes = std::fs::read(&file).expect("a manifest");
    bytes[8] = 200;
    let end = bytes.len() - 32;
    let hash = blake3::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(hash.as_bytes());
    let newer = file.with_file_name(format!("{}.flob", hash.to_hex()));
    std::fs::write(&newer, &bytes).expect("written");
    let error = case.store.load(&hash.to_hex()[..8]).err().expect("newer");
    assert!(matches!(error, StoreError::Newer { version: 200, .. }), "{error}");
}
