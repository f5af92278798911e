//! Directories that their owner has closed: nobody can look through them for secrets, and the owner could open them inside.

use crate::support::{Test, User, as_both};

as_both! {
    /// A secret in a closed directory is not to be had by opening the directory.
    fn a_closed_directory_is_masked(user: User) {
        let attack = "chmod 700 shut open-after 2>/dev/null; cat shut/.env shut/deep/.env open-after/.env 2>/dev/null; cat honest/file";
        let test = Test::new()
            .who(user)
            .file("shut/.env", "KEY=canary\n")
            .file("shut/deep/.env", "KEY=canary\n")
            .file("open-after/.env", "KEY=canary\n")
            .file("honest/file", "honest\n")
            .mode("shut", 0o000)
            .mode("open-after", 0o444);
        // The control: without the mask the secret is there for whoever may open the directory.
        let naive = test.control(&[
            "bwrap", "--dev-bind", "/", "/", "--unshare-user", "--cap-drop", "ALL", "--", "sh", "-c", attack,
        ]);
        assert!(naive.stdout.contains("canary"), "{naive:?}");
        let test = test.mode("shut", 0o000).mode("open-after", 0o444);
        let test = test.args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", attack]);
        let test = test.stdout("honest\n");
        test.compare(&test.start());
    }
}
