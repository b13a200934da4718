//! The real program, run as an operator runs it.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::mailbox::MailServer;
use super::services::wait_for_port;

/// `latchkey serve`, with the settings of a production. It writes its log to `log` in its folder.
pub struct Program(Child);

impl Program {
    pub fn serve(folder: &Path, port: u16, mail: &MailServer, more: &HashMap<&'static str, String>) -> Self {
        let program = Self::spawn(folder, port, mail, more);
        wait_for_port(port);
        program
    }

    /// The same without waiting until it listens.
    pub fn spawn(folder: &Path, port: u16, mail: &MailServer, more: &HashMap<&'static str, String>) -> Self {
        let settings = [
            ("SECRET_KEY", "k".repeat(64)),
            ("BIND", format!("127.0.0.1:{port}")),
            ("DATABASE_URL", "sqlite://db.sqlite3".to_owned()),
            ("EMAIL_HOST", "127.0.0.1".to_owned()),
            ("EMAIL_PORT", mail.port.to_string()),
            ("EMAIL_USE_TLS", "off".to_owned()),
            ("BCRYPT_COST", "4".to_owned()),
            ("TRUSTED_PROXIES", "127.0.0.0/8".to_owned()),
            ("RUST_LOG", "error".to_owned()),
        ];
        let child = Command::new(env!("CARGO_BIN_EXE_latchkey"))
            .arg("serve")
            .current_dir(folder)
            .env_clear()
            .envs(settings)
            .envs(more)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).expect("a log"))
            .spawn()
            .expect("the program");
        Self(child)
    }

    /// Megabytes of memory, by the line of its status in `/proc`.
    pub fn memory(&self, line: &str) -> f64 {
        Self::memory_of(self.id(), line)
    }

    /// Megabytes of memory of a process, by the line of its status in `/proc`.
    pub fn memory_of(process: u32, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux");
        let found = status.lines().find_map(|text| text.strip_prefix(line)).expect("a line");
        let kilobytes = found.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>();
        kilobytes.expect("a number") / 1024.0
    }

    /// Its number among the processes.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.kill();
        }
    }
}
