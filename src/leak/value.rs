//! Whether a value looks like a secret, by itself. A pure function of bytes; it never copies what it judges into its
//! answer.

use super::shapes::{MARKS, SETTINGS, SHAPES, Shape};

/// The shortest token that any shape knows, prefix included. A test holds the table to it.
pub(super) const SHORTEST: usize = 15;

/// How far behind the start of a URL's user an `@` is still looked for, so that the search stays linear.
const PASSWORD_MAX: usize = 1024;

/// What the value looks like, as the end of "looks like ...". In the order of how much the answer says.
pub(super) fn looks_like(value: &[u8]) -> Option<&'static str> {
    let value = value.trim_ascii();
    if value.len() < 8 {
        return None;
    }
    private_key(value)
        .or_else(|| known_token(value))
        .or_else(|| mark(value))
        .or_else(|| web_token(value))
        .or_else(|| header(value))
        .or_else(|| url_password(value))
        .or_else(|| setting(value))
        .or_else(|| special(value))
}

/// PEM and OpenPGP private keys, also with the line ends lost or written `\n`, also in base64.
fn private_key(value: &[u8]) -> Option<&'static str> {
    let after = find(value, b"-----BEGIN ").and_then(|at| value.get(at..));
    if after.is_some_and(|block| find(block, b"PRIVATE KEY").is_some()) {
        return Some("a private key");
    }
    // `-----BEGIN ` in base64, but not `-----BEGIN CERTIFICATE`.
    let wrapped = value.starts_with(b"LS0tLS1CRUdJTi") && !value.starts_with(b"LS0tLS1CRUdJTiBDRVJU");
    wrapped.then_some("a private key in base64")
}

/// A token of a known issuer, anywhere where a word begins.
fn known_token(value: &[u8]) -> Option<&'static str> {
    value
        .split(|byte| !super::shapes::Body::Dotted.holds(*byte))
        .filter(|run| run.len() >= SHORTEST)
        .find_map(|run| {
            let first = run.first()?;
            let from = SHAPES.partition_point(|shape| shape.prefix.as_bytes().first() < Some(first));
            SHAPES
                .iter()
                .skip(from)
                .take_while(|shape| shape.prefix.as_bytes().first() == Some(first))
                .filter(|shape| fits(run, shape))
                .max_by_key(|shape| shape.prefix.len())
                .map(|shape| shape.what)
        })
}

fn fits(run: &[u8], shape: &Shape) -> bool {
    let Some(body) = run.strip_prefix(shape.prefix.as_bytes()) else {
        return false;
    };
    let length = body.iter().take_while(|byte| shape.body.holds(**byte)).count();
    if shape.exact {
        length == shape.least && body.len() == length
    } else {
        length >= shape.least
    }
}

fn mark(value: &[u8]) -> Option<&'static str> {
    MARKS
        .iter()
        .find(|(text, _)| find(value, text.as_bytes()).is_some())
        .map(|&(_, what)| what)
}

/// A JSON Web Token: base64url parts joined by dots, of which the first one decodes to the start of a JSON object.
fn web_token(value: &[u8]) -> Option<&'static str> {
    let found = value
        .split(|byte| !super::shapes::Body::Dotted.holds(*byte))
        .filter(|run| run.len() >= 30)
        .any(|run| {
            let mut parts = run.split(|byte| *byte == b'.');
            let header = parts.next().unwrap_or_default();
            let payload = parts.next().unwrap_or_default();
            // A signature may be empty (`alg` `none`), but its dot is there.
            header.len() >= 10 && payload.len() >= 10 && parts.next().is_some() && opens_object(header)
        });
    found.then_some("a JSON Web Token")
}

/// Whether base64url text decodes to `{` and then what may follow it in JSON. The second byte counts too: `e2e-cluster`
/// is the start of a host name and decodes to `{g`.
fn opens_object(text: &[u8]) -> bool {
    let mut sextets = text.iter().map(|byte| sextet(*byte));
    let (Some(Some(a)), Some(Some(b)), Some(Some(c))) = (sextets.next(), sextets.next(), sextets.next()) else {
        return false;
    };
    let first = (a << 2) | (b >> 4);
    let second = (b << 4) | (c >> 2);
    first == b'{' && matches!(second, b'"' | b' ' | b'\n' | b'\r' | b'\t')
}

/// The six bits of a base64url digit (RFC 4648, section 5).
fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

/// `Bearer` and `Basic` credentials, and header lines that carry a key.
fn header(value: &[u8]) -> Option<&'static str> {
    if !value.iter().any(|byte| matches!(byte, b' ' | b':')) {
        return None;
    }
    let lower = value.to_ascii_lowercase();
    for (scheme, least, what) in [
        (&b"bearer "[..], 12, "a bearer token"),
        (b"basic ", 8, "basic authentication"),
        (b"authorization:", 4, "an `Authorization` header"),
        (b"x-api-key:", 4, "a header with a key"),
        (b"private-token:", 4, "a header with a key"),
        (b"cookie:", 4, "a cookie"),
    ] {
        let found = words(&lower, scheme).any(|after| {
            let rest = value.get(after..).unwrap_or_default().trim_ascii_start();
            let token = rest
                .iter()
                .take(least)
                .take_while(|byte| byte.is_ascii_graphic())
                .count();
            // `basic usage of ...` is prose: what follows a scheme must not be an ordinary word.
            let wordy = rest.iter().take(token).all(u8::is_ascii_lowercase);
            token == least && !(scheme.ends_with(b" ") && wordy)
        });
        if found {
            return Some(what);
        }
    }
    None
}

/// `scheme://user:password@host`, and `scheme://token@host` where the user is long enough to be no name.
fn url_password(value: &[u8]) -> Option<&'static str> {
    if !value.contains(&b'@') {
        return None;
    }
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>');
    let mut rest = value;
    while let Some(at) = find(rest, b"://") {
        rest = rest.get(at + 3..).unwrap_or_default();
        let authority = rest
            .split(|byte| ends(byte) || matches!(byte, b'/' | b'?' | b'#'))
            .next()
            .unwrap_or_default();
        let Some(at) = authority.iter().rposition(|byte| *byte == b'@') else {
            // A password with an unescaped `/`, `?` or `#` in it ends the authority early. What follows the colon is
            // then no port, and the `@` comes later, though not any distance later.
            let port = authority.split(|byte| *byte == b':').nth(1).unwrap_or_default();
            let no_port = !authority.starts_with(b"[") && !port.iter().all(u8::is_ascii_digit);
            if no_port
                && rest
                    .iter()
                    .take(PASSWORD_MAX)
                    .take_while(|byte| !ends(byte))
                    .any(|byte| *byte == b'@')
            {
                return Some("a URL with a password");
            }
            continue;
        };
        let mut parts = authority.get(..at).unwrap_or_default().splitn(2, |byte| *byte == b':');
        let user = parts.next().unwrap_or_default();
        if parts.next().is_some_and(|password| !password.is_empty()) {
            return Some("a URL with a password");
        }
        // Up to 19 bytes are a login name (`git`, `x-access-token`); tokens of all issuers are longer.
        if user.len() >= 20 && user.iter().any(u8::is_ascii_digit) {
            return Some("a URL with a token");
        }
    }
    None
}

/// `password=...` and its kin, where the key is a whole word and the value no reference such as `$PASSWORD`.
fn setting(value: &[u8]) -> Option<&'static str> {
    if !value.contains(&b'=') {
        return None;
    }
    let lower = value.to_ascii_lowercase();
    let found = SETTINGS.iter().any(|(key, least)| {
        words(&lower, key.as_bytes()).any(|after| {
            let held = lower.get(after..).unwrap_or_default();
            let reference = matches!(held.first(), Some(b'$' | b'%' | b'{' | b'<' | b'*'));
            let plain = |byte: &&u8| byte.is_ascii_graphic() && !b";&,\"'".contains(byte);
            !reference && held.iter().take(*least).take_while(plain).count() == *least
        })
    });
    found.then_some("a setting with a password or a key")
}

/// Shapes without a plain prefix.
fn special(value: &[u8]) -> Option<&'static str> {
    // crypt(5): `$id$salt$hash`.
    let crypt = value.starts_with(b"$") && value.len() >= 24 && value.iter().filter(|byte| **byte == b'$').count() >= 3;
    if crypt
        && !value
            .iter()
            .any(|byte| matches!(byte, b'{' | b'(' | b':') || byte.is_ascii_whitespace())
    {
        return Some("a password hash");
    }
    if value.starts_with(b"1//0") && value.len() >= 34 && !value.contains(&b' ') {
        return Some("a Google refresh token");
    }
    if value.starts_with(b"FlyV1 ") {
        return Some("a Fly.io token");
    }
    // Telegram: `123456789:AA` and 33 more.
    let mut halves = value.splitn(2, |byte| *byte == b':');
    let (bot, key) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    let telegram = bot.len() >= 8
        && bot.iter().all(u8::is_ascii_digit)
        && key.len() == 35
        && key.starts_with(b"AA")
        && key.iter().all(|byte| super::shapes::Body::Word.holds(*byte));
    telegram.then_some("a Telegram bot token")
}

/// Where `needle` first stands in `text`.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    positions(text, needle).next()
}

/// Where the text goes on behind each `needle` that stands at the beginning of a word.
fn words<'a>(text: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    positions(text, needle).filter_map(|at| {
        let before = at.checked_sub(1).and_then(|at| text.get(at));
        (!before.is_some_and(u8::is_ascii_alphanumeric)).then_some(at + needle.len())
    })
}

/// Where `needle` stands in `text`. Most values hold no more than its first byte, so that byte is looked for alone.
fn positions<'a>(text: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = needle.first();
    text.iter()
        .enumerate()
        .filter(move |(at, byte)| Some(*byte) == first && text.get(*at..).is_some_and(|rest| rest.starts_with(needle)))
        .map(|(at, _)| at)
}
