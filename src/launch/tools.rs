//! Builds the tools that a project asks for on a Nix host, before the launch. What was built is remembered by what was asked
//! for, so a second launch starts nothing.

use std::process::Stdio;

use crate::diagnostic::Diagnostic;
use crate::host::Host;
use crate::host::declared::built_file;
use crate::host::nix;
use crate::host::tree::{Tree, plain};
use crate::path::HostPath;
use crate::prepare;

/// Builds what is not built yet. True where something was.
///
/// # Errors
/// There is no Nix or no nixpkgs to build with, the build fails, or it cannot be remembered.
pub fn provide(host: &Host) -> Result<bool, Diagnostic> {
    let names = &host.declared.unbuilt;
    if names.is_empty() {
        return Ok(false);
    }
    let site = host.declared.declared.tools.first().map(|tool| tool.site.clone());
    let failed = |message: String, hint: &str| {
        let error = Diagnostic::new("project-tools", message).hint(hint);
        match &site {
            Some(site) => error.at(site.clone(), ""),
            None => error,
        }
    };
    let (Ok(nix), Some(nixpkgs)) = (nix::program(&host.tree), nix::nixpkgs()) else {
        return Err(failed(
            "this claudebox has no nixpkgs to build the project's tools from".into(),
            "install claudebox by its flake, which pins one; or take the tools out of the list",
        ));
    };
    let outputs = build(host, &nix, nixpkgs, names).map_err(|why| {
        failed(
            format!("the project's tools were not built: {why}"),
            "Nix says more above",
        )
    })?;
    let content = serde_json::Value::from(outputs).to_string();
    if let Some(path) = built_file(&host.places.state, names) {
        prepare::record(&path, content.as_bytes(), host.uid, &host.places.state)?;
    }
    Ok(true)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts a process on the host"
)]
fn build(host: &Host, nix: &HostPath, nixpkgs: &str, names: &[String]) -> Result<Vec<String>, String> {
    let words = [
        "--extra-experimental-features",
        "nix-command flakes",
        "build",
        "--no-link",
        "--print-out-paths",
    ];
    let output = std::process::Command::new(nix.as_path())
        .env_clear()
        .env("HOME", host.home.as_os_str())
        .env("USER", &host.user)
        .args(words)
        .args(names.iter().map(|name| format!("path:{nixpkgs}#{name}")))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| plain(&error))?;
    if !output.status.success() {
        return Err("the build failed".into());
    }
    let text = String::from_utf8(output.stdout).map_err(|_| "its answer is no text".to_string())?;
    let outputs: Vec<String> = text.lines().map(str::to_string).collect();
    // What is asked again after the build must be found then: else it would be built for ever. The host's own tree remembers what
    // was there before.
    let tree = Tree::real();
    let there = |path: &String| {
        let path = HostPath::new(path).ok().filter(|path| path.within_str("/nix/store"));
        path.is_some_and(|path| matches!(tree.node(path.as_path()), Ok(Some(_))))
    };
    if outputs.is_empty() || !outputs.iter().all(there) {
        return Err("Nix names no path of the store for them".into());
    }
    Ok(outputs)
}
