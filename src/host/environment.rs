//! What the caller's environment says: the variables, who the user is, which files it names. Pure but for the tree.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use indexmap::IndexMap;

use crate::path::{EnvName, HostPath};

use super::tree::{Kind, Node, Tree};

/// The longest user database that is read, in bytes.
const PASSWD_MAX: u64 = 1024 * 1024;

/// The environment, each name once. An entry without a proper name cannot pass and is left out.
pub(super) fn variables(entries: impl Iterator<Item = (OsString, OsString)>) -> IndexMap<EnvName, OsString> {
    let mut all = IndexMap::new();
    for (name, value) in entries {
        if let Ok(name) = EnvName::new(name) {
            all.entry(name).or_insert(value);
        }
    }
    all.sort_keys();
    all
}

/// Variables that move a program's secrets away from where the floor knows them.
const MOVERS: [&str; 17] = [
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AZURE_CONFIG_DIR",
    "CLOUDSDK_CONFIG",
    "DOCKER_CONFIG",
    "GH_CONFIG_DIR",
    "GNUPGHOME",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "KUBECONFIG",
    "NETRC",
    "NPM_CONFIG_USERCONFIG",
    "PASSWORD_STORE_DIR",
    "PGPASSFILE",
    "PIP_CONFIG_FILE",
    "SOPS_AGE_KEY_FILE",
    "VAULT_TOKEN_FILE",
    "HISTFILE",
];

/// The paths that such variables name. A list (`KUBECONFIG`) counts item by item. The home itself, or what lies above it,
/// is not taken: a variable must not be able to declare everything a secret.
pub(super) fn moved_secrets(variables: &IndexMap<EnvName, OsString>, home: &HostPath) -> Vec<(HostPath, &'static str)> {
    let mut moved = Vec::new();
    for mover in MOVERS {
        let Some(value) = EnvName::new(mover).ok().and_then(|name| variables.get(&name)) else {
            continue;
        };
        for item in value.as_bytes().split(|byte| *byte == b':') {
            match HostPath::new(OsStr::from_bytes(item)) {
                Ok(path) if !home.within(&path) => moved.push((path, mover)),
                _ => {}
            }
        }
    }
    moved
}

/// Where distributions keep the trusted certificates, in the order of the search.
pub(super) const CA_PLACES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// The first of the named files that exists, canonical.
pub(super) fn certificates(tree: &Tree, named: &[Option<&OsString>], places: &[&str]) -> Option<HostPath> {
    let named = named.iter().flatten().map(|path| path.as_os_str());
    named.chain(places.iter().map(OsStr::new)).find_map(|path| {
        let resolved = tree.resolve(&HostPath::new(path).ok()?).ok()?;
        matches!(resolved.node, Some(Node { kind: Kind::File, .. })).then_some(resolved.path)
    })
}

/// The name of the user: of the user database, else what `USER` says, if it is a plain name.
pub(super) fn user_name(tree: &Tree, uid: u32, variable: Option<&OsStr>) -> OsString {
    let passwd = tree.read(Path::new("/etc/passwd"), PASSWD_MAX).unwrap_or_default();
    let by_id = passwd.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (std::str::from_utf8(id).ok()?.parse() == Ok(uid)).then(|| OsStr::from_bytes(name).to_os_string())
    });
    let plain = |name: &OsStr| {
        !name.is_empty()
            && name
                .as_bytes()
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
    };
    by_id
        .or_else(|| variable.map(OsStr::to_os_string))
        .filter(|name| plain(name))
        .unwrap_or_else(|| "user".into())
}
