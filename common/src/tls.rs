//! TLS configurations of both roles: TLS 1.3 with Ed25519 raw public keys (RFC 7250) on both ends, for TCP and QUIC
//! alike. Only configurations are built here; connections belong to the shells.
//!
//! Nothing is resumed: there are no tickets, no stored sessions and no early data, because each of them passes by the
//! check of the other side's key or can be replayed. Server names are neither sent nor checked.

use std::sync::{Arc, OnceLock};

use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::{SigningKey, VerifyingKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::aws_lc_rs::{self, kx_group, sign::any_eddsa_type};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, ServerConfig,
    SignatureScheme,
};
use thiserror::Error as ThisError;

use crate::identity::{Identity, PublicKey};

/// The server name to hand to libraries that want one. It is never sent and never checked.
pub const SERVER_NAME: &str = "homing.invalid";

/// DER of a SubjectPublicKeyInfo for Ed25519 (RFC 8410) up to the 32 bytes of the key.
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why no configuration could be built.
#[derive(Debug, ThisError)]
pub enum TlsError {
    /// The identity's key does not encode as PKCS #8.
    #[error("the identity's key cannot be encoded")]
    Encoding,
    /// The TLS library does not take the key.
    #[error("the identity's key cannot be used for TLS: {0}")]
    Key(#[source] Error),
    /// The TLS library does not offer TLS 1.3 as it is needed here.
    #[error("TLS 1.3 cannot be configured: {0}")]
    Protocol(#[source] Error),
}

/// What is spoken over a connection. Both ends must name exactly this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// Between a peer and a directory.
    Directory,
    /// Between two peers.
    Peer,
}

impl Alpn {
    /// The protocol's name on the wire (RFC 7301).
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Directory => b"homing-directory/1",
            Self::Peer => b"homing-peer/1",
        }
    }
}

/// Whether a finished handshake agreed on `alpn`. To be asked after every handshake over TCP: the TLS library refuses
/// a wrong protocol there, but not a missing one.
#[must_use]
pub fn alpn_matches(agreed: Option<&[u8]>, alpn: Alpn) -> bool {
    agreed == Some(alpn.as_bytes())
}

/// Whom a dialler expects at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anybody who proves to own some key; the caller looks at the key afterwards.
    Any,
    /// This key only.
    Key(PublicKey),
}

/// The key a server presented, refused or not, so that a caller can show it beside the one it expected. One for each
/// dial: the first key stays. A server that was refused has not proved that the key is its own.
#[derive(Debug, Clone, Default)]
pub struct Presented(Arc<OnceLock<PublicKey>>);

impl Presented {
    /// Nothing presented yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The key, once the server has presented a well-formed one.
    #[must_use]
    pub fn key(&self) -> Option<PublicKey> {
        self.0.get().copied()
    }
}

/// The key at the other end of a finished handshake: none unless it presented exactly one Ed25519 raw public key.
/// Keys of small order are none either, since anybody can sign for them.
#[must_use]
pub fn key_of(certificates: Option<&[CertificateDer<'_>]>) -> Option<PublicKey> {
    let [only] = certificates? else { return None };
    let key: [u8; 32] = only.strip_prefix(SPKI_HEAD.as_slice())?.try_into().ok()?;
    let usable = VerifyingKey::from_bytes(&key).is_ok_and(|key| !key.is_weak());
    usable.then_some(PublicKey(key))
}

/// How `identity` accepts connections from anybody who proves to own a key; [`key_of`] tells which.
///
/// # Errors
/// [`TlsError`].
pub fn server_config(identity: &Identity, alpn: Alpn) -> Result<ServerConfig, TlsError> {
    let provider = provider();
    let verifier = Verifier { expect: Expect::Any, presented: Presented::new(), provider: provider.clone() };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Protocol)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(identity)?)));
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// How `identity` dials whom it expects.
///
/// # Errors
/// [`TlsError`].
pub fn client_config(identity: &Identity, expect: Expect, alpn: Alpn) -> Result<ClientConfig, TlsError> {
    client_config_noting(identity, expect, alpn, &Presented::new())
}

/// As [`client_config`], and notes in `presented` the key that the server presents.
///
/// # Errors
/// [`TlsError`].
pub fn client_config_noting(
    identity: &Identity,
    expect: Expect,
    alpn: Alpn,
    presented: &Presented,
) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let verifier = Verifier { expect, presented: presented.clone(), provider: provider.clone() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Protocol)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(identity)?)));
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    Ok(config)
}

/// Key exchange: hybrid post-quantum first, X25519 for who has not got it. Suites: those of TLS 1.3.
fn provider() -> Arc<CryptoProvider> {
    let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}

fn certified(identity: &Identity) -> Result<Arc<CertifiedKey>, TlsError> {
    let pkcs8 = SigningKey::from_bytes(&identity.seed()).to_pkcs8_der().map_err(|_| TlsError::Encoding)?;
    let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8.as_bytes())).map_err(TlsError::Key)?;
    let spki = [SPKI_HEAD.as_slice(), &identity.public().0].concat();
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], key)))
}

/// Checks the key at the other end, the same way in both roles.
#[derive(Debug)]
struct Verifier {
    expect: Expect,
    presented: Presented,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn check(&self, end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Result<(), Error> {
        let key = key_of(Some(std::slice::from_ref(end_entity)))
            .filter(|_| intermediates.is_empty())
            .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        // The first key stays: one dial, one handshake, one key.
        self.presented.0.get_or_init(|| key);
        match self.expect {
            Expect::Key(expected) if expected != key => {
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            Expect::Any | Expect::Key(_) => Ok(()),
        }
    }

    fn signature(
        &self,
        message: &[u8],
        end_entity: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(end_entity.as_ref());
        verify_tls13_signature_with_raw_key(message, &spki, signed, &self.provider.signature_verification_algorithms)
    }
}

fn no_tls12() -> Error {
    Error::PeerIncompatible(PeerIncompatible::Tls13RequiredForQuic)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end_entity: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, end_entity, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end_entity: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, end_entity, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
