//! What the launcher tells Claude Code about this very sandbox, in files that the finished sandbox shows and nothing inside can change.

use crate::awareness;
use crate::path::SandboxPath;
use crate::trace::Effect;

use super::plan::{Mount, What};
use super::{Checker, credentials, network};

impl Checker<'_> {
    /// What is true of this launch, for Claude Code to read and not to change.
    pub(super) fn tell_claude(&mut self, network: &network::Chosen, keeping: &credentials::Keeping) {
        if let Ok(at) = SandboxPath::new(awareness::PLACE) {
            let sandbox = awareness::Sandbox {
                host: self.host,
                mounts: &self.mounts,
                network: network.kind,
                internet: network.internet.as_ref(),
                names: network.names.as_deref(),
                brokered: keeping.outside(),
            };
            let text = awareness::text(&sandbox, self.trace);
            self.told(at, text, "what is true of this launch");
        }
        if let Ok(at) = SandboxPath::new(awareness::SETTINGS_PLACE) {
            let text = awareness::SETTINGS.as_bytes().to_vec();
            self.told(
                at,
                text,
                "no warning before each start: the sandbox is the permission layer",
            );
        }
    }

    /// A file that the launcher lays into the finished sandbox.
    fn told(&mut self, at: SandboxPath, content: Vec<u8>, reason: &str) {
        let decision = self.host_rule(Effect::Text, at.to_string(), reason, "awareness");
        let mount = Mount {
            at,
            what: What::Text(content),
            decision,
        };
        match self.mount_point_error(&self.mounts, &mount) {
            None => self.mounts.push(mount),
            Some(error) => self.refuse(error),
        }
    }
}
