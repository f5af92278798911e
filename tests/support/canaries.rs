//! Secrets to be missed: a distinct text in every place of a host where people keep what must not leak. A hunt prints the places whose text
//! it found, so a leak is named by where it came from.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use super::test::Test;
use super::user::{User, is_root};

/// Files of the home, each with the name of its canary.
const HOME: &[(&str, &str)] = &[
    ("ssh_key", ".ssh/id_ed25519"),
    ("ssh_config", ".ssh/config"),
    ("gnupg", ".gnupg/private-keys-v1.d/0123.key"),
    ("aws", ".aws/credentials"),
    ("aws_sso", ".aws/sso/cache/token.json"),
    ("gcloud", ".config/gcloud/application_default_credentials.json"),
    ("azure", ".azure/msal_token_cache.json"),
    ("kube", ".kube/config"),
    ("docker", ".docker/config.json"),
    ("podman", ".config/containers/auth.json"),
    ("npm", ".npmrc"),
    ("yarn", ".yarnrc.yml"),
    ("pypi", ".pypirc"),
    ("cargo", ".cargo/credentials.toml"),
    ("gem", ".gem/credentials"),
    ("maven", ".m2/settings.xml"),
    ("gradle", ".gradle/gradle.properties"),
    ("netrc", ".netrc"),
    ("git_credentials", ".git-credentials"),
    ("git_credentials_xdg", ".config/git/credentials"),
    ("gitconfig", ".gitconfig"),
    ("gh", ".config/gh/hosts.yml"),
    ("glab", ".config/glab-cli/config.yml"),
    ("sops", ".config/sops/age/keys.txt"),
    ("age", ".age/key.txt"),
    ("rclone", ".config/rclone/rclone.conf"),
    ("pass", ".password-store/mail.gpg"),
    ("keyrings", ".local/share/keyrings/login.keyring"),
    ("kwallet", ".local/share/kwalletd/kdewallet.kwl"),
    ("firefox", ".mozilla/firefox/a.default/logins.json"),
    ("chrome", ".config/google-chrome/Default/Cookies"),
    ("chromium", ".config/chromium/Default/Login Data"),
    ("thunderbird", ".thunderbird/a.default/key4.db"),
    ("bash_history", ".bash_history"),
    ("zsh_history", ".zsh_history"),
    ("fish_history", ".local/share/fish/fish_history"),
    ("python_history", ".python_history"),
    ("psql_history", ".psql_history"),
    ("pgpass", ".pgpass"),
    ("mysql", ".my.cnf"),
    ("terraform", ".terraform.d/credentials.tfrc.json"),
    ("vault", ".vault-token"),
    ("one_password", ".config/op/config"),
    ("anthropic", ".config/anthropic/credentials/default.json"),
    ("claude_config", ".claude.json"),
    ("claude_login", ".claude/.credentials.json"),
    ("claude_history", ".claude/history.jsonl"),
    ("bashrc", ".bashrc"),
    ("profile", ".profile"),
    ("cache", ".cache/some/response.json"),
    ("diary", "Documents/diary.txt"),
    ("other_project", "other/src/main.rs"),
    ("other_project_env", "other/.env"),
    (
        "other_instance",
        ".claudebox/instances/other-0123456789abcdef/history.jsonl",
    ),
    ("file_name", "private/CANARY-[TOKEN]-file_name"),
];

/// Files below the test's own directory, beside the home.
const BESIDE: &[(&str, &str)] = &[
    ("runtime_directory", "run/secret"),
    ("neighbour", "neighbour/.ssh/id_ed25519"),
    ("temporary", "temporary/download.txt"),
];

/// Files of the system, which root alone can put there. Every one is readable for all: what keeps it from the sandbox must be the sandbox.
const SYSTEM: &[(&str, &str)] = &[
    ("run_secrets", "/run/secrets/claudebox-test-[TOKEN]/token"),
    ("run_agenix", "/run/agenix/claudebox-test-[TOKEN]/token"),
    ("run_credentials", "/run/credentials/claudebox-test-[TOKEN]/token"),
    ("run_user", "/run/user/claudebox-test-[TOKEN]/token"),
    ("tailscale", "/var/lib/tailscale/claudebox-test-[TOKEN]/state"),
    ("etc", "/etc/claudebox-test-[TOKEN]/secret"),
    ("wireguard", "/etc/wireguard/claudebox-test-[TOKEN]/wg0.conf"),
    ("ssl_private", "/etc/ssl/private/claudebox-test-[TOKEN]/key.pem"),
    ("home_of_another", "/home/claudebox-test-[TOKEN]/.ssh/id_ed25519"),
    ("srv", "/srv/claudebox-test-[TOKEN]/secret"),
    ("opt", "/opt/claudebox-test-[TOKEN]/secret"),
    ("mnt", "/mnt/claudebox-test-[TOKEN]/secret"),
    ("var_tmp", "/var/tmp/claudebox-test-[TOKEN]/secret"),
    ("var_log", "/var/log/claudebox-test-[TOKEN]/access.log"),
    ("mail", "/var/mail/claudebox-test-[TOKEN]/inbox"),
    ("tmp", "/tmp/claudebox-test-[TOKEN]/secret"),
    ("shared_memory", "/dev/shm/claudebox-test-[TOKEN]/secret"),
];

/// Places that only root can look into from a naive sandbox: a directory of root's, and a process outside the user namespace.
const ROOT_ONLY: &[&str] = &["ssl_private", "other_environ"];

/// Variables of the environment, with the text around the canary.
const VARIABLES: &[(&str, &str, &str)] = &[
    ("variable_token", "GITHUB_TOKEN", "[CANARY]"),
    ("variable_key", "AWS_SECRET_ACCESS_KEY", "[CANARY]"),
    (
        "variable_url",
        "DATABASE_URL",
        "postgres://someone:[CANARY]@localhost/shop",
    ),
    ("variable_proxy", "ALL_PROXY", "http://someone:[CANARY]@localhost:1"),
    ("variable_agent", "SSH_AUTH_SOCK", "/nowhere/[CANARY]"),
    ("variable_tmux", "TMUX", "/nowhere/[CANARY],1,0"),
    ("variable_git", "GIT_ASKPASS", "/nowhere/[CANARY]"),
    ("variable_loader", "LD_LIBRARY_PATH", "/nowhere/[CANARY]"),
    ("variable_plain", "FAVOURITE_COLOUR", "[CANARY]"),
];

/// What comes in by other ways than files and the environment.
const OTHER: &[&str] = &[
    "descriptor_file",
    "descriptor_directory",
    "keyring",
    "other_argv",
    "other_environ",
    "policy",
];

/// What may be found: a file of the project, and a variable that the user's policy passes. That they are found shows that the hunt works.
pub const WANTED: [&str; 2] = ["passed_variable", "project_file"];

/// The planted canaries; what lies outside the test's own directory is removed when dropped.
#[derive(Debug)]
pub struct Canaries {
    token: String,
    user: User,
    removed: Vec<PathBuf>,
    process: Child,
}

impl Canaries {
    /// Plants all of them around the test, and leaves the hunt's script in the project.
    pub fn plant(mut test: Test) -> (Test, Self) {
        super::user::need_root();
        let user = test.user();
        let base = test.base();
        let token = base
            .to_str()
            .and_then(|text| text.rsplit('-').next())
            .expect("the test's own name")
            .to_owned();
        let canary = |name: &str| canary(&token, name);
        let path = |path: &str| path.replace("[TOKEN]", &token);
        for (name, file) in HOME {
            test = test.file(&format!("~/{}", path(file)), &canary(name));
        }
        for (name, file) in BESIDE {
            test = test.file(&format!("[BASE]/{file}"), &canary(name));
        }
        let mut removed = Vec::new();
        for (name, file) in SYSTEM {
            let file = PathBuf::from(path(file));
            plant_system(&file, &canary(name));
            removed.push(file);
        }
        for (name, variable, text) in VARIABLES {
            test = test.var(variable, text.replace("[CANARY]", &canary(name)));
        }
        test = test
            .var("XDG_RUNTIME_DIR", "[BASE]/run")
            .file("[BASE]/inherited/file", &canary("descriptor_file"))
            .file("[BASE]/inherited/directory/file", &canary("descriptor_directory"))
            .before(&[
                "[BIN]/attack",
                "plant",
                "canary",
                &canary("keyring"),
                "[BASE]/inherited/file",
                "[BASE]/inherited/directory",
            ])
            .var("PASSED_ON", canary(WANTED[0]))
            .file("wanted.txt", &canary(WANTED[1]))
            .file("hunt.sh", include_str!("hunt.sh"))
            .attack();
        for directory in ["run", "inherited", "temporary"] {
            user.own(&base.join(directory));
        }
        let mut process = Command::new("sleep");
        process
            .arg0(canary("other_argv"))
            .arg("600")
            .env_clear()
            .env("SECRET", canary("other_environ"));
        user.start(&mut process);
        let process = process
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("sleep, from coreutils");
        (
            test,
            Self {
                token,
                user,
                removed,
                process,
            },
        )
    }

    /// A policy that lets one variable in and `more` variables beside it; its own text holds a canary.
    pub fn policy(&self, more: &[&str]) -> String {
        let names = ["PASSED_ON"]
            .iter()
            .chain(more)
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(" | ");
        format!(
            "// {}\nfn variable(host, name) {{\n    switch name {{\n        {names} => env::pass(\"the test wants it\"),\n        \
             _ => base::variable(host, name),\n    }}\n}}\n",
            canary(&self.token, "policy")
        )
    }

    /// The command that hunts everywhere.
    pub fn hunt(&self) -> String {
        format!("sh hunt.sh {}", self.token)
    }

    /// Hunts in a naive sandbox that shows the host: the control. It must find every single canary.
    #[track_caller]
    pub fn control(&self, test: &Test) {
        let mut words = [
            "bwrap",
            "--ro-bind",
            "/",
            "/",
            "--dev-bind",
            "/dev",
            "/dev",
            "sh",
            "hunt.sh",
            &self.token,
        ]
        .map(str::to_owned)
        .to_vec();
        words.push("[HOME]".to_owned());
        words.extend(BESIDE.iter().map(|(_, file)| format!("[BASE]/{file}")));
        words.extend(self.removed.iter().map(|path| path.display().to_string()));
        let words = words.iter().map(String::as_str).collect::<Vec<_>>();
        let run = test.control(&words);
        assert_eq!((run.stderr.as_str(), run.exit), ("", 0));
        assert_eq!(
            run.stdout,
            lines(self.all()),
            "the naive sandbox hides something: the hunt proves nothing"
        );
    }

    /// What the test sees when all is well.
    pub fn expected() -> String {
        lines(WANTED.map(str::to_owned).to_vec())
    }

    fn all(&self) -> Vec<String> {
        let files = HOME.iter().chain(BESIDE).chain(SYSTEM).map(|(name, _)| *name);
        let names = files
            .chain(VARIABLES.iter().map(|(name, ..)| *name))
            .chain(OTHER.iter().copied())
            .chain(WANTED);
        let hidden = |name: &&str| self.user == User::Root || !ROOT_ONLY.contains(name);
        let mut names = names.filter(hidden).map(str::to_owned).collect::<Vec<_>>();
        names.sort();
        names
    }
}

impl Drop for Canaries {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for file in &self.removed {
            let _ = std::fs::remove_file(file);
            // Upwards what the tests made, while nothing else is there: a system's own directory can be empty too.
            let mut made = MADE.lock().expect("no panic");
            for directory in file.ancestors().skip(1) {
                if !made.contains(directory) || std::fs::remove_dir(directory).is_err() {
                    break;
                }
                made.remove(directory);
            }
        }
    }
}

fn canary(token: &str, name: &str) -> String {
    format!("CANARY-{token}-{name}")
}

fn lines(names: Vec<String>) -> String {
    names.into_iter().map(|name| name + "\n").collect()
}

/// Directories of the system that the tests made.
static MADE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Another test may want the same parent, or remove it: one goes after the other.
fn plant_system(path: &Path, text: &str) {
    assert!(is_root());
    let mut made = MADE.lock().expect("no panic");
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    for directory in above {
        if std::fs::create_dir(directory).is_ok() {
            made.insert(directory.to_path_buf());
        }
    }
    std::fs::write(path, text).expect("a place of the system");
}
