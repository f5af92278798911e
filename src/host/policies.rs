//! Which policy scripts apply to a launch, and their texts. Nothing that an agent, or another user, could have written
//! decides about a sandbox.

use std::ffi::OsStr;
use std::path::{Component, Path};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Refusal};
use crate::path::{HostPath, Malformed, printable};
use crate::request::Request;
use crate::script::engine::SOURCE_MAX;
use crate::script::layer::Source;
use crate::toml_text::TomlText;
use crate::trace::Site;

use super::Host;

/// The bundled policy.
pub const BUNDLED: &str = include_str!("../../policy/policy.rhai");

/// The bundled profiles: the name, the text.
pub const PROFILES: [(&str, &str); 2] = [
    ("offline", include_str!("../../policy/profiles/offline.rhai")),
    ("strict", include_str!("../../policy/profiles/strict.rhai")),
];

/// The name that stands for no profile.
const DEFAULT: &str = "default";

/// The longest name of a profile.
const NAME_MAX: usize = 64;

/// The longest `projects.toml`, in bytes.
const PROJECTS_MAX: u64 = 256 * 1024;

/// The policies of a launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies {
    /// The layers, the lowest first.
    pub layers: Vec<Source>,
    /// The profile, unless it is the default one, and where it was chosen.
    pub profile: Option<(String, Site)>,
    /// Texts that places point into and that are no layers.
    pub texts: Vec<(Arc<str>, Arc<str>)>,
}

/// The layer of the bundled policy.
#[must_use]
pub fn bundled() -> Source {
    Source {
        layer: "bundled".into(),
        file: "policy/policy.rhai".into(),
        text: BUNDLED.into(),
    }
}

impl Host {
    /// The policies of this launch: bundled, the user's, and the profile's on top.
    ///
    /// # Errors
    /// A file that exists cannot be read, is too long, is no text, or could have been written by someone else; there is
    /// no profile of that name.
    pub fn policies(&self, request: &Request) -> Result<Policies, Refusal> {
        let mut layers = vec![bundled()];
        layers.extend(self.user_policy(request)?);
        let mut texts = Vec::new();
        let chosen = match &request.profile {
            Some(name) => Some((name.clone(), Site::Option(format!("--profile {}", printable(name))))),
            None => self.profile_of_project(&mut texts)?,
        };
        let mut profile = None;
        if let Some((name, site)) = chosen {
            let name = self
                .profile_name(&name)
                .map_err(|error| refused(error.at(site.clone(), ""), &texts))?;
            if let Some(source) = self
                .profile(&name)
                .map_err(|error| refused(error.at(site.clone(), ""), &texts))?
            {
                layers.push(source);
                profile = Some((name, site));
            }
        }
        Ok(Policies { layers, profile, texts })
    }

    fn user_policy(&self, request: &Request) -> Result<Option<Source>, Refusal> {
        if request.no_user_policy {
            return Ok(None);
        }
        let file = match &request.policy {
            Some(file) => self.path_of_line(file).map_err(|why| {
                Refusal::one(Diagnostic::new(
                    "policy-file",
                    format!("the policy `{}` {why}", printable(file.as_os_str())),
                ))
            })?,
            None => {
                let file = super::joined(&self.places.config, "policy.rhai")?;
                if let Ok(None) = self.tree.node(file.as_path()) {
                    return Ok(None);
                }
                file
            }
        };
        let hint = "nothing starts without the policy that you wrote; mend it, or start with `--no-user-policy`";
        let text = self.trusted_text(&file, SOURCE_MAX).map_err(|why| {
            Refusal::one(Diagnostic::new("policy-file", format!("the policy cannot be used: {why}")).hint(hint))
        })?;
        Ok(Some(Source {
            layer: "user".into(),
            file: self.tilde(&file).into(),
            text: text.into(),
        }))
    }

    /// The profile that the user's `projects.toml` names for this project: that of the deepest directory that holds it.
    fn profile_of_project(
        &self,
        texts: &mut Vec<(Arc<str>, Arc<str>)>,
    ) -> Result<Option<(std::ffi::OsString, Site)>, Refusal> {
        let file = super::joined(&self.places.config, "projects.toml")?;
        if let Ok(None) = self.tree.node(file.as_path()) {
            return Ok(None);
        }
        let text = self.trusted_text(&file, PROJECTS_MAX).map_err(|why| {
            Refusal::one(
                Diagnostic::new("projects-file", format!("the list of projects cannot be used: {why}"))
                    .hint("mend it, or name the profile: `--profile default`"),
            )
        })?;
        let document = TomlText::new("projects-file", "user", &self.tilde(&file), &text);
        texts.push(document.source());
        let entries = projects(&document).map_err(|error| refused(error, texts))?;
        let mut found: Option<(usize, String, Site)> = None;
        for (path, site, profile, profile_site) in entries {
            let path = self
                .path_of_entry(&path)
                .map_err(|error| refused(error.at(site, ""), texts))?;
            let deeper = found.as_ref().is_none_or(|(depth, ..)| path.depth() > *depth);
            if self.project.within(&path) && deeper {
                found = Some((path.depth(), profile, profile_site));
            }
        }
        Ok(found.map(|(_, profile, site)| (profile.into(), site)))
    }

    /// The canonical path of a key of `projects.toml`. A directory that does not exist any more matches nothing.
    fn path_of_entry(&self, path: &str) -> Result<HostPath, Diagnostic> {
        let error = |why: &str| {
            Diagnostic::new(
                "projects-file",
                format!("the project `{}` {why}", printable(OsStr::new(path))),
            )
            .hint("write an absolute path, or one that starts with `~/`")
        };
        let full = match Path::new(path).strip_prefix("~") {
            Ok(rest) => self.home.as_path().join(rest),
            Err(_) => path.into(),
        };
        let full = HostPath::new(full).map_err(|why| error(why.0))?;
        let resolved = self.tree.resolve(&full);
        resolved
            .map(|resolved| resolved.path)
            .map_err(|why| error(&format!("cannot be used: {why}")))
    }

    /// A profile's name that can be a file's.
    fn profile_name(&self, name: &OsStr) -> Result<String, Diagnostic> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match name.to_str() {
            Some(text)
                if !text.is_empty() && text.len() <= NAME_MAX && !text.starts_with('-') && text.chars().all(plain) =>
            {
                Ok(text.to_string())
            }
            _ => Err(Diagnostic::new(
                "policy-profile",
                format!("`{}` is no name of a profile", printable(name)),
            )
            .hint(format!(
                "a name has ASCII letters, digits, `-` and `_`; there are {}",
                self.profiles()
            ))),
        }
    }

    /// The layer of a profile; `None` for the default one. A profile of the user's own goes before a bundled one of the
    /// same name: a later claudebox that brings a profile of that name must not change what the user's word means.
    fn profile(&self, name: &str) -> Result<Option<Source>, Diagnostic> {
        let internal = |why: Malformed| Diagnostic::new("internal", format!("`{name}` {why}"));
        let file = self
            .places
            .config
            .join(format!("profiles/{name}.rhai"))
            .map_err(internal)?;
        let own = !matches!(self.tree.node(file.as_path()), Ok(None));
        if name == DEFAULT {
            return if own {
                Err(Diagnostic::new(
                    "policy-profile",
                    format!(
                        "`default` stands for no profile, and `{}` would change that",
                        self.tilde(&file)
                    ),
                )
                .hint("put what always holds into `policy.rhai`, or give the profile another name"))
            } else {
                Ok(None)
            };
        }
        if own {
            let text = self.trusted_text(&file, SOURCE_MAX).map_err(|why| {
                Diagnostic::new("policy-file", format!("the profile cannot be used: {why}"))
                    .hint("mend it, or choose another profile")
            })?;
            return Ok(Some(Source {
                layer: "profile".into(),
                file: self.tilde(&file).into(),
                text: text.into(),
            }));
        }
        match PROFILES.iter().find(|(bundled, _)| *bundled == name) {
            Some((_, text)) => Ok(Some(Source {
                layer: "profile".into(),
                file: format!("policy/profiles/{name}.rhai").into(),
                text: (*text).into(),
            })),
            None => Err(
                Diagnostic::new("policy-profile", format!("there is no profile `{name}`"))
                    .hint(format!("there are {}", self.profiles())),
            ),
        }
    }

    /// All profiles by name, for messages.
    fn profiles(&self) -> String {
        let mut names: Vec<String> = PROFILES.iter().map(|(name, _)| (*name).to_string()).collect();
        names.push(DEFAULT.into());
        let own = self
            .tree
            .list(&self.places.config.as_path().join("profiles"))
            .unwrap_or_default();
        names.extend(
            own.iter()
                .filter_map(|name| Some(name.to_str()?.strip_suffix(".rhai")?.to_string())),
        );
        names.sort();
        names.dedup();
        let names: Vec<String> = names
            .iter()
            .map(|name| format!("`{}`", printable(OsStr::new(name))))
            .collect();
        names.join(", ")
    }

    /// A path as the command line gives it: relative to the working directory, `~/` for the home. The working directory is
    /// canonical, so a `..` at the start of the path can be taken back; one further on could cross a link, and is refused.
    ///
    /// # Errors
    /// The path contains `..` or NUL where that is not allowed.
    pub fn path_of_line(&self, path: &Path) -> Result<HostPath, Malformed> {
        if let Ok(rest) = path.strip_prefix("~") {
            return HostPath::new(self.home.as_path().join(rest));
        }
        let mut base = self.directory.clone();
        let mut rest = path.components();
        let mut after = rest.clone();
        while let Some(Component::ParentDir | Component::CurDir) = after.next() {
            if rest.next() == Some(Component::ParentDir) {
                base = base.parent().unwrap_or_else(HostPath::root);
            }
        }
        HostPath::new(base.as_path().join(rest.as_path()))
    }

    /// The text of a file that decides about sandboxes.
    ///
    /// INVARIANT(own-controls): neither the agent nor another user could have written it, nor a link on the way to it.
    fn trusted_text(&self, path: &HostPath, limit: u64) -> Result<String, String> {
        let resolved = self.tree.resolve(path).map_err(|error| error.to_string())?;
        let mut reachable = vec![(self.project.clone(), "in the project")];
        reachable.extend(
            self.outside_git_dirs()
                .into_iter()
                .map(|path| (path, "in the project's git directory")),
        );
        reachable.push((self.places.state.clone(), "in the state of the sandboxes"));
        for way in resolved.through.iter().chain([&resolved.path]) {
            if let Some((_, place)) = reachable.iter().find(|(place, _)| way.within(place)) {
                return Err(format!("`{way}` lies {place}, where the agent can write"));
            }
            self.trusted_directories(way)?;
        }
        if let Some(node) = &resolved.node
            && ((node.uid != self.uid && node.uid != 0) || node.mode & 0o022 != 0)
        {
            return Err(format!(
                "`{}` can be written by other users (owner {}, mode {:04o})",
                resolved.path, node.uid, node.mode
            ));
        }
        let bytes = self
            .tree
            .read(resolved.path.as_path(), limit)
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let line = 1 + error
                .as_bytes()
                .iter()
                .take(good)
                .filter(|byte| **byte == b'\n')
                .count();
            format!("`{path}` is not UTF-8 text (line {line})")
        })?;
        Ok(text
            .strip_prefix('\u{feff}')
            .map_or_else(|| text.clone(), str::to_string))
    }

    /// In a directory that everybody may write to, and that is not sticky, anyone could put another file in its place.
    fn trusted_directories(&self, path: &HostPath) -> Result<(), String> {
        for directory in path.ancestors().skip(1) {
            if let Ok(Some(node)) = self.tree.node(directory.as_path())
                && node.mode & 0o1002 == 0o0002
            {
                return Err(format!(
                    "`{directory}`, above it, can be written by other users (mode {:04o})",
                    node.mode
                ));
            }
        }
        Ok(())
    }
}

fn refused(error: Diagnostic, texts: &[(Arc<str>, Arc<str>)]) -> Refusal {
    Refusal {
        sources: texts.iter().cloned().collect(),
        ..Refusal::one(error)
    }
}

/// The entries of `projects.toml`: the project's path and the profile, each with its place.
fn projects(document: &TomlText) -> Result<Vec<(String, Site, String, Site)>, Diagnostic> {
    let table = document.parse()?;
    let mut entries = Vec::new();
    for (path, value) in table.get_ref() {
        let entry = document.table(value, "a project is a table with the key `profile`")?;
        let mut profile = None;
        for (key, value) in entry {
            match key.get_ref().as_ref() {
                "profile" => profile = Some((document.text(value, "`profile`")?, document.site(value.span()))),
                other => return Err(document.unknown_key(other, key.span(), &["profile"])),
            }
        }
        let Some((profile, place)) = profile else {
            let error = Diagnostic::new("projects-file", "a project without `profile` says nothing");
            return Err(error
                .at(document.site(path.span()), "")
                .hint("write `profile = \"NAME\"`"));
        };
        entries.push((path.get_ref().to_string(), document.site(path.span()), profile, place));
    }
    Ok(entries)
}
