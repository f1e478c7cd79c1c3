//! Sealing in a simulated world: a stand-in that checks who may open what, or the real thing.

use common::identity::{Context, Identity, PublicKey};
use common::record::{Prekey, PrekeyRecord};
use common::seal::{OpenError, Opener, PrekeySecret, Sealer, generate_prekey};
use peer_core::event::{Input, NotOpened, Output, SealedKind};

use super::dice::Dice;

/// What a machine seals with.
#[derive(Debug)]
pub(crate) enum Seals {
    /// A tag in front of the plain bytes.
    StandIn,
    /// As the program does it.
    Real(Box<(Sealer, Opener)>),
}

impl Seals {
    pub(crate) fn new(real: bool) -> Self {
        if real { Self::Real(Box::new((Sealer::new(), Opener::new()))) } else { Self::StandIn }
    }

    /// The answer to an output that asks for sealing, opening or a prekey.
    pub(crate) fn answer(&mut self, me: &Identity, output: Output, dice: &mut Dice) -> Option<Input> {
        match output {
            Output::Seal { ticket, kind, to, prekey, plain } => {
                let sealed = match self {
                    Self::StandIn => Some(wrap(&me.public(), kind, &to, &prekey, &plain)),
                    Self::Real(both) => {
                        let mut entropy = |bytes: &mut [u8]| bytes.iter_mut().for_each(|b| *b = dice.bytes::<1>()[0]);
                        both.0.seal(me, &to, &prekey, context(kind), &plain, &mut entropy).ok()
                    }
                };
                Some(Input::Sealed { ticket, sealed })
            }
            Output::Open { ticket, kind, from, counter, secret, sealed } => {
                let plain = match self {
                    Self::StandIn => unwrap(&me.public(), kind, &from, counter, &secret, &sealed),
                    Self::Real(both) => both
                        .1
                        .open(&me.public(), &from, &secret, counter, context(kind), &sealed)
                        .map_err(|error| match error {
                            OpenError::NotForThisKey => NotOpened::WrongPrekey,
                            OpenError::Malformed | OpenError::Forged => NotOpened::Forged,
                        }),
                };
                Some(Input::Opened { ticket, plain })
            }
            Output::Sign { ticket, context, bytes } => {
                Some(Input::Signed { ticket, signature: me.sign(context, &bytes) })
            }
            Output::MakePrekey { counter, created_ms } => Some(self.prekey(me, counter, created_ms, dice)),
            _ => None,
        }
    }

    fn prekey(&self, me: &Identity, counter: u64, created_ms: i64, dice: &mut Dice) -> Input {
        let entropy = dice.bytes();
        let (secret, key) = match self {
            Self::Real(_) => generate_prekey(entropy),
            Self::StandIn => {
                let mut key = vec![0; common::limits::PREKEY_BYTES];
                key[..32].copy_from_slice(&entropy);
                (PrekeySecret::from_bytes(&entropy).expect("32 bytes"), key)
            }
        };
        let prekey = Prekey { owner: me.public(), counter, created_ms, key };
        Input::PrekeyMade { record: PrekeyRecord::sign(me, &prekey), secret }
    }
}

fn context(kind: SealedKind) -> Context {
    match kind {
        SealedKind::Parcel => Context::Envelope,
        SealedKind::State => Context::PairState,
    }
}

/// Sender, recipient, kind, counter, the prekey's first bytes (which are its secret), and the plain bytes.
const HEAD: usize = 32 + 32 + 1 + 8 + 32;

fn wrap(me: &PublicKey, kind: SealedKind, to: &PublicKey, prekey: &Prekey, plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(HEAD + plain.len());
    sealed.extend_from_slice(&me.0);
    sealed.extend_from_slice(&to.0);
    sealed.push(u8::from(kind == SealedKind::State));
    sealed.extend_from_slice(&prekey.counter.to_be_bytes());
    sealed.extend_from_slice(&prekey.key[..32]);
    sealed.extend_from_slice(plain);
    sealed
}

fn unwrap(
    me: &PublicKey,
    kind: SealedKind,
    from: &PublicKey,
    counter: u64,
    secret: &PrekeySecret,
    sealed: &[u8],
) -> Result<Vec<u8>, NotOpened> {
    let (head, plain) = sealed.split_at_checked(HEAD).ok_or(NotOpened::Forged)?;
    let same_prekey = head[65..73] == counter.to_be_bytes() && head[73..] == *secret.as_bytes();
    if !same_prekey || head[32..64] != me.0 {
        return Err(NotOpened::WrongPrekey);
    }
    if head[..32] != from.0 || head[64] != u8::from(kind == SealedKind::State) {
        return Err(NotOpened::Forged);
    }
    Ok(plain.to_vec())
}
