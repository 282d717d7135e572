//! A real S3 server for one test: `tests/s3-server`, with a folder and keys of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flob_image::store::Store;
use flob_image::store::backend::{S3Backend, S3Settings};
use tempfile::TempDir;

use crate::world::binary;

const KEY: &str = "a-key";
const SECRET: &str = "a-secret";
/// The bucket that is there.
const BUCKET: &str = "bucket";

/// A running server; its files go with it.
pub struct S3Server {
    folder: TempDir,
    address: String,
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Default for S3Server {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl S3Server {
    /// Starts one, with an empty bucket. Options: see `tests/s3-server`.
    pub fn new(options: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("flob-s3-").tempdir().unwrap();
        fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let (process, said, address) = start(folder.path(), "0", options);
        Self { folder, address, process, said }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Kills it, if it is still there, and starts it again with the same files at the same address.
    pub fn restart(&mut self, options: &[&str]) {
        self.kill();
        let port = self.address.rsplit(':').next().unwrap().to_owned();
        (self.process, self.said, _) = start(self.folder.path(), &port, options);
    }

    /// Whether it has died.
    pub fn is_dead(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Waits until a write came in that is held by the option `hold`.
    pub fn wait_for_held(&mut self) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line, "held\n", "the server has ended");
    }

    /// Lets what is held go on, and all that would be.
    pub fn release(&mut self) {
        self.process.stdin.as_mut().unwrap().write_all(b"go on\n").unwrap();
    }

    /// Kills it, as a power cut would.
    pub fn kill(&mut self) {
        // It may have died by itself.
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }

    /// Place of a store in it.
    pub fn url(&self) -> String {
        format!("s3://{BUCKET}/some/where")
    }

    /// The variables that lead to it.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", self.address.clone()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ]
    }

    /// The store, opened anew as another process would.
    pub fn store(&self) -> Store {
        let variables = self.variables().map(|(name, value)| (name.to_owned(), value));
        let settings: S3Settings = variables.into_iter().collect();
        Store::with_backend(Arc::new(S3Backend::open(BUCKET, "some/where", &settings).unwrap()))
    }

    /// A folder of the store as the server keeps it.
    pub fn files(&self, folder: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join(BUCKET).join("some/where").join(folder));
        let mut files: Vec<PathBuf> =
            entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Writes a file as if somebody else had.
    pub fn write(&self, path: &str, contents: &str) {
        let file = self.folder.path().join(BUCKET).join("some/where").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, contents).unwrap();
    }

    /// Makes files of the leases' folder, those with this ending, look so much older.
    pub fn age(&self, ending: &str, by: Duration) {
        for path in self.files("locks").iter().filter(|path| path.to_string_lossy().ends_with(ending)) {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - by).unwrap();
        }
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn start(folder: &Path, port: &str, options: &[&str]) -> (Child, BufReader<ChildStdout>, String) {
    let mut command = Command::new(binary("flob-s3-server"));
    command.arg(folder).args([port, KEY, SECRET]).args(options);
    // Its standard input ends with this process.
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut address, mut said) = (String::new(), BufReader::new(process.stdout.take().unwrap()));
    said.read_line(&mut address).unwrap();
    assert!(address.starts_with("http://"), "the server did not start");
    (process, said, address.trim().to_owned())
}
