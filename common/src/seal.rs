//! Sealing for the way through a directory: sign, pad, encrypt to the recipient's prekey; and back.
//! Called by the shells, never by a core; entropy is handed in by the caller, nothing is stored on disk.
//!
//! Key agreement is HPKE in base mode (RFC 9180) with X-Wing (ML-KEM-768 and X25519), HKDF-SHA256 and
//! ChaCha20-Poly1305. Its `info` is [`INFO_LABEL`] ‖ context label ‖ 0x00 ‖ sender ‖ recipient ‖ counter (u64 BE) ‖
//! prekey. A 32-byte secret is exported under [`EXPORT_LABEL`]; it serves many items, each under a random 24-byte
//! nonce (XChaCha20-Poly1305), so that one encapsulation carries a conversation.
//!
//! ```text
//! sealed   = version (1) ‖ enc (1120) ‖ nonce (24) ‖ ciphertext, tag at its end (16)
//! aad      = version ‖ enc ‖ context label
//! plain    = length (u32 BE) ‖ signature (64) ‖ content ‖ zeros up to the smallest class that fits
//! signed   = sender ‖ recipient ‖ content, in the context
//! ```

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender_with_rng};
use rand_core::{TryCryptoRng, TryRng};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::identity::{Context, Identity, PublicKey, Signature};
use crate::limits::{PREKEY_BYTES, SEAL_CLASSES_BYTES, SEALED_MAX_BYTES};
use crate::record::Prekey;

/// First byte of every sealed item.
pub const SEALED_VERSION: u8 = 1;
/// Bytes of an encapsulated key.
pub const ENC_BYTES: usize = 1120;
/// Bytes of a private prekey.
pub const PREKEY_SECRET_BYTES: usize = 32;
/// Most bytes of content that can be sealed.
pub const CONTENT_MAX_BYTES: usize = SEAL_CLASSES_BYTES[2] - INNER_HEAD_BYTES;
/// Exported secrets that a [`Sealer`] or an [`Opener`] keeps; the least recently used one goes first.
pub const CHANNELS_MAX: usize = 256;
/// Items sealed with one encapsulation before a fresh one is made. Far below what random nonces of 192 bits bear.
pub const SEALS_PER_CHANNEL_MAX: u32 = 100_000;

/// Head of HPKE's `info`.
pub const INFO_LABEL: &[u8] = b"homing/1 seal ";
/// HPKE's exporter context.
pub const EXPORT_LABEL: &[u8] = b"homing/1 seal key";

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;
const SIGNATURE_BYTES: usize = 64;
const INNER_HEAD_BYTES: usize = LENGTH_BYTES + SIGNATURE_BYTES;
const HEAD_BYTES: usize = 1 + ENC_BYTES + NONCE_BYTES;

const _: () = {
    assert!(HEAD_BYTES + SEAL_CLASSES_BYTES[2] + TAG_BYTES <= SEALED_MAX_BYTES);
    assert!(SEAL_CLASSES_BYTES[0] < SEAL_CLASSES_BYTES[1] && SEAL_CLASSES_BYTES[1] < SEAL_CLASSES_BYTES[2]);
    assert!(SEAL_CLASSES_BYTES[0] > INNER_HEAD_BYTES);
};

/// Why nothing was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SealError {
    /// The content does not fit into the largest class.
    #[error("{bytes} bytes are too many to seal, {CONTENT_MAX_BYTES} are allowed")]
    TooLarge {
        /// Bytes of the content.
        bytes: usize,
    },
    /// The prekey is not a usable key or not the recipient's.
    #[error("the recipient's prekey is not usable")]
    Prekey,
    /// Only envelopes and pair states are sealed.
    #[error("nothing is sealed in this context")]
    Context,
}

/// Why a sealed item was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Not the shape of a sealed item: version, length or class.
    #[error("this is not a sealed item")]
    Malformed,
    /// Not sealed to this prekey by this sender in this context, or changed on the way.
    #[error("the item does not open with this prekey")]
    NotForThisKey,
    /// It opens, but its inside is not what the sender signed for this recipient, or is not padded as it must be.
    #[error("the item was not written by the sender it names")]
    Forged,
}

/// Bytes that are not a private prekey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a private prekey has {PREKEY_SECRET_BYTES} bytes")]
pub struct PrekeySecretError;

/// The private half of a prekey. Wiped when dropped.
#[derive(Clone)]
pub struct PrekeySecret(Zeroizing<Vec<u8>>);

impl PrekeySecret {
    /// Reads back what [`Self::as_bytes`] gave.
    ///
    /// # Errors
    /// [`PrekeySecretError`] when the length is not [`PREKEY_SECRET_BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PrekeySecretError> {
        if bytes.len() != PREKEY_SECRET_BYTES {
            return Err(PrekeySecretError);
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// The [`PREKEY_SECRET_BYTES`] bytes, to be stored where only the owner can read.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PrekeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrekeySecret(..)")
    }
}

/// A prekey pair from 32 bytes of entropy, always the same from the same: private half, and the public key of
/// [`PREKEY_BYTES`] bytes.
#[must_use]
pub fn generate_prekey(entropy: [u8; 32]) -> (PrekeySecret, Vec<u8>) {
    let entropy = Zeroizing::new(entropy);
    let (secret, public) = XWing::derive_keypair(entropy.as_slice());
    let secret = Zeroizing::new(secret.to_bytes().to_vec());
    (PrekeySecret(secret), public.to_bytes().to_vec())
}

/// Seals items, with one encapsulation for each pair, context and prekey as long as it lives.
/// Its secrets are wiped when they are replaced and when it is dropped.
#[derive(Default)]
pub struct Sealer {
    channels: Bounded<Lane, SendChannel>,
}

/// Sender, recipient and context: a newer prekey of the same lane replaces the older channel.
type Lane = (PublicKey, PublicKey, &'static [u8]);

struct SendChannel {
    prekey: (u64, Vec<u8>),
    enc: Vec<u8>,
    secret: Zeroizing<[u8; 32]>,
    seals: u32,
}

impl Sealer {
    /// A sealer that has sealed nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Signs `content` as `me`, pads it and seals it to `prekey`, which must be verified as the record of `to`.
    /// `entropy` fills what it is given with bytes nobody can foretell.
    ///
    /// # Errors
    /// [`SealError`]; nothing is remembered then.
    pub fn seal(
        &mut self,
        me: &Identity,
        to: &PublicKey,
        prekey: &Prekey,
        context: Context,
        content: &[u8],
        entropy: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Vec<u8>, SealError> {
        let label = sealable(context).ok_or(SealError::Context)?;
        if prekey.owner != *to {
            return Err(SealError::Prekey);
        }
        let inner = pad(me, to, context, content).ok_or(SealError::TooLarge { bytes: content.len() })?;
        let channel = self.channel(me.public(), prekey, label, entropy)?;
        let mut nonce = [0; NONCE_BYTES];
        entropy(&mut nonce);
        let aad = associated(&channel.enc, label);
        let payload = Payload { msg: &inner, aad: &aad };
        let ciphertext = cipher(&channel.secret)
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SealError::TooLarge { bytes: content.len() })?;
        let mut sealed = Vec::with_capacity(HEAD_BYTES + ciphertext.len());
        sealed.push(SEALED_VERSION);
        sealed.extend_from_slice(&channel.enc);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// The channel for `prekey`, made afresh when there is none, it is for another prekey, or it is used up.
    fn channel(
        &mut self,
        me: PublicKey,
        prekey: &Prekey,
        label: &'static [u8],
        entropy: &mut dyn FnMut(&mut [u8]),
    ) -> Result<&SendChannel, SealError> {
        let lane = (me, prekey.owner, label);
        let usable = self.channels.find(&lane).is_some_and(|channel| {
            channel.prekey.0 == prekey.counter
                && channel.prekey.1 == prekey.key
                && channel.seals < SEALS_PER_CHANNEL_MAX
        });
        if !usable {
            let fresh = encapsulate(&me, prekey, label, entropy)?;
            self.channels.insert(lane, fresh);
        }
        let channel = self.channels.find(&lane).ok_or(SealError::Prekey)?;
        channel.seals += 1;
        Ok(channel)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({} channels)", self.channels.entries.len())
    }
}

/// Opens items, decapsulating each encapsulated key once. Its secrets are wiped when they are forgotten and when it is
/// dropped.
#[derive(Default)]
pub struct Opener {
    channels: Bounded<[u8; 32], OpenChannel>,
}

struct OpenChannel {
    counter: u64,
    secret: Zeroizing<[u8; 32]>,
}

impl Opener {
    /// An opener that has opened nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What `from` signed for `me` and sealed to the prekey number `counter`, whose private half is `secret`.
    /// Whether it was seen before is for the caller to find out.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        &mut self,
        me: &PublicKey,
        from: &PublicKey,
        secret: &PrekeySecret,
        counter: u64,
        context: Context,
        sealed: &[u8],
    ) -> Result<Vec<u8>, OpenError> {
        let label = sealable(context).ok_or(OpenError::Malformed)?;
        let (enc, nonce, ciphertext) = parse(sealed).ok_or(OpenError::Malformed)?;
        let place = open_place(secret, &[enc, from.0.as_slice(), &me.0, &counter.to_be_bytes(), label]);
        let known = self.channels.find(&place).map(|channel| channel.secret.clone());
        let exported = match &known {
            Some(exported) => exported.clone(),
            None => decapsulate(me, from, secret, counter, label, enc)?,
        };
        let aad = associated(enc, label);
        let inner = cipher(&exported)
            .decrypt(&XNonce::from(nonce), Payload { msg: ciphertext, aad: &aad })
            .map_err(|_| OpenError::NotForThisKey)?;
        let content = unpad(me, from, context, &Zeroizing::new(inner)).ok_or(OpenError::Forged)?;
        if known.is_none() {
            // Only after the signature: what is not the sender's takes no room from what is.
            self.channels.insert(place, OpenChannel { counter, secret: exported });
        }
        Ok(content)
    }

    /// Wipes what was derived from the prekey number `counter`, to be called when its private half is destroyed.
    pub fn forget(&mut self, counter: u64) {
        self.channels.entries.retain(|_, (_, channel)| channel.counter != counter);
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({} channels)", self.channels.entries.len())
    }
}

/// A map of at most [`CHANNELS_MAX`] entries that lets the least recently used one go.
struct Bounded<K, V> {
    entries: BTreeMap<K, (u64, V)>,
    uses: u64,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), uses: 0 }
    }
}

impl<K: Ord + Clone, V> Bounded<K, V> {
    fn find(&mut self, key: &K) -> Option<&mut V> {
        self.uses += 1;
        let (used, value) = self.entries.get_mut(key)?;
        *used = self.uses;
        Some(value)
    }

    fn insert(&mut self, key: K, value: V) {
        self.uses += 1;
        if self.entries.len() >= CHANNELS_MAX && !self.entries.contains_key(&key) {
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(key, (self.uses, value));
    }
}

/// The caller's entropy in the shape the HPKE library takes.
struct Entropy<'a>(&'a mut dyn FnMut(&mut [u8]));

impl TryRng for Entropy<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        (self.0)(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        (self.0)(target);
        Ok(())
    }
}

impl TryCryptoRng for Entropy<'_> {}

fn sealable(context: Context) -> Option<&'static [u8]> {
    match context {
        Context::Envelope | Context::PairState => Some(context.label()),
        Context::Binding | Context::Prekey | Context::GroupStep | Context::Broadcast => None,
    }
}

fn info(label: &[u8], from: &PublicKey, to: &PublicKey, counter: u64, prekey: &[u8]) -> Vec<u8> {
    [INFO_LABEL, label, &[0], &from.0, &to.0, &counter.to_be_bytes(), prekey].concat()
}

fn associated(enc: &[u8], label: &[u8]) -> Vec<u8> {
    [&[SEALED_VERSION], enc, label].concat()
}

fn cipher(secret: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*secret))
}

fn encapsulate(
    me: &PublicKey,
    prekey: &Prekey,
    label: &[u8],
    entropy: &mut dyn FnMut(&mut [u8]),
) -> Result<SendChannel, SealError> {
    if prekey.key.len() != PREKEY_BYTES {
        return Err(SealError::Prekey);
    }
    let public = <XWing as Kem>::PublicKey::from_bytes(&prekey.key).map_err(|_| SealError::Prekey)?;
    let info = info(label, me, &prekey.owner, prekey.counter, &prekey.key);
    let (enc, context) = setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &public,
        &info,
        &mut Entropy(entropy),
    )
    .map_err(|_| SealError::Prekey)?;
    let mut secret = Zeroizing::new([0; 32]);
    context.export(EXPORT_LABEL, secret.as_mut_slice()).map_err(|_| SealError::Prekey)?;
    let prekey = (prekey.counter, prekey.key.clone());
    Ok(SendChannel { prekey, enc: enc.to_bytes().to_vec(), secret, seals: 0 })
}

fn decapsulate(
    me: &PublicKey,
    from: &PublicKey,
    secret: &PrekeySecret,
    counter: u64,
    label: &[u8],
    enc: &[u8],
) -> Result<Zeroizing<[u8; 32]>, OpenError> {
    let private = <XWing as Kem>::PrivateKey::from_bytes(&secret.0).map_err(|_| OpenError::NotForThisKey)?;
    let public = XWing::sk_to_pk(&private).to_bytes();
    let enc = <XWing as Kem>::EncappedKey::from_bytes(enc).map_err(|_| OpenError::Malformed)?;
    let info = info(label, from, me, counter, &public);
    let context = setup_receiver::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeR::Base, &private, &enc, &info)
        .map_err(|_| OpenError::NotForThisKey)?;
    let mut exported = Zeroizing::new([0; 32]);
    context.export(EXPORT_LABEL, exported.as_mut_slice()).map_err(|_| OpenError::NotForThisKey)?;
    Ok(exported)
}

/// Where an opened channel is kept: a hash of everything its secret depends on.
fn open_place(secret: &PrekeySecret, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("homing/1 opened channel");
    hasher.update(&secret.0);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

fn signed(from: &PublicKey, to: &PublicKey, content: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([from.0.as_slice(), &to.0, content].concat())
}

fn class_of(content_bytes: usize) -> Option<usize> {
    SEAL_CLASSES_BYTES.into_iter().find(|class| INNER_HEAD_BYTES + content_bytes <= *class)
}

fn pad(me: &Identity, to: &PublicKey, context: Context, content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let class = class_of(content.len())?;
    let length = u32::try_from(content.len()).ok()?;
    let signature = me.sign(context, &signed(&me.public(), to, content));
    let mut inner = Zeroizing::new(Vec::with_capacity(class));
    inner.extend_from_slice(&length.to_be_bytes());
    inner.extend_from_slice(&signature.0);
    inner.extend_from_slice(content);
    inner.resize(class, 0);
    Some(inner)
}

/// The content of `inner`, if `from` signed it for `me` and it is padded in the one right way.
fn unpad(me: &PublicKey, from: &PublicKey, context: Context, inner: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = inner.split_first_chunk::<LENGTH_BYTES>()?;
    let (signature, rest) = rest.split_first_chunk::<SIGNATURE_BYTES>()?;
    let (content, padding) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    if class_of(content.len()) != Some(inner.len()) || padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    from.verify(context, &signed(from, me, content), &Signature(*signature)).ok()?;
    Some(content.to_vec())
}

type Parsed<'a> = (&'a [u8], [u8; NONCE_BYTES], &'a [u8]);

fn parse(sealed: &[u8]) -> Option<Parsed<'_>> {
    let rest = sealed.strip_prefix(&[SEALED_VERSION])?;
    let (enc, rest) = rest.split_at_checked(ENC_BYTES)?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>()?;
    let class = ciphertext.len().checked_sub(TAG_BYTES)?;
    SEAL_CLASSES_BYTES.contains(&class).then_some((enc, *nonce, ciphertext))
}

#[cfg(test)]
mod tests;
