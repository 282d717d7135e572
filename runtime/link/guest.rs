// How a guest program is linked. A program's `build.rs` is:
//
// ```
// #[path = "../../runtime/link/guest.rs"]
// mod guest;
//
// fn main() {
//     guest::link("program.ld"); // the first program: "platform.ld"
// }
// ```
//
// and it is built with `cargo build --profile guest -p PACKAGE`.

/// Emits the link arguments for the binaries of this package, with the script of this name beside this file.
pub fn link(script: &str) {
    let folder =
        std::path::Path::new(file!()).parent().map_or_else(Default::default, std::path::Path::to_path_buf);
    // `file!()` is relative to the workspace's root or to the package, depending on how cargo called the compiler.
    let package = std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let found = package.ancestors().map(|base| base.join(&folder).join(script)).find(|path| path.is_file());
    let Some(path) = found else {
        panic!("the linker script {script} is missing: it belongs into runtime/link");
    };
    let path = path.canonicalize().unwrap_or(path);
    println!("cargo:rerun-if-changed={}", path.display());
    for argument in
        ["-nostdlib", "-nostartfiles", "-static", "-no-pie", "-Wl,--build-id", "-Wl,-z,noexecstack"]
    {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    // Where the scripts find what they include.
    if let Some(folder) = path.parent() {
        println!("cargo:rerun-if-changed={}", folder.join("near.ld").display());
        println!("cargo:rustc-link-arg-bins=-Wl,-L,{}", folder.display());
    }
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", path.display());
}
