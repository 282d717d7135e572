//! Builds what runs in the guest and makes it part of the command: wherever `flob` is installed, it carries its kernel and
//! the bundled programs.
//!
//! `FLOB_GUEST_FOLDER` names a folder with those files ready-made instead.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const KERNEL: &str = "flob-kernel";
/// The kernel that counts, for `flob bench kernel`.
const MEASURED: &str = "flob-kernel-measured";
/// Package and binary.
const BINARIES: [(&str, &str); 15] = [
    ("flob-kernel-x86_64", KERNEL),
    ("flob-kernel-x86_64", MEASURED),
    ("flob-program-platform", "platform"),
    ("flob-debugger-nester", "debugger-nester"),
    ("flob-checkpointer", "checkpointer"),
    ("flob-program-wordcount", "wordcount"),
    ("flob-program-philosophers", "philosophers"),
    ("flob-program-calls", "calls"),
    ("flob-program-scribble", "scribble"),
    ("flob-program-garbage", "garbage"),
    ("flob-program-random", "random"),
    ("flob-program-crowd", "crowd"),
    ("flob-program-courier", "courier"),
    ("flob-program-mortal", "mortal"),
    ("flob-program-bench", "bench"),
];
/// All that the guest's binaries are made of.
const SOURCES: [&str; 10] = [
    "abi",
    "kernel",
    "runtime",
    "image",
    "checkpointer",
    "link",
    "debugger-nester",
    "programs",
    "Cargo.toml",
    "Cargo.lock",
];
const READY_MADE: &str = "FLOB_GUEST_FOLDER";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed={READY_MADE}");
    println!("cargo:rerun-if-changed=build.rs");
    let output = PathBuf::from(env::var("OUT_DIR")?);
    let folder = match env::var_os(READY_MADE) {
        Some(folder) => {
            println!("cargo:rerun-if-changed={}", folder.display());
            PathBuf::from(folder)
        }
        None => build(&output)?,
    };
    fs::write(output.join("embedded.rs"), embedded(&folder)?)?;
    Ok(())
}

/// Runs cargo once more, with the guest's profile and a target folder of its own: the outer one is locked. The folder that the
/// binaries are in.
fn build(output: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let workspace = package.parent().ok_or("the package lies outside of its workspace")?;
    for source in SOURCES {
        println!("cargo:rerun-if-changed={}", workspace.join(source).display());
    }
    // target/PROFILE/build/PACKAGE/out: beside PROFILE, so that all profiles share it.
    let target = output.ancestors().nth(4).ok_or("OUT_DIR is too short")?.join("guest-build");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace).args(["build", "--profile", "guest", "--target-dir"]).arg(&target);
    for (package, binary) in BINARIES {
        command.args(["--package", package, "--bin", binary]);
    }
    // What is meant for the outer build only: lints, coverage, flags for the host.
    for variable in ["RUSTC_WORKSPACE_WRAPPER", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    let status = command.status()?;
    if !status.success() {
        return Err(format!("building the guest's programs failed: {status}").into());
    }
    Ok(target.join("guest"))
}

fn embedded(folder: &Path) -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    let mut bundled = Vec::new();
    for (_, binary) in BINARIES {
        let path = folder.join(binary);
        let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        let constant = match binary {
            KERNEL => "/// The kernel.\npub const KERNEL",
            MEASURED => "/// The kernel that counts what it does.\npub const MEASURED_KERNEL",
            _ => {
                bundled.push(format!("({binary:?}, include_bytes!({path:?}))"));
                continue;
            }
        };
        writeln!(code, "{constant}: &[u8] = include_bytes!({path:?});")?;
    }
    writeln!(
        code,
        "/// Name and ELF of each program.\npub const PROGRAMS: &[(&str, &[u8])] = &[{}];",
        bundled.join(", ")
    )?;
    Ok(code)
}
