//! Browsers that live on a terminal: w3m and lynx, led by the keys that a person presses, in a terminal of tmux.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::time::sleep;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextBrowser {
    W3m,
    Lynx,
}

/// One on a terminal of its own. It ends with the value, and with the test run however that ends.
pub struct Terminal {
    browser: TextBrowser,
    folder: tempfile::TempDir,
    guard: Child,
}

/// The terminal at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Screen {
    lines: Vec<String>,
    place: Place,
}

/// The row and the column of a cursor.
type Place = (usize, usize);

const HEIGHT: usize = 200;

impl Terminal {
    /// Opens that page.
    pub async fn start(browser: TextBrowser, address: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join("tmux");
        let command = match browser {
            TextBrowser::W3m => format!("w3m -cookie '{address}'"),
            TextBrowser::Lynx => format!("lynx -accept_all_cookies -nopause -show_cursor=on '{address}'"),
        };
        // The server ends with the guard's standard input, and what runs in it with its terminal.
        let line = format!(
            "tmux -S '{}' -f /dev/null -D >/dev/null 2>&1 & server=$!; read -r _; kill -9 $server; wait $server 2>/dev/null",
            socket.display()
        );
        let guard = Command::new("sh")
            .args(["-c", &line])
            .envs([("HOME", folder.path().as_os_str()), ("TMPDIR", folder.path().as_os_str())])
            .envs([("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8"), ("TERM", "xterm")])
            .env_remove("TMUX")
            .stdin(Stdio::piped())
            .spawn()
            .expect("sh");
        let terminal = Self { browser, folder, guard };
        terminal.until("a terminal", async || socket.exists()).await;
        // Tall enough for a whole page, and wide enough for what is looked for to stand on one line.
        terminal.tmux(&["new-session", "-d", "-x", "100", "-y", &HEIGHT.to_string(), &command]);
        terminal
    }

    /// Waits until a person reads this.
    pub async fn see(&self, text: &str) -> &Self {
        self.until(&format!("“{text}”"), async || self.text().contains(text)).await;
        self
    }

    /// The words on the screen.
    pub fn text(&self) -> String {
        let words = self.screen().lines.join(" ");
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Writes into the field of that label, in place of what stood there.
    pub async fn fill(&self, label: &str, text: &str) -> &Self {
        self.reach(label, |screen, before| {
            let label = screen.label(label);
            // The first that comes after the label: with what came before it before the label, or at the page's end.
            label.is_some_and(|label| label < screen.place && (before < label || screen.place < before))
        })
        .await;
        match self.browser {
            // It asks for the text in a line of its own.
            TextBrowser::W3m => {
                self.keys(&["Enter"]);
                self.until("a line to write in", async || self.asks().await).await;
                self.keys(&["C-u"]).write(text).keys(&["Enter"]);
                self.until("the page again", async || !self.asks().await).await;
            }
            TextBrowser::Lynx => drop(self.keys(&["C-u"]).write(text)),
        }
        self
    }

    /// Presses the button, or follows the link.
    pub async fn press(&self, text: &str) -> &Self {
        self.reach(text, |screen, _| screen.after_cursor().starts_with(text)).await;
        self.keys(&["Enter"])
    }

    /// Goes from one link or field to the next until it is there. It is told where it was before.
    async fn reach(&self, what: &str, is_there: impl Fn(&Screen, Place) -> bool) -> &Self {
        if self.browser == TextBrowser::W3m {
            // Lynx goes on at the top by itself.
            self.keys(&["g"]);
        }
        let mut before = self.settled().await.place;
        self.until(&format!("a way to “{what}”"), async || {
            let screen = self.settled().await;
            if is_there(&screen, before) {
                return true;
            }
            before = screen.place;
            self.keys(&["Tab"]);
            // There may be nothing else to go to.
            let patience = Instant::now() + Duration::from_millis(500);
            while self.screen() == screen && Instant::now() < patience {
                sleep(Duration::from_millis(5)).await;
            }
            false
        })
        .await;
        self
    }

    fn keys(&self, keys: &[&str]) -> &Self {
        self.tmux(&[&["send-keys"], keys].concat());
        self
    }

    fn write(&self, text: &str) -> &Self {
        self.tmux(&["send-keys", "-l", text]);
        self
    }

    /// Whether w3m waits for a text in its last line.
    async fn asks(&self) -> bool {
        let screen = self.settled().await;
        let last = screen.lines.last().filter(|_| screen.place.0 + 1 == HEIGHT);
        last.is_some_and(|line| ["TEXT:", "Password:"].iter().any(|it| line.starts_with(it)))
    }

    /// The screen when nothing moves on it.
    async fn settled(&self) -> Screen {
        let mut before = self.screen();
        loop {
            sleep(Duration::from_millis(20)).await;
            let now = self.screen();
            if now == before {
                return now;
            }
            before = now;
        }
    }

    fn screen(&self) -> Screen {
        let all = self.tmux(&["display-message", "-p", "#{cursor_x} #{cursor_y}", ";", "capture-pane", "-p"]);
        let mut lines = all.lines().map(str::to_owned);
        let place = lines.next().unwrap_or_default();
        let (column, row) = place.split_once(' ').expect("a cursor");
        let [column, row] = [column, row].map(|number| number.parse().expect("a number"));
        Screen { lines: lines.collect(), place: (row, column) }
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let socket = self.folder.path().join("tmux");
        let mut command = Command::new("tmux");
        let output =
            command.env("LC_ALL", "C.UTF-8").arg("-S").arg(socket).args(arguments).output().expect("tmux");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    async fn until(&self, what: &str, mut attempt: impl AsyncFnMut() -> bool) {
        let patience = Instant::now() + Duration::from_secs(30);
        while !attempt().await {
            assert!(
                Instant::now() < patience,
                "{:?} does not get to {what}:\n{}",
                self.browser,
                self.shown()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn shown(&self) -> String {
        let screen = self.screen();
        let lines = screen.lines.iter().map(|line| line.trim_end()).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Screen {
    /// What stands where the cursor is, and goes on in the next line, without the frame of a button or a box.
    fn after_cursor(&self) -> String {
        let (row, column) = self.place;
        let line: String =
            self.lines.get(row).map(|line| line.chars().skip(column).collect()).unwrap_or_default();
        let begins = !line.trim_start_matches("(BUTTON) ").trim_matches(['[', ']', ' ', 'X', '*']).is_empty();
        let next = self.lines.get(row + 1).filter(|_| begins).map(|line| line.trim_start());
        let line = format!("{} {}", line.trim_end(), next.unwrap_or_default());
        line.trim_start_matches("(BUTTON) ").trim_start_matches(['[', ']', ' ', 'X', '*']).to_owned()
    }

    /// Where that label is: it begins a line, and ends it or has its field behind it.
    fn label(&self, label: &str) -> Option<Place> {
        let place = |(row, line): (usize, &String)| {
            let rest = line.trim_start().strip_prefix(label)?.trim();
            let is_label = rest.is_empty() || rest.starts_with(['[', '_', '(']) || rest.ends_with('_');
            is_label.then_some((row, line.chars().take_while(|letter| *letter == ' ').count()))
        };
        self.lines.iter().enumerate().find_map(place)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
    }
}
