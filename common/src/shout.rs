//! Broadcasts: one line to everybody online, signed by who says it. Never kept, acknowledged or repeated.

use serde::{Deserialize, Serialize};

use crate::identity::{Context, Identity, PublicKey, Signature};
use crate::limits::BROADCAST_MAX_BYTES;
use crate::record::RecordError;
use crate::wire::codec;

/// What somebody says to everybody online.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shout {
    /// The directory whose people are meant.
    pub directory: PublicKey,
    /// Who says it, and signs it.
    pub by: PublicKey,
    /// Their clock, milliseconds since 1970; grows with every one of theirs, so that an old one is known as such.
    pub at_ms: i64,
    /// The text, at most `limits::BROADCAST_MAX_BYTES` bytes.
    pub text: String,
}

impl Shout {
    /// The bytes that are signed.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

/// A [`Shout`] with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedShout {
    bytes: Vec<u8>,
    signature: Signature,
}

impl SignedShout {
    /// Signs `shout` as `by`.
    #[must_use]
    pub fn sign(by: &Identity, shout: &Shout) -> Self {
        let bytes = shout.bytes();
        let signature = by.sign(Context::Broadcast, &bytes);
        Self { bytes, signature }
    }

    /// Bytes of a shout and the signature that was made over them elsewhere.
    #[must_use]
    pub fn new(bytes: Vec<u8>, signature: Signature) -> Self {
        Self { bytes, signature }
    }

    /// What it says, if it is `by`'s word to the people of `directory`, and not too long.
    ///
    /// # Errors
    /// [`RecordError`] otherwise.
    pub fn verify(&self, directory: &PublicKey, by: &PublicKey) -> Result<Shout, RecordError> {
        by.verify(Context::Broadcast, &self.bytes, &self.signature)?;
        let shout: Shout = codec::decode(&self.bytes)?;
        let fits = (1..=BROADCAST_MAX_BYTES).contains(&shout.text.len());
        if shout.directory != *directory || shout.by != *by || !fits {
            return Err(RecordError::OtherKey);
        }
        Ok(shout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shout_is_believed_from_its_speaker_at_its_directory_only() {
        let (me, other) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let (here, there) = (PublicKey([8; 32]), PublicKey([9; 32]));
        let shout = Shout { directory: here, by: me.public(), at_ms: 3, text: "hello".into() };
        let signed = SignedShout::sign(&me, &shout);
        assert_eq!(signed.verify(&here, &me.public()).unwrap(), shout);
        assert!(signed.verify(&there, &me.public()).is_err());
        assert!(signed.verify(&here, &other.public()).is_err());
        let of_another = SignedShout::sign(&me, &Shout { by: other.public(), ..shout.clone() });
        assert!(of_another.verify(&here, &me.public()).is_err(), "signed by one and said to be another's");
        let longest = Shout { text: "x".repeat(BROADCAST_MAX_BYTES), ..shout.clone() };
        assert_eq!(SignedShout::sign(&me, &longest).verify(&here, &me.public()).unwrap(), longest);
        for text in [String::new(), "x".repeat(BROADCAST_MAX_BYTES + 1)] {
            let signed = SignedShout::sign(&me, &Shout { text, ..shout.clone() });
            assert!(signed.verify(&here, &me.public()).is_err());
        }
    }
}
