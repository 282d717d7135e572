//! The road from the command to the kernel and back, once.
#![allow(missing_docs)]

use flob_tests::World;

#[test]
fn philosophers_eat_their_meals_and_their_exit_code_is_flobs() {
    let world = World::new();
    let finished = world.flob(&["run", "--headless", "philosophers", "3", "--meals", "2"]);
    assert_eq!(finished.code, Some(0), "{finished}");
    for philosopher in 0..3 {
        for meal in 1..=2 {
            let line = format!("philosopher {philosopher}: meal {meal}\n");
            assert!(finished.stdout.contains(&line), "no {line:?} in {finished}");
        }
    }
}
