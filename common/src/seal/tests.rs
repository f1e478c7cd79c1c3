//! What sealing promises, and that nothing else opens. Entropy here is a counter, so every run is the same.

use super::*;

struct People {
    me: Identity,
    to: Identity,
    secret: PrekeySecret,
    prekey: Prekey,
}

fn people() -> People {
    let (me, to) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
    let (secret, prekey) = prekey_of(&to, 7, [3; 32]);
    People { me, to, secret, prekey }
}

fn prekey_of(owner: &Identity, counter: u64, entropy: [u8; 32]) -> (PrekeySecret, Prekey) {
    let (secret, key) = generate_prekey(entropy);
    (secret, Prekey { owner: owner.public(), counter, created_ms: 0, key })
}

fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0_u64;
    move |target| {
        next += 1;
        blake3::Hasher::new().update(&next.to_be_bytes()).finalize_xof().fill(target);
    }
}

fn seal(people: &People, context: Context, content: &[u8]) -> Vec<u8> {
    let People { me, to, prekey, .. } = people;
    Sealer::new().seal(me, &to.public(), prekey, context, content, &mut counting()).unwrap()
}

fn open(people: &People, context: Context, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let People { me, to, secret, prekey } = people;
    Opener::new().open(&to.public(), &me.public(), secret, prekey.counter, context, sealed)
}

/// Seals `inner` as it is, to see what an opener makes of an inside that no honest sealer writes.
fn seal_raw(people: &People, inner: &[u8]) -> Vec<u8> {
    let label = Context::Envelope.label();
    let channel = encapsulate(&people.me.public(), &people.prekey, label, &mut counting()).unwrap();
    // By hand, as docs/protocol.md has it, so that what an opener takes is what is written there.
    let aad = [&[1], channel.enc.as_slice(), b"homing/1 envelope"].concat();
    let payload = Payload { msg: inner, aad: &aad };
    let ciphertext = cipher(&channel.secret).encrypt(&XNonce::from([9; NONCE_BYTES]), payload).unwrap();
    [&[SEALED_VERSION], channel.enc.as_slice(), &[9; NONCE_BYTES], &ciphertext].concat()
}

#[test]
fn what_was_sealed_opens_as_it_was_in_each_context() {
    let people = people();
    for context in [Context::Envelope, Context::PairState] {
        let sealed = seal(&people, context, b"hello");
        assert_eq!(open(&people, context, &sealed).unwrap(), b"hello");
    }
}

#[test]
fn a_prekey_pair_follows_from_its_entropy_alone() {
    let ((secret, public), (again, public_again)) = (generate_prekey([5; 32]), generate_prekey([5; 32]));
    assert_eq!((secret.as_bytes(), &public), (again.as_bytes(), &public_again));
    assert_eq!(public.len(), PREKEY_BYTES);
    assert_ne!(public, generate_prekey([6; 32]).1);
    assert_eq!(PrekeySecret::from_bytes(secret.as_bytes()).unwrap().as_bytes(), secret.as_bytes());
    assert_eq!(PrekeySecret::from_bytes(&[0; 31]).unwrap_err(), PrekeySecretError);
    assert_eq!(format!("{secret:?}"), "PrekeySecret(..)");
}

#[test]
fn the_size_shows_the_class_and_nothing_more() {
    let people = people();
    let mut smallest = 0;
    for class in SEAL_CLASSES_BYTES {
        // A length of 4 bytes and a signature of 64 lie before the content.
        let largest = class - 68;
        for length in [smallest, largest - 1, largest] {
            let content = vec![0; length];
            let sealed = seal(&people, Context::Envelope, &content);
            assert_eq!(sealed.len(), HEAD_BYTES + class + TAG_BYTES);
            assert!(sealed.len() <= SEALED_MAX_BYTES);
            assert_eq!(open(&people, Context::Envelope, &sealed).unwrap(), content);
        }
        smallest = largest + 1;
    }
}

#[test]
fn more_than_the_largest_class_is_refused() {
    let people = people();
    let content = vec![0; CONTENT_MAX_BYTES + 1];
    let refused = Sealer::new().seal(
        &people.me,
        &people.to.public(),
        &people.prekey,
        Context::Envelope,
        &content,
        &mut counting(),
    );
    assert_eq!(refused, Err(SealError::TooLarge { bytes: CONTENT_MAX_BYTES + 1 }));
}

#[test]
fn a_wrong_prekey_counter_context_sender_or_recipient_does_not_open() {
    let people = people();
    let sealed = seal(&people, Context::Envelope, b"hello");
    let (me, to) = (people.me.public(), people.to.public());
    let (other_secret, _) = generate_prekey([4; 32]);
    let mut opener = Opener::new();
    let mut open = |to: &PublicKey, from: &PublicKey, secret: &PrekeySecret, counter, context| {
        opener.open(to, from, secret, counter, context, &sealed)
    };
    let stranger = Identity::from_seed(&[8; 32]).public();
    let wrong = Err(OpenError::NotForThisKey);
    assert_eq!(open(&to, &me, &other_secret, 7, Context::Envelope), wrong);
    assert_eq!(open(&to, &me, &people.secret, 8, Context::Envelope), wrong);
    assert_eq!(open(&to, &me, &people.secret, 7, Context::PairState), wrong);
    assert_eq!(open(&to, &stranger, &people.secret, 7, Context::Envelope), wrong);
    assert_eq!(open(&stranger, &me, &people.secret, 7, Context::Envelope), wrong);
    assert_eq!(open(&to, &me, &people.secret, 7, Context::Envelope).unwrap(), b"hello");
    // The right one is remembered now, and still only the right one opens.
    assert_eq!(open(&to, &stranger, &people.secret, 7, Context::Envelope), wrong);
    assert_eq!(open(&to, &me, &other_secret, 7, Context::Envelope), wrong);
}

#[test]
fn only_envelopes_and_pair_states_are_sealed() {
    let people = people();
    for context in [Context::Binding, Context::Prekey] {
        let People { me, to, prekey, .. } = &people;
        let refused = Sealer::new().seal(me, &to.public(), prekey, context, b"", &mut counting());
        assert_eq!(refused, Err(SealError::Context));
    }
}

#[test]
fn a_prekey_of_somebody_else_or_of_no_use_is_refused() {
    let people = people();
    let seal = |to: &PublicKey, prekey: &Prekey| {
        Sealer::new().seal(&people.me, to, prekey, Context::Envelope, b"", &mut counting())
    };
    assert_eq!(seal(&people.me.public(), &people.prekey), Err(SealError::Prekey));
    for key in [vec![], vec![0xff; PREKEY_BYTES], people.prekey.key[1..].to_vec()] {
        let broken = Prekey { key, ..people.prekey.clone() };
        assert_eq!(seal(&people.to.public(), &broken), Err(SealError::Prekey));
    }
}

#[test]
fn a_channel_of_the_sender_does_not_carry_the_words_of_another() {
    let people = people();
    let (to, stranger) = (people.to.public(), Identity::from_seed(&[8; 32]));
    let inner = pad(&stranger, &to, Context::Envelope, b"hello").unwrap();
    assert_eq!(open(&people, Context::Envelope, &seal_raw(&people, &inner)), Err(OpenError::Forged));
}

#[test]
fn what_was_signed_for_one_recipient_or_context_is_forged_for_another() {
    let people = people();
    let other = Identity::from_seed(&[8; 32]).public();
    let replayed = pad(&people.me, &other, Context::Envelope, b"hello").unwrap();
    assert_eq!(open(&people, Context::Envelope, &seal_raw(&people, &replayed)), Err(OpenError::Forged));
    let crossed = pad(&people.me, &people.to.public(), Context::PairState, b"hello").unwrap();
    assert_eq!(open(&people, Context::Envelope, &seal_raw(&people, &crossed)), Err(OpenError::Forged));
}

#[test]
fn padding_has_one_right_form() {
    let people = people();
    let good = pad(&people.me, &people.to.public(), Context::Envelope, b"hello").unwrap();
    assert_eq!(open(&people, Context::Envelope, &seal_raw(&people, &good)).unwrap(), b"hello");
    let mut dirty = good.to_vec();
    *dirty.last_mut().unwrap() = 1;
    let mut roomy = good.to_vec();
    roomy.resize(SEAL_CLASSES_BYTES[1], 0);
    let mut endless = good.to_vec();
    endless[..LENGTH_BYTES].fill(0xff);
    for inner in [dirty, roomy, endless] {
        assert_eq!(open(&people, Context::Envelope, &seal_raw(&people, &inner)), Err(OpenError::Forged));
    }
    let tight = seal_raw(&people, &good[..good.len() - 1]);
    assert_eq!(open(&people, Context::Envelope, &tight), Err(OpenError::Malformed));
}

#[test]
fn a_changed_bit_anywhere_is_noticed() {
    let people = people();
    let sealed = seal(&people, Context::Envelope, b"hello");
    let mut opener = Opener::new();
    let mut open = |sealed: &[u8]| {
        opener.open(&people.to.public(), &people.me.public(), &people.secret, 7, Context::Envelope, sealed)
    };
    // With the channel known and unknown: each changed enc is another channel.
    assert!(open(&sealed).is_ok());
    for at in (0..sealed.len()).step_by(13).chain([sealed.len() - 1]) {
        let mut changed = sealed.clone();
        changed[at] ^= 1 << (at % 8);
        let expected = if at == 0 { OpenError::Malformed } else { OpenError::NotForThisKey };
        assert_eq!(open(&changed), Err(expected), "byte {at}");
    }
}

#[test]
fn anything_cut_or_extended_is_malformed() {
    let people = people();
    let mut sealed = seal(&people, Context::Envelope, b"hello");
    for length in 0..sealed.len() {
        assert_eq!(open(&people, Context::Envelope, &sealed[..length]), Err(OpenError::Malformed));
    }
    sealed.push(0);
    assert_eq!(open(&people, Context::Envelope, &sealed), Err(OpenError::Malformed));
}

#[test]
fn one_encapsulation_serves_until_the_prekey_changes() {
    let people = people();
    let (mut sealer, mut opener, mut entropy) = (Sealer::new(), Opener::new(), counting());
    let (newer_secret, newer) = prekey_of(&people.to, 8, [4; 32]);
    let mut sealed = |prekey: &Prekey| {
        sealer.seal(&people.me, &people.to.public(), prekey, Context::Envelope, b"hello", &mut entropy).unwrap()
    };
    let items = [sealed(&people.prekey), sealed(&people.prekey), sealed(&newer)];
    let [first, second, third] = items.each_ref().map(|item| parse(item).unwrap());
    assert_eq!(first.0, second.0);
    assert_ne!(first.1, second.1);
    assert_ne!(first.0, third.0);
    for (item, secret, counter) in
        [(&items[0], &people.secret, 7), (&items[1], &people.secret, 7), (&items[2], &newer_secret, 8)]
    {
        let (me, from) = (people.to.public(), people.me.public());
        assert_eq!(opener.open(&me, &from, secret, counter, Context::Envelope, item).unwrap(), b"hello");
    }
    assert_eq!(opener.channels.entries.len(), 2);
    opener.forget(7);
    assert_eq!(opener.channels.entries.values().map(|(_, channel)| channel.counter).collect::<Vec<_>>(), [8]);
    assert_eq!(sealer.channels.entries.values().map(|(_, channel)| channel.seals).collect::<Vec<_>>(), [1]);
}

#[test]
fn what_does_not_open_takes_no_room() {
    let people = people();
    let mut opener = Opener::new();
    let mut sealed = seal(&people, Context::Envelope, b"hello");
    *sealed.last_mut().unwrap() ^= 1;
    let (me, from) = (people.to.public(), people.me.public());
    assert!(opener.open(&me, &from, &people.secret, 7, Context::Envelope, &sealed).is_err());
    assert!(opener.channels.entries.is_empty());
}

#[test]
fn a_full_cache_lets_the_least_recently_used_go() {
    let mut cache = Bounded::default();
    for key in 0..CHANNELS_MAX {
        cache.insert(key, ());
    }
    assert!(cache.find(&0).is_some());
    cache.insert(CHANNELS_MAX, ());
    assert_eq!(cache.entries.len(), CHANNELS_MAX);
    assert!(cache.find(&0).is_some());
    assert!(cache.find(&1).is_none());
}

#[test]
fn what_was_found_later_and_what_was_inserted_later_stay_longer() {
    let mut cache = Bounded::default();
    (1..=CHANNELS_MAX).for_each(|key| cache.insert(key, ()));
    assert!((1..=CHANNELS_MAX).rev().all(|key| cache.find(&key).is_some()));
    cache.insert(0, ());
    assert!(!cache.entries.contains_key(&CHANNELS_MAX), "found first");
    assert!((1..CHANNELS_MAX).all(|key| cache.find(&key).is_some()));
    cache.insert(CHANNELS_MAX, ());
    assert!(!cache.entries.contains_key(&0), "not found since");
    // The one found last is older than the one inserted after it.
    assert!((1..=CHANNELS_MAX).all(|key| cache.find(&key).is_some()));
    cache.insert(0, ());
    assert!((2..CHANNELS_MAX).all(|key| cache.find(&key).is_some()));
    cache.insert(CHANNELS_MAX + 1, ());
    assert!(!cache.entries.contains_key(&CHANNELS_MAX) && cache.entries.contains_key(&0));
}

#[test]
fn the_largest_content_fits_and_one_byte_more_does_not() {
    assert_eq!(class_of(CONTENT_MAX_BYTES), Some(SEAL_CLASSES_BYTES[2]));
    assert_eq!(class_of(CONTENT_MAX_BYTES + 1), None);
}

#[test]
fn all_entropy_is_the_callers() {
    let mut fill = |target: &mut [u8]| target.fill(0x5a);
    let mut entropy = Entropy(&mut fill);
    assert_eq!(entropy.try_next_u32(), Ok(0x5a5a_5a5a));
    assert_eq!(entropy.try_next_u64(), Ok(0x5a5a_5a5a_5a5a_5a5a));
}

#[test]
fn a_used_up_channel_is_replaced() {
    let people = people();
    let (mut sealer, mut entropy) = (Sealer::new(), counting());
    let mut enc = |sealer: &mut Sealer| {
        let sealed =
            sealer.seal(&people.me, &people.to.public(), &people.prekey, Context::Envelope, b"", &mut entropy).unwrap();
        parse(&sealed).unwrap().0.to_vec()
    };
    let first = enc(&mut sealer);
    for (_, channel) in sealer.channels.entries.values_mut() {
        channel.seals = SEALS_PER_CHANNEL_MAX;
    }
    assert_ne!(enc(&mut sealer), first);
}
