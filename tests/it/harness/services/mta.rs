//! Real mail servers of our own, which put all mail for `ann@example.org` into one file and know no `nobody@example.org`.

use std::path::{Path, PathBuf};

use super::{Guard, find, free_port, is_root, make_certificate, note_missing, run_to_end, wait_for_port};

/// A server, with its folder.
pub struct Mta {
    pub port: u16,
    /// What vouches for it, if it speaks TLS.
    pub certificate: Option<PathBuf>,
    mails: PathBuf,
    _folder: tempfile::TempDir,
    _guard: Guard,
}

impl Mta {
    /// Exim without TLS, as it answers on a machine of its own.
    pub fn exim() -> Option<Self> {
        let program = find("exim4", &[], "exim4-daemon-light")?;
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
             begin transports\none_file:\n  driver = appendfile\n  file = {place}/ann\n  user = {user}\n  group = mail\n\
             begin retry\n"
        );
        std::fs::write(folder.path().join("conf"), config).expect("a file");
        if is_root() {
            give_to_mail(&[&place.to_string()]);
        }
        let line = format!("exec '{}' -C '{place}/conf' -bdf -q1m", program.display());
        Some(Self::run(&line, port, None, folder))
    }

    /// Postfix with STARTTLS and a certificate that no public authority signed. Debian's Exim and Postfix exclude each
    /// other, so it is only unpacked (`.ci/run`); and it starts for root alone.
    pub fn postfix() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/postfix");
        let (sbin, libraries) = (root.join("usr/lib/postfix/sbin"), root.join("usr/lib/postfix"));
        let master = find("master", &[sbin], "postfix (unpacked by .ci/run)")?;
        let openssl = find("openssl", &[], "openssl")?;
        if !is_root() {
            note_missing("root (for Postfix)");
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (place, port) = (folder.path().display().to_string(), free_port());
        let certificate = folder.path().join("certificate.pem");
        make_certificate(&openssl, &format!("{place}/key.pem"), &certificate.display().to_string());
        // The folders that `postfix set-permissions` would make, had it been installed.
        for name in ["data", "mails", "queue", "queue/pid", "queue/public", "queue/private", "queue/maildrop"]
        {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        for name in [
            "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "saved", "trace",
        ] {
            std::fs::create_dir(folder.path().join("queue").join(name)).expect("a folder");
        }
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {place}/queue\ndata_directory = {place}/data\n\
             command_directory = {root}/usr/sbin\ndaemon_directory = {libraries}/sbin\nshlib_directory = {libraries}\n\
             import_environment = MAIL_CONFIG LD_LIBRARY_PATH\nmail_owner = mail\nsetgid_group = staff\n\
             default_privs = nobody\nmyhostname = mail.example.test\nmydestination =\nalias_maps =\nalias_database =\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmaillog_file = {place}/log\nmaillog_file_prefixes = /\n\
             smtpd_tls_security_level = encrypt\nsmtpd_tls_cert_file = {place}/certificate.pem\n\
             smtpd_tls_key_file = {place}/key.pem\nvirtual_mailbox_domains = example.org\n\
             virtual_mailbox_base = {place}\nvirtual_mailbox_maps = inline:{{{{ann@example.org = ann}}}}\n\
             virtual_minimum_uid = 1\nvirtual_uid_maps = static:8\nvirtual_gid_maps = static:8\n",
            root = root.display(),
            libraries = libraries.display(),
        );
        let services = format!(
            "127.0.0.1:{port} inet n - n - - smtpd\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
             rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
             trace unix - - n - 0 bounce\nverify unix - - n - 1 verify\nerror unix - - n - - error\n\
             retry unix - - n - - error\nvirtual unix - n n - - virtual\nanvil unix - - n - 1 anvil\n\
             proxymap unix - - n - - proxymap\nproxywrite unix - - n - 1 proxymap\n\
             tlsmgr unix - - n 1000? 1 tlsmgr\npostlog unix-dgram n - n - 1 postlogd\n"
        );
        std::fs::write(folder.path().join("main.cf"), main).expect("a file");
        std::fs::write(folder.path().join("master.cf"), services).expect("a file");
        give_to_mail(&["-R", &place]);
        let line = format!(
            "exec env MAIL_CONFIG='{place}' LD_LIBRARY_PATH='{}' '{}' -c '{place}' -d 2>'{place}/trouble'",
            libraries.display(),
            master.display()
        );
        Some(Self::run(&line, port, Some(certificate), folder))
    }

    fn run(line: &str, port: u16, certificate: Option<PathBuf>, folder: tempfile::TempDir) -> Self {
        let guard = Guard::start(line);
        wait_for_port(port);
        Self { port, certificate, mails: folder.path().join("ann"), _folder: folder, _guard: guard }
    }

    /// What arrived, one mail after the other.
    pub fn mails(&self) -> String {
        std::fs::read_to_string(&self.mails).unwrap_or_default()
    }
}

/// Lets the user `mail` write there; what `chown` reads as the rest of its line. (Exim trusts no settings of somebody
/// else's.)
fn give_to_mail(place: &[&str]) {
    run_to_end("chown".as_ref(), &[&["mail:mail"], place].concat());
}

fn whoami() -> String {
    let output = std::process::Command::new("id").arg("-un").output().expect("id");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
