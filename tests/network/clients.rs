//! Real programs in the sandbox against a server of the lab's internet, over TLS with a certificate that the host trusts.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::lab::{lab, shell};
use super::reach::boxed;
use crate::support::{Test, User, as_both};

/// A server of files over TLS, on the port for it. It ends with the test: its stdin does.
const SERVER: &str = r"
const [certificate, key, root] = process.argv.slice(1);
const {readFileSync, statSync} = require('fs'), {join, normalize} = require('path'), https = require('https');
const server = https.createServer({cert: readFileSync(certificate), key: readFileSync(key)}, (request, response) => {
  const path = normalize(decodeURIComponent(request.url.split('?')[0]));
  let file = join(root, path);
  try {
    if (statSync(file).isDirectory()) file = join(file, 'index.html');
    const type = file.endsWith('.html') ? 'text/html' : file.endsWith('.json') ? 'application/json' : 'application/octet-stream';
    const body = readFileSync(file);
    response.writeHead(200, {'Content-Type': type, 'Content-Length': body.length}).end(body);
  } catch { response.writeHead(404).end(); }
});
server.listen(Number(process.env.PORT), '203.0.113.10', () => console.log('ready'));
process.stdin.on('end', () => process.exit(0)).resume();
";

/// The lab's site on the port of the web, for tests that reach it by its name alone: the certificate to trust.
pub fn site() -> std::path::PathBuf {
    static SITE: std::sync::OnceLock<Server> = std::sync::OnceLock::new();
    SITE.get_or_init(|| Server::start(443)).certificate()
}

#[derive(Debug)]
struct Server {
    child: Child,
    directory: tempfile::TempDir,
}

impl Server {
    /// Makes a certificate and all that is served, and starts.
    fn start(port: u16) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("claudebox-www-")
            .tempdir()
            .expect("a directory in /tmp");
        let root = directory.path().display();
        shell(&format!(
            "chmod 755 {root}; cd {root} && \
             openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj '/CN=claudebox test' \
               -addext 'subjectAltName=DNS:www.example.test,DNS:mirror.example.test' -keyout key.pem -out certificate.pem 2>/dev/null && chmod 644 certificate.pem && \
             mkdir www && cd www && echo 'a page' > page.txt && \
             git init -q --bare repository.git && git init -q work && \
             (cd work && echo committed > file && git add file && git -c user.name=t -c user.email=t@example.test commit -qm m && \
              git push -q ../repository.git HEAD:refs/heads/main) && \
             git --git-dir repository.git symbolic-ref HEAD refs/heads/main && git --git-dir repository.git update-server-info && \
             mkdir -p tiny/package tiny-1.0.0 && \
             echo '{{\"name\":\"tiny\",\"version\":\"1.0.0\",\"main\":\"index.js\"}}' > tiny/package/package.json && \
             echo 'module.exports = \"from npm\";' > tiny/package/index.js && tar -czf tiny-1.0.0.tgz -C tiny package && rm -r tiny && \
             echo '{{\"name\":\"tiny\",\"dist-tags\":{{\"latest\":\"1.0.0\"}},\"versions\":{{\"1.0.0\":{{\"name\":\"tiny\",\"version\":\"1.0.0\",\
               \"dist\":{{\"tarball\":\"https://www.example.test:{port}/tiny-1.0.0.tgz\"}}}}}}}}' > tiny && \
             mkdir -p simple/small wheel/small-1.0.dist-info && echo 'said = \"from pip\"' > wheel/small.py && \
             printf 'Metadata-Version: 2.1\\nName: small\\nVersion: 1.0\\n' > wheel/small-1.0.dist-info/METADATA && \
             printf 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n' > wheel/small-1.0.dist-info/WHEEL && \
             printf 'small.py,,\\nsmall-1.0.dist-info/METADATA,,\\nsmall-1.0.dist-info/WHEEL,,\\nsmall-1.0.dist-info/RECORD,,\\n' \
               > wheel/small-1.0.dist-info/RECORD && \
             python3 -c \"import shutil; shutil.make_archive('small', 'zip', 'wheel')\" && mv small.zip simple/small/small-1.0-py3-none-any.whl && \
             echo '<a href=\"small-1.0-py3-none-any.whl\">small</a>' > simple/small/index.html && \
             mkdir -p mini-1.0.0/src index/mi/ni && printf '[package]\nname = \"mini\"\nversion = \"1.0.0\"\nedition = \"2021\"\n' > mini-1.0.0/Cargo.toml && \
             echo 'pub const SAID: &str = \"from cargo\";' > mini-1.0.0/src/lib.rs && tar -czf mini.crate mini-1.0.0 && rm -r mini-1.0.0 && \
             echo '{{\"dl\":\"https://www.example.test:{port}/{{crate}}.crate\"}}' > index/config.json && \
             printf '{{\"name\":\"mini\",\"vers\":\"1.0.0\",\"deps\":[],\"features\":{{}},\"yanked\":false,\"cksum\":\"%s\"}}\n' \
               $(sha256sum mini.crate | cut -d' ' -f1) > index/mi/ni/mini"
        ));
        let path = |name: &str| directory.path().join(name);
        let mut child = lab().internet.run(|| {
            Command::new("node")
                .args(["-e", SERVER])
                .args([path("certificate.pem"), path("key.pem"), path("www")])
                .env("PORT", port.to_string())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("node")
        });
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the server's first line");
        assert_eq!(line, "ready\n");
        Self { child, directory }
    }

    fn certificate(&self) -> std::path::PathBuf {
        self.directory.path().join("certificate.pem")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A host that trusts the certificate, as its user would say it.
fn trusting(user: User, certificate: &Path) -> Test {
    let certificate = certificate.display().to_string();
    Test::new()
        .who(user)
        .var("SSL_CERT_FILE", &certificate)
        .var("NODE_EXTRA_CA_CERTS", &certificate)
}

as_both! {
    /// curl, git, npm and pip work as they do outside.
    fn real_clients_work_over_tls(user: User) {
        let port: u16 = match user { User::Root => 8443, User::Ordinary => 9443 };
        lab().on_machine(|| {
            let server = Server::start(port);
            let site = format!("https://www.example.test:{port}");
            let script = format!(
                "curl -sS {site}/page.txt\n\
                 git clone -q {site}/repository.git cloned && cat cloned/file\n\
                 npm install --silent --no-audit --no-fund --no-update-notifier --registry {site}/ tiny > npm.log 2>&1 || cat npm.log\n\
                 node -p \"require('tiny')\"\n\
                 pip install -q --disable-pip-version-check --root-user-action=ignore --cert $SSL_CERT_FILE --index-url {site}/simple/ --target packages small > pip.log 2>&1 || cat pip.log\n\
                 PYTHONPATH=packages python3 -c 'import small; print(small.said)'\n\
                 curl -sS -m 10 http://192.168.77.2/ 2>&1 | cut -c1-40"
            );
            let expected = "a page\ncommitted\nfrom npm\nfrom pip\ncurl: (7) Failed to connect to 192.168.7\n";
            let test = trusting(user, &server.certificate());
            boxed(test, "internet", ["sh", "-c", &script]).stdout(expected).run();
        });
    }

    /// A host that does not trust it does not suddenly trust it inside.
    fn an_unknown_certificate_is_refused(user: User) {
        let port: u16 = match user { User::Root => 8444, User::Ordinary => 9444 };
        lab().on_machine(|| {
            let _server = Server::start(port);
            let run = boxed(Test::new().who(user), "internet", ["curl", "-sS", &format!("https://www.example.test:{port}/page.txt")]).start();
            assert_eq!((run.stdout.as_str(), run.exit), ("", 60), "{run:?}");
        });
    }
}
