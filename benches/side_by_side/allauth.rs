//! What people choose today: django-allauth on gunicorn, on the same PostgreSQL and Redis.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::it::harness::{program, wait_for_port};
use super::load::Ask;

/// Two workers, as gunicorn wants them for two cores, and somebody who is signed in.
pub struct Allauth {
    child: Child,
    port: u16,
    cookie: String,
}

impl Allauth {
    /// Starts it; `None` where there is no Python.
    pub fn start(settings: &HashMap<&'static str, String>, port: u16) -> Option<Self> {
        let bin = environment()?;
        let code = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/side_by_side/allauth");
        let python = |name: &str| {
            let mut command = Command::new(bin.join(name));
            command
                .current_dir(&code)
                .envs(settings)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .stdin(Stdio::null());
            command
        };
        let prepared = python("python").arg("allauth_site.py").output().expect("Python");
        assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
        let cookie = String::from_utf8_lossy(&prepared.stdout).trim().to_owned();
        let mut gunicorn = python("gunicorn");
        gunicorn.args(["--workers", "2", "--bind", &format!("127.0.0.1:{port}"), "--log-level", "error"]);
        let child = gunicorn.arg("allauth_site:application").spawn().expect("gunicorn");
        wait_for_port(port);
        Some(Self { child, port, cookie })
    }

    /// Its pages, by the names of ours that they stand beside.
    pub fn pages(&self) -> [(&'static str, Ask); 2] {
        let ask = |path, headers| Ask { url: format!("http://127.0.0.1:{}{path}", self.port), headers };
        [
            ("profile", ask("/profile/", vec![format!("Cookie: {}", self.cookie)])),
            ("sign-in page", ask("/accounts/login/", Vec::new())),
        ]
    }

    /// The number of its first process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Allauth {
    fn drop(&mut self) {
        // Killed outright, it would leave its workers behind.
        let told = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
        assert!(told.success());
        self.child.wait().expect("it ends");
    }
}

/// Its packages, at pinned versions; where its programs are.
fn environment() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("allauth");
    let bin = folder.join("bin");
    if !bin.join("gunicorn").is_file() {
        let python = program("python3", "python3-venv")?;
        let made = Command::new(python).args(["-m", "venv"]).arg(&folder).status().expect("Python");
        assert!(made.success(), "a virtual environment");
        let list = "benches/side_by_side/allauth/requirements.txt";
        let mut pip = Command::new(bin.join("pip"));
        pip.args(["install", "--quiet", "--requirement", list]).current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(pip.status().expect("pip").success(), "its packages");
    }
    Some(bin)
}
