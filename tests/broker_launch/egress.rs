//! The network `allowlist`: ordinary programs reach a named host without any variable, and nothing else.

use std::path::Path;

use super::world::{World, world};
use crate::network::clients::site;
use crate::network::lab::shell;
use crate::nix::world::{NEW, SET_UP};
use crate::support::{Test, User, as_both};

/// A command in the network `allowlist` with two names of the lab on the list.
fn named(test: Test, script: &str) -> Test {
    named_and(test, &[], script)
}

/// The same with further options.
fn named_and(test: Test, more: &[&str], script: &str) -> Test {
    let options = [
        "--yes",
        "--quiet",
        "--net",
        "allowlist",
        "--allow-host",
        "www.example.test",
        "--allow-host",
        "rebind.example.test",
    ];
    test.args_of(options.iter().chain(more).chain(&["--exec", "--", "sh", "-c", script]))
}

/// What to mount for the toolchain that runs the suite, and for the Nix of Debian. The first may lie in a home that others cannot
/// enter, so its files get second names, or copies where that is another file system.
fn tools(world: &World) -> [String; 2] {
    let cargo = std::env::var("CARGO").expect("cargo runs the tests");
    let toolchain = Path::new(&cargo).ancestors().nth(2).expect("a directory of cargo's");
    let at = world.path("toolchain").display().to_string();
    shell(&format!(
        "mkdir {at} && cd {} && set -- bin/cargo bin/rustc lib/*.so* lib/rustlib/*/lib lib/rustlib/*/bin && \
         {{ cp -al --parents \"$@\" {at} 2>/dev/null || cp -a --parents \"$@\" {at}; }}",
        toolchain.display()
    ));
    [format!("{at}:/opt/toolchain"), format!("{SET_UP}{NEW}")]
}

as_both! {
    /// curl, wget, git, npm, pip, node and a socket of python's reach it, and no variable says how. Another name of the same site
    /// they reach once it is on the list, not before.
    fn programs_reach_a_named_host(user: User) {
        world(|world| {
            let certificate = site().display().to_string();
            let script = "env | grep -ci _proxy
                cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '
                ca=/run/claudebox-certificates/extra.crt; site=https://$name
                try() { \"$@\" 2>/dev/null || echo \"not $1\"; }
                try curl -sS --cacert $ca $site/page.txt
                try wget -q -O - --ca-certificate=$ca $site/page.txt
                try git -c http.sslCAInfo=$ca clone -q $site/repository.git cloned; cat cloned/file 2>/dev/null
                try npm install --silent --no-audit --no-fund --no-update-notifier --fetch-retries 0 --cafile $ca --registry $site/ tiny > npm.log; grep not npm.log
                try node -p \"require('tiny')\"
                try pip install -q --disable-pip-version-check --root-user-action=ignore --retries 0 --cert $ca --index-url $site/simple/ --target packages small
                PYTHONPATH=packages try python3 -c 'import small; print(small.said)'
                try node -e \"fetch('$site/page.txt').then(r => r.text()).then(t => process.stdout.write(t))\"
                try python3 -c 'import socket, ssl
context = ssl.create_default_context(cafile=\"'$ca'\")
tls = context.wrap_socket(socket.create_connection((\"'$name'\", 443)), server_hostname=\"'$name'\")
tls.sendall(b\"GET /page.txt HTTP/1.0\\r\\nHost: www.example.test\\r\\n\\r\\n\")
print(b\"\".join(iter(lambda: tls.recv(4096), b\"\")).decode().splitlines()[-1])'";
            let ask = |more: &[&str], name: &str| {
                let test = world.home(user).var("NODE_EXTRA_CA_CERTS", &certificate);
                named_and(test, more, &format!("name={name}\n{script}"))
            };
            let said = "0\nlo\na page\na page\ncommitted\nfrom npm\nfrom pip\na page\na page\n";
            let denied = "0\nlo\nnot curl\nnot wget\nnot git\nnot npm\nnot node\nnot pip\nnot python3\nnot node\nnot python3\n";
            let other = "mirror.example.test";
            ask(&[], "www.example.test").stdout(said).run();
            ask(&[], other).stdout(denied).run();
            ask(&["--allow-host", other], other).stdout(said).run();
        });
    }

    /// So do cargo with a registry of its own and Nix; and another name of the same site once it is on the list, not before.
    fn cargo_and_nix_reach_a_named_host(user: User) {
        world(|world| {
            let certificate = site().display().to_string();
            let [toolchain, nix] = tools(world);
            let script = format!("env | grep -ci _proxy
                export CARGO_HTTP_CAINFO=/run/claudebox-certificates/extra.crt NIX_SSL_CERT_FILE=/run/claudebox-certificates/extra.crt
                export PATH=/opt/toolchain/bin:{nix}/bin:$PATH CARGO_NET_RETRY=0
                mkdir src && echo 'fn main() {{ println!(\"{{}}\", mini::SAID) }}' > src/main.rs
                printf '[package]\nname = \"asks\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[dependencies]\nmini = {{ version = \"1\", registry = \"lab\" }}\n' > Cargo.toml
                why() {{ grep -o 'Could not resolve host: [a-z.]*' $1 | tail -n 1 | grep . || cat $1; }}
                for site in www mirror; do
                    export CARGO_HOME=$PWD/$site/cargo CARGO_REGISTRIES_LAB_INDEX=sparse+https://$site.example.test/index/
                    rm -f Cargo.lock; cargo run 2> $site.log || why $site.log
                    nix --extra-experimental-features nix-command --option download-attempts 1 --store $PWD/$site \
                        store prefetch-file https://$site.example.test/page.txt 2> $site.log
                    cat $site/nix/store/*page.txt 2>/dev/null || why $site.log
                done");
            let mounts = ["--mount-ro", toolchain.as_str(), "--mount-ro", nix.as_str()];
            let test = |more: &[&str]| {
                let test = world.home(user).var("NODE_EXTRA_CA_CERTS", &certificate);
                named_and(test, &[&mounts, more].concat(), &script)
            };
            let denied = "Could not resolve host: mirror.example.test\n";
            test(&[]).stdout(&format!("0\nfrom cargo\na page\n{denied}{denied}")).run();
            test(&["--allow-host", "mirror.example.test"]).stdout("0\nfrom cargo\na page\nfrom cargo\na page\n").run();
        });
    }

    /// Other names, addresses, another name in the TLS greeting, a name that leads to the local network, other ports.
    fn nothing_else_is_reached(user: User) {
        world(|world| {
            let certificate = site().display().to_string();
            let ask = "ask() { curl -sS -m 10 -o /dev/null \"$@\" 2>&1 | head -n 1 | sed 's/ after [0-9]* ms.*//; s/^curl: (35).*/curl: (35) closed/'; }\n";
            let script = format!("{ask}ca=/run/claudebox-certificates/extra.crt
                ask https://other.example.test/
                ask https://nas.lan/
                ask http://203.0.113.10/
                ask https://203.0.113.10/
                ask http://192.168.77.1/
                ask http://169.254.169.254/
                ask http://[2001:db8::10]/
                ask https://rebind.example.test/
                ask https://www.example.test:8443/
                ask --cacert $ca --connect-to other.example.test:443:www.example.test:443 https://other.example.test/
                getent hosts www.example.test | cut -d. -f1,2
                getent hosts other.example.test || echo no such name
                python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
try: s.sendto(b\"x\", (\"203.0.113.10\", 53)); print(s.recv(10))
except OSError as e: print(e.strerror)'");
            let said = "curl: (6) Could not resolve host: other.example.test\n\
                curl: (6) Could not resolve host: nas.lan\n\
                curl: (7) Failed to connect to 203.0.113.10 port 80\n\
                curl: (7) Failed to connect to 203.0.113.10 port 443\n\
                curl: (7) Failed to connect to 192.168.77.1 port 80\n\
                curl: (7) Failed to connect to 169.254.169.254 port 80\n\
                curl: (7) Failed to connect to 2001:db8::10 port 80\n\
                curl: (35) closed\n\
                curl: (7) Failed to connect to www.example.test port 8443\n\
                curl: (35) closed\n\
                127.64\n\
                no such name\n\
                Network is unreachable\n";
            named(world.home(user).var("NODE_EXTRA_CA_CERTS", certificate), &script).stdout(said).run();
        });
    }

    /// What is refused is noted outside, where the sandbox cannot write.
    fn what_is_refused_is_noted(user: User) {
        world(|world| {
            let test = world.home(user);
            named(test.clone(), "curl -s https://other.example.test/; curl -s https://another.example.test/; true").run();
            let instance = test.snapshot().into_iter().find(|(path, _)| path.ends_with("denied.jsonl"));
            let (path, (mode, text)) = instance.expect("a log of what was refused");
            assert_eq!(mode & 0o777, 0o600);
            let text = String::from_utf8(text).expect("text");
            let denied: Vec<String> = text
                .lines()
                .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["denied"].as_str().expect("a name").to_owned())
                .collect();
            assert_eq!(denied, ["other.example.test", "another.example.test"]);
            let asked = ["--net", "allowlist", "--explain=other.example.test:443", "--exec", "true"];
            let said = "other.example.test:443 cannot be reached: no `net::allow_host` names it, so its\n\
                        name does not resolve\n  \
                        because     network allowlist: the command line says so\n              --net allowlist (command line)\n  \
                        refused     once in sessions of this project: WHY\n";
            let line: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
            test.clone().args(asked).stdout(&said.replace("WHY", line["why"].as_str().expect("a reason"))).run();
            let find = format!("find / -name {} 2>/dev/null; true", path.file_name().and_then(|name| name.to_str()).expect("a name"));
            named(test, &find).run();
        });
    }
}
