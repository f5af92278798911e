//! The same random policies and hosts with a real home and in the real sandbox, for a sample: a probe that reads all it can reach
//! finds no secret of the floor.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use claudebox::floor;
use claudebox::host::tree::Kind;
use claudebox::path::HostPath;

use super::Random;
use super::hosts::{described, policy};
use crate::support::user::each;
use crate::support::{Test, User, as_both};

/// How many sandboxes are started; what is refused is not counted.
const SAMPLE: usize = 12;
/// What stands in every secret.
const CANARY: &str = "canary-of-the-floor";
/// Looks into everything but what is the distribution's or the kernel's.
const HUNT: &str = "for top in /*; do case $top in /usr | /proc | /sys | /dev | /lib*) ;; *) grep -rlsF canary-of-the-floor \"$top\" ;; esac; done; echo hunted";

/// A described path in the real home; `None` where it is not of the home, or claudebox's own.
fn real(test: &Test, path: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix("/home/u").ok()?;
    let (rest, top) = match rest.strip_prefix("p") {
        Ok(rest) => (rest, test.project()),
        Err(_) => (rest, test.home()),
    };
    let own = [".claudebox", ".config/claudebox"]
        .iter()
        .any(|own| rest.starts_with(own));
    (!own && !rest.as_os_str().is_empty()).then(|| top.join(rest))
}

/// Makes what is described, as far as one thing does not stand in another's way, and puts the canary into every secret. Returns
/// the secrets.
fn plant(test: &Test, random: &mut Random) -> Vec<PathBuf> {
    for (path, kind, _, content) in described(random).files {
        let Some(place) = real(test, &path) else { continue };
        if place
            .parent()
            .is_none_or(|parent| std::fs::create_dir_all(parent).is_err())
            || place.symlink_metadata().is_ok()
        {
            continue;
        }
        let _ = match kind {
            Kind::Directory => std::fs::create_dir(&place),
            Kind::Link(target) => symlink(real(test, &target).unwrap_or(target), &place),
            _ => std::fs::write(&place, content),
        };
    }
    let home = HostPath::new(test.home()).expect("a path");
    let roots: Vec<PathBuf> = floor::secrets(&home)
        .into_iter()
        .filter_map(|(root, _)| root.as_path().canonicalize().ok())
        .filter(|root| root.starts_with(test.home()) && *root != test.home() && !test.project().starts_with(root))
        .collect();
    let mut secrets = Vec::new();
    each(&test.home(), &mut |path| {
        let Ok(place) = path.canonicalize() else { return };
        let own = ["~/.claudebox", "~/.config/claudebox"]
            .iter()
            .any(|own| place.starts_with(test.at(own)));
        if place.is_file() && !own && roots.iter().any(|root| place.starts_with(root)) && !secrets.contains(&place) {
            std::fs::write(&place, CANARY).expect("the test's own file");
            secrets.push(place);
        }
    });
    secrets
}

as_both! {
    fn no_secret_of_the_floor_is_read(user: User) {
        let (mut started, mut secrets) = (0, 0);
        for seed in 1.. {
            let random = &mut Random::new(seed);
            let test = Test::new().who(user).file("~/.config/claudebox/seed", &seed.to_string());
            let planted = plant(&test, random);
            let text = policy(random);
            // Without the bundled mounts there is no program that could look.
            if !text.contains("base::mounts(host)") {
                continue;
            }
            let text = text.replace("/home/u/p", "[PROJECT]").replace("/home/u", "[HOME]");
            let words = ["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", HUNT];
            let run = test.clone().policy(&text).args(words).start();
            if run.exit == 125 {
                continue;
            }
            assert_eq!((run.stdout.as_str(), run.exit), ("hunted\n", 0), "seed {seed}: {}\n{text}", run.stderr);
            // The control: without claudebox each of them is found.
            let home = test.home().display().to_string();
            let found = test.control(&["grep", "-rlsF", CANARY, &home]).stdout;
            assert_eq!(found.lines().count(), planted.len(), "seed {seed}: {found}");
            (started, secrets) = (started + 1, secrets + planted.len());
            if started == SAMPLE {
                break;
            }
        }
        assert!(secrets >= SAMPLE, "only {secrets} secrets in {started} homes");
    }
}
