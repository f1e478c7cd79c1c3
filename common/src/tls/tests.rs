//! Handshakes between two connections in memory: who gets in, who does not, and what is told about it.

use rustls::client::ResolvesClientCert;
use rustls::pki_types::SubjectPublicKeyInfoDer as Spki;
use rustls::{ClientConnection, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection};

use super::*;

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

fn spki(identity: &Identity) -> Vec<u8> {
    [SPKI_HEAD.as_slice(), &identity.public().0].concat()
}

struct Ends {
    client: ClientConnection,
    server: ServerConnection,
}

/// Carries bytes between two fresh connections until both are content, or tells which error came first.
fn connect(client: ClientConfig, server: ServerConfig) -> Result<Ends, Error> {
    connect_again(&Arc::new(client), &Arc::new(server))
}

fn connect_again(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Result<Ends, Error> {
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let mut client = ClientConnection::new(client.clone(), name)?;
    let mut server = ServerConnection::new(server.clone())?;
    while client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Ends { client, server })
}

fn refused(client: ClientConfig, server: ServerConfig) -> Error {
    connect(client, server).err().unwrap()
}

fn bad_encoding() -> Error {
    Error::InvalidCertificate(CertificateError::BadEncoding)
}

/// A key that presents `certificates` in place of the one it signs for.
fn presenting(signer: &Identity, certificates: &[&[u8]]) -> Arc<CertifiedKey> {
    let certificates = certificates.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    Arc::new(CertifiedKey::new(certificates, certified(signer).unwrap().key.clone()))
}

fn client_presenting(signer: &Identity, certificates: &[&[u8]]) -> ClientConfig {
    let mut config = client_config(signer, Expect::Any, Alpn::Directory).unwrap();
    let key = presenting(signer, certificates);
    config.client_auth_cert_resolver = Arc::new(AlwaysResolvesClientRawPublicKeys::new(key));
    config
}

fn server_presenting(signer: &Identity, certificates: &[&[u8]]) -> ServerConfig {
    let mut config = server_config(signer, Alpn::Directory).unwrap();
    config.cert_resolver = Arc::new(AlwaysResolvesServerRawPublicKeys::new(presenting(signer, certificates)));
    config
}

#[test]
fn each_end_learns_the_key_of_the_other() {
    let (me, directory) = (identity(1), identity(2));
    let presented = Presented::new();
    for alpn in [Alpn::Directory, Alpn::Peer] {
        let expect = Expect::Key(directory.public());
        let client = client_config_noting(&me, expect, alpn, &presented).unwrap();
        let Ends { client, server } = connect(client, server_config(&directory, alpn).unwrap()).unwrap();
        assert_eq!(key_of(client.peer_certificates()), Some(directory.public()));
        assert_eq!(key_of(server.peer_certificates()), Some(me.public()));
        assert_eq!(presented.key(), Some(directory.public()));
        assert!(alpn_matches(client.alpn_protocol(), alpn) && alpn_matches(server.alpn_protocol(), alpn));
        assert_eq!(server.server_name(), None);
        assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        let group = client.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::X25519MLKEM768);
    }
}

#[test]
fn whoever_expects_anybody_is_content_with_any_key() {
    let client = client_config(&identity(1), Expect::Any, Alpn::Peer).unwrap();
    let ends = connect(client, server_config(&identity(2), Alpn::Peer).unwrap()).unwrap();
    assert_eq!(key_of(ends.client.peer_certificates()), Some(identity(2).public()));
}

#[test]
fn a_wrong_key_is_refused_and_told() {
    let presented = Presented::new();
    let expect = Expect::Key(identity(3).public());
    let client = client_config_noting(&identity(1), expect, Alpn::Directory, &presented).unwrap();
    let error = refused(client, server_config(&identity(2), Alpn::Directory).unwrap());
    assert_eq!(error, Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
    assert_eq!(presented.key(), Some(identity(2).public()));
}

#[test]
fn a_key_that_is_only_shown_does_not_get_in() {
    let (thief, owner) = (identity(1), identity(2));
    let bad_signature = Error::InvalidCertificate(CertificateError::BadSignature);
    let honest = server_config(&identity(3), Alpn::Directory).unwrap();
    assert_eq!(refused(client_presenting(&thief, &[&spki(&owner)]), honest), bad_signature);
    let dialler = client_config(&identity(3), Expect::Key(owner.public()), Alpn::Directory).unwrap();
    assert_eq!(refused(dialler, server_presenting(&thief, &[&spki(&owner)])), bad_signature);
}

#[derive(Debug)]
struct Nobody;

impl ResolvesClientCert for Nobody {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn a_client_without_a_key_is_refused() {
    let mut client = client_config(&identity(1), Expect::Any, Alpn::Directory).unwrap();
    client.client_auth_cert_resolver = Arc::new(Nobody);
    let error = refused(client, server_config(&identity(2), Alpn::Directory).unwrap());
    assert_eq!(error, Error::NoCertificatesPresented);
}

#[test]
fn anything_but_one_ed25519_key_is_refused_on_both_sides() {
    let (odd, honest) = (identity(1), identity(2));
    let own = spki(&odd);
    let mut other_algorithm = own.clone();
    other_algorithm[8] = 0x6e;
    let long = [own.as_slice(), &[0]].concat();
    let small_order = [SPKI_HEAD.as_slice(), &[0; 32]].concat();
    let garbage: [&[u8]; 6] = [b"", b"garbage", &own[..43], &long, &other_algorithm, &small_order];
    for der in garbage {
        let server = server_config(&honest, Alpn::Directory).unwrap();
        assert_eq!(refused(client_presenting(&odd, &[der]), server), bad_encoding(), "{der:?}");
        let presented = Presented::new();
        let client = client_config_noting(&honest, Expect::Any, Alpn::Directory, &presented).unwrap();
        assert_eq!(refused(client, server_presenting(&odd, &[der])), bad_encoding(), "{der:?}");
        assert_eq!(presented.key(), None);
        assert_eq!(key_of(Some(&[CertificateDer::from(der)])), None);
    }
}

#[test]
fn intermediates_are_refused() {
    let der = spki(&identity(1));
    let certificate = CertificateDer::from(der);
    let verifier = Verifier { expect: Expect::Any, presented: Presented::new(), provider: provider() };
    assert_eq!(verifier.check(&certificate, &[]), Ok(()));
    assert_eq!(verifier.check(&certificate, std::slice::from_ref(&certificate)), Err(bad_encoding()));
    assert_eq!(key_of(Some(&[certificate.clone(), certificate])), None);
    assert_eq!(key_of(Some(&[])), None);
    assert_eq!(key_of(None), None);
}

#[test]
fn another_protocol_is_refused_and_a_missing_one_does_not_match() {
    let server = || server_config(&identity(2), Alpn::Directory).unwrap();
    let other = client_config(&identity(1), Expect::Any, Alpn::Peer).unwrap();
    assert_eq!(refused(other, server()), Error::NoApplicationProtocol);
    let mut silent = client_config(&identity(1), Expect::Any, Alpn::Directory).unwrap();
    silent.alpn_protocols.clear();
    let ends = connect(silent, server()).unwrap();
    assert!(!alpn_matches(ends.server.alpn_protocol(), Alpn::Directory));
    assert!(!alpn_matches(Some(b"homing-directory/10"), Alpn::Directory));
    assert!(!alpn_matches(Some(Alpn::Peer.as_bytes()), Alpn::Directory));
}

#[test]
fn every_handshake_is_a_full_one() {
    let client = Arc::new(client_config(&identity(1), Expect::Any, Alpn::Directory).unwrap());
    let server = Arc::new(server_config(&identity(2), Alpn::Directory).unwrap());
    for _ in 0..3 {
        let mut ends = connect_again(&client, &server).unwrap();
        assert_eq!(ends.server.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(ends.client.tls13_tickets_received(), 0);
        assert!(ends.client.early_data().is_none());
    }
}

/// A ClientHello of TLS 1.2 (RFC 5246) without the extension that offers later versions.
fn hello_of_tls12() -> Vec<u8> {
    let extensions = [
        [0, 10, 0, 4, 0, 2, 0, 29].as_slice(), // supported groups: X25519
        &[0, 13, 0, 4, 0, 2, 8, 7],            // signature algorithms: Ed25519
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0xc0, 0x2b, 1, 0]);
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend_from_slice(&extensions);
    let handshake = [&[1, 0], (body.len() as u16).to_be_bytes().as_slice(), &body].concat();
    [&[22, 3, 1], (handshake.len() as u16).to_be_bytes().as_slice(), &handshake].concat()
}

#[test]
fn tls_1_2_is_not_spoken() {
    let config = server_config(&identity(2), Alpn::Directory).unwrap();
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    server.read_tls(&mut hello_of_tls12().as_slice()).unwrap();
    let error = server.process_new_packets().unwrap_err();
    assert_eq!(error, Error::PeerIncompatible(PeerIncompatible::SupportedVersionsExtensionRequired));
}

#[test]
fn the_presented_bytes_are_those_the_standard_names() {
    let key = certified(&identity(1)).unwrap();
    let standard: Option<Spki<'_>> = key.key.public_key();
    assert_eq!(standard.unwrap().as_ref(), spki(&identity(1)));
}

#[test]
fn keys_are_agreed_in_the_two_chosen_ways_only() {
    let groups: Vec<_> = provider().kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(groups, [rustls::NamedGroup::X25519MLKEM768, rustls::NamedGroup::X25519]);
}
