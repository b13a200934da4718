//! An Exim of our own, which puts all mail into one file.

use std::path::PathBuf;

use super::{Guard, find, free_port, is_root, run_to_end, wait_for_port};

/// A server, with its folder.
pub struct Exim {
    pub port: u16,
    folder: tempfile::TempDir,
    _guard: Guard,
}

impl Exim {
    pub fn start() -> Option<Self> {
        let program = find("exim4", &["/usr/sbin".into()], "exim4-daemon-light")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().display();
        let port = free_port();
        // It refuses to deliver as root.
        let user = if is_root() { "mail".to_owned() } else { whoami() };
        let config = format!(
            "primary_hostname = mail.example.test\nspool_directory = {place}\nlog_file_path = {place}/%slog\n\
             pid_file_path = {place}/pid\ndaemon_smtp_ports = {port}\nlocal_interfaces = 127.0.0.1\n\
             tls_advertise_hosts =\nexim_user = {user}\nexim_group = mail\nacl_smtp_rcpt = rcpt\n\
             begin acl\nrcpt:\n  deny message = No such person here\n       local_parts = nobody\n  accept\n\
             begin routers\nall:\n  driver = accept\n  transport = one_file\n\
             begin transports\none_file:\n  driver = appendfile\n  file = {place}/mails\n  user = {user}\n  group = mail\n\
             begin retry\n"
        );
        std::fs::write(folder.path().join("conf"), config).expect("a file");
        if is_root() {
            run_to_end("chown".as_ref(), &["mail:mail", &place.to_string()]);
        }
        let guard = Guard::start(&format!("exec '{}' -C '{place}/conf' -bdf -q1m", program.display()));
        wait_for_port(port);
        Some(Self { port, folder, _guard: guard })
    }

    /// What arrived, one mail after the other.
    pub fn mails(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap_or_default()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("mails")
    }
}

fn whoami() -> String {
    let output = std::process::Command::new("id").arg("-un").output().expect("id");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
