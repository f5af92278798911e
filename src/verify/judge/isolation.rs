//! What separates the sandbox in the kernel: namespaces, capabilities, the user, the filter before keyrings and terminals.

use rustix::io::Errno;

use super::{Evidence, Judged};
use crate::verify::message::{Attempt, Try};
use crate::verify::namespace;

/// The sets of capabilities in /proc/self/status.
const CAPABILITIES: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

impl Evidence<'_> {
    /// Says so where the sandbox has a namespace in common with the host.
    pub(super) fn shared(&self, name: &str) -> Option<String> {
        let outside = namespace("self", name);
        let inside = self.answers.namespaces.iter().find(|(other, _)| other == name);
        match (outside, inside) {
            (Some(outside), Some((_, inside))) if outside != *inside => None,
            (Some(_), Some(_)) => Some(format!("the {name} namespace is this host's own")),
            _ => Some(format!("the {name} namespace cannot be compared")),
        }
    }

    /// The kernel's keyrings are shut, and the caller's would not be there.
    pub(super) fn keyring(&self) -> Judged {
        let tries = &self.answers.keyring;
        if tries.iter().all(|attempt| attempt.result == refused(Errno::NOSYS)) && self.planted.key.is_err() {
            return Judged::untested("this kernel has no keyrings");
        }
        let open = tries.iter().filter(|attempt| attempt.result != refused(Errno::PERM));
        let leaks: Vec<String> = open
            .map(|attempt| answered("the keyring can be used", attempt))
            .collect();
        let holds = match &self.planted.key {
            Ok(()) => "every call is refused, also that for the canary in the caller's keyring",
            Err(_) => "every call is refused; no canary could be planted in a keyring here",
        };
        Judged::of(leaks, holds)
    }

    /// Nothing can be typed into the terminal for the user.
    pub(super) fn terminal(&self) -> Judged {
        let shut = |attempt: &&Attempt| {
            let missing = attempt.what.contains("x32") && attempt.result == refused(Errno::NOSYS);
            attempt.result == refused(Errno::PERM) || missing
        };
        let open = self.answers.terminal.iter().filter(|attempt| !shut(attempt));
        let leaks: Vec<String> = open
            .map(|attempt| answered("input can be put into the terminal", attempt))
            .collect();
        Judged::of(
            leaks,
            "TIOCSTI and TIOCLINUX are refused before the kernel looks at the terminal, also with high bits set",
        )
    }

    /// Shared memory, semaphores and queues of the host are elsewhere.
    pub(super) fn memory(&self) -> Judged {
        let mut leaks: Vec<String> = self.shared("ipc").into_iter().collect();
        if self.answers.memory.result == Try::Done {
            leaks.push("the canary in the host's shared memory can be read".into());
        }
        let holds = match self.planted.memory {
            Some(_) => "a namespace of its own; the canary in the host's shared memory is not there",
            None => "a namespace of its own; no canary could be planted here",
        };
        Judged::of(leaks, holds)
    }

    /// No capability, and none to be had.
    pub(super) fn capabilities(&self) -> Judged {
        let mut leaks: Vec<String> = Vec::new();
        for set in CAPABILITIES {
            match self.status(set) {
                Some(value) if value.bytes().all(|byte| byte == b'0') => {}
                Some(value) => leaks.push(format!("{set} is {value}")),
                None => leaks.push(format!("{set} is not known")),
            }
        }
        for (field, wanted, what) in [
            ("NoNewPrivs", "1", "programs can gain privileges (NoNewPrivs)"),
            ("Seccomp", "2", "no filter is in place (Seccomp)"),
        ] {
            if self.status(field) != Some(wanted) {
                leaks.push(what.into());
            }
        }
        Judged::of(leaks, "none, and no program can gain one")
    }

    /// Nobody inside is root, and nobody else exists.
    pub(super) fn user(&self) -> Judged {
        let mut leaks: Vec<String> = ["user", "uts", "cgroup", "mnt"]
            .into_iter()
            .filter_map(|name| self.shared(name))
            .collect();
        let (uid, gid) = self.case.plan.ids();
        for (field, id, wanted) in [("Uid", "user", uid), ("Gid", "group", gid)] {
            let ids: Vec<&str> = self.status(field).unwrap_or_default().split_whitespace().collect();
            if ids.is_empty() || ids.iter().any(|id| *id != wanted.to_string()) {
                leaks.push(format!(
                    "the {id} inside is `{}`, and should be {wanted}",
                    ids.join(" ")
                ));
            }
        }
        if uid == 0 {
            leaks.push("the user inside is root".into());
        }
        let map: Vec<&str> = self.answers.uid_map.split_whitespace().collect();
        if map.first().copied() != Some(uid.to_string().as_str()) || map.get(2..) != Some(&["1"]) {
            leaks.push(format!("more than one user exists inside: `{}`", map.join(" ")));
        }
        Judged::of(
            leaks,
            format!("{uid}:{gid}, in namespaces of its own where nobody else exists"),
        )
    }

    /// A field of /proc/self/status.
    fn status(&self, field: &str) -> Option<&str> {
        let mut lines = self.answers.status.lines();
        let value = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        Some(value.trim())
    }
}

fn refused(error: Errno) -> Try {
    Try::Refused(error.raw_os_error())
}

fn answered(what: &str, attempt: &Attempt) -> String {
    let answer = match attempt.result {
        Try::Done => "it works".to_string(),
        Try::Refused(error) => {
            let error = std::io::Error::from_raw_os_error(error);
            format!("the kernel answers: {}", crate::host::tree::plain(&error))
        }
        Try::Silence => "nobody answers".to_string(),
    };
    format!("{what} ({}): {answer}", attempt.what)
}
