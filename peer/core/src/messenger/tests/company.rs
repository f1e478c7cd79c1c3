//! Being busy, blocking, and how much may wait for one person, each at its bounds.

use common::limits::LANE_WINDOW;
use common::wire::directory::{SetStanding, Standing, Taking};

use super::*;
use crate::command::Command;
use crate::event::{CommandId, Source};
use crate::limits::OFFER_AGAIN_MS;
use crate::stored::Reason;

const COMMAND: CommandId = CommandId { source: Source(1), number: 0 };

impl Bench {
    fn kept(&mut self, to: u8, n: u64) -> u64 {
        let seq = self.waiting(to, n, Deposit::Kept);
        self.core.outbox.at(&key(to), seq).unwrap().row.state = State::Kept;
        seq
    }

    fn block(&mut self, whom: u8, name: &str) {
        self.core.befriend_or_block(COMMAND, key(whom), &Command::Block(name.parse().unwrap()));
    }

    fn takes(&self) -> Vec<(u64, Taking)> {
        let taken = self.to_directory().into_iter().filter_map(|frame| match frame {
            ToDirectory::Take(take) => Some(take.items.clone()),
            _ => None,
        });
        taken.flatten().collect()
    }
}

/// What cannot be offered now is looked at again when something has changed, not all the time.
#[test]
fn what_is_kept_for_somebody_linked_who_takes_nothing_now_leaves_nobody_without_rest() {
    let quiet: [fn(&mut Bench); 2] = [
        |bench| bench.core.way(key(BOB)).standing = Some(Standing::Busy),
        |bench| bench.core.way(key(BOB)).flight_full = true,
    ];
    for quiet in quiet {
        let mut bench = Bench::new();
        bench.link(BOB);
        bench.kept(BOB, 1);
        bench.core.way(key(BOB)).returned_ms = Some(bench.now.mono_ms - OFFER_AGAIN_MS);
        quiet(&mut bench);
        bench.core.tend(key(BOB));
        bench.settle();
        let soon_ms = bench.now.mono_ms + 1_000;
        let soon: Vec<Timer> = std::iter::from_fn(|| bench.core.timers.pop(soon_ms)).collect();
        assert!(!soon.contains(&Timer::Peer(key(BOB))), "{soon:?}");
    }
}

#[test]
fn who_is_blocked_is_told_and_their_mail_is_gone_only_when_a_crash_undoes_it_no_more() {
    let mut bench = Bench::new();
    bench.link(BOB);
    bench.block(BOB, "bob");
    bench.core.arrive(key(BOB), envelope(BOB, 1), Via::Directory, false, Some(7));
    bench.core.arrive(key(BOB), envelope(BOB, 2), Via::Direct, false, None);
    assert!(bench.core.owed.takes.is_empty());
    assert!(!bench.core.pair_state(key(BOB), false).blocked);
    let states = bench.states_sent();
    assert_eq!(states.iter().map(|state| state.blocked).collect::<Vec<_>>(), [true], "once");
    assert_eq!(bench.takes(), [(7, Taking::Stored)]);
    assert!(bench.arrived.is_empty());
    bench.forget();
    bench.core.arrive(key(BOB), envelope(BOB, 3), Via::Directory, false, Some(8));
    bench.settle();
    assert_eq!(bench.takes(), [(8, Taking::Stored)]);
}

#[test]
fn a_block_that_is_taken_back_before_it_is_written_takes_nothing() {
    let mut bench = Bench::new();
    bench.block(BOB, "bob");
    bench.core.arrive(key(BOB), envelope(BOB, 1), Via::Directory, false, Some(7));
    bench.core.book.change(&key(BOB), |contact| contact.blocked = false);
    assert!(bench.states_sent().is_empty());
    assert!(bench.takes().is_empty());
    let closes = bench.out.iter().filter(|output| matches!(output, Output::DirectoryClose)).count();
    assert_eq!(closes, 1, "the next session hands it out again");
}

#[test]
fn who_became_busy_while_coming_online_says_so_then() {
    let mut bench = Bench::new();
    bench.core.standing_to_tell();
    bench.core.correct_standing();
    bench.settle();
    assert!(bench.to_directory().is_empty(), "nothing has changed");
    bench.core.meta.standing = Standing::Busy;
    bench.core.correct_standing();
    bench.settle();
    let busy =
        |frame: &&ToDirectory| matches!(frame, ToDirectory::SetStanding(SetStanding { standing: Standing::Busy, .. }));
    assert_eq!(bench.to_directory().into_iter().filter(busy).count(), 1);
}

#[test]
fn what_is_over_the_quota_for_one_person_is_held_with_the_reason() {
    let mut bench = Bench::new();
    let mut last = 0;
    for n in 1..=LANE_WINDOW {
        last = bench.kept(BOB, n);
    }
    let over = bench.waiting(BOB, LANE_WINDOW + 1, Deposit::None);
    let stands = |bench: &mut Bench, seq: u64| {
        bench.core.tend(key(BOB));
        bench.settle();
        let row = &bench.core.outbox.at(&key(BOB), seq).unwrap().row;
        (row.state, row.reason)
    };
    assert_eq!(stands(&mut bench, over), (State::Held, Some(Reason::Quota)));
    // One that is on its way makes room by itself.
    let mut bench = Bench::new();
    (1..LANE_WINDOW).for_each(|n| last = bench.kept(BOB, n));
    bench.waiting(BOB, LANE_WINDOW, Deposit::None);
    let over = bench.waiting(BOB, LANE_WINDOW + 1, Deposit::None);
    assert_eq!(stands(&mut bench, over), (State::Queued, None));
    assert_eq!(stands(&mut bench, last), (State::Kept, None));
}
