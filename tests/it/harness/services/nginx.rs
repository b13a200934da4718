//! An nginx of our own, with the site file that we ship.

use super::{Guard, find, free_port, make_certificate, wait_for_port};

/// A proxy with TLS in front of two instances.
pub struct Nginx {
    pub port: u16,
    _guard: Guard,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// In front of these ports of this machine.
    pub fn start(instances: [u16; 2], port: u16) -> Option<Self> {
        let nginx = find("nginx", &[], "nginx-light")?;
        let openssl = find("openssl", &[], "openssl")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().display().to_string();
        let (key, certificate) = (format!("{place}/key.pem"), format!("{place}/certificate.pem"));
        make_certificate(&openssl, &key, &certificate);
        let [one, other] = instances.map(|port| format!("127.0.0.1:{port}"));
        let site = include_str!("../../../../deploy/nginx.conf")
            .replace("127.0.0.1:8000", &one)
            .replace("127.0.0.1:8001", &other)
            .replace("listen 80;", &format!("listen 127.0.0.1:{};", free_port()))
            .replace("listen 443 ", &format!("listen 127.0.0.1:{port} "))
            .replace("accounts.example.org;", "localhost;")
            .replace("/etc/letsencrypt/live/accounts.example.org/fullchain.pem", &certificate)
            .replace("/etc/letsencrypt/live/accounts.example.org/privkey.pem", &key);
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
            .concat();
        // One process, so that nothing of it outlives the test run.
        let whole = format!(
            "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}\n{site}\n}}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), whole).expect("a file");
        let guard = Guard::start(&format!("exec '{}' -p '{place}' -c '{place}/nginx.conf'", nginx.display()));
        wait_for_port(port);
        Some(Self { port, _guard: guard, _folder: folder })
    }
}
