//! Every call that the samples do not need, on the real machine, as the program `calls` exercises it.
#![allow(missing_docs)]

use flob_tests::World;

#[test]
fn all_exercises_of_the_calls_program_succeed() {
    let finished = World::new().flob(&["run", "--headless", "calls"]);
    assert_eq!(finished.code, Some(0), "{finished}");
    assert_eq!(finished.stdout.matches(": ok\n").count(), 11, "{finished}");
}
