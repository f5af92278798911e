//! The file of a login on the host: read whole, replaced whole, by one process at a time.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use claudebox::sys::{Lock, lock_now};
use serde_json::{Map, Value, json};

/// The longest file that is read, in bytes.
const LENGTH_MAX: u64 = 1024 * 1024;

/// The room that is taken before a token is asked for, in bytes: no login needs as much.
const ROOM: usize = 64 * 1024;

/// How long to wait for another broker that refreshes the same login, and how often to look.
const LOCK_TRIES: u32 = 1200;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The part of the file that is Claude Code's own login; the other parts are left as they are.
const PART: &str = "claudeAiOauth";

/// The file.
#[derive(Clone, Debug)]
pub struct LoginFile {
    path: PathBuf,
}

/// What tells one state of the file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(u64, u64, i64, i64, u64);

/// What the broker needs of a login.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Goes with every request.
    pub access: String,
    /// Buys the next pair.
    pub refresh: String,
    /// When the access token ends, in milliseconds since 1970.
    pub expires: u64,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// As which client they were given out, where that is said.
    pub client: Option<String>,
    /// Further fields of the file.
    pub more: Map<String, Value>,
}

impl LoginFile {
    /// One at a path; it need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The state that it is in; `None` if it is not there.
    pub fn stamp(&self) -> Option<Stamp> {
        let metadata = self.path.symlink_metadata().ok()?;
        Some(Stamp(
            metadata.dev(),
            metadata.ino(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.size(),
        ))
    }

    /// Its content.
    fn document(&self) -> io::Result<Value> {
        let mut options = OpenOptions::new();
        // Where a link leads, what replaces the link would not.
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let mut text = Vec::new();
        match options.open(&self.path) {
            Ok(file) => file.take(LENGTH_MAX).read_to_end(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(json!({})),
            Err(error) => return Err(error),
        };
        // The parser's own words could quote a token.
        serde_json::from_slice(&text).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no JSON"))
    }

    /// Its tokens; `None` if nobody is logged in.
    pub fn tokens(&self) -> io::Result<Option<Tokens>> {
        Ok(Tokens::of(&self.document()?))
    }

    /// Waits until no other broker changes the file. It is free again when the value is dropped.
    pub async fn lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(self.beside(".lock"))?;
        for _ in 0..LOCK_TRIES {
            if lock_now(&file, Lock::Alone)? {
                return Ok(file);
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Makes room for the next state of the file. Whoever has a token and nowhere to put it has lost the login, so this comes
    /// before it is asked for.
    pub fn room(&self) -> io::Result<Room<'_>> {
        let path = self.beside(".new");
        // One that a killed broker left: whoever makes room holds the lock.
        let _ = std::fs::remove_file(&path);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let mut room = Room {
            login: self,
            path: Some(path),
            file,
        };
        room.file.write_all(&[b' '; ROOM])?;
        room.file.sync_all()?;
        Ok(room)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(ending);
        path.into()
    }
}

/// Room for the next state of the file. What is not used is removed.
#[derive(Debug)]
pub struct Room<'login> {
    login: &'login LoginFile,
    path: Option<PathBuf>,
    file: File,
}

impl Room<'_> {
    /// Replaces the file, with everything in it but the login as it was. A crash leaves the old state or the new one.
    ///
    /// A `fresh` login keeps nothing of the one before: it may be another account's.
    pub fn store(mut self, tokens: &Tokens, fresh: bool) -> io::Result<()> {
        let mut document = self.login.document().unwrap_or_else(|_| json!({}));
        if !document.is_object() {
            document = json!({});
        }
        if let Some(parts) = document.as_object_mut() {
            let part = parts.entry(PART).or_insert_with(|| json!({}));
            if fresh || !part.is_object() {
                *part = json!({});
            }
            if let Some(part) = part.as_object_mut() {
                part.insert("accessToken".into(), json!(tokens.access));
                part.insert("refreshToken".into(), json!(tokens.refresh));
                part.insert("expiresAt".into(), json!(tokens.expires));
                part.insert("scopes".into(), json!(tokens.scopes));
                part.extend(tokens.client.iter().map(|client| ("clientId".into(), json!(client))));
                part.extend(tokens.more.clone());
            }
        }
        let text = serde_json::to_vec(&document)?;
        self.file.rewind()?;
        self.file.write_all(&text)?;
        self.file.set_len(text.len().try_into().unwrap_or(u64::MAX))?;
        self.file.sync_all()?;
        if let Some(path) = self.path.take() {
            std::fs::rename(path, &self.login.path)?;
        }
        Ok(())
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Tokens {
    fn of(document: &Value) -> Option<Self> {
        let part = document.get(PART)?;
        let text = |name: &str| {
            part.get(name)?
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_string)
        };
        let scopes = part.get("scopes").and_then(Value::as_array);
        Some(Self {
            access: text("accessToken")?,
            refresh: text("refreshToken").unwrap_or_default(),
            expires: part.get("expiresAt").and_then(Value::as_u64).unwrap_or(0),
            scopes: scopes
                .into_iter()
                .flatten()
                .filter_map(|scope| scope.as_str().map(str::to_string))
                .collect(),
            client: text("clientId"),
            more: Map::new(),
        })
    }

    /// Those of an answer of the service (RFC 6749, 5.1). What it leaves out stays as it was.
    pub fn answered(answer: &Value, before: Option<&Self>) -> Option<Self> {
        let text = |name: &str| {
            answer
                .get(name)?
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_string)
        };
        let refresh = text("refresh_token").or_else(|| before.map(|before| before.refresh.clone()))?;
        let lifetime = |name: &str| answer.get(name).and_then(Value::as_u64);
        let end = |seconds: u64| now().saturating_add(seconds.saturating_mul(1000));
        let refresh_ends = lifetime("refresh_token_expires_in").map(|seconds| ("refreshTokenExpiresAt", end(seconds)));
        Some(Self {
            access: text("access_token")?,
            refresh,
            expires: end(lifetime("expires_in").unwrap_or(3600)),
            scopes: match text("scope") {
                Some(scopes) => scopes.split_whitespace().map(str::to_string).collect(),
                None => before.map(|before| before.scopes.clone()).unwrap_or_default(),
            },
            client: before.and_then(|before| before.client.clone()),
            more: refresh_ends
                .map(|(name, at)| (name.into(), json!(at)))
                .into_iter()
                .collect(),
        })
    }
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}
