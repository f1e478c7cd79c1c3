//! What the sessions of the directory's target send once they are, or seem to be, logged in.

use std::net::SocketAddr;

use common::identity::PublicKey;
use common::message::EpochId;
use common::name::Name;
use common::wire::directory::{self as wire, Place, Standing, Taking, ToDirectory, Whom};

use super::{NAMES, PEOPLE};
use crate::fuzz::Input;

/// A frame of a logged-in peer, or of one who acts as if. `numbers`: so many items were kept.
pub(super) fn some_request(input: &mut Input<'_>, numbers: u64) -> ToDirectory {
    let request = u32::from(input.byte() % 4);
    let key = input.pick(&PEOPLE.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    let prekey = input.pick(&[0, 1, 2, 3]);
    let prekey = PEOPLE[prekey].1.clone();
    let name: Name = input.pick(&NAMES).parse().expect("a name");
    match input.below(17) {
        0..=3 => {
            let (place, tag, prekey) = (some_place(input, key), [input.byte() % 3; 8], input.number());
            let (urgent, human) = (input.flag(), input.flag());
            let sealed = vec![input.byte(); usize::from(input.byte()) * input.pick(&[1, 1, 97])];
            wire::Deposit { place, tag, prekey, urgent, human, sealed }.into()
        }
        4 => wire::Withdraw { places: some_places(input, key) }.into(),
        5 => wire::Have { request, places: some_places(input, key) }.into(),
        6 | 7 => {
            let how = [Taking::Stored, Taking::NotOpened];
            let mut number = || if input.flag() { numbers.saturating_sub(input.number()) } else { input.number() };
            let items: Vec<u64> = (0..3).map(|_| number()).collect();
            wire::Take { items: items.into_iter().map(|item| (item, input.pick(&how))).collect() }.into()
        }
        8 => wire::PutSlot { recipient: key, prekey: input.number(), sealed: input.blob(200).to_vec() }.into(),
        9 => wire::TakeSlot { from: key, serial: input.number() }.into(),
        10 => wire::Accept { keys: vec![key; input.below(3)] }.into(),
        11 => wire::Watch { add: vec![key; input.below(3)], remove: vec![key; input.below(2)] }.into(),
        12 => wire::LookUp { request, whom: if input.flag() { Whom::Key(key) } else { Whom::Name(name) } }.into(),
        13 => wire::Who { request, after: input.flag().then_some(name), text: input.flag().then(|| "a".into()) }.into(),
        14 if input.flag() => wire::Register { request, name, prekey }.into(),
        14 => wire::Deregister { request }.into(),
        15 if input.flag() => wire::Offline { request }.into(),
        15 => {
            wire::Online { request, candidates: some_candidates(input), prekey, standing: Standing::Online, note: None }
                .into()
        }
        _ if input.flag() => wire::PublishPrekey { request, prekey }.into(),
        _ => wire::Ping {}.into(),
    }
}

fn some_place(input: &mut Input<'_>, recipient: PublicKey) -> Place {
    Place { recipient, epoch: EpochId([input.byte() % 2; 16]), seq: input.number() }
}

fn some_places(input: &mut Input<'_>, recipient: PublicKey) -> Vec<Place> {
    (0..input.below(4)).map(|_| some_place(input, recipient)).collect()
}

fn some_candidates(input: &mut Input<'_>) -> Vec<SocketAddr> {
    let hosts: [[u8; 4]; 5] = [[0; 4], [127, 0, 0, 1], [10, 0, 0, 1], [224, 0, 0, 1], [255; 4]];
    (0..input.below(6)).map(|_| SocketAddr::from((input.pick(&hosts), u16::from(input.byte()) * 16))).collect()
}

/// The number of a request that is answered, if this is one.
pub(super) fn asks(frame: &ToDirectory) -> Option<u32> {
    match frame {
        ToDirectory::Register(frame) => Some(frame.request),
        ToDirectory::Deregister(frame) => Some(frame.request),
        ToDirectory::Online(frame) => Some(frame.request),
        ToDirectory::Offline(frame) => Some(frame.request),
        ToDirectory::LookUp(frame) => Some(frame.request),
        ToDirectory::Who(frame) => Some(frame.request),
        ToDirectory::Have(frame) => Some(frame.request),
        ToDirectory::PublishPrekey(frame) => Some(frame.request),
        ToDirectory::SetStanding(frame) => Some(frame.request),
        ToDirectory::Broadcast(frame) => Some(frame.request),
        ToDirectory::ChangeGroup(frame) => Some(frame.request),
        ToDirectory::LookUpGroup(frame) => Some(frame.request),
        ToDirectory::ListGroups(frame) => Some(frame.request),
        ToDirectory::RestoreGroup(frame) => Some(frame.request),
        _ => None,
    }
}
