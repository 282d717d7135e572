//! What a checkpoint of random memory costs: in the store with its index, and in an exported file.

#[allow(dead_code, reason = "each test file uses a part of it")]
mod common;
#[allow(dead_code, reason = "each test file uses a part of it")]
#[path = "common/random.rs"]
mod random;

use std::path::Path;

use common::environment;
use flob_image::Environment;
use flob_image::store::{Details, ExportOptions, Store};

const PAGE: usize = 4096;

/// Bytes of all files in a folder and its folders.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| match entry.metadata().expect("metadata") {
            metadata if metadata.is_dir() => bytes_in(&entry.path()),
            metadata => metadata.len(),
        })
        .sum()
}

#[test]
fn random_memory_costs_a_fiftieth_more_in_the_store_and_hardly_more_in_a_file() {
    let mut random = fastrand::Rng::with_seed(random::seed());
    for mib in [1_u64, 4, 16] {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("store")).expect("a store");
        let memory = mib << 20;
        let mut builder = store.begin(None).expect("begin");
        let mut page = [0; PAGE];
        for number in 0..memory / PAGE as u64 {
            random.fill(&mut page);
            // Not all of the environment is random memory.
            builder.add_page(number * 3, &page).expect("a page");
        }
        let environment = Environment { size: memory * 3, ..environment() };
        let id = builder.finish(&environment, Details::default()).expect("saved");
        let stored = bytes_in(&folder.path().join("store"));
        let file = folder.path().join("exported");
        let loaded = store.load(&id).expect("load");
        let exported = loaded.export(&file, ExportOptions::default(), &mut |_, _, _| ()).expect("exported");
        let of_memory = |bytes: u64| bytes as f64 / memory as f64;
        println!("{mib} MiB: {:.4} in the store, {:.4} in a file", of_memory(stored), of_memory(exported));
        assert!(of_memory(stored) <= 1.02, "{mib} MiB takes {stored} bytes");
        assert!(of_memory(exported) <= 1.003, "{mib} MiB takes {exported} bytes in a file");
    }
}
