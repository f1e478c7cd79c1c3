//! Pieces of a file, sealed for the way through the directory with the key that its offer carries. Only who can read the offer
//! can read them, and the directory can neither change one nor put it elsewhere.
//!
//! XChaCha20-Poly1305 under a random nonce of 24 bytes, which stands before the ciphertext; bound to offer and index.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use thiserror::Error;

use crate::limits::PIECE_BYTES;
use crate::message::MessageId;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Bytes that sealing adds to a piece.
pub const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// Why a piece does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not this piece of this file")]
pub struct PieceError;

/// Seals piece `index` of the file that `offer` offers; `nonce` is random, of this call alone.
#[must_use]
pub fn seal(key: &[u8; 32], offer: MessageId, index: u32, nonce: [u8; NONCE_BYTES], plain: &[u8]) -> Option<Vec<u8>> {
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    let bound = bound(offer, index);
    let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &bound }).ok()?;
    let mut piece = nonce.to_vec();
    piece.extend_from_slice(&sealed);
    Some(piece)
}

/// Opens piece `index` of the file that `offer` offers.
///
/// # Errors
/// [`PieceError`] when it is another piece, of another file, changed, or sealed with another key.
pub fn open(key: &[u8; 32], offer: MessageId, index: u32, piece: &[u8]) -> Result<Vec<u8>, PieceError> {
    let (nonce, sealed) = piece.split_first_chunk::<NONCE_BYTES>().ok_or(PieceError)?;
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    let bound = bound(offer, index);
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &bound }).map_err(|_| PieceError)
}

/// How many pieces a file of so many bytes has; an empty one has one, which is empty. None: too many to be counted.
#[must_use]
pub fn count(size: u64) -> Option<u32> {
    u32::try_from(size.div_ceil(PIECE_BYTES).max(1)).ok()
}

/// Bytes of all sealed pieces of a file of so many bytes.
#[must_use]
pub fn sealed_bytes(size: u64) -> u64 {
    let pieces = size.div_ceil(PIECE_BYTES).max(1);
    size.saturating_add(pieces.saturating_mul(OVERHEAD_BYTES as u64))
}

fn bound(offer: MessageId, index: u32) -> [u8; 20] {
    let mut bound = [0; 20];
    bound[..16].copy_from_slice(&offer.0);
    bound[16..].copy_from_slice(&index.to_be_bytes());
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_opens_as_itself_and_as_nothing_else() {
        let (key, offer) = ([1; 32], MessageId([2; 16]));
        let piece = seal(&key, offer, 3, [4; 24], b"abc").unwrap();
        assert_eq!(piece.len(), 3 + OVERHEAD_BYTES);
        assert_eq!(open(&key, offer, 3, &piece).unwrap(), b"abc");
        assert_eq!(open(&key, offer, 4, &piece), Err(PieceError));
        assert_eq!(open(&key, MessageId([3; 16]), 3, &piece), Err(PieceError));
        assert_eq!(open(&[2; 32], offer, 3, &piece), Err(PieceError));
        assert_eq!(open(&key, offer, 3, &piece[..10]), Err(PieceError));
        for at in 0..piece.len() {
            let mut changed = piece.clone();
            changed[at] ^= 1;
            assert_eq!(open(&key, offer, 3, &changed), Err(PieceError));
        }
    }

    #[test]
    fn a_file_has_at_least_one_piece_and_none_too_many() {
        assert_eq!((count(0), sealed_bytes(0)), (Some(1), 40));
        assert_eq!((count(PIECE_BYTES), count(PIECE_BYTES + 1)), (Some(1), Some(2)));
        assert_eq!(sealed_bytes(PIECE_BYTES + 1), PIECE_BYTES + 81);
        assert_eq!(count(u64::MAX), None);
    }
}
