//! Handshakes of somebody who is not what they show: keys of other kinds, of others, of too many; certificates;
//! earlier protocols. Each end learns from the alert why it was refused. What is said after a handshake is not here.

pub mod letters;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use common::identity::Identity;
use common::tls::{Alpn, Expect, client_config, server_config};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{AlertDescription, ClientConfig, ServerConfig, SignatureScheme};

/// DER of an Ed25519 key up to its 32 bytes (RFC 8410).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What somebody presents in a handshake, and the key that signs for it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// DER, the first being the end's own.
    pub certificates: Vec<Vec<u8>>,
    /// As what it is offered: a raw public key, or a certificate.
    pub raw: bool,
    signer: Arc<dyn SigningKey>,
}

impl Shown {
    /// `certificates`, signed for by `signer`.
    ///
    /// # Errors
    /// When the identity cannot sign.
    pub fn new(signer: &Identity, certificates: Vec<Vec<u8>>) -> Result<Self> {
        let config = client_config(signer, Expect::Any, Alpn::Directory)?;
        let own = config.client_auth_cert_resolver.resolve(&[], &[SignatureScheme::ED25519]);
        Ok(Self { certificates, raw: true, signer: own.context("an identity has a key")?.key.clone() })
    }

    /// A certificate of `signer` in place of its raw key, signed by itself. `raw`: passed off as a raw key.
    ///
    /// # Errors
    /// When the identity cannot sign.
    pub fn certificate(signer: &Identity, raw: bool) -> Result<Self> {
        let mut shown = Self::new(signer, Vec::new())?;
        let scheme = shown.signer.choose_scheme(&[SignatureScheme::ED25519]).context("Ed25519")?;
        shown.certificates = vec![x509(signer, |bytes| Ok(scheme.sign(bytes)?))?];
        shown.raw = raw;
        Ok(shown)
    }

    fn certified(&self) -> Arc<CertifiedKey> {
        let certificates = self.certificates.iter().map(|der| CertificateDer::from(der.clone())).collect();
        Arc::new(CertifiedKey::new(certificates, self.signer.clone()))
    }

    /// How a client shows it.
    ///
    /// # Errors
    /// When TLS cannot be configured.
    pub fn client(&self, alpn: Alpn) -> Result<ClientConfig> {
        let mut config = client_config(&Identity::from_seed(&[1; 32]), Expect::Any, alpn)?;
        config.client_auth_cert_resolver = Arc::new(self.clone());
        Ok(config)
    }

    /// How a server shows it.
    ///
    /// # Errors
    /// When TLS cannot be configured.
    pub fn server(&self, alpn: Alpn) -> Result<ServerConfig> {
        let mut config = server_config(&Identity::from_seed(&[1; 32]), alpn)?;
        config.cert_resolver = Arc::new(self.clone());
        Ok(config)
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        (!self.certificates.is_empty()).then(|| self.certified())
    }

    fn only_raw_public_keys(&self) -> bool {
        self.raw
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certified())
    }

    fn only_raw_public_keys(&self) -> bool {
        self.raw
    }
}

/// The form in which a key is shown.
#[must_use]
pub fn spki(identity: &Identity) -> Vec<u8> {
    [SPKI_HEAD.as_slice(), &identity.public().0].concat()
}

/// What is no single Ed25519 key in its one form, with a word for each: all shown by `signer`.
#[must_use]
pub fn odd_keys(signer: &Identity) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let own = spki(signer);
    let with = |at: usize, byte: u8| {
        let mut changed = own.clone();
        changed[at] = byte;
        changed
    };
    let head = |key: [u8; 32]| [SPKI_HEAD.as_slice(), &key].concat();
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let parameters = [&[0x30, 0x2c, 0x30, 0x07, 6, 3, 0x2b, 0x65, 0x70, 5, 0, 3, 0x21, 0][..], &own[12..]].concat();
    vec![
        ("empty-key", vec![Vec::new()]),
        ("trailing-byte", vec![[own.as_slice(), &[0]].concat()]),
        ("cut-key", vec![own[..43].to_vec()]),
        ("x25519-key", vec![with(8, 0x6e)]),
        ("ed448-key", vec![with(8, 0x71)]),
        ("null-parameters", vec![parameters]),
        ("zero-key", vec![head([0; 32])]),
        ("identity-point", vec![head(one)]),
        ("order-two-point", vec![head(minus_one)]),
        ("p256-key", vec![spki_p256()]),
        ("rsa-key", vec![spki_rsa()]),
        ("intermediate", vec![own.clone(), own]),
    ]
}

/// P-256, its point being the generator.
fn spki_p256() -> Vec<u8> {
    let algorithm =
        der(0x30, &[&[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]]);
    let x = [
        0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03,
        0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
    ];
    let y = [
        0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
        0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
    ];
    der(0x30, &[&algorithm, &der(3, &[&[0, 4], &x, &y])])
}

/// RSA, 2,048 bits.
fn spki_rsa() -> Vec<u8> {
    let algorithm = der(0x30, &[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1], &[5, 0]]);
    let key = der(0x30, &[&der(2, &[&[0], &[0xc5; 256]]), &[2, 3, 1, 0, 1]]);
    der(0x30, &[&algorithm, &der(3, &[&[0], &key])])
}

/// A certificate of `identity` for itself (RFC 5280, RFC 8410).
fn x509(identity: &Identity, sign: impl Fn(&[u8]) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let ed25519 = der(0x30, &[&[6, 3, 0x2b, 0x65, 0x70]]);
    let name = der(0x30, &[&der(0x31, &[&der(0x30, &[&[6, 3, 0x55, 4, 3], &der(12, &[b"homing"])])])]);
    let validity = der(0x30, &[&der(23, &[b"200101000000Z"]), &der(23, &[b"491231235959Z"])]);
    let parts: [&[u8]; 7] = [&[0xa0, 3, 2, 1, 2], &[2, 1, 1], &ed25519, &name, &validity, &name, &spki(identity)];
    let to_be_signed = der(0x30, &parts);
    let signature = der(3, &[&[0], &sign(&to_be_signed)?]);
    Ok(der(0x30, &[&to_be_signed, &ed25519, &signature]))
}

/// One DER value.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let length = u16::try_from(contents.len()).expect("a short value");
    let [high, low] = length.to_be_bytes();
    let head = match length {
        0..128 => vec![tag, low],
        128..256 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head, contents].concat()
}

/// The first message of a client that speaks nothing later than TLS 1.2 (RFC 5246), as a record.
#[must_use]
pub fn hello_of_tls12() -> Vec<u8> {
    // Supported groups: X25519; signature algorithms: Ed25519.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 29, 0, 13, 0, 4, 0, 2, 8, 7];
    let suites = [0, 2, 0xc0, 0x2b, 1, 0];
    record(1, &[&[3, 3], &[7; 32], &[0], &suites, &[0, 16], &extensions])
}

/// The answer of a server that speaks nothing later than TLS 1.2, as a record.
#[must_use]
pub fn answer_of_tls12() -> Vec<u8> {
    record(2, &[&[3, 3], &[7; 32], &[0], &[0xc0, 0x2b, 0]])
}

/// A handshake message of `kind` in a record of its own.
fn record(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let short = |length: usize| u16::try_from(length).expect("a short record").to_be_bytes();
    [&[22, 3, 1][..], &short(body.len() + 4), &[kind, 0], &short(body.len()), &body].concat()
}

/// The alert in which the other end of a TLS connection over TCP said why it ended it.
#[must_use]
pub fn alert_of(error: &std::io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// The alert in which the other end of a QUIC connection said why it ended it (RFC 9001, section 4.8).
#[must_use]
pub fn quic_alert_of(error: &quinn::ConnectionError) -> Option<AlertDescription> {
    let quinn::ConnectionError::ConnectionClosed(close) = error else { return None };
    let code = u64::from(close.error_code).checked_sub(0x100)?;
    u8::try_from(code).ok().map(AlertDescription::from)
}
