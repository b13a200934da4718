//! The programs that docs/applications.md shows, as they stand there.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{AtApplication, PASSWORD, Site, free_port, program, run_alone, wait_for_port};

const DOCS: &str = include_str!("../../../docs/applications.md");

/// The programs of a language, in the order in which they stand there.
fn shown(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    let blocks = DOCS.split(begin.as_str()).skip(1);
    blocks.map(|rest| rest.split("```").next().expect("an end")).collect()
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

fn start(folder: &Path, line: &[&str], port: u16) -> Running {
    let (command, arguments) = line.split_first().expect("a command");
    let mut command = Command::new(command);
    command.args(arguments).current_dir(folder).env("HOME", folder).stdin(Stdio::null());
    let running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
    wait_for_port(port);
    running
}

async fn says_hello(port: u16) {
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}/");
    let said = client
        .get(&url)
        .header("Remote-Id", "0190")
        .header("Remote-User", "evaluc")
        .header("Remote-Name", reqwest::header::HeaderValue::from_bytes("Éva Łuć".as_bytes()).unwrap())
        .header("Remote-Groups", "user")
        .send()
        .await
        .expect("an answer");
    assert_eq!(said.status(), 200);
    assert_eq!(said.text().await.unwrap(), "Hello, Éva Łuć (evaluc, user)");
    let alone = client.get(&url).send().await.expect("an answer");
    assert_eq!(
        (alone.status().as_u16(), alone.text().await.unwrap().as_str()),
        (403, "not through the proxy")
    );
}

#[test]
fn each_language_reads_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("app.py", shown("python")[0]);
    write("app.mjs", shown("js")[0]);
    write("app.php", shown("php")[0]);
    write("app.go", shown("go")[0]);
    assert_eq!(shown("rust"), [include_str!("../../../examples/reads_headers.rs")]);
    let example = Path::new(env!("CARGO_BIN_EXE_latchkey")).parent().unwrap().join("examples/reads_headers");
    assert!(example.is_file(), "cargo test makes it, or: cargo build --all-features --examples");
    let go = program("go", "golang-go");
    if let Some(go) = &go {
        let built = Command::new(go)
            .args(["build", "-o", "app", "app.go"])
            .current_dir(folder.path())
            .envs([("HOME", folder.path()), ("GOCACHE", &folder.path().join("cache"))])
            .status();
        assert!(built.expect("go").success());
    }
    run_alone(async || {
        let ports: [u16; 5] = std::array::from_fn(|_| free_port());
        let [python, node, php, go_port, rust] = ports.map(|port| port.to_string());
        let address = format!("127.0.0.1:{php}");
        let built = folder.path().join("app").display().to_string();
        let lines: [(bool, &[&str]); 5] = [
            (program("python3", "python3").is_some(), &["python3", "app.py", &python]),
            (program("node", "npm").is_some(), &["node", "app.mjs", &node]),
            (program("php", "php-cli").is_some(), &["php", "-S", &address, "app.php"]),
            (go.is_some(), &[&built, &go_port]),
            (true, &[example.to_str().unwrap(), &rust]),
        ];
        for ((is_here, line), port) in lines.into_iter().zip(ports) {
            if is_here {
                let _running = start(folder.path(), line, port);
                says_hello(port).await;
            }
        }
    });
}

#[test]
fn each_language_asks_who_has_a_cookie() {
    run_alone(async || {
        let site = Site::start([].into()).await;
        let mut ann = site.member("annalee").await;
        let mut wiki = AtApplication::new(&site, "wiki.example.org");
        wiki.open(&mut ann, "/").await;
        let secret =
            latchkey::identity::LinkToken::of_application(&site.app.keys.application, "wiki.example.org", 1);
        let folder = tempfile::tempdir().unwrap();
        let here = |text: &str| text.replace("https://accounts.example.org", &site.url);
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("introspect.py", &here(shown("python")[1]));
        write("introspect.mjs", &here(shown("js")[1]));
        let python =
            "import introspect, sys; print((introspect.signed_in(sys.argv[1]) or {}).get('username'))";
        let node = "import { signedIn } from './introspect.mjs'; console.log((await signedIn(process.argv[1]))?.username)";
        for (name, package, arguments) in [
            ("python3", "python3", ["-c", python].as_slice()),
            ("node", "npm", &["--input-type=module", "-e", node]),
        ] {
            let Some(program) = program(name, package) else { continue };
            let ask = async |cookie: String| {
                let mut command = Command::new(&program);
                command
                    .args(arguments)
                    .arg(cookie)
                    .current_dir(folder.path())
                    .env("INTROSPECT_SECRET", secret.expose());
                let output = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
                let output = output.await.expect("it ends");
                String::from_utf8_lossy(&output.stdout).into_owned()
                    + &String::from_utf8_lossy(&output.stderr)
            };
            assert_eq!(ask(format!("a=b; {}", wiki.cookie)).await.trim(), "annalee", "{name}");
            let mut gone = AtApplication::new(&site, "wiki.example.org");
            gone.open(&mut ann, "/").await;
            assert_eq!(ask(gone.cookie.clone()).await.trim(), "annalee", "{name}");
            ann.post("/auth/sign-out/", &[]).await;
            ann.sign_in("annalee", PASSWORD).await;
            let nobody = ["a=b".to_owned(), wiki.cookie.replace("app=", "app=x"), gone.cookie.clone()];
            wiki.open(&mut ann, "/").await;
            for nobody in nobody {
                let said = ask(nobody).await;
                assert!(["None", "undefined"].contains(&said.trim()), "{name}: {said}");
            }
        }
        site.stop().await;
    });
}
