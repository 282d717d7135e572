//! A file system that takes no more: the real writes of a process that may write so many bytes a file and no more.

use super::work::{check, prepare, run_child, work};
use super::*;

const VARIABLES: [&str; 2] = ["FLOB_FULL_WORK", "FLOB_FULL_STORE"];

/// The child process. Does nothing in an ordinary run.
#[test]
fn child_without_room() {
    let [Some(name), Some(folder)] = VARIABLES.map(|name| std::env::var(name).ok()) else { return };
    let folder = Path::new(&folder);
    if let Err(error) = work(&Store::open(folder).expect("a store"), folder, &name) {
        let text = error.to_string();
        assert!(matches!(error, StoreError::Io { .. }) && !text.contains('\n'), "{text}");
        println!("refused: {text}");
    }
}

/// Has the child do its work where no file can have more than so many blocks of 512 bytes; what it was told.
fn told(name: &str, folder: &Path, blocks: usize) -> String {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}");
    let values = [name, folder.to_str().expect("a path")];
    let variables: Vec<_> = VARIABLES.into_iter().zip(values).collect();
    let output = run_child("full::child_without_room", &script, &variables);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name} with {blocks} blocks: {text}{:?}", output.stderr);
    text.lines().find_map(|line| line.split_once("refused: ")).map_or_else(String::new, |it| it.1.to_owned())
}

/// Sizes of a disk, in blocks: each of the small ones, some of the larger.
fn sizes() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(0), |blocks| Some(blocks + 1 + blocks / 16))
}

#[test]
fn work_without_room_is_refused_and_the_old_checkpoints_stay_whole() {
    let mut counts = Vec::new();
    for (name, least) in [("save", 32), ("edit", 8), ("import", 16), ("export", 8)] {
        let mut refused = 0;
        for blocks in sizes() {
            let (folder, sound) = prepare();
            let told = told(name, folder.path(), blocks);
            let what = format!("{name} with {blocks} blocks");
            let there = files(&folder.path().join("checkpoints")).len();
            let is_new = told.is_empty() && name != "export";
            assert_eq!(there, if is_new { 3 } else { 2 }, "{what}");
            check(folder.path(), &sound, name, told.is_empty(), &what);
            if told.is_empty() {
                break;
            }
            assert!(told.contains("File too large"), "{what}: {told}");
            refused += 1;
        }
        assert!(refused >= least, "{name}: {refused} sizes");
        counts.push(format!("{refused} for {name}"));
    }
    println!("damage: sizes of disk too small, all refused: {}", counts.join(", "));
}
