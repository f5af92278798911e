//! Which variables look like secrets, by name or by value (requirement SEC-01), and how a value is shown in an audit.
//! Pure. It finds what was forgotten; what is *known* to be secret is decided by the policy. Nothing that this module
//! prints holds a part of a value that it suspects.

mod random;
mod shapes;
mod value;

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use crate::floor::glob;
use crate::path::{EnvName, printable};

/// Why a variable is taken for a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// Its name matches this pattern.
    Name(&'static str),
    /// Its value looks like this, with the article.
    Value(&'static str),
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(pattern) => write!(f, "its name matches `{pattern}`"),
            Self::Value(what) => write!(f, "its value looks like {what}"),
        }
    }
}

/// Names that speak of a secret, in upper case; letter case does not count (`npm_config__authToken`, `https_proxy`).
const NAMES: &[&str] = &[
    "*KEY*",
    "*TOKEN*",
    "*SECRET*",
    "*PASSWORD*",
    "*PASSWD*",
    "*PASSPHRASE*",
    "*CREDENTIAL*",
    "*APIKEY*",
    "*AUTHORIZATION*",
    "*BEARER*",
    "*COOKIE*",
    "*JWT*",
    "*MNEMONIC*",
    "*WEBHOOK*",
    "*CONNECTION_STRING*",
    "*CONN_STR*",
    "*CONNSTR*",
    "*DATABASE_URL*",
    "*DSN*",
    "*_AUTH",
    "*_AUTH_CONFIG",
    "*_CREDS",
    "*_CREDS_*",
    "*_HEADERS",
    "*_PASS",
    "*_PASSCODE",
    "*_PAT",
    "*DB_PWD",
    "AUTH",
    "CREDS",
    "GOAUTH",
    "MYSQL_PWD",
    "PASS",
    "SSHPASS",
    // The environment that direnv and mise will put back: whatever it held, secrets too.
    "DIRENV_DIFF",
    "__MISE_DIFF",
    "__MISE_SESSION",
];

/// Words that contain a word of [`NAMES`] and mean nothing secret. They are cut out of a name before it is judged, so
/// that `KEYCLOAK_URL` is harmless and `KEYCLOAK_ADMIN_PASSWORD` is not.
const INNOCENT: &[&str] = &[
    "APT_KEY",
    "BINDKEY",
    "COREPACK_INTEGRITY_KEYS",
    "CREDENTIAL_EXPIRATION",
    "CREDENTIAL_STORE",
    "DONKEY",
    // A fingerprint in the images of Python, PHP and others. A private key in it is found by its value.
    "GPG_KEY",
    "GPGKEY",
    "HOTKEY",
    "HUDSON_COOKIE",
    "HUDSON_SERVER_COOKIE",
    "JENKINS_NODE_COOKIE",
    "JENKINS_SERVER_COOKIE",
    "JOCKEY",
    "KEYBIND",
    "KEYBOARD",
    "KEYCLOAK",
    "KEYCODE",
    "KEYDB",
    "KEYMAP",
    "KEYRING",
    "KEYSERVER",
    "KEYSPACE",
    "KEYSTROKE",
    "KEYTIMEOUT",
    "KEYWORD",
    "KEY_HELPER_TTL_MS",
    "LESSKEY",
    "MAX_MCP_OUTPUT_TOKENS",
    "MAX_OUTPUT_TOKENS",
    "MAX_THINKING_TOKENS",
    "MAX_TOKENS",
    "MONKEY",
    "PASSWORD_STORE_DIR",
    "PUBKEY",
    "PUBLIC_KEY",
    "PUBLISHABLE_KEY",
    "STARSHIP_SESSION_KEY",
    "TOKENIZER",
    "TURKEY",
];

/// Names whose value may be long and random and is yet no secret: digests, revisions and identifiers, and what systemd
/// and shells leave behind. Only the guess at random values respects them; a known shape is found in any variable.
const IDENTIFIERS: &[&str] = &[
    "*COMMIT*",
    "*SHA*",
    "*HASH*",
    "*DIGEST*",
    "*CHECKSUM*",
    "*REVISION*",
    "*_REV",
    "*_REF",
    "*SOURCEVERSION*",
    "*SOURCE_VERSION*",
    "*_ID",
    "*UUID*",
    "*GUID*",
    "*TRACEPARENT*",
    "*GPG_KEY*",
    "*GPGKEY*",
    "*FINGERPRINT*",
    "*PUBLIC_KEY*",
    "*PUBKEY*",
    "*HOSTNAME*",
    "*NONCE*",
    "ATUIN_SESSION",
    "COREPACK_INTEGRITY_KEYS",
    "DIRENV_WATCHES",
    "MEMORY_PRESSURE_*",
    "NIX_GCROOT",
    "JENKINS_*COOKIE",
    "HUDSON_*COOKIE",
];

/// Why this variable looks like a secret; `None` where it does not.
///
/// An empty value is no secret, and neither is a switch (`1`, `true`, `off`) whatever its name is.
#[must_use]
pub fn suspect(name: &EnvName, value: &OsStr) -> Option<Suspicion> {
    let value = value.as_bytes();
    if value.trim_ascii().is_empty() {
        return None;
    }
    let upper = name.as_os_str().as_bytes().to_ascii_uppercase();
    if let Some(pattern) = by_name(&upper).filter(|_| !is_switch(value)) {
        return Some(Suspicion::Name(pattern));
    }
    if let Some(what) = value::looks_like(value) {
        return Some(Suspicion::Value(what));
    }
    // `HTTP_PROXY=user:password@proxy:3128`: curl and others accept it without a scheme.
    if glob(b"*_PROXY", &upper) && value.contains(&b'@') && value.contains(&b':') {
        return Some(Suspicion::Value("a proxy with a password"));
    }
    let what = random::looks_random(value)?;
    let identifier = IDENTIFIERS.iter().any(|pattern| glob(pattern.as_bytes(), &upper));
    (!identifier).then_some(Suspicion::Value(what))
}

/// What a text looks like that is the value of no variable, as the end of "looks like ...": known shapes alone, no guess.
#[must_use]
pub fn suspect_text(text: &[u8]) -> Option<&'static str> {
    value::looks_like(text)
}

/// How an audit shows a value: escaped, and cut to `width` columns with `…` at the end. A value that looks like a secret
/// is replaced by its length, whole: not even its first bytes are shown.
#[must_use]
pub fn shown(name: &EnvName, value: &OsStr, width: usize) -> String {
    if suspect(name, value).is_none() {
        return shortened(&printable(value), width);
    }
    shortened(&redacted(value), width)
}

/// What stands for a secret value: its length, and not even its first bytes.
#[must_use]
pub fn redacted(value: &OsStr) -> String {
    let length = value.as_bytes().len();
    let bytes = if length == 1 { "byte" } else { "bytes" };
    format!("‹redacted, {length} {bytes}›")
}

/// The first pattern of [`NAMES`] that an upper-case name matches once the innocent words are cut out.
fn by_name(upper: &[u8]) -> Option<&'static str> {
    let matching = |name: &[u8]| NAMES.iter().copied().find(|pattern| glob(pattern.as_bytes(), name));
    matching(upper)?;
    let mut rest = upper.to_vec();
    for word in INNOCENT {
        while let Some(at) = rest.windows(word.len()).position(|window| window == word.as_bytes()) {
            // A byte remains, so that what stood left and right of the word does not become a new word.
            rest.splice(at..at + word.len(), *b"~");
        }
    }
    matching(&rest)
}

fn is_switch(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    [
        &b"0"[..],
        b"1",
        b"true",
        b"false",
        b"yes",
        b"no",
        b"on",
        b"off",
        b"none",
    ]
    .iter()
    .any(|switch| value.eq_ignore_ascii_case(switch))
}

/// The text in at most `width` columns.
fn shortened(text: &str, width: usize) -> String {
    if text.chars().map(columns).sum::<usize>() <= width {
        return text.to_owned();
    }
    let Some(room) = width.checked_sub(1) else {
        return String::new();
    };
    let mut used = 0;
    let mut out: String = text
        .chars()
        .take_while(|c| {
            used += columns(*c);
            used <= room
        })
        .collect();
    out.push('…');
    out
}

/// How many columns a character takes at most. Wide characters start at U+1100 (Unicode, UAX #11); some narrow ones
/// above it are counted too wide, which only cuts a little early. The punctuation that this module prints is narrow.
fn columns(c: char) -> usize {
    if c < '\u{1100}' || ('\u{2010}'..='\u{205f}').contains(&c) {
        1
    } else {
        2
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
