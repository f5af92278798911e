//! The session's certificate authority: its key is made in memory, lives in memory, and can vouch for the brokered names alone.

use std::sync::Arc;

use claudebox::net::name::Name;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// Makes the authority and one certificate of it, and gives what ends the encryption with that one, and the authority's own
/// certificate (PEM).
///
/// INVARIANT(brokered-credential): the authority is constrained to the brokered names (RFC 5280, 4.2.1.10), so what trusts it
/// trusts it for nothing else. Its key is dropped here.
pub fn make(names: &[&Name]) -> anyhow::Result<(TlsAcceptor, String)> {
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "claudebox, this session alone");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let dns = |name: &str| GeneralSubtree::DnsName(name.to_string());
    let permitted_subtrees = if names.is_empty() {
        // An empty list would permit everything. This name is nobody's (RFC 6761).
        vec![dns("invalid")]
    } else {
        names.iter().map(|name| dns(name.as_str())).collect()
    };
    authority.name_constraints = Some(NameConstraints {
        permitted_subtrees,
        excluded_subtrees: Vec::new(),
    });
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = leaf.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    // The newer protocol frames requests otherwise; Claude Code takes this one, and one parser is enough.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), authority.pem()))
}
