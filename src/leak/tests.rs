//! Measured on a realistic environment (no false alarm) and on one token of each kind (all found). The tokens are made
//! up and put together here, so that no secret scanner takes this file for a leak.

use super::*;

fn why(name: &str, value: &str) -> Option<Suspicion> {
    suspect(&EnvName::new(name).unwrap(), OsStr::new(value))
}

/// Variables of a GNOME and a KDE desktop, NixOS, a server login, a toolbox, WSL, GitHub Actions, GitLab CI, Azure
/// Pipelines and Jenkins, a `nix develop` shell and a Python container.
const HARMLESS: &[(&str, &str)] = &[
    ("HOME", "/home/user"),
    ("USER", "user"),
    ("LOGNAME", "user"),
    ("SHELL", "/run/current-system/sw/bin/bash"),
    ("PWD", "/home/user/src/Projects2024/My-Project_v2.Final3"),
    ("OLDPWD", "/home/user"),
    (
        "PATH",
        "/home/user/.local/share/mise/installs/node/22.11.0/bin:/home/user/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/bin:/bin",
    ),
    ("MANPATH", "/usr/share/man:/usr/local/man:"),
    ("INFOPATH", "/usr/share/info"),
    ("LANG", "en_US.UTF-8"),
    ("LC_ALL", "C.UTF-8"),
    ("LC_TIME", "de_DE.UTF-8@euro"),
    ("LANGUAGE", "en_GB:en:de"),
    ("TZ", "America/Argentina/ComodRivadavia"),
    ("TERM", "xterm-256color"),
    ("COLORTERM", "truecolor"),
    ("COLORFGBG", "15;default;0"),
    ("TERM_PROGRAM", "WezTerm"),
    ("TERM_PROGRAM_VERSION", "20240203-110809-5046fc22"),
    ("VTE_VERSION", "7603"),
    ("EDITOR", "nvim -u /home/user/.config/nvim/init.lua"),
    ("PAGER", "less -FRX --mouse"),
    ("LESS", "-R"),
    (
        "LESSKEYIN_SYSTEM",
        "/nix/store/s4rz1yrz7mxx1fh5hbzgdsjyxjpwj7yd-lesskey",
    ),
    (
        "LS_COLORS",
        "rs=0:di=01;34:ln=01;36:mh=00:pi=40;33:so=01;35:*.tar=01;31:*.7z=01;31:*.mp4=01;35:*~=00;90",
    ),
    (
        "GCC_COLORS",
        "error=01;31:warning=01;35:note=01;36:caret=01;32:locus=01:quote=01",
    ),
    (
        "FZF_DEFAULT_OPTS",
        "--height=40% --bind=ctrl-k:kill-line,alt-p:toggle-preview --color=fg:#d0d0d0",
    ),
    ("HISTCONTROL", "ignoreboth"),
    ("HISTSIZE", "100000"),
    ("KEYTIMEOUT", "1"),
    ("XKB_DEFAULT_LAYOUT", "us"),
    ("XKB_DEFAULT_OPTIONS", "caps:escape,compose:ralt"),
    ("GTK_IM_MODULE", "ibus"),
    ("QT_QPA_PLATFORMTHEME", "gnome"),
    ("KEYBOARD_LAYOUT", "de-nodeadkeys"),
    ("AUTHOR", "Ada Lovelace <ada@example.org>"),
    ("EMAIL", "ada.lovelace1815@example.org"),
    ("XDG_SESSION_ID", "3"),
    ("XDG_RUNTIME_DIR", "/run/user/1000"),
    (
        "XDG_DATA_DIRS",
        "/home/user/.local/share/flatpak/exports/share:/var/lib/flatpak/exports/share:/usr/share/",
    ),
    ("XDG_CURRENT_DESKTOP", "ubuntu:GNOME"),
    ("XDG_SESSION_PATH", "/org/freedesktop/DisplayManager/Session0"),
    ("INVOCATION_ID", "4f1c0e6d9a8b4a63b1d2c7e05f9a3b21"),
    ("JOURNAL_STREAM", "9:31847"),
    (
        "MEMORY_PRESSURE_WATCH",
        "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/memory.pressure",
    ),
    ("MEMORY_PRESSURE_WRITE", "c29tZSAyMDAwMDAgMjAwMDAwMAA="),
    ("SYSTEMD_EXEC_PID", "2214"),
    ("GDMSESSION", "ubuntu"),
    ("WINDOWID", "58720262"),
    ("GJS_DEBUG_TOPICS", "JS ERROR;JS LOG"),
    ("KDE_APPLICATIONS_AS_SCOPE", "1"),
    ("SSH_CONNECTION", "192.168.178.20 51234 192.168.178.2 22"),
    ("HOSTNAME", "payments-api-deployment-7d9f8b6c5d-x2x4z"),
    ("NAME", "DESKTOP-7H2K9QP"),
    ("HOSTTYPE", "x86_64-unknown-linux-gnu"),
    ("WSL_DISTRO_NAME", "Ubuntu-24.04"),
    ("STARSHIP_SESSION_KEY", "1847362950174625"),
    ("ATUIN_SESSION", "01926f0c5d5b7c30a9c3e1f4d2b6a798"),
    ("ATUIN_HISTORY_ID", "01926f0c5d5b7c30a9c3e1f4d2b6a799"),
    ("MCFLY_SESSION_ID", "kT3vQ9xLm2WpR7yZ4bNc8dHf"),
    ("ITERM_SESSION_ID", "w0t0p0:0F6C8A1E-7C1B-4B7E-9E0A-3D5B6F7A8C9D"),
    ("NVM_DIR", "/home/user/.nvm"),
    ("PNPM_HOME", "/home/user/.local/share/pnpm"),
    ("GOPATH", "/home/user/go"),
    ("GOPROXY", "https://proxy.golang.org,direct"),
    ("GOPRIVATE", "github.com/my-org/*"),
    ("JAVA_HOME", "/usr/lib/jvm/java-21-openjdk-amd64"),
    ("ANDROID_HOME", "/home/user/Android/Sdk"),
    ("VIRTUAL_ENV", "/home/user/src/app/.venv"),
    ("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring"),
    ("GPG_KEY", "7169605F62C751356D054A26A821E680E5FA6305"),
    (
        "PYTHON_SHA256",
        "07aab22ff3c1d0ae5f1c5b3d7e5a4c2b9f6d8e1a0c3b5d7f9e2a4c6b8d0f1e3a",
    ),
    ("TOKENIZERS_PARALLELISM", "false"),
    ("MAX_THINKING_TOKENS", "31999"),
    ("CLAUDE_CODE_MAX_OUTPUT_TOKENS", "64000"),
    ("MAX_MCP_OUTPUT_TOKENS", "25000"),
    ("CLAUDE_CODE_API_KEY_HELPER_TTL_MS", "3600000"),
    ("CLAUDE_CODE_SKIP_BEDROCK_AUTH", "1"),
    ("ANTHROPIC_MODEL", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("ANTHROPIC_SMALL_FAST_MODEL", "claude-haiku-4-5-20251001"),
    (
        "ANTHROPIC_BETAS",
        "interleaved-thinking-2025-05-14,context-1m-2025-08-07",
    ),
    ("ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
    ("ANTHROPIC_VERTEX_PROJECT_ID", "my-company-ai-platform-prod-427113"),
    ("AWS_PROFILE", "AdministratorAccess-123456789012"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_CREDENTIAL_EXPIRATION", "2026-01-01T12:00:00Z"),
    ("HTTPS_PROXY", "http://proxy.corp.example:3128"),
    ("http_proxy", "http://[fd00::1]:3128/"),
    ("NO_PROXY", "localhost,127.0.0.1,::1,.corp.example"),
    ("GIT_REMOTE", "ssh://git@github.com:22/my-org/my-repo.git"),
    ("REPO_URL", "git@github.com:my-org/my-repo.git"),
    ("NPM_SCOPE_URL", "https://registry.npmjs.org:443/@types/node"),
    (
        "NODE_IMAGE",
        "node:22@sha256:0c0734eb7051babbb3e95cd74e684f940552b31472152edf0bb23e54ab44a0d7",
    ),
    (
        "NIX_PATH",
        "nixpkgs=flake:nixpkgs:/nix/var/nix/profiles/per-user/root/channels",
    ),
    ("NIX_CONFIG", "experimental-features = nix-command flakes"),
    ("NIX_SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
    (
        "NIX_CFLAGS_COMPILE",
        " -frandom-seed=z1q5y8x3kl -isystem /nix/store/s4rz1yrz7mxx1fh5hbzgdsjyxjpwj7yd-zlib-1.3.1-dev/include",
    ),
    ("out", "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-my-shell"),
    ("outputHash", "sha256-n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="),
    ("LOCALE_ARCHIVE", "/run/current-system/sw/lib/locale/locale-archive"),
    ("__NIXOS_SET_ENVIRONMENT_DONE", "1"),
    (
        "DIRENV_WATCHES",
        "eJxs0E1qwzAQBeC7zFqWNPqxLPUqIQvZGiUi_gnWuKGE3L2kTbPqcpDe-8DcoeYL3WD4hMPIezlBgeNRwLSvW1mRNd1Mwac",
    ),
    ("GITHUB_SHA", "ffac537e6cbbf934b08745a378932722df287a53"),
    ("GITHUB_REF", "refs/heads/feature/JIRA-1234-Add-Some-New-Feature2"),
    (
        "GITHUB_WORKFLOW_REF",
        "my-org/my-repo/.github/workflows/ci.yml@refs/heads/main",
    ),
    ("GITHUB_RUN_ID", "1658821493"),
    ("GITHUB_API_URL", "https://api.github.com"),
    ("RUNNER_TRACKING_ID", "github_6bd0a2c4-1f0e-4f5a-9a52-3b1f6f1e9d2c"),
    ("POWERSHELL_DISTRIBUTION_CHANNEL", "GitHub-Actions-ubuntu24"),
    ("ImageVersion", "20251112.124.1"),
    ("CI_COMMIT_SHORT_SHA", "1ecfd275"),
    ("CI_RUNNER_EXECUTABLE_ARCH", "linux/amd64"),
    (
        "CI_JOB_IMAGE",
        "registry.gitlab.com/my-org/build-images/rust-1.83:2024-12-01",
    ),
    ("BUILD_SOURCEVERSION", "ffac537e6cbbf934b08745a378932722df287a53"),
    ("SYSTEM_COLLECTIONID", "6c6f3423-3084-4625-995a-f7f143a1b43d"),
    ("BUILD_TAG", "jenkins-my-pipeline-feature%2FABC-123-42"),
    ("HUDSON_COOKIE", "0f6c8a1e-7c1b-4b7e-9e0a-3d5b6f7a8c9d"),
    ("KUBERNETES_PORT", "tcp://10.96.0.1:443"),
    ("TEST_HOST", "e2e-cluster-01.internal.staging.example-company.com"),
    ("MODULE_VERSION", "v0.0.0-20240102150405-abcdef123456"),
    ("CARGO_PKG_NAME", "my-very-long-crate-name-with-2-numbers-in-v3"),
    ("RUSTFLAGS", "-C target-cpu=native -C link-arg=-fuse-ld=mold"),
    ("DOCS_URL", "https://docs.example.org/a?page=2&sort=name#token"),
    (
        "GREETING",
        "Basic usage of the bearer bonds; see risk-averse-and-task-based-planning-documents",
    ),
    ("SQLITE_PATH", "sqlite:///home/user/app.db"),
    ("JDBC_URL", "jdbc:postgresql://localhost:5432/app?user=app&ssl=true"),
    ("DB_HINT", "password=$DB_PASSWORD_FROM_STDIN"),
    (
        "PS1",
        "\\[\\e]0;\\u@\\h: \\w\\a\\]${debian_chroot:+($debian_chroot)}\\u@\\h:\\w\\$ ",
    ),
    ("_", "/usr/bin/env"),
];

#[test]
fn an_ordinary_environment_raises_no_alarm() {
    assert!(HARMLESS.len() >= 80);
    let alarms: Vec<_> = HARMLESS
        .iter()
        .filter_map(|(name, value)| Some((name, why(name, value)?)))
        .collect();
    assert!(alarms.is_empty(), "{alarms:#?}");
}

/// `length` letters and digits, always the same ones for the same seed (xorshift; Marsaglia 2003).
fn noise(alphabet: &[u8], length: usize, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        alphabet[(state >> 33) as usize % alphabet.len()] as char
    };
    std::iter::repeat_with(next).take(length).collect()
}

const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX: &[u8] = b"0123456789abcdef";
const BASE36: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// One value of each kind: what is found, the part that marks it, the alphabet of the rest and its length.
const MARKED: &[(&str, &str, &[u8], usize)] = &[
    ("an Anthropic key", "sk-ant-api03-", BASE64URL, 95),
    ("an Anthropic key", "sk-ant-oat01-", BASE64URL, 95),
    ("an OpenAI key", "sk-proj-", BASE64URL, 100),
    ("an OpenAI key", "sk-", ALNUM, 48),
    ("an OpenRouter key", "sk-or-v1-", HEX, 64),
    ("a GitHub token", "ghp_", ALNUM, 36),
    ("a GitHub token", "gho_", ALNUM, 36),
    ("a GitHub token", "ghu_", ALNUM, 36),
    ("a GitHub token", "ghs_", ALNUM, 36),
    ("a GitHub token", "ghr_", ALNUM, 76),
    ("a GitHub token", "github_pat_", ALNUM, 82),
    ("a GitLab token", "glpat-", BASE64URL, 20),
    ("a GitLab token", "glrt-", BASE64URL, 20),
    ("an AWS access key id", "AKIA", BASE32, 16),
    ("an AWS access key id", "ASIA", BASE32, 16),
    ("a Google API key", "AIza", BASE64URL, 35),
    ("a Google access token", "ya29.", BASE64URL, 120),
    ("a Google OAuth client secret", "GOCSPX-", BASE64URL, 28),
    ("a Google refresh token", "1//0", BASE64URL, 99),
    ("a Slack token", "xoxb-", b"0123456789", 40),
    ("a Slack token", "xoxp-", ALNUM, 60),
    ("a Slack token", "xapp-1-", ALNUM, 60),
    (
        "a Slack webhook",
        "https://hooks.slack.com/services/T0000/B0000/",
        ALNUM,
        24,
    ),
    (
        "a Discord webhook",
        "https://discord.com/api/webhooks/1234/",
        BASE64URL,
        68,
    ),
    ("a Stripe key", "sk_live_", ALNUM, 24),
    ("a Stripe key", "rk_test_", ALNUM, 24),
    ("a webhook secret", "whsec_", ALNUM, 32),
    ("an npm token", "npm_", ALNUM, 36),
    ("a PyPI token", "pypi-", BASE64URL, 150),
    ("a Hugging Face token", "hf_", b"abcdefghijkLMNOPQRSTUVWXYZ", 34),
    ("a SendGrid key", "SG.", BASE64URL, 66),
    ("a Twilio API key", "SK", HEX, 32),
    ("a DigitalOcean token", "dop_v1_", HEX, 64),
    ("a Databricks token", "dapi", HEX, 32),
    ("an age secret key", "AGE-SECRET-KEY-1", BASE32, 58),
    ("a Vault token", "hvs.", BASE64URL, 90),
    ("a Terraform Cloud token", "abcdefghijklmn.atlasv1.", ALNUM, 60),
    ("an Atlassian token", "ATATT3xFfGF0", BASE64URL, 180),
    ("a Docker Hub token", "dckr_pat_", BASE64URL, 27),
    ("a crates.io token", "cio", ALNUM, 32),
    ("a RubyGems key", "rubygems_", HEX, 48),
    ("a Tailscale key", "tskey-auth-", ALNUM, 40),
    ("a Supabase token", "sbp_", HEX, 40),
    ("a Grafana token", "glsa_", ALNUM, 41),
    ("a Shopify token", "shpat_", HEX, 32),
    ("a Groq key", "gsk_", ALNUM, 52),
    ("a Telegram bot token", "1234567890:AA", BASE64URL, 33),
    ("a password hash", "$6$saltsalt$", ALNUM, 86),
    ("a one-time-password seed", "otpauth://totp/a?secret=", BASE32, 16),
    ("a private key", "-----BEGIN OPENSSH PRIVATE KEY-----\n", BASE64, 300),
    ("a private key", "-----BEGIN PRIVATE KEY-----\\n", BASE64, 300),
    (
        "a private key",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n",
        BASE64,
        300,
    ),
    ("a private key in base64", "LS0tLS1CRUdJTiBSU0Eg", BASE64, 300),
    ("a bearer token", "Bearer ", ALNUM, 20),
    ("basic authentication", "Basic ", BASE64, 20),
    ("an `Authorization` header", "Authorization: token ", HEX, 40),
    ("a header with a key", "X-Api-Key: ", ALNUM, 16),
    ("a URL with a token", "https://", BASE36, 40),
    (
        "credentials in JSON",
        "{\"type\": \"service_account\", \"private_key\": \"",
        ALNUM,
        20,
    ),
    (
        "registry logins in JSON",
        "{\"auths\":{\"ghcr.io\":{\"auth\":\"",
        BASE64,
        30,
    ),
    (
        "settings of Nix with access tokens",
        "access-tokens = git.example=",
        ALNUM,
        16,
    ),
    (
        "a setting with a password or a key",
        "Server=db;User Id=sa;Password=",
        ALNUM,
        9,
    ),
    (
        "a setting with a password or a key",
        "host=db user=app password=",
        ALNUM,
        9,
    ),
    (
        "a setting with a password or a key",
        "DefaultEndpointsProtocol=https;AccountKey=",
        BASE64,
        86,
    ),
    (
        "a setting with a password or a key",
        "https://x.blob.core.windows.net/c?sv=2024&sig=",
        ALNUM,
        43,
    ),
    (
        "a setting with a password or a key",
        "jdbc:mysql://db/app?user=app&password=",
        ALNUM,
        12,
    ),
    ("a random key in hex", "", HEX, 32),
    ("a random key in hex", "", HEX, 40),
    ("a random key in hex", "", HEX, 64),
    ("an AWS secret access key", "", BASE64, 40),
    ("a random token", "", BASE64, 44),
    ("a random token", "", BASE64URL, 43),
    ("a random token", "", ALNUM, 32),
    ("a random token", "", BASE36, 40),
    ("a random token", "", BASE32, 32),
    ("a random token", "Kl78Q~", BASE64URL, 34),
];

#[test]
fn every_kind_of_secret_is_found_by_its_value() {
    assert!(MARKED.len() >= 40);
    for (index, (what, mark, alphabet, length)) in MARKED.iter().enumerate() {
        let mut value = format!("{mark}{}", noise(alphabet, *length, index as u64 + 7));
        if *what == "a URL with a token" {
            value.push_str("@git.example/repo.git");
        }
        // A name that says nothing.
        assert_eq!(why("FOO", &value), Some(Suspicion::Value(what)), "{value}");
    }
}

#[test]
fn tokens_are_found_inside_longer_values() {
    let token = ["gh", "p_"].concat() + noise(ALNUM, 36, 1).as_str();
    for value in [
        format!("--header=x --auth={token} --verbose"),
        format!("https://github.com/a/b?x={token}"),
        format!("a:b,c:{token};d"),
        format!("{{\"t\":\"{token}\"}}"),
        format!("user:{token}"),
        format!("\n{token}\n"),
    ] {
        assert_eq!(why("FOO", &value), Some(Suspicion::Value("a GitHub token")), "{value}");
    }
    let signed = ["ey", "JhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"].concat();
    for value in [format!("{signed}.{signed}.c2lnbmF0dXJl"), format!("{signed}.{signed}.")] {
        assert_eq!(
            why("FOO", &value),
            Some(Suspicion::Value("a JSON Web Token")),
            "{value}"
        );
    }
}

#[test]
fn passwords_in_urls_are_found() {
    for value in [
        "https://user:pw@host/path",
        "http://user:pw@proxy.corp:3128",
        "redis://:hunter2@localhost:6379/0",
        "postgres://postgres:postgres@localhost:5432/app",
        "mongodb+srv://u:p%40ss@cluster0.example.net/?w=majority",
        "postgres://u:a/b#c@host/db",
        "amqp://u:p@[::1]:5672/",
        "first https://host/ then https://u:p@host/",
    ] {
        assert_eq!(
            why("FOO", value),
            Some(Suspicion::Value("a URL with a password")),
            "{value}"
        );
    }
    assert_eq!(
        why("https_proxy", "user:pw@proxy:3128"),
        Some(Suspicion::Value("a proxy with a password"))
    );
    for value in [
        "https://user@host/",
        "https://user:@host/",
        "https://host:8080/@scope/name",
        "https://host/a:b@c",
        "https://[::1]:80/@x",
        "ssh://x-access-token@github.com/a",
        "://",
        "https://",
    ] {
        assert_eq!(why("FOO", value), None, "{value}");
    }
}

/// What Claude Code itself takes for secrets, and the usual ones of other tools: by name, whatever the value is.
#[test]
fn names_that_speak_of_secrets_are_found() {
    for name in "ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_CUSTOM_HEADERS ANTHROPIC_FOUNDRY_API_KEY \
        ANTHROPIC_AWS_API_KEY CLAUDE_CODE_OAUTH_TOKEN CLAUDE_CODE_OAUTH_REFRESH_TOKEN CLAUDE_CODE_SESSION_ACCESS_TOKEN \
        CLAUDE_CODE_HFI_BEARER_TOKEN CLAUDE_TRUSTED_DEVICE_TOKEN CLAUDE_BRIDGE_OAUTH_TOKEN CLAUDE_CODE_CLIENT_KEY \
        CLAUDE_CODE_CLIENT_KEY_PASSPHRASE AGENT_PROXY_AUTH_TOKEN AWS_BEARER_TOKEN_BEDROCK AWS_ACCESS_KEY_ID \
        AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN GOOGLE_APPLICATION_CREDENTIALS CLOUDSDK_AUTH_ACCESS_TOKEN \
        AZURE_CLIENT_SECRET AZURE_PASSWORD AZURE_FEDERATED_TOKEN_FILE GH_TOKEN GITHUB_TOKEN GH_ENTERPRISE_TOKEN \
        MCP_CLIENT_SECRET MCP_XAA_IDP_CLIENT_SECRET OTEL_EXPORTER_OTLP_HEADERS ACTIONS_RUNTIME_TOKEN SSH_SIGNING_KEY \
        DATABASE_URL SENTRY_DSN PGPASSWORD MYSQL_PWD DB_PASS REDISCLI_AUTH COMPOSER_AUTH AZURE_DEVOPS_EXT_PAT \
        npm_config__auth npm_config_//registry.npmjs.org/:_authToken KEYCLOAK_ADMIN_PASSWORD GPG_KEY_PASSPHRASE \
        SLACK_WEBHOOK_URL AZURE_STORAGE_CONNECTION_STRING DIRENV_DIFF __MISE_DIFF KEYKEYBOARD"
        .split_whitespace()
    {
        assert!(matches!(why(name, "some value"), Some(Suspicion::Name(_))), "{name}");
    }
}

#[test]
fn nothing_and_switches_are_no_secrets() {
    for value in ["", " ", "1", "0", "true", "False", "off"] {
        assert_eq!(why("MY_API_KEY", value), None, "{value:?}");
    }
    assert_eq!(why("MY_API_KEY", "2"), Some(Suspicion::Name("*KEY*")));
    // An identifier's name excuses only a guess.
    let token = ["gh", "p_"].concat() + noise(ALNUM, 36, 1).as_str();
    assert_eq!(why("COMMIT_SHA", &token), Some(Suspicion::Value("a GitHub token")));
    assert_eq!(
        why("GPG_KEY", "-----BEGIN PGP PRIVATE KEY BLOCK-----"),
        Some(Suspicion::Value("a private key"))
    );
}

/// The guess at random tokens misses a few: how few is what the comment in `random` promises.
#[test]
fn random_tokens_are_guessed_right() {
    let found = |alphabet: &[u8], length: usize| {
        let hits = (0..2000_u64)
            .filter(|seed| why("FOO", &noise(alphabet, length, seed + 1)).is_some())
            .count();
        hits as f64 / 2000.0
    };
    for (alphabet, length, least) in [
        (ALNUM, 24, 0.94),
        (ALNUM, 32, 0.98),
        (BASE64, 40, 0.98),
        (BASE64, 44, 0.96),
        (BASE64URL, 43, 0.99),
        (BASE36, 32, 0.96),
        (BASE32, 32, 0.96),
        (HEX, 32, 0.99),
        (HEX, 64, 0.99),
    ] {
        let share = found(alphabet, length);
        assert!(
            share >= least,
            "{length} of {}: {share}",
            std::str::from_utf8(alphabet).unwrap()
        );
    }
}

#[test]
fn entropy_is_shannons() {
    let near = |value: &[u8], expected: f64| (random::entropy(value) - expected).abs() < 1e-9;
    assert!(near(b"aaaa", 0.0) && near(b"abab", 1.0) && near(b"abcd", 2.0) && near(b"aab", 0.918_295_834_054_489_6));
}

#[test]
fn suspicions_complete_a_sentence() {
    assert_eq!(Suspicion::Name("*TOKEN*").to_string(), "its name matches `*TOKEN*`");
    assert_eq!(
        Suspicion::Value("a GitHub token").to_string(),
        "its value looks like a GitHub token"
    );
}

#[test]
fn shown_values_are_escaped_shortened_and_redacted() {
    let shown = |name: &str, value: &[u8], width| shown(&EnvName::new(name).unwrap(), OsStr::from_bytes(value), width);
    assert_eq!(shown("FOO", b"plain", 5), "plain");
    assert_eq!(shown("FOO", b"plainer", 5), "plai…");
    assert_eq!(shown("FOO", b"ab", 1), "…");
    assert_eq!(shown("FOO", b"ab", 0), "");
    assert_eq!(shown("FOO", b"", 0), "");
    assert_eq!(shown("FOO", b"\x1b[2J\xff", 40), "\\u{1b}[2J\\xff");
    assert_eq!(shown("FOO", "日本語".as_bytes(), 5), "日本…");
    assert_eq!(shown("FOO", "日本語".as_bytes(), 6), "日本語");
    assert_eq!(shown("MY_TOKEN", b"x", 40), "‹redacted, 1 byte›");
    assert_eq!(shown("MY_TOKEN", &[b'x'; 108], 40), "‹redacted, 108 bytes›");
    assert_eq!(shown("MY_TOKEN", &[b'x'; 108], 9), "‹redacte…");
}

/// Nothing of a suspected value comes out, whatever the width is.
#[test]
fn redacted_values_show_nothing_of_themselves() {
    for (index, (_, mark, alphabet, length)) in MARKED.iter().enumerate() {
        let value = format!("{mark}{}", noise(alphabet, *length, index as u64 + 7));
        if why("FOO", &value).is_some() {
            let line = shown(&EnvName::new("FOO").unwrap(), OsStr::new(&value), 80);
            assert_eq!(line, format!("‹redacted, {} bytes›", value.len()));
        }
    }
}

/// Values come from anywhere: nothing may panic, and nothing may take long.
#[test]
fn odd_values_are_survived() {
    for value in [
        &b"\xff\xfe"[..],
        b"://",
        b"=",
        b"eyJ",
        b"....",
        b"$$$",
        b":",
        b"@",
        b"://@:@",
        b"Bearer ",
        b"sk-ant-",
    ] {
        let long = value.repeat(20_000);
        for value in [value, &long] {
            let _ = suspect(&EnvName::new("FOO").unwrap(), OsStr::from_bytes(value));
        }
    }
}
