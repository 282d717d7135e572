//! A file system that takes no more: the real writes of a process that may write so many bytes a file and no more.

use std::process::{Command, Stdio};

use super::*;

const FOLDER: &str = "FLOB_FULL_STORE";

/// The child process. Does nothing in an ordinary run.
#[test]
fn child_without_room() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = Store::open(Path::new(&folder)).expect("a store");
    match save(&store, 10..14) {
        Ok(id) => assert!(store.load(&id).expect("load").check().is_empty()),
        Err(error) => {
            let text = error.to_string();
            assert!(matches!(error, StoreError::Io { .. }) && !text.contains('\n'), "{text}");
            println!("refused: {text}");
        }
    }
}

/// Lets the child save where no file can have more than so many blocks of 512 bytes; what it was told.
fn save_with(folder: &Path, blocks: usize) -> String {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]).arg(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "full::child_without_room", "--nocapture"]).env(FOLDER, folder);
    let output = command.stderr(Stdio::inherit()).output().expect("started");
    assert!(output.status.success(), "{blocks} blocks: {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.split_once("refused: ")).map_or_else(String::new, |it| it.1.to_owned())
}

#[test]
fn save_without_room_is_refused_and_the_old_checkpoints_stay_whole() {
    let mut refused = 0;
    for blocks in 0.. {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("a store");
        let old = save(&store, 1..3).expect("saved");
        let told = save_with(folder.path(), blocks);
        let list = store.list().expect("a list");
        assert!(list.iter().all(|line| line.summary.is_ok()));
        assert!(store.load(&old).expect("load").check().is_empty());
        if told.is_empty() {
            assert_eq!(list.len(), 2);
            break;
        }
        assert!(told.contains("File too large"), "{told}");
        assert_eq!(list.len(), 1);
        store.gc().expect("gc");
        assert_eq!(files(&folder.path().join("packs")).len(), 1, "what was left over is freed");
        save(&store, 10..14).expect("saved when there is room again");
        refused += 1;
    }
    assert!(refused > 16, "{refused} sizes");
    println!("damage: {refused} sizes of disk too small, all refused");
}
