//! How the tokens of known issuers look, as data: the prefix that an issuer gives its tokens so that scanners find them.

/// Which bytes follow a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// `A-Z`, `a-z`, `0-9`.
    Alnum,
    /// `0-9`, `a-f`.
    Hex,
    /// `A-Z`, `0-9`.
    Upper,
    /// `A-Z`, `a-z`, `0-9`, `_`, `-`.
    Word,
    /// [`Body::Word`] and `.`.
    Dotted,
}

impl Body {
    pub(super) fn holds(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => Self::Word.holds(byte) || byte == b'.',
        }
    }
}

/// One kind of token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// What the token starts with.
    pub(super) prefix: &'static str,
    /// What follows.
    pub(super) body: Body,
    /// How many bytes follow at least: fewer than issuers use, so that an older or a shortened token is found too.
    pub(super) least: usize,
    /// Whether exactly `least` bytes follow: for prefixes that also begin ordinary words.
    pub(super) exact: bool,
    /// What it is, as the end of "looks like ...".
    pub(super) what: &'static str,
}

const fn shape(prefix: &'static str, body: Body, least: usize, what: &'static str) -> Shape {
    Shape {
        prefix,
        body,
        least,
        exact: false,
        what,
    }
}

const fn exact(prefix: &'static str, body: Body, length: usize, what: &'static str) -> Shape {
    Shape {
        prefix,
        body,
        least: length,
        exact: true,
        what,
    }
}

use Body::{Alnum, Dotted, Hex, Upper, Word};

/// All kinds, sorted by prefix, from the issuers' own documentation of their formats and the rules of secret scanners.
/// Of two that match, the one with the longer prefix counts.
///
/// Identifiers that are no secrets are left out: Stripe's `pk_`, Twilio's `AC`, AWS's `AROA`, OAuth client ids.
pub(super) const SHAPES: &[Shape] = &[
    exact("ABIA", Upper, 16, "an AWS access key id"),
    exact("ACCA", Upper, 16, "an AWS access key id"),
    shape("AGE-PLUGIN-", Word, 20, "an age identity"),
    shape("AGE-SECRET-KEY-", Word, 20, "an age secret key"),
    exact("AKIA", Upper, 16, "an AWS access key id"),
    exact("AKID", Alnum, 32, "a Tencent Cloud key id"),
    shape("AKCp", Alnum, 40, "a JFrog key"),
    exact("ASIA", Upper, 16, "an AWS access key id"),
    shape("ATATT3", Word, 20, "an Atlassian token"),
    shape("ATBB", Alnum, 24, "a Bitbucket token"),
    shape("ATCTT3", Word, 20, "an Atlassian token"),
    shape("AIza", Word, 30, "a Google API key"),
    shape("CCIPAT_", Word, 20, "a CircleCI token"),
    shape("CFPAT-", Word, 20, "a Contentful token"),
    shape("EAAA", Word, 50, "a Square token"),
    shape("GOCSPX-", Word, 16, "a Google OAuth client secret"),
    shape("HRKU-", Word, 30, "a Heroku key"),
    exact("LTAI", Alnum, 20, "an Alibaba Cloud key id"),
    shape("NRAK-", Alnum, 20, "a New Relic key"),
    shape("PMAK-", Word, 24, "a Postman key"),
    shape("SG.", Dotted, 40, "a SendGrid key"),
    exact("SK", Hex, 32, "a Twilio API key"),
    shape("apify_api_", Alnum, 24, "an Apify token"),
    shape("bkua_", Alnum, 24, "a Buildkite token"),
    exact("cio", Alnum, 32, "a crates.io token"),
    shape("dapi", Hex, 32, "a Databricks token"),
    shape("dckr_oat_", Word, 20, "a Docker Hub token"),
    shape("dckr_pat_", Word, 20, "a Docker Hub token"),
    shape("dop_v1_", Hex, 32, "a DigitalOcean token"),
    shape("doo_v1_", Hex, 32, "a DigitalOcean token"),
    shape("dor_v1_", Hex, 32, "a DigitalOcean token"),
    shape("dp.ct.", Alnum, 20, "a Doppler token"),
    shape("dp.pt.", Alnum, 20, "a Doppler token"),
    shape("dp.sa.", Alnum, 20, "a Doppler token"),
    shape("dp.scim.", Alnum, 20, "a Doppler token"),
    shape("dp.st.", Dotted, 20, "a Doppler token"),
    shape("dt0c01.", Dotted, 40, "a Dynatrace token"),
    shape("figd_", Word, 20, "a Figma token"),
    shape("fo1_", Word, 30, "a Fly.io token"),
    shape("gho_", Alnum, 20, "a GitHub token"),
    shape("ghp_", Alnum, 20, "a GitHub token"),
    shape("ghr_", Alnum, 20, "a GitHub token"),
    shape("ghs_", Dotted, 20, "a GitHub token"),
    shape("ghu_", Alnum, 20, "a GitHub token"),
    shape("github_pat_", Word, 20, "a GitHub token"),
    shape("glagent-", Word, 20, "a GitLab token"),
    shape("glc_", Alnum, 30, "a Grafana token"),
    shape("glcbt-", Word, 16, "a GitLab token"),
    shape("gldt-", Word, 16, "a GitLab token"),
    shape("glffct-", Word, 16, "a GitLab token"),
    shape("glft-", Word, 16, "a GitLab token"),
    shape("glimt-", Word, 16, "a GitLab token"),
    shape("gloas-", Word, 16, "a GitLab token"),
    shape("glpat-", Dotted, 16, "a GitLab token"),
    shape("glptt-", Word, 16, "a GitLab token"),
    shape("glrt-", Dotted, 16, "a GitLab token"),
    shape("glsa_", Word, 20, "a Grafana token"),
    shape("glsoat-", Word, 16, "a GitLab token"),
    shape("gsk_", Alnum, 24, "a Groq key"),
    shape("hf_", Alnum, 24, "a Hugging Face token"),
    shape("hvb.", Word, 20, "a Vault token"),
    shape("hvr.", Word, 20, "a Vault token"),
    shape("hvs.", Word, 20, "a Vault token"),
    exact("key-", Hex, 32, "a Mailgun key"),
    shape("lin_api_", Alnum, 20, "a Linear key"),
    shape("lin_oauth_", Alnum, 20, "a Linear token"),
    shape("lsv2_", Word, 30, "a LangSmith key"),
    shape("nfp_", Alnum, 24, "a Netlify token"),
    shape("npm_", Alnum, 30, "an npm token"),
    shape("ntn_", Alnum, 30, "a Notion token"),
    shape("nvapi-", Word, 30, "an NVIDIA key"),
    shape("pplx-", Alnum, 30, "a Perplexity key"),
    shape("pscale_oauth_", Dotted, 20, "a PlanetScale token"),
    shape("pscale_pw_", Dotted, 20, "a PlanetScale password"),
    shape("pscale_tkn_", Dotted, 20, "a PlanetScale token"),
    shape("pul-", Hex, 32, "a Pulumi token"),
    shape("pypi-", Word, 30, "a PyPI token"),
    shape("r8_", Alnum, 30, "a Replicate token"),
    shape("rk_live_", Alnum, 16, "a Stripe key"),
    shape("rk_test_", Alnum, 16, "a Stripe key"),
    shape("rubygems_", Hex, 32, "a RubyGems key"),
    shape("sb_secret_", Word, 20, "a Supabase key"),
    shape("sbp_", Alnum, 30, "a Supabase token"),
    shape("secret_", Alnum, 40, "a Notion token"),
    shape("sgp_", Word, 30, "a Sourcegraph token"),
    shape("shpat_", Hex, 24, "a Shopify token"),
    shape("shpca_", Hex, 24, "a Shopify token"),
    shape("shppa_", Hex, 24, "a Shopify token"),
    shape("shpss_", Hex, 24, "a Shopify secret"),
    shape("sk-", Alnum, 20, "an OpenAI key"),
    shape("sk-admin-", Word, 20, "an OpenAI key"),
    shape("sk-ant-", Word, 16, "an Anthropic key"),
    shape("sk-or-v1-", Hex, 32, "an OpenRouter key"),
    shape("sk-proj-", Word, 20, "an OpenAI key"),
    shape("sk-svcacct-", Word, 20, "an OpenAI key"),
    shape("sk_live_", Alnum, 16, "a Stripe key"),
    shape("sk_test_", Alnum, 16, "a Stripe key"),
    shape("sntrys_", Word, 30, "a Sentry token"),
    shape("sntryu_", Hex, 30, "a Sentry token"),
    shape("sq0atp-", Word, 20, "a Square token"),
    shape("sq0csp-", Word, 20, "a Square secret"),
    shape("tskey-", Word, 16, "a Tailscale key"),
    shape("tvly-", Word, 20, "a Tavily key"),
    shape("whsec_", Alnum, 20, "a webhook secret"),
    shape("xai-", Alnum, 40, "an xAI key"),
    shape("xapp-", Word, 16, "a Slack token"),
    shape("xoxa-", Word, 10, "a Slack token"),
    shape("xoxb-", Word, 10, "a Slack token"),
    shape("xoxc-", Word, 10, "a Slack token"),
    shape("xoxd-", Word, 10, "a Slack token"),
    shape("xoxe-", Word, 10, "a Slack token"),
    shape("xoxe.xoxb-", Word, 10, "a Slack token"),
    shape("xoxe.xoxp-", Word, 10, "a Slack token"),
    shape("xoxo-", Word, 10, "a Slack token"),
    shape("xoxp-", Word, 10, "a Slack token"),
    shape("xoxr-", Word, 10, "a Slack token"),
    shape("xoxs-", Word, 10, "a Slack token"),
    shape("ya29.", Word, 20, "a Google access token"),
];

/// Text that is never part of a harmless value, wherever it stands. Letter case counts.
pub(super) const MARKS: &[(&str, &str)] = &[
    ("PuTTY-User-Key-File", "a private key"),
    ("hooks.slack.com/services/", "a Slack webhook"),
    ("discord.com/api/webhooks/", "a Discord webhook"),
    ("discordapp.com/api/webhooks/", "a Discord webhook"),
    (".webhook.office.com/", "a Teams webhook"),
    ("otpauth://", "a one-time-password seed"),
    (".atlasv1.", "a Terraform Cloud token"),
    ("\"private_key\"", "credentials in JSON"),
    ("\"client_secret\"", "credentials in JSON"),
    ("\"refresh_token\"", "credentials in JSON"),
    ("\"access_token\"", "credentials in JSON"),
    ("\"accessToken\"", "credentials in JSON"),
    ("\"password\"", "credentials in JSON"),
    ("\"secret\"", "credentials in JSON"),
    ("\"auths\"", "registry logins in JSON"),
    // `access-tokens = github.com=...` and `extra-access-tokens` of nix.conf.
    ("access-tokens", "settings of Nix with access tokens"),
];

/// `key=value` settings whose value is a secret, as in connection strings, query strings and options. Lower case; the
/// value's case does not count. A shorter value than the number is an abbreviation or a placeholder.
pub(super) const SETTINGS: &[(&str, usize)] = &[
    ("password=", 3),
    ("passwd=", 3),
    ("passphrase=", 3),
    ("pwd=", 3),
    ("token=", 8),
    ("_authtoken=", 8),
    ("apikey=", 8),
    ("api_key=", 8),
    ("api-key=", 8),
    ("client_secret=", 8),
    ("accountkey=", 8),
    ("accesskey=", 8),
    ("sharedaccesskey=", 8),
    ("sharedaccesssignature=", 8),
    // The signature of a presigned address.
    ("sig=", 20),
    ("signature=", 20),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The search looks only at the shapes that share the first byte, found by bisection.
    #[test]
    fn shapes_are_grouped_by_their_first_byte() {
        let firsts: Vec<u8> = SHAPES.iter().map(|shape| shape.prefix.as_bytes()[0]).collect();
        assert!(firsts.is_sorted());
        for shape in SHAPES {
            assert_eq!(
                SHAPES.iter().filter(|other| other.prefix == shape.prefix).count(),
                1,
                "{}",
                shape.prefix
            );
            assert!(
                shape.prefix.len() + shape.least >= super::super::value::SHORTEST,
                "{}",
                shape.prefix
            );
            assert!(
                shape.prefix.bytes().all(|byte| Body::Dotted.holds(byte)),
                "{}",
                shape.prefix
            );
        }
    }
}
