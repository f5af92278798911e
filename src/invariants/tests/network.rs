//! The network `internet`: its rules, what a policy can open in it, and what it cannot.

use std::net::Ipv4Addr;

use super::*;
use crate::draft::Network;
use crate::net::Port;
use crate::net::address::Prefix;
use crate::net::reach::{self, Target};
use crate::net::resolver::Resolver;
use crate::net::route::Own;
use crate::style::Style;

/// A policy with these lines in the hook `network`, after it has chosen the internet.
fn policy(lines: &str) -> String {
    format!("fn network(host) {{\n    net::internet(\"work\");\n    {lines}\n}}\n")
}

/// A host with a public address, a wide line, and a LAN.
fn online() -> Rc<Host> {
    let mut host = Rc::into_inner(host::described(tree())).unwrap();
    let own = |address: [u8; 4], link: [u8; 4], length| Own {
        address: address.into(),
        link: Prefix::new(Ipv4Addr::from(link), length),
    };
    host.network.own = Ok(vec![
        own([127, 0, 0, 1], [127, 0, 0, 1], 8),
        own([192, 168, 77, 10], [192, 168, 77, 10], 24),
        own([203, 0, 113, 77], [203, 0, 113, 77], 26),
        own([198, 51, 100, 9], [198, 51, 100, 9], 1),
        own([203, 0, 113, 77], [203, 0, 113, 77], 26),
    ])
    .into();
    Rc::new(host)
}

/// The answers on a list of questions.
fn answers(policy: &str, questions: &[&str]) -> String {
    let decided = decided(policy, &online(), &request());
    let parts = decided.verdict.parts().unwrap();
    questions
        .iter()
        .map(|question| {
            let target = Target::parse(question).unwrap();
            let reach = reach::ask(parts, &target);
            let decision = reach.decision().and_then(|id| decided.trace.get(id));
            let by = decision.map(|decision| {
                let word = decision.effect.word();
                format!(
                    "  {word} {}  {}  ({})\n",
                    decision.subject, decision.reason, decision.site
                )
            });
            format!("{target} {reach}\n{}", by.unwrap_or_default())
        })
        .collect()
}

#[test]
fn the_internet_and_nothing_else() {
    assert_eq!(
        answers(
            &policy(""),
            &[
                "8.8.8.8:443",
                "192.168.77.2:80",
                "169.254.169.254:80",
                "203.0.113.70:22",
                "198.51.100.9:22",
                "198.51.100.10:22",
                "[2001:db8::1]:443",
                "localhost:80",
                "10.0.2.3:53/udp",
                "github.com:443",
            ]
        ),
        "8.8.8.8:443 can be reached: it is part of the internet
  network internet  work  (p.rhai:2)
192.168.77.2:80 cannot be reached: a connection is refused at once
  close 192.168.0.0/16  private networks (RFC 1918)  (host rule network)
169.254.169.254:80 cannot be reached: a connection is refused at once
  close 169.254.0.0/16  the link, and the services by which clouds give machines their credentials (RFC 3927)  (host rule network)
203.0.113.70:22 cannot be reached: a connection is refused at once
  close 203.0.113.64/26  a network that this host is connected to  (host rule network)
198.51.100.9:22 cannot be reached: a connection is refused at once
  close 198.51.100.9  an address of this host  (host rule network)
198.51.100.10:22 can be reached: it is part of the internet
  network internet  work  (p.rhai:2)
[2001:db8::1]:443 cannot be reached: a connection is refused at once
  close IPv6  the way out is made for IPv4; every rule would be needed twice  (host rule network)
localhost:80 can be reached: it is the sandbox's own loopback, not this host's
  network internet  work  (p.rhai:2)
10.0.2.3:53/udp can be reached: it is the network's own forwarder, which asks this host's name server
  network internet  work  (p.rhai:2)
github.com:443 is a name, and its address decides: one of the internet can be reached, one of the local network or of this host cannot
"
    );
}

#[test]
fn what_the_policy_opens_is_open_and_nothing_beside_it() {
    let lines = "net::allow(\"192.168.77.2:5432\", \"the test database\");\n    net::allow_host_port(6379, \"redis\");\n    net::publish(3000, \"the dev server\");";
    assert_eq!(
        answers(
            &policy(lines),
            &[
                "192.168.77.2:5432",
                "192.168.77.2:5432/udp",
                "127.0.0.1:6379",
                "[::1]:3000",
                "localhost:6379/udp",
            ]
        ),
        "192.168.77.2:5432 can be reached: the policy opens this port
  open 192.168.77.2:5432  the test database  (p.rhai:3)
192.168.77.2:5432/udp cannot be reached: a connection is refused at once
  close 192.168.0.0/16  private networks (RFC 1918)  (host rule network)
127.0.0.1:6379 can be reached: it is this host's own port, carried into the sandbox
  open localhost:6379  redis  (p.rhai:4)
[::1]:3000 can be reached: it is the sandbox's own port, and this host sees it too
  publish localhost:3000  the dev server  (p.rhai:5)
localhost:6379/udp can be reached: it is the sandbox's own loopback, not this host's
  network internet  work  (p.rhai:2)
"
    );
}

#[test]
fn other_networks_answer_too_and_open_nothing() {
    let none = "fn network(host) { net::none(\"quiet\"); net::allow(\"192.168.77.2:80\", \"x\"); }";
    assert_eq!(
        answers(none, &["192.168.77.2:80", "github.com:443", "localhost:80"]),
        "192.168.77.2:80 cannot be reached: there is no network
  network none  quiet  (p.rhai:1)
github.com:443 cannot be reached: there is no network
  network none  quiet  (p.rhai:1)
localhost:80 can be reached: it is the sandbox's own loopback, not this host's
  network none  quiet  (p.rhai:1)
"
    );
    let host = "fn network(host) { net::host(\"trust\"); net::publish(80, \"x\"); }";
    assert_eq!(
        answers(host, &["192.168.77.2:80"]),
        "192.168.77.2:80 can be reached: the network is this host's own: what this host can reach, the sandbox can
  network host  trust  (p.rhai:1)
"
    );
    let fates: Vec<Fate> = decided(host, &online(), &request())
        .verdict
        .fates
        .into_values()
        .collect();
    assert_eq!(
        fates,
        [Fate::Idle("the network is `host`, in which nothing is opened".into())]
    );
}

#[test]
fn what_cannot_be_opened_is_refused() {
    let table = [
        (
            "net::allow(\"169.254.169.254:80\", \"x\");",
            "`169.254.169.254:80` cannot be opened: the link, and the services by which clouds give machines their credentials (RFC 3927)",
            "no policy can open it",
        ),
        (
            "net::allow(\"100.100.100.200:80\", \"x\");",
            "`100.100.100.200:80` cannot be opened: the service by which Alibaba's cloud gives machines their credentials",
            "no policy can open it",
        ),
        (
            "net::allow(\"127.0.0.1:5432\", \"x\");",
            "`127.0.0.1:5432` cannot be opened: inside, that address is the sandbox's own",
            "`net::allow_host_port(5432, why)` shows a port of this host's loopback",
        ),
        (
            "net::allow(\"10.0.2.2:80\", \"x\");",
            "`10.0.2.2:80` cannot be opened: the sandbox's own network has these addresses",
            "give that machine another address",
        ),
    ];
    for (line, message, hint) in table {
        assert_eq!(
            refusal(&policy(line), &online()),
            format!("error[network]: {message}\n{}hint: {hint}\n", excerpt(line, 10, 5))
        );
    }
    let line = "net::publish(80, \"x\"); net::allow_host_port(80, \"y\");";
    assert_eq!(
        refusal(&policy(line), &online()),
        format!(
            "error[network]: the port 80 cannot be both the host's and the sandbox's own\n{}hint: keep either \
             `net::allow_host_port` or `net::publish` for it\n",
            excerpt(line, 33, 15)
        )
    );
}

#[test]
fn malformed_openings_are_refused_by_their_verbs() {
    let address = "hint: `net::allow(address, why)`: opens one port of an address of the local network: `192.168.1.20:5432`, or `192.168.1.1:53/udp`\n";
    let port = "hint: `net::publish(port, why)`: shows a TCP port of the sandbox's loopback on the host's loopback\n";
    let table = [
        (
            "net::allow(\"nas.lan:80\", \"x\");",
            "the address `nas.lan:80` is a name, and what it stands for can change: write the address in numbers",
            address,
            5,
        ),
        (
            "net::allow(\"192.168.1.20\", \"x\");",
            "the address `192.168.1.20` has no port: write `ADDRESS:PORT`",
            address,
            5,
        ),
        (
            "net::allow(80, \"x\");",
            "`net::allow` takes text as `address`, not a number",
            address,
            5,
        ),
        (
            "net::publish(0, \"x\");",
            "0 is no port: ports are numbers from 1 to 65535",
            port,
            7,
        ),
        (
            "net::publish(70000, \"x\");",
            "70000 is no port: ports are numbers from 1 to 65535",
            port,
            7,
        ),
        (
            "net::publish(-1, \"x\");",
            "-1 is no port: ports are numbers from 1 to 65535",
            port,
            7,
        ),
        (
            "net::publish(\"80\", \"x\");",
            "`net::publish` takes a number as `port`, not text",
            port,
            7,
        ),
        (
            "net::publish(80, \"\");",
            "`net::publish` needs a reason, and this one is empty",
            port,
            7,
        ),
    ];
    for (line, message, hint, carets) in table {
        assert_eq!(
            refusal(&policy(line), &online()),
            format!("error[policy-argument]: {message}\n{}{hint}", excerpt(line, 10, carets))
        );
    }
}

#[test]
fn what_is_opened_twice_or_is_open_anyway_has_no_effect() {
    let lines = "net::allow(\"10.0.0.1:80\", \"a\"); net::allow(\"10.0.0.1:80\", \"b\"); net::allow(\"8.8.8.8:53/udp\", \"c\"); net::publish(80, \"d\"); net::publish(80, \"e\");";
    let decided = decided(&policy(lines), &online(), &request());
    let fates: Vec<(String, &Fate)> = decided
        .verdict
        .fates
        .iter()
        .map(|(id, fate)| (decided.trace.get(*id).unwrap().reason.clone(), fate))
        .collect();
    let first = |reason: &str| {
        let mut all = decided.trace.iter();
        all.find(|(_, decision)| decision.reason == reason).unwrap().0
    };
    assert_eq!(
        fates,
        [
            ("b".into(), &Fate::Overridden(first("a"))),
            (
                "c".into(),
                &Fate::Idle("it is part of the internet, which can be reached anyway".into())
            ),
            ("e".into(), &Fate::Overridden(first("d"))),
        ]
    );
    let internet = decided.verdict.outcome.unwrap().internet().cloned().unwrap();
    let decision = first("d");
    assert_eq!(internet.published, [Port { number: 80, decision }]);
    assert_eq!(internet.name_servers, [Ipv4Addr::new(192, 168, 1, 1)]);
}

#[test]
fn the_name_servers_file_is_the_networks_own() {
    let mounts = "fn mounts(host) { base::mounts(host); mount::text(\"/etc/resolv.conf\", \"nameserver 192.168.1.1\\n\", \"the host's\"); }\n";
    let file = |policy: &str| {
        let decided = decided(policy, &online(), &request());
        let plan = decided.verdict.outcome.unwrap();
        let found = plan
            .mounts()
            .iter()
            .find(|mount| mount.at.to_string() == "/etc/resolv.conf");
        match found.map(|mount| (&mount.what, decided.trace.get(mount.decision).unwrap().site.to_string())) {
            Some((What::Text(text), site)) => format!("{}{site}", String::from_utf8(text.clone()).unwrap()),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(
        file(&format!("{mounts}{}", policy(""))),
        "nameserver 10.0.2.3\nsearch lan\nhost rule network"
    );
    assert_eq!(file(&policy("")), "nameserver 10.0.2.3\nsearch lan\nhost rule network");
    assert_eq!(file(mounts), "nameserver 192.168.1.1\np.rhai:1");
}

#[test]
fn unknown_addresses_of_the_host_are_refused() {
    let mut host = Rc::into_inner(host::described(tree())).unwrap();
    host.network.own = Err("operation not permitted".into()).into();
    assert_eq!(
        refusal(&policy(""), &Rc::new(host)),
        "error[network]: this host's own addresses cannot be listed: operation not permitted\nhint: they must be known to be \
         closed; choose `--net none`, or `--net host`, which is not isolated\n"
    );
}

#[test]
fn the_command_keeps_the_network_and_ends_it_with_the_sandbox() {
    let decided = decided(&policy(""), &online(), &request());
    let plan = decided.verdict.outcome.as_ref().unwrap();
    assert_eq!(plan.network(), Network::Internet);
    let options = bwrap::invocation(plan).options;
    let at = options.iter().position(|word| *word == Word::Lifeline).unwrap();
    assert_eq!(options[at - 1], Word::Plain("--sync-fd".into()));
    assert!(!options.contains(&Word::Plain("--unshare-net".into())));
}

#[test]
fn the_audit_and_the_memory_tell_what_is_open() {
    let lines = "net::allow(\"192.168.77.2:5432\", \"the test database\"); net::allow_host_port(6379, \"redis\"); net::publish(3000, \"the dev server\");";
    let mut host = Rc::into_inner(online()).unwrap();
    host.network.resolver = Resolver::parse(b"nameserver 192.168.1.1\nnameserver 192.168.1.2\n");
    let decided = decided(&policy(lines), &Rc::new(host), &request());
    let plan = decided.verdict.outcome.as_ref().unwrap();
    let audit = crate::audit::text(plan, &decided.verdict, &decided.trace, Style::plain());
    let (_, network) = audit.split_once("\nnetwork: ").unwrap();
    assert_eq!(
        network,
        "the internet; neither the local network nor the host (work)
  open    192.168.77.2:5432  the test database
  open    localhost:6379, this host's  redis
  publish localhost:3000, the sandbox's  the dev server
  names are asked at 192.168.1.1, the first of this host's name servers, alone
"
    );
    let memory = plan.mounts().iter().find_map(|mount| match &mount.what {
        What::Text(text) if mount.at.to_string() == crate::awareness::PLACE => String::from_utf8(text.clone()).ok(),
        _ => None,
    });
    let memory = memory.unwrap();
    for line in [
        "- `192.168.77.2:5432` is open: the test database.\n",
        "- `localhost:6379` is the service of this machine on that port, outside the sandbox: redis.\n",
        "- What you start on port 3000 of `localhost` can be opened by the user as `localhost:3000`: the dev server.\n",
    ] {
        assert!(memory.contains(line), "{memory}");
    }
}

/// The script of a dry run is bash: its rules are those of the plan, and its command that of the launch.
#[test]
fn the_dry_run_attaches_the_network_in_the_same_order() {
    let host = online();
    let decided = decided(&policy("net::publish(3000, \"x\");"), &host, &request());
    let plan = decided.verdict.outcome.as_ref().unwrap();
    let script = crate::dry_run::script(&host, plan, &bwrap::invocation(plan));
    let script = String::from_utf8(script).unwrap();
    let at = |part: &str| script.find(part).unwrap_or_else(|| panic!("no {part} in {script}"));
    let order = [
        at("# a launch also publishes the sandbox's port 3000 here; this script does not\n"),
        at("(read -r pid && exec /usr/bin/slirp4netns --configure"),
        at("exec unshare --user --map-root-user --net bash"),
        at("ip link set lo up"),
        at(&plan.internet().unwrap().rules.nft()),
        at("echo $$ >&8"),
        at("exec env -i /usr/bin/bwrap --args"),
    ];
    assert!(order.is_sorted(), "{script}");
}
