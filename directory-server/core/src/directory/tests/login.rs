//! Hello to logged in: tokens, epochs, takeover, deadlines, protocol errors.

use super::*;

fn rejected(reason: Rejection) -> FromDirectory {
    Rejected { reason }.into()
}

/// One login with `token`; the token of its welcome, confirmed if wanted. The connection is dropped then.
fn visit(world: &mut World, epoch: Epoch, token: Option<Token>, confirm: bool) -> Result<Token, u64> {
    let session = world.connect(1);
    world.hello(session, 1, epoch, token);
    let answer = world.hear(session);
    let result = match answer.as_slice() {
        [FromDirectory::Welcome(welcome)] => Ok(welcome.token),
        [FromDirectory::Behind(behind)] => Err(behind.highest_generation),
        other => panic!("{other:?}"),
    };
    if let (Ok(token), true) = (result, confirm) {
        world.send(session, ConfirmToken { token });
        assert_eq!(world.hear(session), [TokenKept {}.into()]);
    }
    world.input(Input::SessionClosed { session });
    result
}

#[test]
fn the_token_of_one_login_opens_the_next() {
    let mut world = World::new();
    let first = visit(&mut world, epoch(1, 1), None, true).unwrap();
    let second = visit(&mut world, epoch(1, 1), Some(first), true).unwrap();
    assert_ne!(first, second);
    assert!(visit(&mut world, epoch(1, 1), Some(second), true).is_ok());
}

#[test]
fn a_rolled_back_store_is_behind_and_a_new_epoch_above_opens() {
    let mut world = World::new();
    let first = visit(&mut world, epoch(4, 1), None, true).unwrap();
    let second = visit(&mut world, epoch(4, 1), Some(first), true).unwrap();
    assert_eq!(visit(&mut world, epoch(4, 1), Some(first), true), Err(4));
    assert_eq!(visit(&mut world, epoch(4, 1), None, true), Err(4));
    assert_eq!(visit(&mut world, epoch(4, 2), Some(second), true), Err(4), "another epoch of that generation");
    assert_eq!(visit(&mut world, epoch(3, 2), Some(second), true), Err(4));
    let third = visit(&mut world, epoch(5, 2), None, true).unwrap();
    assert_eq!(visit(&mut world, epoch(4, 1), Some(second), true), Err(5));
    assert!(visit(&mut world, epoch(5, 2), Some(third), true).is_ok());
}

#[test]
fn a_lost_confirmation_leaves_both_tokens_good_until_one_is_proven() {
    let mut world = World::new();
    let first = visit(&mut world, epoch(1, 1), None, true).unwrap();
    visit(&mut world, epoch(1, 1), Some(first), false).unwrap();
    let third = visit(&mut world, epoch(1, 1), Some(first), false).unwrap();
    let fourth = visit(&mut world, epoch(1, 1), Some(third), false).unwrap();
    assert_eq!(visit(&mut world, epoch(1, 1), Some(first), false), Err(1), "the third was proven to be committed");
    assert!(visit(&mut world, epoch(1, 1), Some(fourth), false).is_ok());
}

#[test]
fn the_proven_token_stays_good_when_the_next_welcome_is_lost() {
    let mut world = World::new();
    let first = visit(&mut world, epoch(1, 1), None, true).unwrap();
    let second = visit(&mut world, epoch(1, 1), Some(first), false).unwrap();
    visit(&mut world, epoch(1, 1), Some(second), false).unwrap();
    assert!(visit(&mut world, epoch(1, 1), Some(second), false).is_ok());
}

#[test]
fn behind_leaves_the_session_open_for_another_hello() {
    let mut world = World::new();
    visit(&mut world, epoch(1, 1), None, true).unwrap();
    let session = world.connect(1);
    world.hello(session, 1, epoch(1, 1), None);
    assert_eq!(world.hear(session), [Behind { highest_generation: 1 }.into()]);
    world.hello(session, 1, epoch(2, 2), None);
    let token = world.welcomed(session);
    world.send(session, ConfirmToken { token });
    assert_eq!(world.hear(session), [TokenKept {}.into()]);
}

#[test]
fn hellos_without_end_are_cut_off() {
    let mut world = World::new();
    visit(&mut world, epoch(1, 1), None, true).unwrap();
    let session = world.connect(1);
    (0..4).for_each(|_| world.hello(session, 1, epoch(1, 1), None));
    assert_eq!(world.hear(session), vec![Behind { highest_generation: 1 }.into(); 4]);
    assert!(!world.closed.contains(&session));
    world.hello(session, 1, epoch(1, 1), None);
    assert_eq!(world.hear(session), [rejected(Rejection::Protocol)]);
    assert!(world.closed.contains(&session));
}

#[test]
fn a_second_machine_needs_a_new_epoch_and_then_takes_over() {
    let mut world = World::new();
    let token = visit(&mut world, epoch(1, 1), None, true).unwrap();
    let (first, second) = (world.connect(1), world.connect(1));
    world.hello(first, 10, epoch(1, 1), Some(token));
    let token = world.welcomed(first);
    world.send(first, ConfirmToken { token });
    world.hear(first);
    world.hello(second, 20, epoch(1, 1), Some(token));
    assert_eq!(world.hear(second), [Behind { highest_generation: 1 }.into()]);
    world.hello(second, 20, epoch(2, 2), Some(token));
    let token = world.welcomed(second);
    assert_eq!(world.hear(first), [], "nothing is taken over before the confirmation");
    world.send(second, ConfirmToken { token });
    assert_eq!(world.hear(first), [TakenOver {}.into()]);
    assert_eq!(world.hear(second), [TokenKept {}.into()]);
    assert!(world.closed.contains(&first) && !world.closed.contains(&second));
}

#[test]
fn an_own_reconnect_closes_the_older_connection_without_a_word() {
    let mut world = World::new();
    let (first, second) = (world.connect(1), world.connect(1));
    world.hello(first, 10, epoch(1, 1), None);
    let token = world.welcomed(first);
    world.send(first, ConfirmToken { token });
    world.hear(first);
    world.hello(second, 10, epoch(1, 1), Some(token));
    let token = world.welcomed(second);
    world.send(second, ConfirmToken { token });
    assert_eq!(world.hear(first), []);
    assert!(world.closed.contains(&first));
}

#[test]
fn of_two_logins_under_way_for_one_key_the_later_goes_on() {
    let mut world = World::new();
    let (first, second) = (world.connect(1), world.connect(1));
    world.hello(first, 10, epoch(1, 1), None);
    world.welcomed(first);
    world.hello(second, 20, epoch(1, 1), None);
    assert!(world.closed.contains(&first));
    let token = world.welcomed(second);
    world.send(second, ConfirmToken { token });
    assert_eq!(world.hear(second), [TokenKept {}.into()]);
}

#[test]
fn a_login_that_goes_away_again_leaves_the_older_session_to_be_taken_over() {
    let mut world = World::new();
    let (first, broken, second) = (world.log_in_from(1, LOOPBACK), world.connect(1), world.connect(1));
    world.hello(broken, 20, epoch(2, 2), None);
    world.welcomed(broken);
    world.input(Input::SessionClosed { session: broken });
    world.hello(second, 20, epoch(3, 3), None);
    let token = world.welcomed(second);
    world.send(second, ConfirmToken { token });
    assert_eq!(world.hear(first), [TakenOver {}.into()]);
    assert!(world.closed.contains(&first));
}

#[test]
fn a_session_that_goes_away_leaves_one_login_under_way_at_a_time() {
    let mut world = World::new();
    let (first, coming, later) = (world.log_in_from(1, LOOPBACK), world.connect(1), world.connect(1));
    world.hello(coming, 20, epoch(2, 2), None);
    world.welcomed(coming);
    world.input(Input::SessionClosed { session: first });
    world.hello(later, 30, epoch(3, 3), None);
    assert!(world.closed.contains(&coming) && !world.closed.contains(&later));
}

#[test]
fn what_comes_of_a_session_that_is_gone_is_passed_over() {
    let mut world = World::new();
    let session = world.log_in_from(1, LOOPBACK);
    world.input(Input::SessionClosed { session });
    world.send(session, Ping {});
    world.input(Input::BadFrame { session });
    assert_eq!(world.hear(session), []);
    assert!(!world.closed.contains(&session));
}

#[test]
fn nothing_is_said_before_the_commit_and_pipelined_frames_wait_for_it() {
    let mut world = World::new();
    let session = world.connect(1);
    world.hello(session, 1, epoch(1, 1), None);
    let token = world.welcomed(session);
    world.stalled = true;
    world.send(session, ConfirmToken { token });
    world.send(session, Register { request: 1, name: "alice".parse().unwrap(), prekey: prekey(1, 1) });
    assert_eq!(world.hear(session), []);
    world.stalled = false;
    world.settle();
    let heard = world.hear(session);
    assert!(matches!(heard.as_slice(), [FromDirectory::TokenKept(_), FromDirectory::Registered(_)]), "{heard:?}");
}

#[test]
fn a_frame_before_the_login_ends_the_session_but_a_ping_does_not() {
    let mut world = World::new();
    let session = world.connect(1);
    world.send(session, Ping {});
    assert_eq!(world.hear(session), [Pong {}.into()]);
    world.send(session, Take { items: vec![] });
    assert_eq!(world.hear(session), [rejected(Rejection::Protocol)]);
    assert!(world.closed.contains(&session));
}

#[test]
fn a_wrong_token_is_not_a_confirmation() {
    let mut world = World::new();
    let session = world.connect(1);
    world.hello(session, 1, epoch(1, 1), None);
    let mut token = world.welcomed(session);
    token[0] ^= 1;
    world.send(session, ConfirmToken { token });
    assert_eq!(world.hear(session), [rejected(Rejection::Protocol)]);
}

#[test]
fn versions_without_a_common_one_are_refused_with_those_spoken_here() {
    let mut world = World::new();
    let session = world.connect(1);
    let hello = Hello { versions: (2, 3), features: 0, instance: [1; 16], epoch: epoch(1, 1), token: None };
    world.send(session, hello);
    assert_eq!(world.hear(session), [rejected(Rejection::Version(1, 1))]);
    let session = world.connect(1);
    let hello = Hello { versions: (1, 3), features: 0, instance: [1; 16], epoch: epoch(1, 1), token: None };
    world.send(session, hello);
    assert!(matches!(world.hear(session).as_slice(), [FromDirectory::Welcome(welcome)] if welcome.version == 1));
}

#[test]
fn a_login_that_takes_too_long_and_a_session_gone_silent_are_closed() {
    let mut world = World::new();
    let slow = world.connect(2);
    world.pass(9_999);
    assert!(!world.closed.contains(&slow));
    world.pass(1);
    assert!(world.closed.contains(&slow));
    let (silent, pinging) = (world.log_in_from(1, LOOPBACK), world.log_in_from(3, LOOPBACK));
    world.pass(60_000);
    world.send(pinging, Ping {});
    world.pass(30_000);
    assert!(world.closed.contains(&silent) && !world.closed.contains(&pinging));
}

#[test]
fn one_ipv6_network_gets_so_many_sessions_from_whichever_of_its_addresses() {
    let mut world = World::with(Limits { sessions_per_address: 2, ..Limits::default() });
    let first = world.connect_from(1, "[2001:db8::1]:1000");
    let second = world.connect_from(2, "[2001:db8::2]:1000");
    let third = world.connect_from(3, "[2001:db8::3]:1000");
    let elsewhere = world.connect_from(3, "[2001:db8:0:1::1]:1000");
    assert_eq!([world.hear(first), world.hear(second), world.hear(elsewhere)], [vec![], vec![], vec![]]);
    assert_eq!(world.hear(third), [rejected(Rejection::Full(30_000))]);
    world.input(Input::SessionClosed { session: first });
    let fourth = world.connect_from(3, "[2001:db8::3]:1000");
    assert_eq!(world.hear(fourth), []);
    let fifth = world.connect_from(4, "[2001:db8::4]:1000");
    assert_eq!(world.hear(fifth), [rejected(Rejection::Full(30_000))], "one went, the others still count");
}

#[test]
fn one_address_gets_so_many_sessions_and_loopback_any_number() {
    let mut world = World::with(Limits { sessions_per_address: 2, sessions: 6, ..Limits::default() });
    for _ in 0..2 {
        let session = world.connect_from(1, "203.0.113.7:1000");
        assert_eq!(world.hear(session), []);
    }
    let third = world.connect_from(1, "203.0.113.7:1000");
    assert_eq!(world.hear(third), [rejected(Rejection::Full(30_000))]);
    for _ in 0..4 {
        let session = world.connect(1);
        assert_eq!(world.hear(session), []);
    }
    let full = world.connect(1);
    assert_eq!(world.hear(full), [rejected(Rejection::Full(30_000))]);
}

#[test]
fn an_unknown_kind_is_answered_and_changes_nothing() {
    let mut world = World::new();
    let session = world.log_in_from(1, LOOPBACK);
    world.input(Input::UnknownFrame { session, kind: 0x0199 });
    assert_eq!(world.hear(session), [Unsupported { kind: 0x0199 }.into()]);
    world.send(session, Ping {});
    assert_eq!(world.hear(session), [Pong {}.into()]);
}

#[test]
fn with_hardly_any_disk_left_a_known_key_logs_in_and_takes_and_a_new_one_does_not() {
    let mut world = World::new();
    world.absent(2, "bob");
    world.input(Input::DiskFree { free_bytes: 100 << 20, total_bytes: 1 << 40 });
    world.back(2);
    let fresh = world.connect(3);
    world.hello(fresh, 3, epoch(1, 3), None);
    assert_eq!(world.hear(fresh), [rejected(Rejection::Full(30_000))]);
    assert!(world.closed.contains(&fresh));
    world.input(Input::DiskFree { free_bytes: 1 << 40, total_bytes: 1 << 40 });
    world.log_in_from(3, LOOPBACK);
}

#[test]
fn at_shutdown_everybody_is_told_and_nobody_comes_in() {
    let mut world = World::new();
    let session = world.log_in_from(1, LOOPBACK);
    world.input(Input::Shutdown);
    assert_eq!(world.hear(session), [rejected(Rejection::ShuttingDown)]);
    assert!(world.closed.contains(&session));
    let late = world.connect(2);
    assert_eq!(world.hear(late), [rejected(Rejection::ShuttingDown)]);
}

#[test]
fn a_failed_store_ends_everything_and_says_nothing_as_done() {
    let mut world = World::new();
    let session = world.come(1, "alice");
    world.stalled = true;
    world.send(session, deposit(1, 1));
    world.asked.clear();
    world.input(Input::StoreFailed);
    assert_eq!(world.hear(session), []);
    assert!(world.closed.contains(&session) && world.fatal);
}

#[test]
fn a_failed_store_is_asked_nothing_more() {
    let mut world = World::new();
    let session = world.come(1, "alice");
    let frame = deposit(1, 1).into();
    world.directory.handle(Input::Frame { session, frame }, world.now);
    world.directory.handle(Input::StoreFailed, world.now);
    world.stalled = true;
    world.settle();
    assert!(world.asked.is_empty() && world.fatal);
    assert_eq!(world.directory.poll_timeout(), None);
}
