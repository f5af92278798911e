//! What a policy opens: single ports of the local network, ports of the host's loopback, and ports of the sandbox's on the host's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::lab::lab;
use super::reach::{boxed, with_probe};
use super::servers;
use crate::support::{Test, User, as_both};

/// A user's policy that opens something.
fn policy(test: Test, opening: &str) -> Test {
    test.policy(&format!(
        "fn network(host) {{\n    base::network(host);\n    {opening}\n}}\n"
    ))
}

/// A server in the sandbox that answers every connection with a name, or with what it was sent when that ends.
const SERVER: &str = "import socket, sys\n\
    s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)\n\
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
    s.bind((sys.argv[1], int(sys.argv[2]))); s.listen(64); print('ready', flush=True)\n\
    while True:\n\
    \x20   c, _ = s.accept(); data = b''\n\
    \x20   while x := c.recv(65536): data += x\n\
    \x20   c.sendall(b'sandbox ' + str(len(data)).encode()); c.close()\n";

/// What comes back for what is sent.
fn ask(place: &str, question: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(place)?;
    stream.write_all(question)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

as_both! {
    /// The one port of the one address, by the one protocol.
    fn a_port_of_the_local_network(user: User) {
        lab().on_machine(|| {
            let test = policy(with_probe(user), "net::allow(\"192.168.77.2:80\", \"x\"); net::allow(\"100.64.9.9:7777/udp\", \"y\"); net::allow(\"192.168.77.10:80\", \"z\");");
            let asked = "tcp 192.168.77.2 80\nudp 192.168.77.2 80\ntcp 192.168.77.2 81\nudp 192.168.77.2 7777\nicmp 192.168.77.2\n\
                         tcp 192.168.77.1 80\nudp 100.64.9.9 7777\ntcp 100.64.9.9 80\ntcp 192.168.77.10 80\nudp 192.168.77.10 7777\n";
            let answers = "tcp 192.168.77.2 80 neighbour\nudp 192.168.77.2 80 EPERM\ntcp 192.168.77.2 81 EHOSTUNREACH\nudp 192.168.77.2 7777 EPERM\n\
                           icmp 192.168.77.2 EPERM\ntcp 192.168.77.1 80 EHOSTUNREACH\nudp 100.64.9.9 7777 tailnet\ntcp 100.64.9.9 80 EHOSTUNREACH\n\
                           tcp 192.168.77.10 80 machine\nudp 192.168.77.10 7777 EPERM\n";
            boxed(test, "internet", ["./probe"]).stdin(asked).stdout(answers).run();
        });
    }

    /// A service of the host's loopback, on whichever address it listens, appears on the sandbox's, and no other does.
    fn a_port_of_the_host(user: User) {
        let [four, six] = match user { User::Root => [5432, 5433], User::Ordinary => [6432, 6433] };
        lab().on_machine(|| {
            servers::stream([127, 0, 0, 1].into(), four, "database");
            servers::stream(std::net::Ipv6Addr::LOCALHOST.into(), six, "other");
            let test = policy(with_probe(user), &format!("net::allow_host_port({four}, \"x\"); net::allow_host_port({six}, \"y\");"));
            let ways: [(String, &str); 6] = [
                (format!("tcp 127.0.0.1 {four}"), "database"),
                (format!("tcp ::1 {four}"), "database"),
                (format!("tcp 127.0.0.1 {six}"), "other"),
                (format!("tcp ::1 {six}"), "other"),
                ("tcp 127.0.0.1 80".into(), "ECONNREFUSED"),
                (format!("udp 127.0.0.1 {four}"), "ECONNREFUSED"),
            ];
            let asked: String = ways.iter().map(|(way, _)| format!("{way}\n")).collect();
            let answers: String = ways.iter().map(|(way, answer)| format!("{way} {answer}\n")).collect();
            boxed(test, "internet", ["./probe"]).stdin(&asked).stdout(&answers).run();
        });
    }

    /// A server in the sandbox is seen on the host's loopback, wherever it listens in there; much goes through in both directions.
    fn a_published_port(user: User) {
        let ports: [u16; 2] = match user { User::Root => [3000, 3001], User::Ordinary => [4000, 4001] };
        lab().on_machine(|| {
            for (address, port) in ["127.0.0.1", "::1"].into_iter().zip(ports) {
                let test = policy(Test::new().who(user), &format!("net::publish({port}, \"the dev server\");"));
                let test = test.file("server.py", SERVER);
                // Nobody listens there before, and nobody after.
                assert!(ask(&format!("127.0.0.1:{port}"), b"").is_err());
                let test = boxed(test, "internet", ["python3", "server.py", address, &port.to_string()]);
                let mut running = test.spawn();
                let mut line = String::new();
                BufReader::new(running.stdout()).read_line(&mut line).expect("the server's first line");
                assert_eq!(line, "ready\n");
                for place in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
                    assert_eq!(ask(&place, b"hello").expect("the sandbox's server"), "sandbox 5", "{place}");
                    assert_eq!(ask(&place, &vec![b'x'; 3_000_000]).expect("the sandbox's server"), "sandbox 3000000", "{place}");
                }
                // The loopback alone, not the local network.
                assert!(ask(&format!("192.168.77.10:{port}"), b"").is_err());
                drop(running);
                let start = Instant::now();
                while TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    assert!(start.elapsed() < Duration::from_secs(60), "the port is still taken");
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
    }

    /// Where nobody listens in the sandbox, the caller outside is told so by the end of the connection.
    fn a_published_port_without_a_server(user: User) {
        let port: u16 = match user { User::Root => 3100, User::Ordinary => 3101 };
        lab().on_machine(|| {
            let test = policy(Test::new().who(user), &format!("net::publish({port}, \"x\");"));
            let test = boxed(test, "internet", ["sh", "-c", "echo ready; exec sleep 600"]);
            let mut running = test.spawn();
            let mut line = String::new();
            BufReader::new(running.stdout()).read_line(&mut line).expect("the payload's first line");
            assert_eq!(line, "ready\n");
            let answer = ask(&format!("127.0.0.1:{port}"), b"").unwrap_or_default();
            assert_eq!(answer, "");
        });
    }

    /// What is decided is what is: a port that cannot be published ends the launch.
    fn a_port_that_is_taken(user: User) {
        lab().on_machine(|| {
            let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let port = taken.local_addr().expect("its address").port();
            let text = format!(
                "error[network]: the port {port} of this host cannot be taken: address already in use\n\
                 hint: another session or another program holds it; end that one, or leave the port out of the policy's `network`\n"
            );
            let test = policy(Test::new().who(user), &format!("net::publish({port}, \"x\");"));
            let test = boxed(test, "internet", ["sh", "-c", "echo ran > mark"]).stderr(&text).exit(125);
            test.compare(&test.start());
            assert!(!test.at("mark").exists(), "it was refused and ran all the same");
        });
    }
}
