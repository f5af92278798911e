//! A bare pseudo-terminal whose whole session is one run of the program: what a terminal does to it, without a screen and without a
//! shell in between. [`super::terminal`] is what a person sees; this is quick enough to be started a thousand times.

use std::fs::File;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::test::{Running, Test};

/// How long something may take to be said. Nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(90);

/// A run on a terminal of its own. It is ended when dropped.
#[derive(Debug)]
pub struct Pty {
    running: Running,
    /// The terminal's own end, until it is closed.
    master: Option<File>,
    shown: String,
}

impl Pty {
    /// Starts the program as the leader of the terminal's session.
    pub fn start(test: &Test) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).expect("our own terminal");
        unlockpt(&master).expect("our own terminal");
        let name = ptsname(&master, Vec::new()).expect("our own terminal");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let other = open(name.as_c_str(), flags, Mode::empty()).expect("our own terminal");
        // A suite that was started with `nohup` hands on that the hangup is ignored; a person's shell does not.
        let running = test
            .clone()
            .before(&["env", "--default-signal=HUP", "setsid", "--ctty"])
            .spawn_on(&other);
        Self {
            running,
            master: Some(master.into()),
            shown: String::new(),
        }
    }

    /// The process that was started, by now whatever it became by exec.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Types.
    pub fn write(&mut self, text: &str) {
        let master = self.master.as_mut().expect("a terminal that is open");
        master.write_all(text.as_bytes()).expect("our own terminal");
    }

    /// Closes the terminal.
    pub fn close(&mut self) {
        self.master = None;
    }

    /// Everything that was shown and looked at so far.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Waits until a line is shown.
    #[track_caller]
    pub fn wait_for(&mut self, line: &str) {
        let start = Instant::now();
        while !self.shown.lines().any(|shown| shown.ends_with(line)) {
            assert!(start.elapsed() < PATIENCE, "`{line}` was never shown: {}", self.shown);
            let master = self.master.as_mut().expect("a terminal that is open");
            let timeout = Timespec {
                tv_sec: 0,
                tv_nsec: 100_000_000,
            };
            let mut polled = [PollFd::new(master, PollFlags::IN)];
            if poll(&mut polled, Some(&timeout)).expect("our own terminal") == 0 {
                continue;
            }
            let mut part = [0; 4096];
            let length = master.read(&mut part).unwrap_or(0);
            if length == 0 {
                let code = self.running.exit_code();
                panic!(
                    "`{line}` was never shown, and the session ended with {code}: {}",
                    self.shown
                );
            }
            self.shown.push_str(&String::from_utf8_lossy(&part[..length]));
        }
    }

    /// Waits for the program's end. The exit code is as a shell would show it.
    #[track_caller]
    pub fn exit_code(&mut self) -> i32 {
        self.running.exit_code()
    }
}
