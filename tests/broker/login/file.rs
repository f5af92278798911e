//! The file of a login: what is none, and what happens where a new one cannot be written.

use super::*;

#[test]
fn files_that_are_no_login_are_told_of() {
    let table = [
        (
            None,
            "nobody is logged in: the user has to log in with `claudebox --login`",
        ),
        (
            Some("{}"),
            "nobody is logged in: the user has to log in with `claudebox --login`",
        ),
        (
            Some("{\"claudeAiOauth\":{\"accessToken\":\"\"}}"),
            "nobody is logged in: the user has to log in with `claudebox --login`",
        ),
        (
            Some("REAL-TEXT"),
            "the login on the host cannot be read (it is no JSON): [FILE]",
        ),
        (
            Some("{\"claudeAiOauth\":{\"accessToken\":\"REAL\"}}"),
            "the login on the host cannot be used: the user has to log in again with `claudebox --login`",
        ),
        (
            Some(
                "{\"claudeAiOauth\":{\"accessToken\":\"REAL\\n\",\"refreshToken\":\"R\",\"expiresAt\":4000000000000}}",
            ),
            "the login on the host cannot be used: the user has to log in again with `claudebox --login`",
        ),
    ];
    for (text, why) in table {
        world(|world| {
            let broker = world.broker(&configuration(world, text));
            let why = why.replace("[FILE]", &world.path("login.json").to_string_lossy());
            assert_eq!(
                message(&mut world.client(&broker, API)),
                format!("401 claudebox: {why}")
            );
            assert_eq!((bearers(world), questions(world)), (Vec::new(), Vec::new()));
        });
    }
    // A link could be exchanged for one to elsewhere.
    world(|world| {
        std::fs::write(world.path("real.json"), file("REAL-A1", FUTURE)).expect("our own file");
        std::os::unix::fs::symlink("real.json", world.path("login.json")).expect("our own link");
        let broker = world.broker(&configuration(world, None));
        let why = "the login on the host cannot be read (Too many levels of symbolic links (os error 40))";
        assert_eq!(
            message(&mut world.client(&broker, API)),
            format!("401 claudebox: {why}: {}", world.path("login.json").display())
        );
    });
}

#[test]
fn with_a_full_disk_no_token_is_asked_for_that_could_not_be_stored() {
    world(|world| {
        world.platform.answer_bytes(&http("200 OK", RENEWED));
        let full = world.path("full");
        std::fs::create_dir(&full).expect("our own directory");
        shell(&format!("mount -t tmpfs -o size=48k tmpfs {}", full.display()));
        let text = file("REAL-A1", PAST);
        std::fs::write(full.join("login.json"), &text).expect("room for the login");
        shell(&format!("chown -R {} {}", User::Ordinary.numbers().0, full.display()));
        let configuration = Configuration {
            credential: Some(Credential::Oauth(full.join("login.json"))),
            ..configuration(world, None)
        };
        let broker = world.broker(&configuration);
        let mut client = world.client(&broker, API);
        assert_eq!(
            message(&mut client),
            "401 claudebox: the login cannot be stored on the host (No space left on device (os error 28))"
        );
        assert_eq!(questions(world), Vec::<String>::new());
        assert_eq!(
            std::fs::read_to_string(full.join("login.json")).expect("the login"),
            text
        );
        // With room again it goes on.
        shell(&format!("mount -o remount,size=1m {}", full.display()));
        assert_eq!(message(&mut client), "200 ok");
        assert_eq!(
            stored(&full.join("login.json"))["claudeAiOauth"]["refreshToken"],
            "REAL-R2"
        );
        drop(broker);
        shell(&format!("umount {}", full.display()));
    });
}
