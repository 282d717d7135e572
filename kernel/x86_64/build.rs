//! Links the kernel without libc, at its own addresses.

use std::path::Path;

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let script = Path::new(&folder).join("kernel.ld");
    println!("cargo:rerun-if-changed={}", script.display());
    println!("cargo:rerun-if-changed={}", script.with_file_name("near.ld").display());
    println!("cargo:rerun-if-changed=src/start.s");
    println!("cargo:rerun-if-changed=src/entry.s");
    let flags = ["-nostdlib", "-nostartfiles", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-z,norelro"];
    for flag in flags {
        println!("cargo:rustc-link-arg-bins={flag}");
    }
    println!("cargo:rustc-link-arg-bins=-Wl,-L,{folder}");
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
}
