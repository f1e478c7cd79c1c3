//! Bytes to value and back, bounded. The only file that names the serialisation library.

use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::limits::FRAME_MAX_BYTES;

/// Why bytes are not the value they should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Too short, too long inside, or not of this type.
    #[error("the bytes do not decode: {0}")]
    Malformed(String),
    /// More bytes than the value needs.
    #[error("{0} bytes are left over after the value")]
    Trailing(usize),
    /// No value of this type has this many bytes.
    #[error("{0} bytes are more than the {FRAME_MAX_BYTES} allowed")]
    TooLong(usize),
}

/// Encodes a value. Every wire type encodes: they hold no maps, no skipped fields, nothing fallible.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // The types of this crate cannot fail to encode into memory; an empty result is refused by every decoder.
    let mut bytes = Vec::with_capacity(FIRST_BYTES);
    match bincode::serde::encode_into_writer(value, Grown(&mut bytes), bincode::config::standard()) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

/// Room that a value begins with: most frames are shorter.
const FIRST_BYTES: usize = 128;

/// Where encoded bytes go. The library hands over keys and ids, of which long answers consist, byte by byte: so single bytes
/// are what has to be cheap.
struct Grown<'a>(&'a mut Vec<u8>);

impl Writer for Grown<'_> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        match bytes {
            [byte] => self.0.push(*byte),
            more => self.0.extend_from_slice(more),
        }
        Ok(())
    }
}

/// Decodes a whole value: all the bytes, within the frame limit.
///
/// # Errors
/// [`DecodeError`] for anything but exactly one value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > FRAME_MAX_BYTES {
        return Err(DecodeError::TooLong(bytes.len()));
    }
    let bounded = bincode::config::standard().with_limit::<{ FRAME_MAX_BYTES }>();
    let (value, used) =
        bincode::serde::decode_from_slice(bytes, bounded).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    match bytes.len() - used {
        0 => Ok(value),
        left => Err(DecodeError::Trailing(left)),
    }
}
