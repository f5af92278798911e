//! `--dry-run`: the launch as a script that bash runs as it stands. Pure text; secrets are taken from the shell's own
//! variables, so they are not in it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::bwrap::{Invocation, Word};
use crate::host::Host;
use crate::host::git::Reservation;
use crate::host::nix::daemon::Guard;
use crate::host::program::SLIRP4NETNS;
use crate::invariants::plan::{Plan, Preparation, Reserved};
use crate::launch::nix::{GUARD, GUARD_ENVIRONMENT};
use crate::net::{INTERFACE, Internet, SLIRP_OPTIONS};

/// The whole script: what a launch makes on the host first, then the command.
#[must_use]
pub fn script(host: &Host, plan: &Plan, invocation: &Invocation) -> Vec<u8> {
    let mut out = Vec::new();
    for preparation in plan.preparations() {
        line(&mut out, preparation);
    }
    let reserved: Vec<&Reserved> = plan.reserved().iter().filter(|reserved| reserved.absent).collect();
    for reserved in &reserved {
        reserve(&mut out, reserved);
    }
    for link in plan.links() {
        let note = format!(
            "# a launch also keeps the link `{}` in its place; this script does not\n",
            link.at
        );
        out.extend_from_slice(note.as_bytes());
    }
    if let Some(guard) = plan.guard() {
        guard_lines(&mut out, guard);
    }
    let command = shell_command(host.bwrap_name(), invocation);
    match plan.internet() {
        Some(internet) => {
            let slirp = host.network.slirp.as_ref();
            let slirp = slirp.map_or(OsStr::new(SLIRP4NETNS.name), |slirp| slirp.as_os_str());
            attached(&mut out, slirp, internet, &command);
        }
        None => out.extend_from_slice(&command),
    }
    if !reserved.is_empty() {
        release(&mut out, &reserved);
    }
    out
}

/// The guard before the Nix daemon, which a launch ends with itself; here it is the reader's to end.
fn guard_lines(out: &mut Vec<u8>, guard: &Guard) {
    out.extend_from_slice(b"mkdir -p -m 0700 ");
    quote(out, guard.directory.as_os_str());
    out.extend_from_slice(b"\n(cd /; exec env -i");
    for (name, value) in GUARD_ENVIRONMENT {
        out.push(b' ');
        quote(out, OsStr::new(&format!("{name}={value}")));
    }
    out.extend_from_slice(b" NIX_DAEMON_SOCKET_PATH=");
    quote(out, guard.directory.as_os_str());
    out.extend_from_slice(b"/socket ");
    quote(out, guard.program.as_os_str());
    for word in GUARD {
        out.push(b' ');
        quote(out, OsStr::new(word));
    }
    out.extend_from_slice(b" </dev/null >/dev/null 2>&1) & # end it with: kill %%\n");
}

/// The descriptor by which the script tells slirp4netns to attach, and whose end is slirp4netns's end.
const LIFELINE: usize = 8;
/// The descriptor by which slirp4netns says that it is attached.
const READY: usize = 9;

/// The network `internet` with the tools of a distribution (util-linux, iproute2, nftables), in the order of a launch: the
/// process that becomes bubblewrap enters a namespace of its own, puts the rules in place, and lets slirp4netns attach.
fn attached(out: &mut Vec<u8>, slirp: &OsStr, internet: &Internet, command: &[u8]) {
    for port in &internet.host_ports {
        let note = format!(
            "# a launch also shows this host's port {} inside; this script does not\n",
            port.number
        );
        out.extend_from_slice(note.as_bytes());
    }
    for port in &internet.published {
        let note = format!(
            "# a launch also publishes the sandbox's port {} here; this script does not\n",
            port.number
        );
        out.extend_from_slice(note.as_bytes());
    }
    let start = format!(
        "( # in its own network: the rules first, then the way out\nexec {READY}<> <(:)\nexec {LIFELINE}> >(read -r pid && exec "
    );
    out.extend_from_slice(start.as_bytes());
    quote(out, slirp);
    let rest = format!(
        " {} --ready-fd={READY} --exit-fd=0 \"$pid\" {INTERFACE} {LIFELINE}>&- >/dev/null)\n\
         exec unshare --user --map-root-user --net bash /dev/fd/7 7<<'END-OF-NETWORK'\n\
         ip link set lo up || exit\n\
         nft -f /dev/fd/6 6<<'END-OF-RULES' || exit\n\
         {}END-OF-RULES\n\
         echo $$ >&{LIFELINE}; read -r -n 1 ready <&{READY} && exec 7<&- {READY}>&- || exit\n\
         exec ",
        SLIRP_OPTIONS.join(" "),
        internet.rules.nft()
    );
    out.extend_from_slice(rest.as_bytes());
    out.extend_from_slice(command);
    out.extend_from_slice(b"END-OF-NETWORK\n)\n");
}

/// What the companion of a launch makes for the time of the session.
fn reserve(out: &mut Vec<u8>, reserved: &Reserved) {
    match reserved.content {
        Reservation::EmptyDirectory => {
            out.extend_from_slice(b"mkdir ");
            quote(out, reserved.path.as_os_str());
        }
        Reservation::EmptyFile | Reservation::Content(_) => {
            out.extend_from_slice(b"printf '%b' ");
            quote_escaped(out, reserved.content.bytes());
            out.extend_from_slice(b" > ");
            quote(out, reserved.path.as_os_str());
        }
    }
    out.push(b'\n');
}

/// What the companion removes at the end. The exit code stays the sandbox's.
fn release(out: &mut Vec<u8>, reserved: &[&Reserved]) {
    out.extend_from_slice(b"code=$?\n");
    for reserved in reserved.iter().rev() {
        let directory = reserved.content == Reservation::EmptyDirectory;
        out.extend_from_slice(if directory { b"rmdir ".as_slice() } else { b"rm -f " });
        quote(out, reserved.path.as_os_str());
        out.push(b'\n');
    }
    out.extend_from_slice(b"(exit \"$code\")\n");
}

/// What the launcher makes by itself, said in shell.
fn line(out: &mut Vec<u8>, preparation: &Preparation) {
    match preparation {
        // Nothing is made; the directory is only looked at once more.
        Preparation::Existing(_) => return,
        Preparation::Directory(path) => {
            out.extend_from_slice(b"mkdir -m 0700 ");
            quote(out, path.as_os_str());
        }
        Preparation::Lock(path) => {
            out.extend_from_slice(b"(umask 077; : >> ");
            quote(out, path.as_os_str());
            out.push(b')');
        }
        Preparation::Replace { path, says, .. } => {
            out.extend_from_slice(b"# a launch also replaces ");
            quote(out, path.as_os_str());
            out.extend_from_slice(format!(": {says}").as_bytes());
        }
        Preparation::File { secret: true, path, .. } => {
            out.extend_from_slice(b"# a launch also writes ");
            quote(out, path.as_os_str());
            out.extend_from_slice(b", with a part of the API key");
        }
        Preparation::File { path, content, .. } => {
            out.extend_from_slice(b"(umask 077; printf '%b' ");
            quote_escaped(out, content);
            out.extend_from_slice(b" > ");
            quote(out, path.as_os_str());
            out.push(b')');
        }
        Preparation::Move { from, to, replace } => {
            out.extend_from_slice(b"chmod 0600 ");
            quote(out, from.as_os_str());
            out.extend_from_slice(if *replace { b" && mv " } else { b" && mv -n " });
            quote(out, from.as_os_str());
            out.push(b' ');
            quote(out, to.as_os_str());
        }
    }
    out.push(b'\n');
}

/// The command line for a person: one that bash runs as it stands, in which secrets are taken from the shell's own variables.
fn shell_command(bwrap: &OsStr, invocation: &Invocation) -> Vec<u8> {
    // Descriptors from 10 on: bash uses those below 10 for itself less, and every shell user's own are below.
    let first = 10;
    let arguments = first + invocation.files.len();
    let mut out = b"env -i ".to_vec();
    quote(&mut out, bwrap);
    out.extend_from_slice(format!(" --args {arguments} --").as_bytes());
    for word in &invocation.command {
        out.push(b' ');
        quote(&mut out, word);
    }
    out.extend_from_slice(format!(" \\\n  {arguments}< <(printf '%s\\0'").as_bytes());
    for word in &invocation.options {
        match word {
            Word::Plain(word) if word.as_bytes().starts_with(b"--") => {
                out.extend_from_slice(b" \\\n    ");
                quote(&mut out, word);
            }
            Word::Plain(word) => {
                out.push(b' ');
                quote(&mut out, word);
            }
            Word::Secret { name, .. } => {
                out.extend_from_slice(b" \"$");
                out.extend_from_slice(name.as_os_str().as_bytes());
                out.push(b'"');
            }
            Word::File(index) => out.extend_from_slice(format!(" {}", first + index).as_bytes()),
            Word::Lifeline => out.extend_from_slice(format!(" {LIFELINE}").as_bytes()),
        }
    }
    out.push(b')');
    for (index, content) in invocation.files.iter().enumerate() {
        out.extend_from_slice(format!(" \\\n  {}< <(printf '%b' ", first + index).as_bytes());
        quote_escaped(&mut out, content);
        out.push(b')');
    }
    out.push(b'\n');
    out
}

/// Quotes a word for the shell, byte for byte. Plain words stay as they are.
fn quote(out: &mut Vec<u8>, word: &OsStr) {
    let bytes = word.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:,+@%^=".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        out.extend_from_slice(bytes);
    } else if bytes.iter().all(|byte| !byte.is_ascii_control() && byte.is_ascii()) {
        out.push(b'\'');
        for byte in bytes {
            if *byte == b'\'' {
                out.extend_from_slice(b"'\\''");
            } else {
                out.push(*byte);
            }
        }
        out.push(b'\'');
    } else {
        // Control characters and bytes above ASCII: as escapes, so that the terminal shows them and does not obey them.
        out.extend_from_slice(b"$'");
        for byte in bytes {
            match byte {
                b'\'' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
                0x20..=0x7e => out.push(*byte),
                _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            }
        }
        out.push(b'\'');
    }
}

/// The content of a file for `printf %b`: line breaks stay readable as `\n`.
fn quote_escaped(out: &mut Vec<u8>, content: &[u8]) {
    out.push(b'\'');
    for byte in content {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\'' => out.extend_from_slice(b"\\047"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x20..=0x7e => out.push(*byte),
            _ => out.extend_from_slice(format!("\\0{byte:03o}").as_bytes()),
        }
    }
    out.push(b'\'');
}
