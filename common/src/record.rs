//! Signed records: who says what about a name or a prekey. The signed bytes are the record's own
//! encoding, carried as they were signed and decoded from there, never encoded anew for checking.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::identity::{Context, Identity, PublicKey, Signature, SignatureError};
use crate::name::Name;
use crate::wire::codec::{self, DecodeError};

/// Why a record is not believed.
#[derive(Debug, Error)]
pub enum RecordError {
    /// Not signed by the key it needs.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The signed bytes do not decode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Signed, but about somebody else.
    #[error("the record speaks of another key")]
    OtherKey,
}

/// What a directory signs: this name belongs to this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The directory that says so.
    pub directory: PublicKey,
    /// The name.
    pub name: Name,
    /// The key it belongs to.
    pub key: PublicKey,
    /// Grows with every binding the directory makes.
    pub serial: u64,
}

/// A [`Bound`] with the directory's signature over its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    bytes: Vec<u8>,
    signature: Signature,
}

impl Binding {
    /// Signs `bound` as `directory`.
    #[must_use]
    pub fn sign(directory: &Identity, bound: &Bound) -> Self {
        let bytes = codec::encode(bound);
        let signature = directory.sign(Context::Binding, &bytes);
        Self { bytes, signature }
    }

    /// What it says, if `directory` signed it and it is about `directory`'s names.
    ///
    /// # Errors
    /// [`RecordError`] when the signature, the bytes or the directory named inside is wrong.
    pub fn verify(&self, directory: &PublicKey) -> Result<Bound, RecordError> {
        directory.verify(Context::Binding, &self.bytes, &self.signature)?;
        let bound: Bound = codec::decode(&self.bytes)?;
        if bound.directory != *directory {
            return Err(RecordError::OtherKey);
        }
        Ok(bound)
    }
}

/// What a peer signs about a prekey: an X-Wing public key others seal to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prekey {
    /// Whose it is.
    pub owner: PublicKey,
    /// Grows with each prekey of the owner; a sender never goes below the highest it has seen.
    pub counter: u64,
    /// The owner's clock, milliseconds since 1970.
    pub created_ms: i64,
    /// The X-Wing public key, `limits::PREKEY_BYTES` bytes.
    pub key: Vec<u8>,
}

/// A [`Prekey`] with its owner's signature over its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrekeyRecord {
    bytes: Vec<u8>,
    signature: Signature,
}

impl PrekeyRecord {
    /// Signs `prekey` as `owner`.
    #[must_use]
    pub fn sign(owner: &Identity, prekey: &Prekey) -> Self {
        let bytes = codec::encode(prekey);
        let signature = owner.sign(Context::Prekey, &bytes);
        Self { bytes, signature }
    }

    /// What it says, if `owner` signed it about itself.
    ///
    /// # Errors
    /// [`RecordError`] when the signature, the bytes or the owner named inside is wrong.
    pub fn verify(&self, owner: &PublicKey) -> Result<Prekey, RecordError> {
        owner.verify(Context::Prekey, &self.bytes, &self.signature)?;
        let prekey: Prekey = codec::decode(&self.bytes)?;
        if prekey.owner != *owner || prekey.key.len() != crate::limits::PREKEY_BYTES {
            return Err(RecordError::OtherKey);
        }
        Ok(prekey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PREKEY_BYTES;

    #[test]
    fn a_binding_holds_for_the_directory_that_signed_it_about_itself() {
        let (directory, other) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let key = Identity::from_seed(&[3; 32]).public();
        let bound = Bound { directory: directory.public(), name: "bob".parse().unwrap(), key, serial: 4 };
        let binding = Binding::sign(&directory, &bound);
        assert_eq!(binding.verify(&directory.public()).unwrap(), bound);
        assert!(matches!(binding.verify(&other.public()), Err(RecordError::Signature(_))));
        let of_another = Binding::sign(&other, &bound);
        assert!(matches!(of_another.verify(&other.public()), Err(RecordError::OtherKey)));
    }

    #[test]
    fn a_prekey_holds_for_the_owner_that_signed_it_about_itself_and_in_its_one_size() {
        let (owner, other) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let prekey = Prekey { owner: owner.public(), counter: 5, created_ms: 6, key: vec![7; PREKEY_BYTES] };
        let record = PrekeyRecord::sign(&owner, &prekey);
        assert_eq!(record.verify(&owner.public()).unwrap(), prekey);
        assert!(matches!(record.verify(&other.public()), Err(RecordError::Signature(_))));
        let of_another = PrekeyRecord::sign(&other, &prekey);
        assert!(matches!(of_another.verify(&other.public()), Err(RecordError::OtherKey)));
        for bytes in [0, PREKEY_BYTES - 1, PREKEY_BYTES + 1] {
            let wrong = PrekeyRecord::sign(&owner, &Prekey { key: vec![7; bytes], ..prekey.clone() });
            assert!(wrong.verify(&owner.public()).is_err(), "{bytes}");
        }
    }
}
