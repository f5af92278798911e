//! A user namespace and a network namespace of our own (user_namespaces(7), network_namespaces(7)).

use std::io;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// What did not work, as the end of "cannot ...".
#[derive(Debug)]
pub struct Failed {
    /// The step.
    pub step: &'static str,
    /// The kernel's answer.
    pub error: io::Error,
}

/// Moves this process into a new user namespace and a new, empty network namespace that belongs to it. Inside, the caller is
/// user and group 0, and nobody else exists: slirp4netns wants to be 0 there, and bubblewrap gives the ids back.
///
/// INVARIANT(network): the network namespace belongs to a user namespace that is an ancestor of the one bubblewrap makes, so no
/// capability inside counts for it: its rules cannot be changed from there.
///
/// # Errors
/// The step and the kernel's answer. The process may then be in the new namespaces, and must end.
pub fn enter(uid: u32, gid: u32) -> Result<(), Failed> {
    // SAFETY: what makes the call unsafe is a table of descriptors that threads no longer share; that flag is not given.
    let moved = unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNET) };
    moved.map_err(|error| Failed {
        step: "make a user namespace and a network namespace",
        error: error.into(),
    })?;
    let write = |file: &str, content: &str| {
        std::fs::write(file, content).map_err(|error| Failed {
            step: "map the caller's ids into the user namespace",
            error,
        })
    };
    // The kernel wants this before it takes a group from a caller who is not root.
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {uid} 1"))?;
    write("/proc/self/gid_map", &format!("0 {gid} 1"))
}
