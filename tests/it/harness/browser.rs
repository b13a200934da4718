//! A real browser: Chromium, led by its driver. It shows pages and runs none of their scripts.
//!
//! Its driver speaks HTTP and JSON (W3C, `WebDriver`), asked with the client that the tests have already: thirtyfour would build `serde_json` otherwise than it is shipped, and
//! the server that is tested with it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// How a person has told their system to show pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Light,
    Dark,
    /// High contrast, in the few colours that the person chose.
    Forced,
}

/// A window of a browser of our own. It ends with the value, and with the test run however that ends.
pub struct Browser {
    driver: Driver,
    site: String,
    _guard: Guard,
    _folder: tempfile::TempDir,
}

impl Browser {
    /// Opens a window that knows that site.
    pub async fn start(site: &str) -> Self {
        Self::start_with(site, &[]).await
    }

    /// The same with more arguments for Chromium.
    pub async fn start_with(site: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (guard, port) = Guard::start(folder.path());
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        let mut arguments = vec![
            "--headless=new",
            // By this pipe, and not by a port, Chromium notices that its driver is gone.
            "--remote-debugging-pipe",
            profile.as_str(),
            "--disable-gpu",
            "--disable-quic",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--hide-scrollbars",
            "--lang=en",
        ];
        // Chromium has no sandbox for root.
        arguments.extend(more);
        arguments.extend(is_root().then_some("--no-sandbox"));
        let options = json!({ "binary": "/usr/bin/chromium", "args": arguments });
        let driver = Driver::start(port, &options).await;
        let browser = Self { driver, site: site.to_owned(), _guard: guard, _folder: folder };
        browser.allow_scripts(false).await;
        browser.resize(1280, 800).await;
        browser
    }

    /// Asks the browser itself.
    pub async fn tell(&self, method: &str, with: Value) -> Value {
        let command = json!({ "cmd": method, "params": with });
        let answer = self.driver.post("/goog/cdp/execute", command).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Whether pages may run scripts: none may, unless somebody checks just that.
    pub async fn allow_scripts(&self, allowed: bool) {
        self.tell("Emulation.setScriptExecutionDisabled", json!({ "value": !allowed })).await;
    }

    /// Gives the browser a fingerprint reader that knows the finger, and keeps passkeys.
    pub async fn have_passkeys(&self) -> String {
        let reader = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true,
        });
        text(&self.driver.post("/webauthn/authenticator", reader).await.expect("a reader"))
    }

    /// Whether it knows the finger.
    pub async fn know_finger(&self, reader: &str, known: bool) {
        let path = format!("/webauthn/authenticator/{reader}/uv");
        self.driver.post(&path, json!({ "isUserVerified": known })).await.expect("a reader");
    }

    /// Runs a script of ours, which no page can forbid. As long as pages may run none, it waits for no timer.
    pub async fn run(&self, script: &str) -> Value {
        let answer = self.driver.post("/execute/sync", json!({ "script": script, "args": [] })).await;
        answer.unwrap_or_else(|error| panic!("a script: {error}"))
    }

    /// Makes the inside of the window exactly that large, in CSS pixels.
    pub async fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tell("Emulation.setDeviceMetricsOverride", size).await;
    }

    pub async fn look(&self, look: Look) {
        let scheme = if look == Look::Dark { "dark" } else { "light" };
        let forced = if look == Look::Forced { "active" } else { "none" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "forced-colors", "value": forced },
        ]);
        self.tell("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Opens a page of the site, or that address.
    pub async fn goto(&self, path: &str) {
        let address = if path.starts_with('/') { format!("{}{path}", self.site) } else { path.to_owned() };
        let answer = self.driver.post("/url", json!({ "url": address })).await;
        answer.unwrap_or_else(|error| panic!("{address}: {error}"));
    }

    /// Goes back to the page before.
    pub async fn back(&self) {
        self.driver.post("/back", json!({})).await.expect("a page before");
    }

    /// The tab in front.
    pub async fn tab(&self) -> String {
        text(&self.driver.get("/window").await.expect("a tab"))
    }

    /// Opens another tab, and goes there.
    pub async fn open_tab(&self) {
        let tab = self.driver.post("/window/new", json!({ "type": "tab" })).await.expect("a tab");
        self.go_to_tab(&text(&tab["handle"])).await;
    }

    pub async fn go_to_tab(&self, tab: &str) {
        self.driver.post("/window", json!({ "handle": tab })).await.expect("the tab");
        self.allow_scripts(false).await;
    }

    /// Forgets who was here.
    pub async fn forget_cookies(&self) {
        self.tell("Network.clearBrowserCookies", json!({})).await;
    }

    /// Path and query of the page.
    pub async fn path(&self) -> String {
        let address = text(&self.driver.get("/url").await.expect("an address"));
        address.strip_prefix(&self.site).unwrap_or(&address).to_owned()
    }

    pub async fn title(&self) -> String {
        text(&self.driver.get("/title").await.expect("a title"))
    }

    /// What a person sees of the page.
    pub async fn text(&self) -> String {
        let body = self.find("//body").await;
        text(&self.driver.get(&format!("/element/{body}/text")).await.expect("a text"))
    }

    /// The same, or nothing while one page follows another.
    pub async fn read(&self) -> Option<String> {
        let body = self.driver.find("//body").await.ok()?;
        self.driver.get(&format!("/element/{body}/text")).await.ok().map(|read| text(&read))
    }

    /// Writes into the field of that label, in place of what stood there.
    pub async fn fill(&self, label: &str, text: &str) -> &Self {
        let field = self.field(label).await;
        self.act(&field, "clear", json!({})).await;
        self.act(&field, "value", json!({ "text": text })).await;
        self
    }

    /// Presses a button, and waits for the page that comes.
    pub async fn press(&self, button: &str) -> &Self {
        self.leave_by(&format!("//button[{}]", says(button))).await
    }

    /// Follows a link by its text, and waits for the page that comes.
    pub async fn follow(&self, link: &str) -> &Self {
        self.leave_by(&format!("//a[{}]", says(link))).await
    }

    /// What has the focus, as a screen reader names it: its role and its name.
    pub async fn focused(&self) -> String {
        let focused = self.tell("Runtime.evaluate", json!({ "expression": "document.activeElement" })).await;
        let asked = json!({ "objectId": focused["result"]["objectId"] });
        let tree = self.tell("Accessibility.getPartialAXTree", asked).await;
        let [role, name] = ["role", "name"].map(|what| text(&tree["nodes"][0][what]["value"]));
        format!("{role} “{name}”")
    }

    /// What axe finds wrong with the page, each with its place.
    pub async fn axe(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(tool("axe-core/axe.min.js")).expect("axe-core");
        let run = r#"return axe.run(document, {
            runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
            rules: { "color-contrast-enhanced": { enabled: true } },
            resultTypes: ["violations"],
        })"#;
        // It waits for timers.
        self.allow_scripts(true).await;
        let found = self.run(&format!("{axe}\n{run}")).await;
        self.allow_scripts(false).await;
        let violations = found["violations"].as_array().expect("what axe found");
        let places = violations.iter().flat_map(|violation| {
            let nodes = violation["nodes"].as_array().expect("the places").iter();
            nodes.map(move |node| {
                let why = node["failureSummary"].as_str().unwrap_or_default().replace('\n', " ");
                format!("{} at {}: {why}", text(&violation["id"]), node["target"])
            })
        });
        places.collect()
    }

    /// What is wider than the window, so that a person would have to scroll sideways.
    pub async fn overflow(&self) -> Vec<String> {
        let script = r#"
            const page = document.documentElement, seen = page.clientWidth;
            if (page.scrollWidth <= seen) return [];
            const name = it => it.tagName.toLowerCase() + (it.id ? '#' + it.id : '') + [...it.classList].map(c => '.' + c).join('');
            const wide = [...document.body.querySelectorAll("*")].filter(it => it.getBoundingClientRect().right > seen + 0.5);
            return [`the page is ${page.scrollWidth} wide in a window of ${seen}`, ...wide.map(name)];"#;
        let found = self.run(script).await;
        found.as_array().expect("a list").iter().map(text).collect()
    }

    /// The whole page as a PNG, also what lies below the window.
    pub async fn screenshot(&self) -> Vec<u8> {
        let whole = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.tell("Page.captureScreenshot", whole).await;
        BASE64_STANDARD.decode(text(&picture["data"])).expect("a picture")
    }

    async fn field(&self, label: &str) -> String {
        let by_label = format!("//*[@id = //label[{}]/@for]", says(label));
        let by_name = format!("//*[@aria-label = {}]", quoted(label));
        self.find(&format!("{by_label} | {by_name}")).await
    }

    async fn find(&self, xpath: &str) -> String {
        match self.driver.find(xpath).await {
            Ok(found) => found,
            Err(error) => {
                let read = self.run("return document.body.innerText").await;
                panic!("{xpath} on {}, which reads: {}\n{error}", self.path().await, text(&read))
            }
        }
    }

    async fn act(&self, element: &str, what: &str, with: Value) {
        let answer = self.driver.post(&format!("/element/{element}/{what}"), with).await;
        answer.unwrap_or_else(|error| panic!("{what}: {error}"));
    }

    async fn leave_by(&self, xpath: &str) -> &Self {
        let before = self.driver.find("/*").await.expect("a page");
        let button = self.find(xpath).await;
        self.act(&button, "click", json!({})).await;
        let patience = Instant::now() + Duration::from_secs(30);
        while self.driver.find("/*").await.is_ok_and(|now| now == before) {
            assert!(Instant::now() < patience, "no other page comes after {xpath}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self
    }
}

/// A session with Chromium by way of its driver (W3C, `WebDriver`).
struct Driver {
    client: Client,
    session: String,
}

impl Driver {
    async fn start(port: u16, options: &Value) -> Self {
        let client = Client::builder().timeout(Duration::from_secs(60)).build().expect("a client");
        let sessions = Self { client, session: format!("http://127.0.0.1:{port}/session") };
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let started = sessions.post("", wanted).await.expect("a session with Chromium");
        Self { session: format!("{}/{}", sessions.session, text(&started["sessionId"])), ..sessions }
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        self.ask(Method::GET, path, String::new()).await
    }

    async fn post(&self, path: &str, with: Value) -> Result<Value, String> {
        self.ask(Method::POST, path, with.to_string()).await
    }

    async fn find(&self, xpath: &str) -> Result<String, String> {
        let found = self.post("/element", json!({ "using": "xpath", "value": xpath })).await?;
        Ok(id(&found))
    }

    async fn ask(&self, method: Method, path: &str, body: String) -> Result<Value, String> {
        let request = self.client.request(method, format!("{}{path}", self.session)).body(body);
        let answer = request.send().await.expect("the driver answers");
        let is_good = answer.status().is_success();
        let said = answer.bytes().await.expect("a whole answer");
        let mut said: Value = serde_json::from_slice(&said).expect("JSON");
        if is_good { Ok(said["value"].take()) } else { Err(text(&said["value"]["message"])) }
    }
}

/// The identifier of an element.
fn id(element: &Value) -> String {
    text(&element["element-6066-11e4-a52e-4f735466cecf"])
}

/// The condition of an `XPath` for what says exactly that.
fn says(words: &str) -> String {
    format!("normalize-space() = {}", quoted(words))
}

fn quoted(words: &str) -> String {
    assert!(!words.contains('"'), "XPath knows no way to escape a quote");
    format!("\"{words}\"")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A file of a package that `npm ci` brought.
pub fn tool(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/node_modules").join(name)
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// The driver, in a process group of its own with all that it starts; the group ends when the guard's standard input
/// closes.
struct Guard(Child);

impl Guard {
    /// Starts it, and tells its port.
    fn start(folder: &Path) -> (Self, u16) {
        let line =
            "setsid chromedriver --port=0 & server=$!; read -r _; kill -9 -$server; wait $server 2>/dev/null";
        let mut guard = Command::new("sh")
            .args(["-c", line])
            .envs([("HOME", folder), ("TMPDIR", folder)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        let said = BufReader::new(guard.stdout.take().expect("a pipe"));
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            line.strip_prefix("ChromeDriver was started successfully on port ")?
                .trim_end_matches('.')
                .parse()
                .ok()
        });
        (Self(guard), port.expect("a driver: apt-get install chromium-driver"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}
