//! A private world for one test.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::S3Server;
use crate::process::{Finished, Running};

/// Folders of one test; sessions started in it end with it.
pub struct World {
    folder: TempDir,
    /// Where its checkpoints are, if not in its folder.
    store: Vec<(&'static str, String)>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Empty folders.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("flob-test-").tempdir().unwrap();
        for name in ["run", "store", "config"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, store: Vec::new() }
    }

    /// Empty folders, and the checkpoints on this server.
    pub fn with_store_on(server: &S3Server) -> Self {
        let mut world = Self::new();
        world.store = server.variables().into_iter().chain([("FLOB_STORE", server.url())]).collect();
        world
    }

    /// A path in this world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into this world.
    pub fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// The `flob` command in this world.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("flob"));
        self.environment(&mut command);
        command.args(arguments);
        command
    }

    /// A line for a shell in this world; `$0` in it is the `flob` command.
    pub fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        self.environment(&mut command);
        command.arg("-c").arg(line).arg(binary("flob"));
        command
    }

    /// Makes a command find this world and nothing else of the machine's user.
    pub fn environment(&self, command: &mut Command) {
        command
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("FLOB_STORE", self.path("store"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env_remove("FLOB_SESSION")
            .env_remove("EDITOR")
            .envs(self.store.iter().map(|(name, value)| (name, value)));
    }

    /// Runs `flob` to its end, without input.
    pub fn flob(&self, arguments: &[&str]) -> Finished {
        self.start(arguments, None).finish()
    }

    /// Runs `flob` to its end and expects success; its standard output.
    pub fn flob_ok(&self, arguments: &[&str]) -> String {
        let finished = self.flob(arguments);
        assert_eq!(finished.code, Some(0), "flob {arguments:?}: {finished}");
        finished.stdout
    }

    /// Runs `flob … --json` and parses what it prints.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.flob_ok(arguments)).unwrap()
    }

    /// Starts `flob`, with input from a file or none.
    pub fn start(&self, arguments: &[&str], input: Option<&Path>) -> Running {
        Running::start(self.command(arguments), input)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Hubs that outlived a failed test; a hub takes its QEMU with it.
        let Ok(entries) = std::fs::read_dir(self.path("run").join("flob")) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(session) = name.strip_suffix(".session") {
                let mut command = self.command(&["-s", session, "stop"]);
                command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
                if let Ok(child) = command.spawn() {
                    drop(Running::adopt(child).finish());
                }
            }
        }
    }
}

/// A binary that was built beside the tests.
pub(crate) fn binary(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let binary = tests.parent().unwrap().parent().unwrap().join(name);
    assert!(binary.exists(), "{} is missing: run the tests by ./flob test", binary.display());
    binary
}
