//! The host as a script sees it: a value with getters and no setters, so that no layer can forge it for the layer below.
//! Names of variables are here; their values never are.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::rc::Rc;

use rhai::{Array, Dynamic, Engine, EvalAltResult, ImmutableString, Position};

use crate::host::Host;
use crate::host::tree::Kind;
use crate::path::{HostPath, printable};

/// Bytes of the host that need not be UTF-8: a path, or the content of a generated file. Scripts can join and hand it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsText(pub OsString);

impl OsText {
    /// The bytes of a script's value, where it is text.
    #[must_use]
    pub fn of(value: &Dynamic) -> Option<OsString> {
        Self::looked_at(value, OsStr::to_os_string)
    }

    /// What `look` says of them.
    pub fn looked_at<T>(value: &Dynamic, look: impl FnOnce(&OsStr) -> T) -> Option<T> {
        if let Some(text) = value.read_lock::<Self>() {
            return Some(look(&text.0));
        }
        value
            .read_lock::<ImmutableString>()
            .map(|text| look(OsStr::new(text.as_str())))
    }

    fn path(path: &HostPath) -> Self {
        Self(path.as_os_str().to_os_string())
    }

    fn joined(left: &OsStr, right: &OsStr) -> Self {
        let mut bytes = left.as_bytes().to_vec();
        bytes.extend_from_slice(right.as_bytes());
        Self(OsString::from_vec(bytes))
    }
}

/// The host, as scripts hold it.
#[derive(Clone)]
pub struct Facts(pub Rc<Host>);

/// One fact, for the engine and the book.
pub struct Fact {
    /// The property's name.
    pub name: &'static str,
    /// What kind of value it is, in a user's terms.
    pub kind: &'static str,
    /// One line for the book.
    pub doc: &'static str,
    get: fn(&Host) -> Dynamic,
}

fn text(text: &OsStr) -> Dynamic {
    match text.to_str() {
        Some(text) => text.into(),
        None => Dynamic::from(OsText(text.to_os_string())),
    }
}

fn path(path: &HostPath) -> Dynamic {
    Dynamic::from(OsText::path(path))
}

fn optional(found: Option<&HostPath>) -> Dynamic {
    found.map_or(Dynamic::UNIT, path)
}

/// Every property of `host`.
pub const FACTS: &[Fact] = &[
    Fact {
        name: "home",
        kind: "path",
        doc: "the user's home directory",
        get: |h| path(&h.home),
    },
    Fact {
        name: "user",
        kind: "text",
        doc: "the user's name",
        get: |h| text(&h.user),
    },
    Fact {
        name: "uid",
        kind: "number",
        doc: "the user's id inside the sandbox",
        get: |h| i64::from(h.inside_uid()).into(),
    },
    Fact {
        name: "gid",
        kind: "number",
        doc: "the group's id inside the sandbox",
        get: |h| i64::from(h.inside_gid()).into(),
    },
    Fact {
        name: "project",
        kind: "path",
        doc: "the project's root: the repository's top, or the working directory",
        get: |h| path(&h.project),
    },
    Fact {
        name: "directory",
        kind: "path",
        doc: "the working directory",
        get: |h| path(&h.directory),
    },
    Fact {
        name: "way",
        kind: "array of paths",
        doc: "the directories from the project down to the working directory, both among them",
        get: |h| h.way().iter().map(path).collect::<Array>().into(),
    },
    Fact {
        name: "git_dirs",
        kind: "array of paths",
        doc: "git directories of the project that lie outside it (a worktree's)",
        get: |h| h.outside_git_dirs().iter().map(path).collect::<Array>().into(),
    },
    Fact {
        name: "platform",
        kind: "text",
        doc: "`nix` where tools come from the Nix store, else `usr`",
        get: |h| h.platform.word().into(),
    },
    Fact {
        name: "tools",
        kind: "array of paths",
        doc: "directories of the pinned tools, on a Nix host",
        get: |h| h.platform.tools().iter().map(path).collect::<Array>().into(),
    },
    Fact {
        name: "nix_daemon",
        kind: "truth value",
        doc: "whether the Nix daemon's socket may be shown",
        get: |h| h.nix_daemon.usable().into(),
    },
    Fact {
        name: "nix_registry",
        kind: "text or ()",
        doc: "Nix's registry for inside, where claudebox was built by its flake: `nixpkgs` is that flake's",
        get: |host| host.nix_registry.clone().map_or(Dynamic::UNIT, Dynamic::from),
    },
    Fact {
        name: "broker",
        kind: "truth value",
        doc: "whether the broker is installed, which holds Claude Code's login outside",
        get: |h| h.broker.is_ok().into(),
    },
    Fact {
        name: "time_zone",
        kind: "text",
        doc: "the time zone's name, such as `Europe/Berlin`",
        get: |h| h.time_zone.clone().into(),
    },
    Fact {
        name: "locale_works",
        kind: "truth value",
        doc: "whether the locales that the host's variables name are installed",
        get: |h| h.locale_works.into(),
    },
    Fact {
        name: "ca_bundle",
        kind: "path or ()",
        doc: "the file of trusted certificates",
        get: |h| optional(h.ca_bundle.as_ref()),
    },
    Fact {
        name: "ca_extra",
        kind: "path or ()",
        doc: "the file that `NODE_EXTRA_CA_CERTS` names, if it exists",
        get: |h| optional(h.ca_extra.as_ref()),
    },
    Fact {
        name: "gitconfig",
        kind: "text",
        doc: "a generated git configuration: name, email, trust in the project, no credential helper",
        get: |h| Dynamic::from(OsText(OsString::from_vec(h.gitconfig.clone()))),
    },
];

/// Registers the host and its texts in an engine.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Facts>("Host");
    engine.register_type_with_name::<OsText>("Path");
    for fact in FACTS {
        let get = fact.get;
        engine.register_get(fact.name, move |facts: &mut Facts| get(&facts.0));
    }
    engine.register_fn("has_variable", |facts: &mut Facts, name: &str| {
        crate::path::EnvName::new(name).is_ok_and(|name| facts.0.variables.contains_key(&name))
    });
    engine.register_fn(
        "kind",
        |facts: &mut Facts, path: Dynamic| -> Result<Dynamic, Box<EvalAltResult>> {
            Ok(match kind_at(&facts.0, &path)? {
                None => "absent",
                Some(Kind::Directory) => "directory",
                Some(Kind::File) => "file",
                Some(Kind::Link(_)) => "link",
                Some(Kind::Socket | Kind::Special) => "special",
            }
            .into())
        },
    );
    engine.register_fn("tool", |facts: &mut Facts, name: &str| {
        optional(facts.0.platform.tool(&facts.0.tree, name).as_ref())
    });
    engine.register_fn(
        "link_target",
        |facts: &mut Facts, path: Dynamic| -> Result<Dynamic, Box<EvalAltResult>> {
            Ok(match kind_at(&facts.0, &path)? {
                Some(Kind::Link(target)) => text(target.as_os_str()),
                _ => Dynamic::UNIT,
            })
        },
    );
    engine.register_fn(
        "list",
        |facts: &mut Facts, path: Dynamic| -> Result<Array, Box<EvalAltResult>> {
            let path = host_path(&facts.0, &path)?;
            let names = facts
                .0
                .tree
                .list(path.as_path())
                .map_err(|error| failed(error.to_string()))?;
            Ok(names.iter().map(|name| text(name)).collect())
        },
    );
    engine.register_fn("+", |left: OsText, right: &str| {
        OsText::joined(&left.0, OsStr::new(right))
    });
    engine.register_fn("+", |left: &str, right: OsText| {
        OsText::joined(OsStr::new(left), &right.0)
    });
    engine.register_fn("+", |left: OsText, right: OsText| OsText::joined(&left.0, &right.0));
    engine.register_fn("==", |left: OsText, right: &str| left.0 == right);
    engine.register_fn("==", |left: OsText, right: OsText| left == right);
    engine.register_fn("!=", |left: OsText, right: &str| left.0 != right);
    engine.register_fn("!=", |left: OsText, right: OsText| left != right);
    for (name, test) in TESTS {
        engine.register_fn(*name, |text: &mut OsText, part: &str| {
            test(text.0.as_bytes(), part.as_bytes())
        });
        engine.register_fn(*name, |text: &mut OsText, part: OsText| {
            test(text.0.as_bytes(), part.0.as_bytes())
        });
    }
    engine.register_fn("to_string", |text: &mut OsText| printable(&text.0));
    engine.register_fn("to_debug", |text: &mut OsText| printable(&text.0));
}

/// Questions to a path's bytes, which need not be UTF-8.
type Test = fn(&[u8], &[u8]) -> bool;
const TESTS: &[(&str, Test)] = &[
    ("starts_with", |text, part| text.starts_with(part)),
    ("ends_with", |text, part| text.ends_with(part)),
    ("contains", |text, part| {
        part.is_empty() || text.windows(part.len()).any(|window| window == part)
    }),
];

/// The functions of `host`, for the book: name, what it answers.
pub const METHODS: &[(&str, &str)] = &[
    ("has_variable(name)", "whether the host has a variable of that name"),
    (
        "kind(path)",
        "`absent`, `file`, `directory`, `link` or `special`, without following a link",
    ),
    (
        "tool(name)",
        "the place of a pinned tool in the Nix store; `()` if it is not among them, and on other hosts",
    ),
    (
        "link_target(path)",
        "where a symbolic link points, as written; `()` if it is none",
    ),
    ("list(path)", "the names in a directory, sorted; empty if there is none"),
];

/// What a path of a script is on the host, without following a link; `None` where nothing is.
fn kind_at(host: &Host, path: &Dynamic) -> Result<Option<Kind>, Box<EvalAltResult>> {
    let path = host_path(host, path)?;
    let node = host
        .tree
        .node(path.as_path())
        .map_err(|error| failed(error.to_string()))?;
    Ok(node.map(|node| node.kind))
}

fn host_path(host: &Host, value: &Dynamic) -> Result<HostPath, Box<EvalAltResult>> {
    let text = OsText::of(value).ok_or_else(|| failed("a path is text".into()))?;
    let path = match Path::new(&text).strip_prefix("~") {
        Ok(rest) => host.home.as_path().join(rest),
        Err(_) => text.into(),
    };
    HostPath::new(&path).map_err(|why| failed(format!("the path `{}` {why}", printable(path.as_os_str()))))
}

fn failed(message: String) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(message.into(), Position::NONE).into()
}
