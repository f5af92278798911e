//! The time zone and the locales of the host.

use std::ffi::OsString;
use std::path::Path;

use indexmap::IndexMap;

use crate::path::{EnvName, HostPath};

use super::tree::{Kind, Tree};

/// The directory of the compiled locales, and the archive that holds them instead.
const LOCALES: &str = "/usr/lib/locale";
const ARCHIVE: &str = "/usr/lib/locale/locale-archive";

/// The time zone's name: of `TZ`, else of `/etc/localtime`, else of `/etc/timezone`, else `UTC`. Without a name a program
/// that starts looks through the whole database of zones.
#[must_use]
pub fn time_zone(tree: &Tree, variable: Option<&str>) -> String {
    if let Some(zone) = variable
        .map(|zone| zone.trim_start_matches(':'))
        .filter(|zone| is_zone(zone))
    {
        return zone.to_string();
    }
    let by_link = || {
        let resolved = tree.resolve(&HostPath::new("/etc/localtime").ok()?).ok()?;
        let (_, zone) = resolved.path.as_os_str().to_str()?.split_once("/zoneinfo/")?;
        Some(zone.to_string())
    };
    let by_name = || {
        let content = tree.read(Path::new("/etc/timezone"), 256).ok()?;
        Some(String::from_utf8(content).ok()?.trim().to_string())
    };
    by_link()
        .or_else(by_name)
        .filter(|zone| is_zone(zone))
        .unwrap_or_else(|| "UTC".into())
}

/// A name of the zone database or a POSIX rule; never a path.
fn is_zone(zone: &str) -> bool {
    !zone.is_empty()
        && zone.len() <= 64
        && !zone.starts_with('/')
        && !zone.contains("..")
        && zone
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/_+-:,.<>".contains(c))
}

/// Whether every locale that `LANG` and the `LC_*` variables name is there.
#[must_use]
pub fn works(tree: &Tree, variables: &IndexMap<EnvName, OsString>) -> bool {
    variables
        .iter()
        .filter(|(name, _)| {
            name.to_str()
                .is_some_and(|name| name == "LANG" || name.starts_with("LC_"))
        })
        .all(|(_, value)| value.to_str().is_some_and(|locale| is_installed(tree, locale)))
}

fn is_installed(tree: &Tree, locale: &str) -> bool {
    // glibc has these built in.
    if matches!(locale, "" | "C" | "POSIX" | "C.UTF-8" | "C.utf8") {
        return true;
    }
    if matches!(tree.node(Path::new(ARCHIVE)), Ok(Some(node)) if node.kind == Kind::File) {
        return true;
    }
    // The compiler writes the character set in lower case without a dash: en_US.UTF-8 is en_US.utf8.
    let (name, charset) = locale.split_once('.').unwrap_or((locale, ""));
    let compiled = format!("{name}.{}", charset.to_lowercase().replace('-', ""));
    let directory = |name: &str| matches!(tree.node(&Path::new(LOCALES).join(name)), Ok(Some(_)));
    is_zone(locale) && (directory(locale) || directory(&compiled))
}
