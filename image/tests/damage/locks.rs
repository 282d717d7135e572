//! Two processes at one folder: who frees keeps away from who saves, and whom a lock belongs to that is killed keeps nobody away.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const VARIABLES: [&str; 2] = ["FLOB_LOCKS_WORK", "FLOB_LOCKS_STORE"];
const BEGUN: &str = "it has begun";

/// Says that the lock is held, and waits to be let go.
fn stand() {
    println!("{BEGUN}");
    std::io::stdin().read_line(&mut String::new()).expect("a line");
}

/// The child process, which stands in the middle of its work. Does nothing in an ordinary run.
#[test]
fn child_that_stands() {
    let [Some(work), Some(folder)] = VARIABLES.map(|name| std::env::var(name).ok()) else { return };
    let store = Store::open(Path::new(&folder)).expect("a store");
    match work.as_str() {
        "save" => {
            let mut builder = store.begin(None).expect("begun");
            builder.add_page(0, &[9; 4096]).expect("a page");
            stand();
            builder.finish(&environment(), Details::default()).expect("saved");
        }
        _ => {
            let mut has_stood = false;
            let freed = store.gc_with(&mut |_, _, _| {
                if !std::mem::replace(&mut has_stood, true) {
                    stand();
                }
            });
            assert_eq!(freed.expect("gc").files, 1);
        }
    }
}

/// A process in the middle of its work.
struct Standing {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Standing {
    fn start(work: &str, folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["--exact", "locks::child_that_stands", "--nocapture"]);
        command.env(VARIABLES[0], work).env(VARIABLES[1], folder);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
        let input = child.stdin.take().expect("piped");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        while !line.contains(BEGUN) {
            line.clear();
            assert_ne!(output.read_line(&mut line).expect("a line"), 0, "it has ended before");
        }
        Self { child, input, output }
    }

    fn go_on(mut self) {
        writeln!(self.input, "go on").expect("written");
        // To its end: it may have more to say than a pipe holds.
        std::io::copy(&mut self.output, &mut std::io::sink()).expect("read");
        assert!(self.child.wait().expect("ended").success());
    }

    fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

/// A store with a checkpoint, and a pack that nobody needs.
fn store_to_clean() -> (TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    save(&store, 1..3).expect("saved");
    std::fs::write(folder.path().join("packs/left.pack"), b"over").expect("written");
    (folder, store)
}

#[test]
fn nothing_is_freed_while_another_process_saves() {
    for is_killed in [false, true] {
        let (folder, store) = store_to_clean();
        let saver = Standing::start("save", folder.path());
        assert_eq!(store.gc().expect("gc").files, 0);
        if is_killed {
            saver.kill()
        } else {
            saver.go_on()
        }
        assert_eq!(store.gc().expect("gc").files, 1);
        assert_eq!(store.list().expect("a list").len(), if is_killed { 1 } else { 2 });
    }
}

#[test]
fn nothing_is_saved_while_another_process_frees() {
    for is_killed in [false, true] {
        let (folder, store) = store_to_clean();
        let freer = Standing::start("gc", folder.path());
        // A second one that frees does not wait.
        assert_eq!(store.gc().expect("gc").files, 0);
        let is_let_go = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let saver = scope.spawn(|| {
                let id = save(&Store::open(folder.path()).expect("a store"), 5..7).expect("saved");
                assert!(is_let_go.load(Ordering::SeqCst), "it did not wait");
                id
            });
            let file = folder.path().join("store.lock");
            while !is_waited_for(&file) {
                assert!(!saver.is_finished(), "it did not wait");
                std::thread::yield_now();
            }
            is_let_go.store(true, Ordering::SeqCst);
            if is_killed {
                freer.kill()
            } else {
                freer.go_on()
            }
            let id = saver.join().expect("it waited");
            assert!(store.load(&id).expect("load").check().is_empty());
        });
        assert_eq!(store.gc().expect("gc").files, usize::from(is_killed));
    }
}

/// Whether somebody waits for the lock of this file, as the system tells it.
fn is_waited_for(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = format!(":{} ", std::fs::metadata(file).expect("a file").ino());
    let locks = std::fs::read_to_string("/proc/locks").expect("locks");
    locks.lines().any(|line| line.contains("->") && line.contains(&inode))
}
