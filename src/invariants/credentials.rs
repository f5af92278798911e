//! `brokered-credential`: with the broker nothing of Claude Code's real credential is inside. This is where it is decided who
//! holds it, and what is inside in its place.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::diagnostic::Diagnostic;
use crate::draft::{Keeper, Network, Verdict};
use crate::net::broker::wire::Credential;
use crate::net::broker::{ACCESS, API, KEY, stand_in};
use crate::path::EnvName;
use crate::request::{Program, Request};
use crate::state::{LOGIN_MAX, Login, login_file};
use crate::trace::{DecisionId, Effect};

use super::plan::{Credentials, Mount, Secrets, Variable, What};
use super::{Checker, Fate};

use indexmap::IndexMap;

/// The invariant.
pub(super) const CODE: &str = "brokered-credential";

/// Variables that hold a credential of Claude Code's, in the order in which it looks at them, and what each stands for inside.
const VARIABLES: [(&str, &str); 3] = [
    ("ANTHROPIC_AUTH_TOKEN", ACCESS),
    ("ANTHROPIC_API_KEY", KEY),
    ("CLAUDE_CODE_OAUTH_TOKEN", ACCESS),
];

/// Variables by which Claude Code talks to another service than its own.
const OTHER_SERVICES: [(&str, &str); 3] = [
    ("CLAUDE_CODE_USE_BEDROCK", "Amazon Bedrock"),
    ("CLAUDE_CODE_USE_VERTEX", "Google Vertex"),
    ("CLAUDE_CODE_USE_FOUNDRY", "Microsoft Foundry"),
];

/// Variables by which it goes through a proxy.
pub(super) const PROXIES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Where the shared login lies, below the state's directory: also one that a launch moves there first.
const LOGIN: &str = "auth/.credentials.json";

/// Who holds the credential, and what is inside in its place.
#[derive(Debug)]
pub(super) struct Keeping {
    pub credentials: Credentials,
    /// The variable that stands for it, and its value.
    pub variable: Option<(&'static str, &'static str)>,
    /// How the login's file is there.
    pub login: Login,
}

impl Keeping {
    /// Whether the credential stays outside.
    pub fn outside(&self) -> bool {
        self.credentials.keeper == Keeper::Broker
    }
}

impl Checker<'_> {
    /// Decides who holds the credential: the last of those that the policy names that can.
    pub(super) fn credentials(&mut self, request: &Request) -> Keeping {
        let login = request.program == Program::Login;
        let (keeper, decision) = self.keeper(login);
        let mut keeping = Keeping {
            credentials: Credentials {
                keeper,
                decision,
                origin: None,
                held: None,
                secrets: Secrets::default(),
            },
            variable: None,
            login: Login::Inside,
        };
        if login {
            keeping.login = Login::New;
            if let Ok(file) = self.host.places.state.join(LOGIN) {
                keeping.credentials.origin = Some(self.host.tilde(&file));
                keeping.credentials.held = Some(Credential::Oauth(file.as_path().to_path_buf()));
            }
        } else if keeper == Keeper::Broker {
            self.held(&mut keeping);
        } else {
            let variable = VARIABLES.into_iter().find(|(name, _)| self.enters(name).is_some());
            let file = || login_file(self.host).map(|file| self.host.tilde(&file));
            keeping.credentials.origin = variable.map(|(name, _)| format!("`{name}`")).or_else(file);
        }
        keeping
    }

    fn keeper(&mut self, login: bool) -> (Keeper, DecisionId) {
        let obstacle = self.obstacle(login);
        let mut chosen: Option<(Keeper, DecisionId)> = None;
        let mut refused = None;
        for (keeper, decision) in std::mem::take(&mut self.draft.credentials).into_iter().rev() {
            match (&chosen, &obstacle) {
                (Some((_, later)), _) => {
                    self.fates.insert(decision, Fate::Overridden(*later));
                }
                (None, Some(why)) if keeper == Keeper::Broker => {
                    self.fates.insert(decision, Fate::Idle(why.clone()));
                    refused.get_or_insert((decision, why.clone()));
                }
                // A session to log in has no other way.
                (None, _) if login && keeper == Keeper::Sandbox => {
                    self.fates
                        .insert(decision, Fate::Idle("a login is always made through the broker".into()));
                }
                (None, _) => chosen = Some((keeper, decision)),
            }
        }
        if let Some(chosen) = chosen {
            return chosen;
        }
        if let Some((decision, why)) = refused {
            let error = Diagnostic::new(CODE, format!("the broker cannot hold Claude Code's login: {why}"));
            let hint = if login {
                "without the broker, log in inside: type /login there"
            } else {
                "a policy that says `credential::pass(why)` first falls back to it"
            };
            self.violation(error.hint(hint), decision);
            return (Keeper::Broker, decision);
        }
        // INVARIANT(brokered-credential): without a decision it stays outside.
        let reason = "no policy decided who holds Claude Code's login, so it stays outside";
        (
            Keeper::Broker,
            self.host_rule(Effect::Credential, Keeper::Broker.word(), reason, CODE),
        )
    }

    /// Why the broker cannot hold it; completes a sentence.
    fn obstacle(&self, login: bool) -> Option<String> {
        let network = self.draft.network.map_or(Network::None, |(network, _)| network);
        match network {
            // Nothing can be reached, so nobody has to be asked.
            Network::None if !login => return None,
            Network::None => return Some("there is no network to log in by".into()),
            Network::Host => {
                return Some("the network is this host's own, and nothing stands between it and the sandbox".into());
            }
            Network::Internet | Network::Allowlist => {}
        }
        if let Some((name, service)) = OTHER_SERVICES.into_iter().find(|(name, _)| self.enters(name).is_some()) {
            return Some(format!(
                "by `{name}` Claude Code talks to {service}, for which the broker does not speak"
            ));
        }
        if let Some(url) = self.enters("ANTHROPIC_BASE_URL").filter(|url| !is_own_service(url)) {
            let shown = crate::path::printable(&url);
            return Some(format!(
                "by `ANTHROPIC_BASE_URL` Claude Code talks to `{shown}`, for which the broker does not speak"
            ));
        }
        if network == Network::Internet
            && let Some(name) = PROXIES.into_iter().find(|name| self.enters(name).is_some())
        {
            return Some(format!(
                "by `{name}` Claude Code goes through a proxy, and past the broker"
            ));
        }
        self.host.broker.as_ref().err().map(|missing| missing.message.clone())
    }

    /// The value with which a variable enters, by what the policy asked for: set, or the host's own. Empty ones count as none.
    fn enters(&self, name: &str) -> Option<OsString> {
        let name = EnvName::new(name).ok()?;
        let set = self.draft.settings.iter().rev().find(|setting| setting.name == name);
        let value = match set {
            Some(setting) => Some(&setting.value),
            None => match self.draft.variables.get(&name) {
                Some((Verdict::Pass | Verdict::PassSecret, _)) => self.host.variables.get(&name),
                _ => None,
            },
        };
        value.filter(|value| !value.is_empty()).cloned()
    }

    /// The credential itself. The broker holds one: the one that Claude Code would use.
    fn held(&mut self, keeping: &mut Keeping) {
        let file = login_file(self.host);
        let real = file
            .as_ref()
            .and_then(|file| self.host.tree.read(file.as_path(), LOGIN_MAX).ok());
        for token in real.as_deref().map(stand_in::tokens).unwrap_or_default() {
            keeping.credentials.secrets.add(token);
        }
        keeping.login = Login::Outside(None);
        for (name, stand_in) in VARIABLES {
            let Some(value) = self.enters(name) else { continue };
            let Some(value) = value.to_str().map(str::to_string) else {
                let error = Diagnostic::new(CODE, format!("the broker cannot hold `{name}`: it is not UTF-8"));
                return self.refuse(error.hint("look for what is wrong with its value"));
            };
            keeping.credentials.secrets.add(value.clone());
            if keeping.variable.is_none() {
                keeping.variable = Some((name, stand_in));
                let credential = if name == "ANTHROPIC_API_KEY" {
                    Credential::Key(value)
                } else {
                    Credential::Token(value)
                };
                keeping.credentials.held = Some(credential);
                keeping.credentials.origin = Some(format!("`{name}`"));
            }
        }
        if keeping.variable.is_none()
            && let (Some(file), Some(real)) = (file, real)
            && let Ok(place) = self.host.places.state.join(LOGIN)
        {
            keeping.login = Login::Outside(Some(stand_in::of(&real)));
            keeping.credentials.held = Some(Credential::Oauth(place.as_path().to_path_buf()));
            keeping.credentials.origin = Some(self.host.tilde(&file));
        }
    }

    /// Whether a variable is Claude Code's credential, which stays outside.
    pub(super) fn stays_outside(&self, keeping: &Keeping, name: &EnvName) -> bool {
        keeping.outside() && VARIABLES.iter().any(|(known, _)| name.as_os_str() == *known)
    }

    /// INVARIANT(brokered-credential): looked for in everything that enters with a content of its own, wherever it is from.
    pub(super) fn nothing_of_the_credential(&mut self, keeping: &Keeping, variables: &IndexMap<EnvName, Variable>) {
        if !keeping.outside() {
            return;
        }
        let holds = |content: &[u8]| keeping.credentials.secrets.are_in(content);
        let mut found: Vec<(String, DecisionId)> = Vec::new();
        for (name, variable) in variables {
            if holds(variable.value.as_bytes()) {
                found.push((format!("the variable `{name}`"), variable.decision));
            }
        }
        for Mount { at, what, decision } in &self.mounts {
            if let What::Text(content) | What::Certificates(content) = what
                && holds(content)
            {
                found.push((format!("the file `{at}`"), *decision));
            }
        }
        for (what, decision) in found {
            let error = Diagnostic::new(
                CODE,
                format!("{what} has Claude Code's own login in it, which the broker keeps outside"),
            );
            self.violation(error.hint("leave it out, or answer `credential::pass(why)`"), decision);
        }
    }
}

/// Whether a base URL is that of Claude Code's own service, to which the broker speaks.
fn is_own_service(url: &OsStr) -> bool {
    url.to_str()
        .and_then(|url| url.strip_prefix("https://"))
        .is_some_and(|rest| rest.trim_end_matches('/') == API)
}
