//! Ed25519 identities: public keys, fingerprints, signatures and the contexts they are made in.
//!
//! A signature is always made over `context ‖ 0x00 ‖ bytes`, so that a signature made for one use
//! never verifies for another. Verification is strict (RFC 8032 with the small-order checks of
//! `verify_strict`).

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// What a signature is for. Each use has a context of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// A directory's word that a name belongs to a key.
    Binding,
    /// A peer's word that a prekey is its own.
    Prekey,
    /// An envelope on its way through the directory.
    Envelope,
    /// A pair state on its way through the directory.
    PairState,
    /// A step of a group's chain.
    GroupStep,
    /// A line to everybody online.
    Broadcast,
}

impl Context {
    pub(crate) fn label(self) -> &'static [u8] {
        match self {
            Self::Binding => b"homing/1 binding",
            Self::Prekey => b"homing/1 prekey",
            Self::Envelope => b"homing/1 envelope",
            Self::PairState => b"homing/1 pair-state",
            Self::GroupStep => b"homing/1 group-step",
            Self::Broadcast => b"homing/1 broadcast",
        }
    }

    fn message(self, bytes: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.label().len() + 1 + bytes.len());
        message.extend_from_slice(self.label());
        message.push(0);
        message.extend_from_slice(bytes);
        message
    }
}

/// A signature did not verify, or its key is not a usable one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signature does not belong to this key, use and content")]
pub struct SignatureError;

/// An Ed25519 public key: 32 bytes. It is the identity; a name is only bound to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Verifies `signature` over `bytes` in `context`.
    ///
    /// # Errors
    /// [`SignatureError`] when it does not verify strictly.
    pub fn verify(&self, context: Context, bytes: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| SignatureError)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(&context.message(bytes), &signature).map_err(|_| SignatureError)
    }

    /// The short form people compare.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let hash = blake3::derive_key("homing/1 fingerprint", &self.0);
        let mut short = [0; Fingerprint::BYTES];
        short.copy_from_slice(&hash[..Fingerprint::BYTES]);
        Fingerprint(short)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fingerprint())
    }
}

/// A 160-bit hash of a public key, written as 32 base-32 characters (RFC 4648, upper case).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; Fingerprint::BYTES]);

impl Fingerprint {
    /// Length of a fingerprint in bytes.
    pub const BYTES: usize = 20;
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a fingerprint is 32 characters of A to Z and 2 to 7")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| FingerprintError)?;
        Ok(Self(bytes.try_into().map_err(|_| FingerprintError)?))
    }
}

/// An Ed25519 signature: 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

impl Serialize for Signature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut left, mut right) = ([0; 32], [0; 32]);
        left.copy_from_slice(&self.0[..32]);
        right.copy_from_slice(&self.0[32..]);
        (left, right).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (left, right) = <([u8; 32], [u8; 32])>::deserialize(deserializer)?;
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&left);
        bytes[32..].copy_from_slice(&right);
        Ok(Self(bytes))
    }
}

/// A private Ed25519 key. Its seed is wiped when it is dropped.
#[derive(Clone)]
pub struct Identity(SigningKey);

impl Identity {
    /// The identity that belongs to a 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed, to be written to a file that only its owner can read.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `bytes` in `context`. Deterministic (RFC 8032).
    #[must_use]
    pub fn sign(&self, context: Context, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(&context.message(bytes)).to_bytes())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.public().fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_one_context_key_and_content_only() {
        let (me, other) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let signature = me.sign(Context::Envelope, b"text");
        assert_eq!(me.public().verify(Context::Envelope, b"text", &signature), Ok(()));
        assert_eq!(me.public().verify(Context::Prekey, b"text", &signature), Err(SignatureError));
        assert_eq!(me.public().verify(Context::Envelope, b"texu", &signature), Err(SignatureError));
        assert_eq!(other.public().verify(Context::Envelope, b"text", &signature), Err(SignatureError));
    }

    #[test]
    fn a_fingerprint_reads_back_in_any_case() {
        let fingerprint = Identity::from_seed(&[3; 32]).public().fingerprint();
        let text = fingerprint.to_string();
        assert_eq!(text.len(), 32);
        assert_eq!(text.to_lowercase().parse(), Ok(fingerprint));
        assert_eq!("AAAA".parse::<Fingerprint>(), Err(FingerprintError));
    }

    /// Adds the group's order to the scalar half: the same signature in another form (RFC 8032 forbids it).
    fn with_order_added(signature: Signature) -> Signature {
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut changed = signature;
        let mut carry = 0;
        for (byte, order) in changed.0[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        changed
    }

    #[test]
    fn a_signature_has_one_form_and_none_of_small_order_verifies() {
        let me = Identity::from_seed(&[1; 32]);
        let signature = me.sign(Context::Envelope, b"text");
        let verify = |key: &PublicKey, signature| key.verify(Context::Envelope, b"text", &signature);
        assert_eq!(verify(&me.public(), signature), Ok(()));
        assert_eq!(verify(&me.public(), with_order_added(signature)), Err(SignatureError));
        // Under a key of small order, R = identity and s = 0 fit any message where such keys are let in.
        let mut identity_point = [0; 32];
        identity_point[0] = 1;
        let mut neutral = [0; 64];
        neutral[0] = 1;
        let mut order_two = [0xff; 32];
        (order_two[0], order_two[31]) = (0xec, 0x7f);
        for key in [identity_point, order_two, [0; 32], [0xff; 32]] {
            for forged in [neutral, [0; 64], signature.0] {
                assert_eq!(verify(&PublicKey(key), Signature(forged)), Err(SignatureError), "{key:?}");
            }
        }
        assert_eq!(verify(&me.public(), Signature(neutral)), Err(SignatureError));
    }

    #[test]
    fn an_empty_key_verifies_nothing() {
        let me = Identity::from_seed(&[1; 32]);
        let signature = me.sign(Context::Envelope, b"text");
        assert_eq!(PublicKey([0; 32]).verify(Context::Envelope, b"text", &signature), Err(SignatureError));
    }
}
