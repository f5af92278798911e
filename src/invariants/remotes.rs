//! `secret-in-project`, where no mask can help: git needs its configuration, and a token in the URL of a remote is read by
//! whoever reads that file. It is told, in the audit and in explain.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::host::git::config::Entry;
use crate::leak;
use crate::path::printable;
use crate::trace::Effect;

use super::Checker;

/// What stands for a part of a name that is a secret itself.
const REDACTED: &str = "‹redacted›";

impl Checker<'_> {
    /// Notes every setting of the repository that holds a secret.
    pub(super) fn remote_secrets(&mut self) {
        let host = self.host;
        for (file, entries) in &host.git_settings {
            for entry in entries {
                if let Some((name, what)) = secret(entry) {
                    self.host_rule(
                        Effect::Note,
                        format!("`{name}` in {file}"),
                        &format!(
                            "it looks like {what}, which Claude Code can read: give git a credential helper instead"
                        ),
                        "secret-in-project",
                    );
                }
            }
        }
    }
}

/// The name of a setting that holds a secret, and what the secret looks like. Nothing of the secret is in either.
fn secret(entry: &Entry) -> Option<(String, &'static str)> {
    let value = entry.value.as_deref().unwrap_or_default();
    // `http.extraHeader`: actions that check out a repository put the login there.
    let header = entry.key == b"extraheader"
        && value
            .get(..14)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"authorization:"));
    let in_name = entry.subsection.as_deref().and_then(leak::suspect_text);
    let what = if header {
        Some("a login")
    } else {
        leak::suspect_text(value)
    };
    let subsection = match (&entry.subsection, in_name) {
        (None, _) => String::new(),
        (Some(_), Some(_)) => format!(".{REDACTED}"),
        (Some(subsection), None) => format!(".{}", printable(OsStr::from_bytes(subsection))),
    };
    let text = |bytes: &[u8]| printable(OsStr::from_bytes(bytes));
    let name = format!("{}{subsection}.{}", text(&entry.section), text(&entry.key));
    what.or(in_name).map(|what| (name, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::git::config;

    #[test]
    fn settings_with_secrets_are_named_without_them() {
        let token = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
        let text = format!(
            "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = https://u:{token}@github.com/a/b\n\
             [remote \"bare\"]\n\turl = https://{token}@github.com/a/b\n[remote \"safe\"]\n\turl = git@github.com:a/b\n\
             \turl = https://user@example.org/a/b\n[url \"https://x:{token}@github.com/\"]\n\tinsteadOf = gh:\n\
             [http \"https://github.com/\"]\n\textraheader = AUTHORIZATION: basic eDp4\n[user]\n\temail = a@example.org\n"
        );
        let found: Vec<String> = config::parse(text.as_bytes())
            .unwrap()
            .iter()
            .filter_map(secret)
            .map(|(name, what)| format!("{name}: {what}"))
            .collect();
        assert!(!found.join("\n").contains(&token));
        assert_eq!(
            found,
            [
                "remote.origin.url: a GitHub token",
                "remote.bare.url: a GitHub token",
                "url.‹redacted›.insteadof: a GitHub token",
                "http.https://github.com/.extraheader: a login"
            ]
        );
    }
}
