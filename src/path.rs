//! Newtypes that prove something about a path or a name: where it lives and that it is well formed.
//! Nothing here touches the file system.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Why a path or a name was not accepted. The text completes "the path `x` ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Whether a path is absolute and holds neither an empty component nor a dot nor two: most are, and need no taking apart.
fn is_normal(bytes: &[u8]) -> bool {
    bytes == b"/" || bytes.strip_prefix(b"/").is_some_and(are_components)
}

/// Whether these are components with a slash between each two, none of them empty, a dot or two, and no NUL among them. In one
/// pass: every path of a launch comes by here, most of them several times.
fn are_components(bytes: &[u8]) -> bool {
    let (mut length, mut dots) = (0_usize, 0_usize);
    for byte in bytes.iter().chain(b"/") {
        match byte {
            0 => return false,
            b'/' if length == 0 || (length == dots && length <= 2) => return false,
            b'/' => (length, dots) = (0, 0),
            byte => {
                length += 1;
                dots += usize::from(*byte == b'.');
            }
        }
    }
    true
}

fn absolute(path: &Path) -> Result<PathBuf, Malformed> {
    if path.as_os_str().as_bytes().contains(&0) {
        return Err(Malformed("contains a NUL byte"));
    }
    if is_normal(path.as_os_str().as_bytes()) {
        return Ok(path.to_path_buf());
    }
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::RootDir => clean.push("/"),
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            // `a/../b` names another file than `b` where `a` is a symlink: only the kernel's answer would be right.
            Component::ParentDir => return Err(Malformed("contains `..`")),
            Component::Prefix(_) => return Err(Malformed("is not a Unix path")),
        }
    }
    if clean.has_root() {
        Ok(clean)
    } else {
        Err(Malformed("is not absolute"))
    }
}

/// Whether a normal absolute path is `base` or below it.
fn within(path: &OsStr, base: &OsStr) -> bool {
    below(path, base).is_some()
}

/// What follows `base` in a normal absolute path that is `base` or below it: its bytes begin with `base`'s, and a component
/// ends there.
fn below<'path>(path: &'path OsStr, base: &OsStr) -> Option<&'path OsStr> {
    let rest = path.as_bytes().strip_prefix(base.as_bytes())?;
    let rest = match rest.strip_prefix(b"/") {
        Some(rest) => rest,
        None if rest.is_empty() || base == "/" => rest,
        None => return None,
    };
    Some(OsStr::from_bytes(rest))
}

macro_rules! absolute_path {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(PathBuf);

        // The path is normal, so its bytes tell all: `Path` would take it apart for each comparison.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.as_os_str() == other.0.as_os_str()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.0.as_os_str().cmp(other.0.as_os_str())
            }
        }

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.0.as_os_str().hash(state);
            }
        }

        impl $name {
            /// Accepts an absolute path without `..` and NUL. Doubled slashes and `.` are removed.
            ///
            /// # Errors
            /// Says what is wrong with the path.
            pub fn new(path: impl AsRef<Path>) -> Result<Self, Malformed> {
                absolute(path.as_ref()).map(Self)
            }

            /// The root directory.
            #[must_use]
            pub fn root() -> Self {
                Self(PathBuf::from("/"))
            }

            /// The path as the standard library's type.
            #[must_use]
            pub fn as_path(&self) -> &Path {
                &self.0
            }

            /// The path's raw bytes, as the kernel takes them.
            #[must_use]
            pub fn as_os_str(&self) -> &OsStr {
                self.0.as_os_str()
            }

            /// One more component below this path.
            ///
            /// # Errors
            /// `name` may hold several components, but neither `..` nor NUL; an absolute `name` is refused. An empty one gives
            /// this path itself.
            pub fn join(&self, name: impl AsRef<Path>) -> Result<Self, Malformed> {
                if name.as_ref().has_root() {
                    return Err(Malformed("is absolute where a relative path belongs"));
                }
                let mut joined = OsString::with_capacity(self.0.as_os_str().len() + name.as_ref().as_os_str().len() + 1);
                joined.push(self.0.as_os_str());
                if !joined.as_bytes().ends_with(b"/") {
                    joined.push("/");
                }
                joined.push(name.as_ref());
                let joined = PathBuf::from(joined);
                // What it is joined to is normal already.
                if are_components(name.as_ref().as_os_str().as_bytes()) {
                    return Ok(Self(joined));
                }
                absolute(&joined).map(Self)
            }

            /// The directory that holds this path; `None` for the root.
            #[must_use]
            pub fn parent(&self) -> Option<Self> {
                self.0.parent().map(|parent| Self(parent.to_path_buf()))
            }

            /// The last component; `None` for the root.
            #[must_use]
            pub fn name(&self) -> Option<&OsStr> {
                self.0.file_name()
            }

            /// Whether this path is `other` or lies below it, compared by component.
            #[must_use]
            pub fn within(&self, other: &Self) -> bool {
                within(self.0.as_os_str(), other.0.as_os_str())
            }

            /// What follows `base` in this path; `None` where this path is not within `base`.
            #[must_use]
            pub fn below(&self, base: &Self) -> Option<&Path> {
                below(self.0.as_os_str(), base.0.as_os_str()).map(Path::new)
            }

            /// The path and all directories above it, the longest first.
            pub fn ancestors(&self) -> impl Iterator<Item = Self> + '_ {
                self.0.ancestors().map(|path| Self(path.to_path_buf()))
            }

            /// How many components the path has below the root.
            #[must_use]
            pub fn depth(&self) -> usize {
                let slashes = self.0.as_os_str().as_bytes().iter().filter(|byte| **byte == b'/');
                if self.0.as_os_str() == "/" { 0 } else { slashes.count() }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        /// For messages only: bytes that a terminal could obey or not show are escaped.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&printable(self.0.as_os_str()))
            }
        }
    };
}

absolute_path! {
    /// A path on the host: absolute, without `..` and NUL.
    HostPath
}

absolute_path! {
    /// A path inside the sandbox: absolute, without `..` and NUL. Never handed to the host's file system.
    SandboxPath
}

impl HostPath {
    /// Whether this path is `other` or lies below it, for a path that the program itself names.
    #[must_use]
    pub fn within_str(&self, other: &str) -> bool {
        within(self.0.as_os_str(), OsStr::new(other))
    }

    /// The same path inside the sandbox, for what is mounted at its own place.
    #[must_use]
    pub fn same_inside(&self) -> SandboxPath {
        SandboxPath(self.0.clone())
    }
}

/// The name of an environment variable: not empty, without `=` and NUL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvName(OsString);

impl EnvName {
    /// Accepts a well-formed name.
    ///
    /// # Errors
    /// Says what is wrong with the name.
    pub fn new(name: impl Into<OsString>) -> Result<Self, Malformed> {
        let name = name.into();
        let bytes = name.as_bytes();
        if bytes.is_empty() {
            Err(Malformed("is empty"))
        } else if bytes.contains(&b'=') {
            Err(Malformed("contains `=`"))
        } else if bytes.contains(&0) {
            Err(Malformed("contains a NUL byte"))
        } else {
            Ok(Self(name))
        }
    }

    /// The name's raw bytes.
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        &self.0
    }

    /// The name as text, where it is UTF-8.
    #[must_use]
    pub fn to_str(&self) -> Option<&str> {
        self.0.to_str()
    }
}

impl fmt::Debug for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// For messages only: see [`printable`].
impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

/// Text for a message: control characters, bidirectional controls and bytes that are not UTF-8 are escaped, so that a
/// hostile name can neither move the cursor nor pass for another one.
#[must_use]
pub fn printable(text: &OsStr) -> String {
    // Nearly every name is plain ASCII, and a launch prints hundreds.
    if let Some(plain) = text.to_str()
        && plain.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    {
        return plain.to_string();
    }
    let mut out = String::new();
    for chunk in text.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || is_invisible(c) {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Bidirectional controls, zero-width characters and other code points that change how text reads without being seen.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_normal() {
        assert_eq!(HostPath::new("/a//b/./c/").unwrap().as_path(), Path::new("/a/b/c"));
        assert_eq!(HostPath::new("a"), Err(Malformed("is not absolute")));
        assert_eq!(HostPath::new(""), Err(Malformed("is not absolute")));
        assert_eq!(HostPath::new("/a/../b"), Err(Malformed("contains `..`")));
        assert_eq!(HostPath::new("/a\0b"), Err(Malformed("contains a NUL byte")));
        let path = HostPath::new("/a").unwrap();
        assert_eq!(path.join(""), Ok(path.clone()));
        assert_eq!(HostPath::root().join(""), Ok(HostPath::root()));
    }

    #[test]
    fn within_compares_components() {
        let ssh = HostPath::new("/home/u/.ssh").unwrap();
        assert!(HostPath::new("/home/u/.ssh").unwrap().within(&ssh));
        assert!(HostPath::new("/home/u/.ssh/id").unwrap().within(&ssh));
        assert!(!HostPath::new("/home/u/.ssh-old").unwrap().within(&ssh));
        assert!(!HostPath::new("/home/u").unwrap().within(&ssh));
    }

    #[test]
    fn names_are_well_formed() {
        assert!(EnvName::new("PATH").is_ok());
        assert_eq!(EnvName::new(""), Err(Malformed("is empty")));
        assert_eq!(EnvName::new("A=B"), Err(Malformed("contains `=`")));
        assert_eq!(EnvName::new("A\0"), Err(Malformed("contains a NUL byte")));
    }

    #[test]
    fn messages_show_no_hidden_bytes() {
        assert_eq!(printable(OsStr::from_bytes(b"a\x1b[31m\xff\n")), "a\\u{1b}[31m\\xff\\n");
        assert_eq!(printable(OsStr::new("a\u{202e}b")), "a\\u{202e}b");
    }
}
