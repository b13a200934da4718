//! What Latchkey promises about speed, memory and silence, measured on the real program: `cargo bench`.
//!
//! Read ratios and medians: the load comes from the same machine.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement fails loudly, and its numbers are small"
)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};

const PASSWORD: &str = "violet canyon umbrella";

fn main() {
    rustls::crypto::ring::default_provider().install_default().expect("nobody else is first");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    start_and_idle().await;
    pages_during_sign_ins().await;
    memory_of_a_bomb().await;
    silence().await;
}

/// The program, serving from a folder of its own.
struct Server {
    child: Child,
    url: String,
    first_answer: Duration,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start(cost: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(command(folder.path(), cost, 0, "migrate").status().expect("it runs").success());
        let mut create = command(folder.path(), cost, 0, "create-superuser");
        create.args(["--username", "supervisor", "--email", "boss@example.org", "--password-stdin"]);
        let mut create = create.stdin(Stdio::piped()).spawn().expect("it runs");
        std::io::Write::write_all(create.stdin.as_mut().expect("a pipe"), PASSWORD.as_bytes())
            .expect("it reads");
        drop(create.stdin.take());
        assert!(create.wait().expect("it ends").success());
        Self::start_in(folder, cost).await
    }

    async fn start_in(folder: tempfile::TempDir, cost: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a port")
            .port();
        let started = Instant::now();
        let child = command(folder.path(), cost, port, "serve").spawn().expect("it runs");
        let url = format!("http://localhost:{port}");
        let client = Client::new();
        while !client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        Self { child, url, first_answer: started.elapsed(), folder }
    }

    fn memory(&self, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux");
        let found = status.lines().find_map(|text| text.strip_prefix(line)).expect("a line");
        let kilobytes: f64 =
            found.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes / 1024.0
    }

    fn stop(mut self) -> tempfile::TempDir {
        std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"))
    }

    fn post(&self, client: &Client, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let body = serde_urlencoded::to_string(form).expect("a form");
        let post = client.request(Method::POST, format!("{}{path}", self.url));
        post.header("Content-Type", "application/x-www-form-urlencoded").body(body)
    }
}

/// Also when a measurement fails.
impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

fn command(folder: &Path, cost: &str, port: u16, name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command
        .arg(name)
        .current_dir(folder)
        .env_clear()
        .env("SECRET_KEY", "k".repeat(64))
        .env("BIND", format!("127.0.0.1:{port}"))
        .env("EMAIL_BACKEND", "file")
        .env("RATE_LIMITS", "off")
        .env("BCRYPT_COST", cost)
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn client() -> Client {
    Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

fn quantile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let index = ((times.len() - 1) as f64 * share).round() as usize;
    times[index].as_secs_f64() * 1000.0
}

async fn start_and_idle() {
    let mut starts = Vec::new();
    let mut folder = Server::start("12").await.stop();
    for _ in 0..15 {
        let server = Server::start_in(folder, "12").await;
        starts.push(server.first_answer);
        folder = server.stop();
    }
    println!(
        "first 200 on a migrated database: median {:.1} ms, worst {:.1} ms (goal: 25)",
        quantile(&mut starts, 0.5),
        quantile(&mut starts, 1.0)
    );
    let server = Server::start_in(folder, "12").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("resident when idle: {:.1} MB (goal: 20)", server.memory("VmRSS"));
    server.stop();
}

async fn welcome_pages(url: &str, span: Duration) -> Vec<Duration> {
    let (client, mut times, until) = (client(), Vec::new(), Instant::now() + span);
    while Instant::now() < until {
        let started = Instant::now();
        let answer = client.get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.bytes().await.expect("a page");
        times.push(started.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times
}

async fn pages_during_sign_ins() {
    let server = Server::start("12").await;
    let mut alone = welcome_pages(&server.url, Duration::from_secs(3)).await;
    let until = Instant::now() + Duration::from_secs(12);
    let (mut done, mut refused) = (0, 0);
    let sessions: Vec<_> = (0..200)
        .map(|_| {
            let client = client();
            let post = server.post(
                &client,
                "/auth/sign-in/superuser/",
                &[("username", "supervisor"), ("password", PASSWORD)],
            );
            tokio::spawn(async move {
                let (mut done, mut refused) = (0, 0);
                while Instant::now() < until {
                    let Ok(answer) = post.try_clone().expect("a form").send().await else { continue };
                    match answer.status().as_u16() {
                        303 => done += 1,
                        503 => {
                            refused += 1;
                            tokio::time::sleep(Duration::from_secs(1)).await;
                        }
                        other => panic!("{other}"),
                    }
                }
                (done, refused)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut busy = welcome_pages(&server.url, Duration::from_secs(10)).await;
    for sign_in in sessions {
        let (of_one, refused_one) = sign_in.await.expect("it ends");
        done += of_one;
        refused += refused_one;
    }
    println!(
        "welcome page, alone: p50 {:.2} ms, p95 {:.2} ms; while 200 sign in without pause: p50 {:.2} ms, p95 {:.2} ms (goal: 100)",
        quantile(&mut alone, 0.5),
        quantile(&mut alone, 0.95),
        quantile(&mut busy, 0.5),
        quantile(&mut busy, 0.95)
    );
    println!(
        "meanwhile {done} signed in, {refused} were asked to come back; resident {:.1} MB",
        server.memory("VmRSS")
    );
    server.stop();
}

/// A PNG that says it is 20000 × 20000 pixels large.
fn bomb() -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(kind);
        sum.update(data);
        [&u32::try_from(data.len()).expect("small").to_be_bytes()[..], kind, data, &sum.sum().to_be_bytes()]
            .concat()
    };
    let head = [&20_000_u32.to_be_bytes()[..], &20_000_u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let mut zeros = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let row = vec![0; 60_001];
    for _ in 0..6_500 {
        std::io::Write::write_all(&mut zeros, &row).expect("memory");
    }
    let pixels = zeros.finish().expect("memory");
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &head), &chunk(b"IDAT", &pixels), &chunk(b"IEND", b"")]
        .concat()
}

async fn memory_of_a_bomb() {
    let server = Server::start("4").await;
    let client = client();
    let sign_in = server.post(
        &client,
        "/auth/sign-in/superuser/",
        &[("username", "supervisor"), ("password", PASSWORD)],
    );
    let answer = sign_in.send().await.expect("an answer");
    let cookie = answer.headers()["set-cookie"]
        .to_str()
        .expect("text")
        .split(';')
        .next()
        .expect("a cookie")
        .to_owned();
    let (bomb, before) = (bomb(), server.memory("VmHWM"));
    let size = bomb.len() / 1024;
    for _ in 0..10 {
        let part = reqwest::multipart::Part::bytes(bomb.clone()).file_name("a.png");
        let form = reqwest::multipart::Form::new().part("profile_picture", part);
        let post = client.post(format!("{}/user-profile/change-picture/", server.url)).multipart(form);
        let answer = post
            .header("Cookie", &cookie)
            .header("Sec-Fetch-Site", "same-origin")
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 422);
    }
    println!(
        "ten PNGs of {size} KB that say 20000 × 20000: refused; peak memory {before:.1} MB before, {:.1} MB after",
        server.memory("VmHWM")
    );
    server.stop();
}

/// How well the times of two kinds of request tell them apart: 0.5 is not at all, 1 is always.
fn told_apart(known: &[Duration], unknown: &[Duration]) -> f64 {
    let wins_of = |one: &Duration| -> f64 {
        let half_wins = |other: &Duration| u32::from(one > other) + u32::from(one >= other);
        f64::from(unknown.iter().map(half_wins).sum::<u32>()) / 2.0
    };
    let wins: f64 = known.iter().map(wins_of).sum();
    wins / (known.len() * unknown.len()) as f64
}

/// Whether the time of an answer tells if there is such an account. At the lowest cost, where everything but
/// bcrypt weighs most.
async fn silence() {
    const TIMES: usize = 600;
    let server = Server::start("4").await;
    let client = client();
    let timed = async |path: &str, form: Vec<(&str, String)>| {
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let post = server.post(&client, path, &form);
        let started = Instant::now();
        let answer = post.send().await.expect("an answer");
        answer.bytes().await.expect("a page");
        started.elapsed()
    };
    let wrong = || ("password", "not the password".to_owned());
    let chosen = |address: String, number: usize, side: &str| {
        vec![
            ("username", format!("u{side}{number}x")),
            ("email", address),
            ("password", PASSWORD.to_owned()),
            ("confirm_password", PASSWORD.to_owned()),
        ]
    };
    let mut pairs: Vec<(&str, Vec<Duration>, Vec<Duration>)> =
        ["sign-in by name", "sign-in by address", "forgot-password", "sign-up"]
            .map(|name| (name, Vec::new(), Vec::new()))
            .into();
    for number in 0..TIMES {
        for (index, (_, known, unknown)) in pairs.iter_mut().enumerate() {
            // The order changes, so that neither side is always the one that comes after the other.
            let sides = if number % 2 == 0 { [true, false] } else { [false, true] };
            for is_known in sides {
                let time = match index {
                    0 => {
                        timed(
                            "/auth/sign-in/user/",
                            vec![
                                ("username", if is_known { "supervisor" } else { "superviser" }.to_owned()),
                                wrong(),
                            ],
                        )
                        .await
                    }
                    1 => {
                        timed(
                            "/auth/sign-in/user/",
                            vec![
                                (
                                    "username",
                                    if is_known { "boss@example.org" } else { "bass@example.org" }.to_owned(),
                                ),
                                wrong(),
                            ],
                        )
                        .await
                    }
                    2 => {
                        timed(
                            "/auth/forgot-password/",
                            vec![("username", if is_known { "supervisor" } else { "superviser" }.to_owned())],
                        )
                        .await
                    }
                    _ => {
                        timed(
                            "/auth/sign-up/user/",
                            chosen(
                                if is_known {
                                    "boss@example.org".to_owned()
                                } else {
                                    "bass@example.org".to_owned()
                                },
                                number,
                                if is_known { "k" } else { "n" },
                            ),
                        )
                        .await
                    }
                };
                if is_known { known.push(time) } else { unknown.push(time) }
            }
        }
    }
    for (name, known, unknown) in &mut pairs {
        let apart = told_apart(known, unknown);
        println!(
            "{name}: known and unknown told apart by time with {apart:.3} (goal: 0.45 to 0.55); medians {:.2} and {:.2} ms",
            quantile(known, 0.5),
            quantile(unknown, 0.5)
        );
    }
    server.stop();
}
