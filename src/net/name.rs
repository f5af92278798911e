//! Names of hosts, and patterns of them, in forms that cannot be wrong: no address in any of the shapes that resolvers take
//! for one, no user, no port, no escape.

use std::fmt;
use std::str::FromStr;

/// The longest name (RFC 1035), and the longest of its parts.
const LENGTH_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// A name of a host, in small letters and without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is no [`Name`] or [`Pattern`]. Completes the sentence "the name `...` ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoName {
    /// There is nothing, or a part of it is empty.
    Empty,
    /// It, or a part of it, is longer than names may be.
    Long,
    /// It has a character that names do not have.
    Character,
    /// It is an address.
    Address,
    /// A `*` that is not the whole first part.
    Star,
    /// All names of a whole top level domain.
    Wide,
}

impl fmt::Display for NoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "has an empty part",
            Self::Long => "is longer than names can be",
            Self::Character => {
                "has more in it than letters, digits, hyphens and dots: neither a port nor a path belongs to it"
            }
            Self::Address => "is an address: names alone can be allowed",
            Self::Star => "has a `*` that is not its whole first part, as in `*.example.org`",
            Self::Wide => "stands for a whole top level domain",
        })
    }
}

impl Name {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.len() > LENGTH_MAX {
            return Err(NoName::Long);
        }
        let mut last = "";
        for label in text.split('.') {
            if label.is_empty() {
                return Err(NoName::Empty);
            }
            let of_names = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if !label.bytes().all(of_names) || label.starts_with('-') || label.ends_with('-') {
                return Err(NoName::Character);
            }
            if label.len() > LABEL_MAX {
                return Err(NoName::Long);
            }
            last = label;
        }
        // What ends in a number is an address for browsers and for inet_aton(3): `127.1`, `0x7f.1`, `2130706433`.
        let hexadecimal = last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
        if hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoName::Address);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// One name, or all names below one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// `crates.io`: that name alone.
    One(Name),
    /// `*.github.com`: every name below it, at any depth, and not the name itself.
    Below(Name),
}

impl Pattern {
    /// Whether it stands for that name.
    #[must_use]
    pub fn matches(&self, name: &Name) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Below(above) => name
                .0
                .strip_suffix(above.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => name.fmt(f),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

impl FromStr for Pattern {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let Some(above) = text.strip_prefix("*.") else {
            return if text.contains('*') {
                Err(NoName::Star)
            } else {
                text.parse().map(Self::One)
            };
        };
        if above.contains('*') {
            return Err(NoName::Star);
        }
        let above: Name = above.parse()?;
        if above.as_str().contains('.') {
            Ok(Self::Below(above))
        } else {
            Err(NoName::Wide)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_and_nothing_else() {
        let long = "a".repeat(64);
        let longer = format!("{}example.org", "a.".repeat(125));
        let table: [(&str, Result<&str, NoName>); 27] = [
            ("crates.io", Ok("crates.io")),
            ("API.Test.", Ok("api.test")),
            ("localhost", Ok("localhost")),
            ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
            ("_dmarc.example.org", Ok("_dmarc.example.org")),
            ("1.pool.ntp.org", Ok("1.pool.ntp.org")),
            ("", Err(NoName::Empty)),
            (".", Err(NoName::Empty)),
            ("a..b", Err(NoName::Empty)),
            (".a", Err(NoName::Empty)),
            ("a..", Err(NoName::Empty)),
            (long.as_str(), Err(NoName::Long)),
            (longer.as_str(), Err(NoName::Long)),
            ("-a.org", Err(NoName::Character)),
            ("a-.org", Err(NoName::Character)),
            ("a b.org", Err(NoName::Character)),
            ("user@a.org", Err(NoName::Character)),
            ("a.org:443", Err(NoName::Character)),
            ("a.org/x", Err(NoName::Character)),
            ("a%2eorg", Err(NoName::Character)),
            ("a\0.org", Err(NoName::Character)),
            ("bücher.example", Err(NoName::Character)),
            ("[::1]", Err(NoName::Character)),
            ("127.0.0.1", Err(NoName::Address)),
            ("127.1", Err(NoName::Address)),
            ("0x7f.0X1", Err(NoName::Address)),
            ("2130706433", Err(NoName::Address)),
        ];
        for (text, read) in table {
            let name = text.parse::<Name>().map(|name| name.to_string());
            assert_eq!(name, read.map(str::to_string), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_stands_for_whole_parts_of_names() {
        let table = [
            ("github.com", "github.com", true),
            ("github.com", "api.github.com", false),
            ("GitHub.com.", "github.com", true),
            ("*.github.com", "api.github.com", true),
            ("*.github.com", "a.b.github.com", true),
            ("*.github.com", "github.com", false),
            ("*.github.com", "evilgithub.com", false),
            ("*.github.com", "github.com.evil.org", false),
        ];
        for (pattern, name, matches) in table {
            let read: Pattern = pattern.parse().unwrap();
            assert_eq!(read.matches(&name.parse().unwrap()), matches, "{pattern} {name}");
        }
        let wrong = [
            ("*", NoName::Star),
            ("*.*.org", NoName::Star),
            ("a.*.org", NoName::Star),
            ("*a.org", NoName::Star),
            ("*.com", NoName::Wide),
            ("*.", NoName::Empty),
            ("*.127.0.0.1", NoName::Address),
        ];
        for (text, why) in wrong {
            assert_eq!(text.parse::<Pattern>(), Err(why), "{text:?}");
        }
    }
}
