//! Tests of the tables' form, of what each must and must not hold, and of the matcher.

use std::collections::BTreeSet;

use super::*;

fn host(path: &str) -> HostPath {
    HostPath::new(path).unwrap()
}

fn name(text: &str) -> EnvName {
    EnvName::new(text).unwrap()
}

fn holds(paths: &[(HostPath, &str)], path: &str) -> bool {
    paths.iter().any(|(secret, _)| host(path).within(secret))
}

#[test]
fn every_entry_is_a_clean_path_with_a_reason() {
    let home = host("/home/u");
    let entries = SECRETS
        .iter()
        .map(|secret| (secret.path, secret.why))
        .chain(SOCKETS.iter().copied());
    for (path, why) in entries {
        let below = path.strip_prefix("~/").or_else(|| path.strip_prefix('/')).expect(path);
        assert!(
            !below.contains(['*', '?']) && !below.ends_with('/') && !below.contains("//"),
            "{path}"
        );
        assert!(places(path, &home, Some(1000)).count() >= 1, "{path}");
        assert!(
            !why.is_empty() && !why.ends_with('.') && why.is_ascii(),
            "{path}: {why}"
        );
    }
    assert_eq!(never_whole(&host("/")).len(), NEVER_WHOLE.len());
}

#[test]
fn no_secret_lies_inside_another_and_no_socket_comes_twice() {
    let home = host("/home/u");
    let secrets = secrets(&home);
    for (inner, _) in &secrets {
        for (outer, _) in &secrets {
            assert!(inner == outer || !inner.within(outer), "{inner} is in {outer}");
        }
    }
    for list in [secrets, sockets(&home, 1000)] {
        let once: BTreeSet<&HostPath> = list.iter().map(|(path, _)| path).collect();
        assert_eq!(once.len(), list.len());
    }
}

#[test]
fn the_required_secrets_are_held() {
    let secrets = secrets(&host("/home/u"));
    for path in [
        "/home/u/.ssh/id_ed25519",
        "/home/u/.gnupg/private-keys-v1.d",
        "/home/u/.aws/credentials",
        "/home/u/.config/gcloud",
        "/home/u/.config/sops/age/keys.txt",
        "/home/u/.config/age",
        "/var/lib/tailscale/tailscaled.state",
        "/home/u/.claude/.credentials.json",
        "/home/u/.claude.json",
        "/home/u/.netrc",
        "/home/u/.bash_history",
        "/run/agenix/key",
        "/run/secrets/kubernetes.io/serviceaccount/token",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "/etc/shadow",
        "/etc/nix/nix.conf",
        "/root/.ssh",
    ] {
        assert!(holds(&secrets, path), "{path}");
    }
    for path in [
        "/home/u/project",
        "/home/u/.claudebox/auth",
        "/home/u/.config/claudebox/policy.rhai",
        "/home/u/.cache/claudebox",
        "/home/u/.local/share/claude/versions/2.1.330",
        "/home/u/.local/bin/claude",
        "/home/u/.npm-global/bin/claude",
        "/home/u/.cargo/bin/cargo",
        "/home/u/.cargo/registry",
        "/home/u/.ssh-old",
        "/usr/bin/env",
        "/nix/store/x",
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/resolv.conf",
        "/etc/passwd",
        "/run/systemd/resolve/stub-resolv.conf",
        "/etc/claude-code/managed-settings.json",
    ] {
        assert!(!holds(&secrets, path), "{path}");
        assert!(!holds(&sockets(&host("/home/u"), 1000), path), "{path}");
    }
}

#[test]
fn a_home_inside_a_secret_stays_usable_and_its_secrets_stay_secret() {
    for home in ["/root", "/root/box", "/var/lib/jenkins"] {
        let secrets = secrets(&host(home));
        assert!(!holds(&secrets, &format!("{home}/project")), "{home}");
        assert!(holds(&secrets, &format!("{home}/.ssh/id_rsa")), "{home}");
        assert!(holds(&secrets, "/etc/shadow"), "{home}");
    }
    assert!(holds(&secrets(&host("/")), "/.ssh"));
}

#[test]
fn sockets_know_the_home_and_the_user() {
    let sockets = sockets(&host("/home/u"), 1234);
    for path in [
        "/run/docker.sock",
        "/var/run/docker.sock",
        "/run/user/1234/bus",
        "/run/user/1234/gnupg/S.gpg-agent",
        "/tmp/tmux-1234/default",
        "/run/user/1234/tmux-1234",
        "/tmp/.X11-unix/X0",
        "/run/dbus/system_bus_socket",
        "/home/u/.ssh/agent/s.1",
        "/run/WSL/1_interop",
    ] {
        assert!(holds(&sockets, path), "{path}");
    }
    for path in [
        "/nix/var/nix/daemon-socket/socket",
        "/run/user/1234/claudebox/nix",
        "/run/user/1000/bus",
        "/tmp/x",
    ] {
        assert!(!holds(&sockets, path), "{path}");
    }
    assert!(sockets.iter().all(|(path, _)| !path.to_string().contains('%')));
}

#[test]
fn the_home_and_all_above_it_are_never_whole() {
    let paths = never_whole(&host("/opt/people/u"));
    for path in [
        "/",
        "/etc",
        "/nix",
        "/home",
        "/var/run",
        "/opt",
        "/opt/people",
        "/opt/people/u",
    ] {
        assert_eq!(paths.iter().filter(|other| **other == host(path)).count(), 1, "{path}");
    }
    let paths = never_whole(&host("/home/u"));
    for path in [
        "/usr",
        "/usr/local",
        "/opt",
        "/nix/store",
        "/nix/var/nix/daemon-socket",
        "/home/u/project",
    ] {
        assert!(!paths.contains(&host(path)), "{path}");
    }
}

#[test]
fn reserved_patterns_are_simple() {
    for (pattern, why) in RESERVED {
        let core = pattern.strip_prefix('*').unwrap_or(pattern);
        let core = core.strip_suffix('*').unwrap_or(core);
        assert!(!core.is_empty() && !core.contains(['*', '?', '=']), "{pattern}");
        assert!(!why.is_empty() && !why.ends_with('.'), "{pattern}");
    }
    let once: BTreeSet<&str> = RESERVED.iter().map(|(pattern, _)| *pattern).collect();
    assert_eq!(once.len(), RESERVED.len());
}

#[test]
fn what_reaches_out_or_runs_code_is_reserved() {
    for text in "LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT BASH_ENV ENV NODE_OPTIONS BUN_OPTIONS PYTHONSTARTUP GIT_DIR \
        GIT_SSH_COMMAND GIT_CONFIG_COUNT GIT_ASKPASS SSH_ASKPASS SUDO_ASKPASS SSH_AUTH_SOCK DBUS_SESSION_BUS_ADDRESS \
        DISPLAY WAYLAND_DISPLAY TMUX TMUX_PANE KITTY_LISTEN_ON KITTY_WINDOW_ID VSCODE_IPC_HOOK_CLI BASH_FUNC_ls%% \
        CLAUDECODE CLAUDE_CODE_CHILD_SESSION CLAUDE_CODE_SESSION_ID CLAUDE_CODE_ENTRYPOINT CLAUDE_CODE_EXECPATH \
        AI_AGENT IS_SANDBOX IS_DEMO CLAUDE_CODE_SUBPROCESS_ENV_SCRUB CLAUDE_CODE_SIMPLE WSL_INTEROP LISTEN_FDS \
        DOCKER_HOST LISTEN_PID PERL5OPT RUBYOPT JAVA_TOOL_OPTIONS LUA_INIT_5_4"
        .split_whitespace()
    {
        assert!(reserved(&name(text)).is_some(), "{text}");
    }
}

#[test]
fn what_claude_code_needs_is_not_reserved() {
    for text in
        "TERM COLORTERM COLORFGBG NO_COLOR FORCE_COLOR TERM_PROGRAM TERM_PROGRAM_VERSION VTE_VERSION LANG LC_ALL \
        LC_CTYPE TZ EDITOR VISUAL ANTHROPIC_BASE_URL ANTHROPIC_MODEL ANTHROPIC_DEFAULT_OPUS_MODEL \
        ANTHROPIC_SMALL_FAST_MODEL ANTHROPIC_BETAS API_TIMEOUT_MS BASH_DEFAULT_TIMEOUT_MS BASH_MAX_TIMEOUT_MS \
        BASH_MAX_OUTPUT_LENGTH MAX_THINKING_TOKENS MCP_TIMEOUT MCP_TOOL_TIMEOUT CLAUDE_CODE_EFFORT_LEVEL \
        CLAUDE_CODE_MAX_OUTPUT_TOKENS DISABLE_TELEMETRY DO_NOT_TRACK CLAUDE_CODE_USE_BEDROCK CLAUDE_CODE_USE_VERTEX \
        CLAUDE_CODE_USE_FOUNDRY AWS_REGION AWS_PROFILE CLOUD_ML_REGION ANTHROPIC_VERTEX_PROJECT_ID HOME USER LOGNAME \
        SHELL PATH CLAUDE_CONFIG_DIR CLAUDE_SECURESTORAGE_CONFIG_DIR CLAUDE_CODE_SANDBOXED DISABLE_AUTOUPDATER \
        CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL NIX_SSL_CERT_FILE SSL_CERT_FILE SSL_CERT_DIR \
        NODE_EXTRA_CA_CERTS CURL_CA_BUNDLE REQUESTS_CA_BUNDLE XDG_RUNTIME_DIR XDG_CONFIG_HOME TMPDIR PWD NIX_PATH \
        NIX_CONFIG NIX_REMOTE LOCALE_ARCHIVE TERMINFO_DIRS NIX_LD NIX_LD_LIBRARY_PATH HTTPS_PROXY https_proxy NO_PROXY \
        ANTHROPIC_API_KEY CLAUDE_CODE_OAUTH_TOKEN GITHUB_TOKEN PS1 COLUMNS LINES"
            .split_whitespace()
    {
        assert_eq!(reserved(&name(text)), None, "{text}");
    }
}

#[test]
fn secrets_of_a_project_are_known_by_name() {
    for file in ".env .env.local .env.production .env.development.local .env.keys .env-prod .env.swp prod.env db.env \
        .dev.vars id_rsa id_ed25519 release.jks cert.p12 passwords.kdbx .netrc .pgpass .git-credentials terraform.tfvars \
        terraform.tfstate terraform.tfstate.backup prod.tfstate service-account.json service-account-prod.json \
        credentials.json client_secret_123.json master.key app-firebase-adminsdk-abc.json"
        .split_whitespace()
    {
        assert!(project_secret(OsStr::new(file)).is_some(), "{file}");
    }
    assert!(project_secret(OsStr::from_bytes(b".env.\xff")).is_some());
}

#[test]
fn ordinary_files_of_a_project_are_not_masked() {
    for file in ".env.example .env.sample .env.template .env.dist .env.defaults .env.local.example .env.example.local \
        .env.vault .env-example .env_sample example.env test.example.env .envrc .environment env env.ts .envoy.yaml \
        id_rsa.pub id_ed25519.pub server.pem ca.crt server.key .npmrc secrets.yaml secrets.nix variables.tf main.tf \
        package.json tsconfig.json Cargo.toml auth.json token.json debug.keystore README.md .gitignore .flaskenv \
        .secrets.baseline google-services.json credentials.rs service-account.ts environment.yml"
        .split_whitespace()
    {
        assert_eq!(project_secret(OsStr::new(file)), None, "{file}");
    }
}

#[test]
fn glob_matches_whole_texts() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("*", "abc", true),
        ("**", "", true),
        ("?", "", false),
        ("?", "a", true),
        ("?*", "", false),
        ("a*", "abc", true),
        ("a*", "ba", false),
        ("*a", "cba", true),
        ("*a", "ab", false),
        ("*b*", "abc", true),
        ("*b*", "ac", false),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-c-b", false),
        ("*ab", "aab", true),
        ("*aab", "aaaab", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*?b", "b", false),
        ("*?b", "ab", true),
        ("LD_*", "LD_", true),
        ("LD_*", "ld_preload", false),
        (".env.*", ".env.", true),
        ("[a]", "a", false),
    ] {
        assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
    }
    assert!(glob(b"*\xff?", b"a\xff\x00"));
}

/// Against the definition itself, for all short patterns and texts over a small alphabet.
#[test]
fn glob_agrees_with_its_definition() {
    fn defined(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| defined(rest, &text[skip..])),
            ([b'?', rest @ ..], [_, left @ ..]) => defined(rest, left),
            ([expected, rest @ ..], [byte, left @ ..]) => expected == byte && defined(rest, left),
            (_, []) => false,
        }
    }
    fn words(alphabet: &[u8], longest: u32) -> Vec<Vec<u8>> {
        let mut words = vec![vec![]];
        for _ in 0..longest {
            let longer = words
                .iter()
                .flat_map(|word| alphabet.iter().map(move |byte| [&word[..], &[*byte]].concat()));
            words = words
                .iter()
                .cloned()
                .chain(longer)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect();
        }
        words
    }
    let texts = words(b"ab", 6);
    for pattern in words(b"ab*?", 5) {
        for text in &texts {
            assert_eq!(glob(&pattern, text), defined(&pattern, text), "{pattern:?} {text:?}");
        }
    }
}

/// A matcher that goes back behind an earlier `*` would not end before the machine does.
#[test]
fn glob_does_not_explode() {
    let text = vec![b'a'; 10_000];
    let mut pattern = b"a*".repeat(100);
    pattern.push(b'b');
    assert!(!glob(&pattern, &text));
}
