//! What all connections of one session share, made from the launcher's configuration, each part checked once.

use anyhow::{Context, bail, ensure};
use claudebox::net::broker::wire::{Configuration, Placeholders};
use claudebox::net::name::{Name, Pattern};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::addresses::Addresses;
use crate::credential::Credential;
use crate::denied::Denied;
use crate::upstream::Upstream;
use crate::{authority, rules};

/// How much of bodies that are checked is held at one time, in bytes. A further one waits.
const ROOM: usize = 64 * 1024 * 1024;

/// The session.
pub struct Session {
    /// Which name each address inside stands for.
    pub addresses: Addresses,
    /// Ends the encryption of brokered names, with certificates that only this sandbox trusts.
    pub acceptor: TlsAcceptor,
    /// The real credential.
    pub credential: Credential,
    /// What stands for it inside.
    pub placeholders: Placeholders,
    /// Whether the session is there to log in.
    pub login: bool,
    /// What brokered requests are sent on to.
    pub upstream: Upstream,
    /// Room for bodies that are checked, where hosts are reached by name alone: one permit a byte.
    pub checked: Option<Semaphore>,
    /// Where refusals are told.
    pub denied: Denied,
}

impl Session {
    /// Makes the session, and the certificate (PEM) that the sandbox is to trust.
    ///
    /// # Errors
    /// Something in the configuration cannot be; nothing of it is guessed.
    pub fn new(configuration: &Configuration) -> anyhow::Result<(Self, String)> {
        cryptography();
        let mut brokered = Vec::new();
        for (name, address) in &configuration.brokered {
            let name: Name = parse(name)?;
            ensure!(
                rules::Service::of(&name).is_some(),
                "the name `{name}` is none that can be brokered"
            );
            brokered.push((name, *address));
        }
        let allowed: Vec<Pattern> = configuration
            .allow
            .iter()
            .flatten()
            .map(|text| parse(text))
            .collect::<anyhow::Result<_>>()?;
        let names: Vec<&Name> = brokered.iter().map(|(name, _)| name).collect();
        let (acceptor, ca) = authority::make(&names).context("cannot make the session's certificates")?;
        let upstream = Upstream::new(trusted(configuration)?);
        let session = Self {
            credential: Credential::new(configuration, &upstream)?,
            upstream,
            placeholders: configuration.placeholders.clone(),
            login: configuration.login,
            checked: configuration.allow.is_some().then(|| Semaphore::new(ROOM)),
            denied: Denied::open(configuration.log.as_deref())?,
            addresses: Addresses::new(brokered, allowed)?,
            acceptor,
        };
        Ok((session, ca))
    }
}

/// A name, or a pattern of names.
pub fn parse<T: std::str::FromStr<Err = claudebox::net::name::NoName>>(text: &str) -> anyhow::Result<T> {
    text.parse().map_err(|why| anyhow::anyhow!("the name `{text}` {why}"))
}

/// Whom to trust upstream: the certificates that this host trusts, and no others. One that the host's owner removed stays
/// removed.
fn trusted(configuration: &Configuration) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for path in [&configuration.roots, &configuration.extra_roots].into_iter().flatten() {
        let certificates = CertificateDer::pem_file_iter(path)
            .with_context(|| format!("cannot read the certificates in `{}`", path.display()))?;
        // A bundle can hold some of a kind that is not known here; they vouch for nothing then.
        roots.add_parsable_certificates(certificates.flatten());
    }
    if roots.is_empty() && !configuration.brokered.is_empty() {
        bail!("there is no certificate to know Claude Code's service by: install `ca-certificates`");
    }
    Ok(trusting(roots))
}

/// A client that trusts these.
pub fn trusting(roots: RootCertStore) -> ClientConfig {
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// The cryptography of this process. Two crates could offer theirs; one is built in.
pub fn cryptography() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
