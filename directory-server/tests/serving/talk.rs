//! What peers tell all others: standing, busy, notices, broadcasts, groups.

use common::group::{Change, Membership, SignedStep, Step};
use common::message::EpochId;
use common::shout::{Shout, SignedShout};
use common::wire::directory::{
    Broadcast, ChangeGroup, Deposit, FollowGroups, ListGroups, LookUpGroup, Offline, Place, Refusal, SetStanding,
    Standing, Take, Taking, Watch, WhichGroup,
};

use super::client::{Client, Running};
use super::*;

/// Somebody with a name who is online.
async fn come(server: &Running, who: u8, name: &str) -> Client {
    let (mut client, _) = Client::log_in(server.address, who, None).await;
    client.register(name).await;
    client.online().await;
    client
}

/// The answer to a request: none when it was carried out.
async fn answer(client: &mut Client, request: u32) -> Option<Refusal> {
    client
        .wait(|frame| match frame {
            FromDirectory::Done(done) if done.request == request => Some(None),
            FromDirectory::Refused(refused) if refused.request == request => Some(Some(refused.reason)),
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standing_with_a_note_is_told_and_a_crash_is_leaving() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let mut alice = come(&server, 1, "Alice").await;
    let mut bob = come(&server, 2, "Bob").await;
    let mut carol = come(&server, 3, "Carol").await;
    let who = alice.identity.public();
    bob.send(Watch { add: vec![who], remove: vec![] }).await;
    alice.send(SetStanding { request: 5, standing: Standing::Away, note: Some("at lunch".into()) }).await;
    assert_eq!(answer(&mut alice, 5).await, None);
    let away = |frame| match frame {
        FromDirectory::Presence(of) if of.key == who && of.standing == Standing::Away => of.note,
        _ => None,
    };
    assert_eq!(bob.wait(away).await, "at lunch");
    let noticed = |wanted: Standing| {
        move |frame| match frame {
            FromDirectory::Notices(of) => of.people.into_iter().find(|of| of.key == who && of.standing == wanted),
            _ => None,
        }
    };
    let notice = carol.wait(noticed(Standing::Away)).await;
    assert_eq!((notice.name.as_str(), notice.note.as_deref()), ("Alice", Some("at lunch")));
    alice.send(SetStanding { request: 6, standing: Standing::Offline, note: None }).await;
    assert_eq!(answer(&mut alice, 6).await, Some(Refusal::Invalid));
    drop(alice);
    carol.wait(noticed(Standing::Offline)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_of_who_is_busy_waits_until_they_are_back_but_for_what_is_urgent() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let mut alice = come(&server, 1, "Alice").await;
    let mut bob = come(&server, 2, "Bob").await;
    bob.send(SetStanding { request: 5, standing: Standing::Busy, note: None }).await;
    assert_eq!(answer(&mut bob, 5).await, None);
    for seq in 1..=3 {
        let place = Place { recipient: bob.identity.public(), epoch: EpochId([9; 16]), seq };
        let tag = seq.to_be_bytes();
        alice.send(Deposit { place, tag, prekey: 1, urgent: seq == 3, human: true, sealed: vec![1; 50] }).await;
        alice.kept(1).await;
    }
    let item = |frame| if let FromDirectory::Item(item) = frame { Some(item) } else { None };
    let first = bob.wait(item).await;
    assert_eq!(first.seq, 3, "only what is urgent");
    bob.send(Take { items: vec![(first.item, Taking::Stored)] }).await;
    bob.send(SetStanding { request: 6, standing: Standing::Online, note: None }).await;
    let begin = |frame| if let FromDirectory::DrainBegin(begin) = frame { Some(begin.human) } else { None };
    assert_eq!(bob.wait(begin).await, 2);
    assert_eq!((bob.wait(item).await.seq, bob.wait(item).await.seq), (1, 2));
    bob.wait(|frame| matches!(frame, FromDirectory::DrainEnd(_)).then_some(())).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_is_heard_by_everybody_online_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let mut alice = come(&server, 1, "Alice").await;
    let mut others = vec![come(&server, 2, "Bob").await, come(&server, 3, "Carol").await];
    let directory = alice.directory();
    let say = |at_ms, text: &str| {
        let me = &Identity::from_seed(&[1; 32]);
        SignedShout::sign(me, &Shout { directory, by: me.public(), at_ms, text: text.into() })
    };
    alice.send(Broadcast { request: 7, shout: say(1, "fire drill") }).await;
    let sent = |frame| if let FromDirectory::BroadcastSent(sent) = frame { Some(sent) } else { None };
    assert_eq!(alice.wait(sent).await.count, 2);
    for other in &mut others {
        let heard =
            other.wait(|frame| if let FromDirectory::Shouted(heard) = frame { Some(heard) } else { None }).await;
        let bound = heard.binding.verify(&directory).unwrap();
        assert_eq!(bound.name.as_str(), "Alice");
        assert_eq!(heard.shout.verify(&directory, &bound.key).unwrap().text, "fire drill");
    }
    alice.send(Broadcast { request: 8, shout: say(2, "again") }).await;
    assert!(matches!(answer(&mut alice, 8).await, Some(Refusal::RateLimited(1..=1_000))));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_survive_a_restart_and_their_members_hear_of_each_step() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let (mut alice, token) = Client::log_in(server.address, 1, None).await;
    alice.register("Alice").await;
    let mut bob = come(&server, 2, "Bob").await;
    let id = [7; 16];
    let change = Change::Found { name: "family".parse().unwrap(), private: false };
    let founding = SignedStep::sign(&alice.identity, &Step::founding(id, alice.identity.public(), 0, change));
    let mut group = Membership::found(&founding).unwrap();
    alice.send(ChangeGroup { request: 5, step: founding.clone() }).await;
    assert_eq!(answer(&mut alice, 5).await, None);
    bob.send(ChangeGroup { request: 5, step: founding }).await;
    assert_eq!(answer(&mut bob, 5).await, Some(Refusal::Invalid), "the word of another");
    let which = WhichGroup::Name("FAMILY".parse().unwrap());
    bob.send(LookUpGroup { request: 6, which, after: 0 }).await;
    let page = bob.wait(|frame| if let FromDirectory::GroupSteps(page) = frame { Some(page) } else { None }).await;
    assert_eq!((Membership::of(&page.steps), page.more), (Ok(group.clone()), false));
    let join = SignedStep::sign(&bob.identity, &group.next(bob.identity.public(), 0, Change::Join));
    bob.send(ChangeGroup { request: 7, step: join.clone() }).await;
    assert_eq!(answer(&mut bob, 7).await, None);
    let news = |frame| if let FromDirectory::GroupNews(news) = frame { Some(news) } else { None };
    alice.wait(news).await;
    let heard = alice.wait(news).await;
    assert_eq!((heard.group, &heard.steps[..]), (id, &[join.clone()][..]));
    group.apply(&heard.steps[0]).unwrap();
    alice.send(Offline { request: 9 }).await;
    while alice.maybe_next().await.is_some() {}
    server.stop().await;

    let server = Running::start(folder.path());
    let (mut alice, _) = Client::log_in(server.address, 1, Some(token)).await;
    alice.send(FollowGroups { groups: vec![(id, 1), ([8; 16], 0)] }).await;
    assert_eq!(alice.wait(news).await.steps, [join]);
    alice.send(ListGroups { request: 8, after: None }).await;
    let page = alice.wait(|frame| if let FromDirectory::Groups(page) = frame { Some(page) } else { None }).await;
    let line = &page.groups[0];
    assert_eq!((line.group, line.members, line.member, page.groups.len()), (id, 2, true, 1));
    server.stop().await;
}
