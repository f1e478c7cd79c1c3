//! A group of as many members as one may have: three are real programs, the others sessions that registered, joined and
//! went. It can be talked to, its members are listed, nobody else comes in, and there is room again when somebody leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;

use common::group::{Change, Membership, SignedStep};
use common::limits::GROUP_MEMBERS_MAX;
use common::wire::directory::{ChangeGroup, FromDirectory, LookUpGroup, Refusal, WhichGroup};
use system_tests::bench::session::{Session, key};
use system_tests::hostile::stranger;
use system_tests::programs::World;

/// Members that are real programs.
const PROGRAMS: usize = 3;
/// Sessions that register at once.
const AT_ONCE: u64 = 16;

/// The next answer of the directory to something about a group; notices between are passed over.
async fn answer(session: &mut Session) -> FromDirectory {
    session.flush().await.unwrap();
    loop {
        let frame = session.next().await.unwrap();
        if matches!(frame, FromDirectory::Done(_) | FromDirectory::Refused(_) | FromDirectory::GroupSteps(_)) {
            return frame;
        }
    }
}

async fn registered(directory: SocketAddr, number: u64) -> Session {
    let mut session = Session::log_in(directory, number).await.unwrap();
    session.register(number, &format!("guest{number}"), &[]).await.unwrap();
    session
}

/// What the directory has of a group.
async fn chain_of(session: &mut Session, name: &str) -> Membership {
    let mut steps = Vec::new();
    loop {
        let after = steps.len() as u64;
        session.put(LookUpGroup { request: 5, which: WhichGroup::Name(name.parse().unwrap()), after });
        let FromDirectory::GroupSteps(page) = answer(session).await else { panic!("no chain of {name}") };
        steps.extend(page.steps);
        if !page.more {
            return Membership::of(&steps).unwrap();
        }
    }
}

/// Asks to be let in as the next member.
async fn join(session: &mut Session, number: u64, group: &Membership) -> (SignedStep, FromDirectory) {
    let step = SignedStep::sign(&stranger(number), &group.next(key(number), 0, Change::Join));
    session.put(ChangeGroup { request: 4, step: step.clone() });
    let answer = answer(session).await;
    (step, answer)
}

/// So many sessions become members of a group, and go.
async fn guests(directory: SocketAddr, name: &str, count: u64) {
    let mut group = None;
    for first in (0..count).step_by(AT_ONCE as usize) {
        let numbers = first..count.min(first + AT_ONCE);
        let arriving: Vec<_> = numbers.map(|number| (number, tokio::spawn(registered(directory, number)))).collect();
        for (number, session) in arriving {
            let mut session = session.await.unwrap();
            let group = match &mut group {
                Some(group) => group,
                none => none.insert(chain_of(&mut session, name).await),
            };
            let (step, answer) = join(&mut session, number, group).await;
            assert!(matches!(answer, FromDirectory::Done(_)), "{number}: {answer:?}");
            group.apply(&step).unwrap();
        }
    }
}

#[test]
fn as_many_as_may_be_in_a_group_talk_and_the_next_one_is_refused_until_somebody_leaves() {
    let world = World::new();
    let (anna, bert, carla) = (world.peer("anna"), world.peer("bert"), world.peer("carla"));
    let dora = world.peer("dora");
    anna.ok("!create crowd");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let directory = world.directory.address();
    let count = (GROUP_MEMBERS_MAX - PROGRAMS) as u64;
    runtime.block_on(guests(directory, "crowd", count));
    for peer in [&bert, &carla] {
        assert_eq!(peer.ok("!join crowd")["change"], "joined");
    }
    let refused = dora.ask("!join crowd");
    assert_eq!((&refused["code"], &refused["message"]), (&"quota".into(), &"@crowd is full".into()), "{refused}");
    // An open door makes no room.
    anna.ok("!invite dora crowd");
    assert_eq!(dora.refused("!join crowd"), "quota");
    // Nor does the directory believe who says that there is.
    runtime.block_on(async {
        let mut late = registered(directory, count).await;
        let group = chain_of(&mut late, "crowd").await;
        let (_, answer) = join(&mut late, count, &group).await;
        assert!(
            matches!(&answer, FromDirectory::Refused(refused) if refused.reason == Refusal::GroupFull),
            "{answer:?}"
        );
    });
    let listed = anna.ok("!members crowd");
    assert_eq!(listed["members"].as_array().map(Vec::len), Some(GROUP_MEMBERS_MAX));

    let sent = anna.send("@crowd", "who is there?");
    let told = anna.expect("state", "two delivered, the others kept", |event| {
        event["id"] == sent.id.as_str() && event["tally"]["delivered"] == 2 && event["tally"]["kept"] == count
    });
    assert_eq!(told["tally"]["total"], GROUP_MEMBERS_MAX - 1);
    bert.wait_message("anna", "who is there?");
    carla.wait_message("anna", "who is there?");

    bert.ok("!leave crowd");
    assert_eq!(dora.ok("!join crowd")["change"], "joined");
    let last = dora.send("@crowd", "room for me");
    carla.wait_message("dora", "room for me");
    assert_eq!(anna.wait_message("dora", "room for me")["id"], last.id.as_str());
}
