//! Every proxy that we ship a configuration for, with that configuration, in front of one application.

use std::path::{Path, PathBuf};

use super::{Guard, find, free_port, make_certificate_for, wait_for_port};

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    /// Debian's, which is some years old.
    OldCaddy,
    Haproxy,
    Envoy,
    Traefik,
    Apache,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Nginx, Self::Caddy, Self::OldCaddy, Self::Haproxy, Self::Envoy, Self::Traefik, Self::Apache];
}

/// A proxy with TLS at a port of its own.
pub struct Proxy {
    pub port: u16,
    folder: tempfile::TempDir,
    _guard: Guard,
}

/// A place for the configuration of a proxy, and what stands in it for what an operator has.
struct Place {
    folder: tempfile::TempDir,
    host: &'static str,
    port: u16,
    changes: &'static [(&'static str, &'static str)],
    latchkey: String,
    application: String,
}

/// The host of the application in all configurations.
pub const HOST: &str = "wiki.example.org";

macro_rules! shipped {
    ($name:literal) => {
        include_str!(concat!("../../../../deploy/applications/", $name))
    };
}

impl Proxy {
    /// In front of an application, with an instance of ours to ask.
    pub fn start(kind: Kind, latchkey: u16, application: u16) -> Option<Self> {
        Self::start_at(kind, HOST, free_port(), latchkey, application, &[])
    }

    /// The same under another name, at that port, with its configuration changed.
    pub fn start_at(
        kind: Kind,
        host: &'static str,
        port: u16,
        latchkey: u16,
        application: u16,
        changes: &'static [(&'static str, &'static str)],
    ) -> Option<Self> {
        let program = match kind {
            Kind::Nginx => find("nginx", &[], "nginx-light"),
            Kind::Caddy => unpacked("caddy"),
            Kind::OldCaddy => find("caddy", &[], "caddy"),
            Kind::Haproxy => find("haproxy", &[], "haproxy"),
            Kind::Envoy => unpacked("envoy"),
            Kind::Traefik => unpacked("traefik"),
            Kind::Apache => find("apache2", &[], "apache2-bin"),
        }?;
        let openssl = find("openssl", &[], "openssl")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = Place {
            host,
            port,
            changes,
            latchkey: format!("127.0.0.1:{latchkey}"),
            application: format!("127.0.0.1:{application}"),
            folder,
        };
        let (key, certificate) = (place.inside("privkey.pem"), place.inside("fullchain.pem"));
        make_certificate_for(&openssl, HOST, &key, &certificate);
        let arguments = match kind {
            Kind::Nginx => place.nginx(),
            Kind::Caddy | Kind::OldCaddy => place.caddy(),
            Kind::Haproxy => place.haproxy(),
            Kind::Envoy => place.envoy(),
            Kind::Traefik => place.traefik(),
            Kind::Apache => place.apache(),
        };
        let here = place.folder.path().display();
        let log = place.inside("log");
        let line =
            format!("cd '{here}' && HOME='{here}' exec '{}' {arguments} >'{log}' 2>&1", program.display());
        let guard = Guard::start(&format!("sh -c \"{line}\""));
        wait_for_port(place.port);
        Some(Self { port: place.port, folder: place.folder, _guard: guard })
    }

    /// What vouches for itself.
    pub fn certificate(&self) -> String {
        self.folder.path().join("fullchain.pem").display().to_string()
    }
}

/// A proxy that no package of Debian has, or none so new: from a wheel of `PyPI`, as `.ci/run` unpacks them.
fn unpacked(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/proxies");
    let file = folder.join(name);
    if file.is_file() { Some(file) } else { find(&format!("{name}-of-pypi"), &[folder], "python3-pip") }
}

impl Place {
    fn inside(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Writes a file that we ship, with what stands for it here in place of what an operator changes.
    fn write(&self, name: &str, shipped: &str, changes: &[(&str, String)]) {
        let usual = [
            ("/etc/letsencrypt/live/wiki.example.org", self.folder.path().display().to_string()),
            ("127.0.0.1:8000", self.latchkey.clone()),
            ("127.0.0.1:3000", self.application.clone()),
        ];
        let mut text = shipped.to_owned();
        for (from, to) in self.changes {
            assert!(text.contains(from), "{name} has {from}");
            text = text.replace(from, to);
        }
        for (from, to) in changes.iter().chain(&usual) {
            text = text.replace(from, to);
        }
        assert!(changes.iter().all(|(from, _)| shipped.contains(from)), "{name} has all of {changes:?}");
        std::fs::write(self.inside(name), text).expect("a file");
    }

    fn nginx(&self) -> String {
        let here = self.folder.path().display();
        self.write(
            "site.conf",
            shipped!("nginx.conf"),
            &[("listen 443 ", format!("listen 127.0.0.1:{} ", self.port))],
        );
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {here}/{kind};\n"))
            .concat();
        let whole = format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}\ninclude {here}/site.conf;\n}}\n"
        );
        std::fs::write(self.inside("nginx.conf"), whole).expect("a file");
        format!("-p {here} -c {here}/nginx.conf -e {here}/error.log")
    }

    fn caddy(&self) -> String {
        let site = format!("https://{}:{} {{\n\tbind 127.0.0.1", self.host, self.port);
        self.write("site", shipped!("Caddyfile"), &[("\nwiki.example.org {", format!("\n{site}"))]);
        let site = std::fs::read_to_string(self.inside("site")).expect("a file");
        // What is for the whole server stands first.
        let whole = format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}");
        std::fs::write(self.inside("Caddyfile"), whole).expect("a file");
        format!("run --config {} --adapter caddyfile", self.inside("Caddyfile"))
    }

    fn haproxy(&self) -> String {
        self.write("haproxy.lua", shipped!("haproxy.lua"), &[]);
        let key = std::fs::read_to_string(self.inside("privkey.pem")).expect("a key");
        let chain = std::fs::read_to_string(self.inside("fullchain.pem")).expect("a certificate");
        std::fs::write(self.inside("haproxy.pem"), chain + &key).expect("a file");
        let changes = [
            ("/etc/haproxy/haproxy.lua", self.inside("haproxy.lua")),
            ("bind :443", format!("bind 127.0.0.1:{}", self.port)),
        ];
        self.write("haproxy.cfg", shipped!("haproxy.cfg"), &changes);
        format!("-db -f {}", self.inside("haproxy.cfg"))
    }

    fn envoy(&self) -> String {
        let port = |address: &str| address.rsplit(':').next().unwrap_or_default().to_owned();
        let changes = [
            ("port_value: 8000", format!("port_value: {}", port(&self.latchkey))),
            ("port_value: 3000", format!("port_value: {}", port(&self.application))),
            ("address: 0.0.0.0, port_value: 443", format!("address: 127.0.0.1, port_value: {}", self.port)),
        ];
        self.write("envoy.yaml", shipped!("envoy.yaml"), &changes);
        format!("-c {} --disable-hot-restart --concurrency 1 -l warn", self.inside("envoy.yaml"))
    }

    fn traefik(&self) -> String {
        self.write("traefik-dynamic.yaml", shipped!("traefik-dynamic.yaml"), &[]);
        let changes = [
            ("/etc/traefik/traefik-dynamic.yaml", self.inside("traefik-dynamic.yaml")),
            ("\":443\"", format!("\"127.0.0.1:{}\"", self.port)),
        ];
        self.write("traefik.yaml", shipped!("traefik.yaml"), &changes);
        format!("--configFile={}", self.inside("traefik.yaml"))
    }

    fn apache(&self) -> String {
        let here = self.folder.path().display();
        self.write("apache.lua", shipped!("apache.lua"), &[]);
        let changes = [
            ("/etc/apache2/latchkey.lua", self.inside("apache.lua")),
            ("*:443", format!("127.0.0.1:{}", self.port)),
        ];
        self.write("site.conf", shipped!("apache.conf"), &changes);
        let modules = [
            "mpm_event",
            "authz_core",
            "setenvif",
            "ssl",
            "socache_shmcb",
            "http2",
            "lua",
            "proxy",
            "proxy_http",
        ];
        let modules =
            modules.map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"));
        let whole = format!(
            "ServerRoot {here}\nPidFile {here}/pid\nDefaultRuntimeDir {here}\nErrorLog {here}/error.log\nServerName {HOST}\n\
             Listen 127.0.0.1:{}\nMutex pthread default\n{}Include {here}/site.conf\n",
            self.port,
            modules.concat()
        );
        std::fs::write(self.inside("apache2.conf"), whole).expect("a file");
        // One process, so that nothing of it outlives the test run.
        format!("-f {here}/apache2.conf -X")
    }
}
