//! What was refused, one line of JSON each, for the user's eyes after the session. It is bounded, and the same is told once.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use claudebox::net::broker::denial::{Denial, Way};

/// The most lines that one session writes: what is inside cannot fill the disk.
const LINES_MAX: usize = 1000;

/// The longest text of a refused request that is repeated, in bytes.
const SUBJECT_MAX: usize = 200;

/// The log of one session.
#[derive(Debug)]
pub struct Denied(Mutex<Log>);

#[derive(Debug)]
struct Log {
    file: Option<File>,
    told: HashSet<(Way, String, String)>,
}

impl Denied {
    /// Opens the file for appending.
    ///
    /// # Errors
    /// It is not a file of its own: a link could lead the lines, which are partly written by what is inside, anywhere.
    pub fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let file = path.map(|path| {
            let failed = || format!("cannot write refusals to `{}`", path.display());
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(path)
                .with_context(failed)?;
            let metadata = file.metadata().with_context(failed)?;
            ensure!(
                metadata.is_file() && metadata.nlink() == 1,
                "the file for refusals, `{}`, is not a file of its own",
                path.display()
            );
            anyhow::Ok(file)
        });
        let log = Log {
            file: file.transpose()?,
            told: HashSet::new(),
        };
        Ok(Self(Mutex::new(log)))
    }

    /// Tells of one refusal, if it is new.
    pub fn tell(&self, via: Way, subject: &str, why: &str) {
        let subject: String = subject
            .char_indices()
            .take_while(|(at, _)| *at < SUBJECT_MAX)
            .map(|(_, c)| c)
            .collect();
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.told.len() >= LINES_MAX || !log.told.insert((via, subject.clone(), why.to_string())) {
            return;
        }
        let Some(file) = &mut log.file else { return };
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let denial = Denial {
            time: time.as_secs(),
            via,
            denied: subject,
            why: why.to_string(),
        };
        if let Ok(mut line) = serde_json::to_vec(&denial) {
            line.push(b'\n');
            // A full disk costs a line, not the session.
            let _ = file.write_all(&line);
        }
    }
}
