//! One long evening of eight people with the real programs: an instructor and a class, who come, talk in groups and by
//! twos, are busy, fall off the network, leave for good and come back. `evening.txt` is the script and the transcript at
//! once: after each act stand the lines that it puts on each screen. All lines of all eight are compared, in order, but
//! for times, durations, addresses and keys; what the script does not say may not come.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod script;
mod stage;

use stage::Stage;
use system_tests::programs::World;

#[test]
fn an_evening_of_eight_people_is_line_by_line_what_the_script_says() {
    let world = World::new();
    let mut stage = Stage::new(&world);
    let acts = script::acts(include_str!("evening.txt"));
    acts.iter().for_each(|act| stage.play(act));
    assert_eq!(stage.close(), 8, "people of the evening");
    world.assert_healed();
}
