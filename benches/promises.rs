//! What Latchkey promises about speed, memory and silence, measured on the real program: `cargo bench --bench promises`.
//!
//! Each goal is asserted as a generous ratio or as memory, since the load comes from the same machine.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement fails loudly, and its numbers are small"
)]

/// The program, its visitors and its mail server are those of the tests.
#[path = "../tests/it"]
#[expect(dead_code, unused_imports, unused_macros, reason = "not all of it is needed here")]
mod it {
    pub mod harness;
}

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use it::harness::{
    Enrolled, MailServer, OTHER_PASSWORD, Program, Site, Visitor, free_port, pictures, run_alone, seconds,
};
use latchkey::identity::Role;

const SIGN_IN: &str = "/auth/sign-in/superuser/";

fn main() {
    run_alone(async || {
        start_and_idle().await;
        pages_during_sign_ins().await;
        memory_of_a_bomb().await;
        silence().await;
        judging().await;
        health_while_passwords_are_judged().await;
    });
}

/// The program in a folder where a superuser called `supervisor` has an account.
struct Server {
    program: Program,
    url: String,
    mail: MailServer,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start(cost: u32) -> Self {
        let settings = HashMap::from([("BCRYPT_COST", cost.to_string())]);
        let site = Site::start(settings).await;
        site.appoint(Role::Superuser, "supervisor").await;
        site.appoint(Role::User, "ordinary").await;
        site.appoint(Role::Superuser, "superguard").await;
        let mut guarded = site.visitor();
        guarded.sign_in_at(SIGN_IN, "superguard", OTHER_PASSWORD).await;
        Enrolled::with(&site, "superguard", guarded).await;
        let (folder, mail) = site.stop().await;
        Self::start_in(folder, mail, cost).await
    }

    /// Starts it; returns when it has given its first page.
    async fn start_in(folder: tempfile::TempDir, mail: MailServer, cost: u32) -> Self {
        let port = free_port();
        let settings = HashMap::from([
            ("PUBLIC_URL", format!("http://localhost:{port}")),
            ("BCRYPT_COST", cost.to_string()),
            ("RATE_LIMITS", "off".to_owned()),
            ("SIGN_IN_BY_CODE", "on".to_owned()),
        ]);
        let program = Program::spawn(folder.path(), port, &mail, &settings);
        let url = format!("http://localhost:{port}");
        let client = reqwest::Client::new();
        while !client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        Self { program, url, mail, folder }
    }

    fn stop(mut self) -> (tempfile::TempDir, MailServer) {
        self.program.kill();
        (self.folder, self.mail)
    }

    fn visitor(&self) -> Visitor {
        Visitor::new(self.url.clone(), "10.0.0.1".to_owned())
    }
}

/// Milliseconds below which that share of the times lies.
fn quantile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let index = ((times.len() - 1) as f64 * share).round() as usize;
    times[index].as_secs_f64() * 1000.0
}

async fn timed(visitor: &Visitor, path: &str, fields: &[(&str, &str)]) -> Duration {
    let post = visitor.posting(path, fields);
    let started = Instant::now();
    post.send().await.expect("an answer").bytes().await.expect("a page");
    started.elapsed()
}

async fn start_and_idle() {
    let (mut folder, mut mail) = Server::start(4).await.stop();
    let mut starts = Vec::new();
    let mut bare = Vec::new();
    for _ in 0..15 {
        let began = Instant::now();
        let version = std::process::Command::new(env!("CARGO_BIN_EXE_latchkey")).arg("--version").output();
        assert!(version.expect("it runs").status.success());
        bare.push(began.elapsed());
        let began = Instant::now();
        let server = Server::start_in(folder, mail, 4).await;
        starts.push(began.elapsed());
        (folder, mail) = server.stop();
    }
    let (start, bare) = (quantile(&mut starts, 0.5), quantile(&mut bare, 0.5));
    println!(
        "first 200 on a migrated database: median {start:.1} ms (goal: 25), {:.1} times what `--version` takes",
        start / bare
    );
    assert!(start < 25.0 * bare, "the start is quick");
    let server = Server::start_in(folder, mail, 4).await;
    tokio::time::sleep(seconds(2)).await;
    // The rest are pages of its file, as many as the kernel finds around those that were touched.
    let (idle, own) = (server.program.memory("VmRSS"), server.program.memory("RssAnon"));
    println!("resident when idle: {idle:.1} MB (goal: 20), {own:.1} of it its own");
    assert!(idle < 30.0);
    server.stop();
}

/// Fetches that page again and again; how long each took.
async fn pages(server: &Server, path: &str, span: Duration) -> Vec<Duration> {
    let url = format!("{}{path}", server.url);
    let client = reqwest::Client::new();
    let mut times = Vec::new();
    let until = Instant::now() + span;
    while Instant::now() < until {
        let started = Instant::now();
        let answer = client.get(&url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.bytes().await.expect("a page");
        times.push(started.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times
}

/// Somebody who signs in again and again until then; how often it was done, and how often they were asked to come back.
async fn sign_in_without_pause(visitor: Visitor, until: Instant) -> (u32, u32) {
    let fields = [("username", "supervisor"), ("password", OTHER_PASSWORD)];
    let (mut done, mut refused) = (0, 0);
    while Instant::now() < until {
        let Ok(answer) = visitor.posting(SIGN_IN, &fields).send().await else { continue };
        match answer.status().as_u16() {
            303 => done += 1,
            503 => {
                refused += 1;
                tokio::time::sleep(seconds(1)).await;
            }
            other => panic!("{other}"),
        }
    }
    (done, refused)
}

async fn pages_during_sign_ins() {
    let server = Server::start(12).await;
    let fields = [("username", "supervisor"), ("password", OTHER_PASSWORD)];
    let mut hashes = Vec::new();
    for _ in 0..5 {
        hashes.push(timed(&server.visitor(), SIGN_IN, &fields).await);
    }
    let hash = quantile(&mut hashes, 0.5);
    let mut alone = pages(&server, "/", seconds(3)).await;
    let until = Instant::now() + seconds(12);
    let everybody = (0..200).map(|_| sign_in_without_pause(server.visitor(), until));
    let everybody = actix_web::rt::spawn(join_all(everybody.collect::<Vec<_>>()));
    tokio::time::sleep(seconds(1)).await;
    let mut busy = pages(&server, "/", seconds(10)).await;
    let everybody = everybody.await.expect("it ends");
    let (done, refused) = everybody.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let (p50, p95) = (quantile(&mut busy, 0.5), quantile(&mut busy, 0.95));
    println!(
        "welcome page, alone: p50 {:.2} ms, p95 {:.2} ms; while 200 sign in without pause: p50 {p50:.2} ms, p95 {p95:.2} ms \
         (goal: 100); one sign-in alone: {hash:.0} ms",
        quantile(&mut alone, 0.5),
        quantile(&mut alone, 0.95),
    );
    println!(
        "meanwhile {done} signed in, {refused} were asked to come back; resident {:.1} MB",
        server.program.memory("VmRSS")
    );
    assert!(p95 < hash, "no page waits as long as one password takes");
    assert!(done > 0);
    server.stop();
}

async fn memory_of_a_bomb() {
    let server = Server::start(4).await;
    let mut visitor = server.visitor();
    visitor.sign_in_at(SIGN_IN, "supervisor", OTHER_PASSWORD).await;
    let bomb = pictures::png_bomb(20_000, 20_000);
    let before = server.program.memory("VmHWM");
    for _ in 0..10 {
        visitor.visit("/user-profile/change-picture/").await;
        visitor.choose_file("Picture", "a.png", "image/png", &bomb).press("Save").await;
        visitor.status(422);
    }
    let after = server.program.memory("VmHWM");
    println!(
        "ten PNGs of {} KB that say 20000 × 20000: refused; peak memory {before:.1} MB before, {after:.1} MB after",
        bomb.len() / 1024
    );
    assert!(after - before < 20.0);
    server.stop();
}

/// Passwords that take longest to judge.
fn costly_passwords() -> impl Iterator<Item = String> {
    const ALPHABET: &[u8] = b"4@8({[<369!1|70$5+7%2";
    let mut random = 1_u32;
    std::iter::repeat_with(move || {
        let mut next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(ALPHABET[(random >> 16) as usize % ALPHABET.len()])
        };
        (0..128).map(|_| next()).collect()
    })
}

/// How long a load balancer waits for `/healthz` while costly passwords are judged.
async fn health_while_passwords_are_judged() {
    let server = Server::start(4).await;
    let everybody = costly_passwords().take(500).enumerate().collect::<Vec<_>>();
    let everybody = everybody.chunks(50).map(<[_]>::to_vec).map(|some| {
        let visitor = server.visitor();
        async move {
            for (number, password) in some {
                let (name, email) = (format!("person{number}"), format!("person{number}@example.org"));
                let fields = [
                    ("username", &*name),
                    ("email", &*email),
                    ("password", &*password),
                    ("confirm_password", &*password),
                ];
                let answer = visitor.posting("/auth/sign-up/user/", &fields).send().await.expect("an answer");
                assert_eq!(answer.status(), 303, "signed up");
            }
        }
    });
    let mut alone = pages(&server, "/healthz", seconds(2)).await;
    let began = Instant::now();
    let everybody = actix_web::rt::spawn(join_all(everybody.collect::<Vec<_>>()));
    let mut busy = Vec::new();
    while !everybody.is_finished() {
        busy.extend(pages(&server, "/healthz", Duration::from_millis(50)).await);
    }
    everybody.await.expect("it ends");
    let (alone, p99) = (quantile(&mut alone, 0.99), quantile(&mut busy, 0.99));
    println!(
        "/healthz, alone: p99 {alone:.2} ms; while 500 sign up with such passwords, for {:.1} s: p99 {p99:.2} ms (goal: 10), {} asked",
        began.elapsed().as_secs_f64(),
        busy.len()
    );
    assert!(p99 < 50.0 * alone, "nobody's password keeps a load balancer waiting");
    server.stop();
}

/// What it takes at most to judge passwords that are made to be costly, next to one hash.
async fn judging() {
    use latchkey::config::PasswordConfig;
    use latchkey::identity::{Password, PasswordRules};
    let mut times = Vec::new();
    for costly in costly_passwords().take(500) {
        let password = Password::choose(&costly, PasswordRules { min_length: 8 }).expect("a password");
        let began = Instant::now();
        drop(password.refuse_if_guessable(&[]));
        times.push(began.elapsed());
    }
    // The first one of a process also reads the dictionaries.
    let first = times.remove(0).as_secs_f64() * 1000.0;
    let next = quantile(&mut times.clone(), 1.0);
    let slowest = first.max(next);
    println!(
        "500 passwords of 128 characters: the slowest was judged in {next:.1} ms (goal: 20), the first, which reads the dictionaries, in {first:.1} ms"
    );
    let config = PasswordConfig { cost: 12, rules: PasswordRules { min_length: 8 }, pepper: "".into() };
    let hasher = latchkey::hasher::Hasher::new(&config);
    let began = Instant::now();
    let hash = hasher.hash(latchkey::hasher::OWN_LINE, Password::entered("violet canyon umbrella"));
    hash.await.expect("a hash");
    let hash = began.elapsed().as_secs_f64() * 1000.0;
    assert!(slowest < hash, "judging costs less than hashing: {slowest:.1} and {hash:.1} ms");
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

/// A request about somebody who has an account, or who has none.
#[derive(Clone, Copy)]
enum About {
    SignInByName,
    SignInByEmail,
    /// Known is an account that takes a code after the password; unknown one that does not.
    SignInWithSecondStep,
    /// Known is an address that a sign-up waits for.
    SignInByClaimedEmail,
    ForgotPassword,
    AskForCode,
    /// A wrong code from an email, of one who has an account and of nobody.
    WrongCode,
    SignUp,
}

impl About {
    const ALL: [Self; 8] = [
        Self::SignInByName,
        Self::SignInByEmail,
        Self::SignInWithSecondStep,
        Self::SignInByClaimedEmail,
        Self::ForgotPassword,
        Self::AskForCode,
        Self::WrongCode,
        Self::SignUp,
    ];

    async fn ask(self, visitor: &Visitor, number: usize, is_known: bool) -> Duration {
        let name = if is_known { "supervisor" } else { "superviser" };
        let email = format!("{name}@example.org");
        let wrong = ("password", "not the password");
        match self {
            Self::SignInByName => timed(visitor, SIGN_IN, &[("username", name), wrong]).await,
            Self::SignInByEmail => timed(visitor, SIGN_IN, &[("username", &email), wrong]).await,
            Self::SignInWithSecondStep => {
                let name = if is_known { "superguard" } else { "supervisor" };
                timed(visitor, SIGN_IN, &[("username", name), wrong]).await
            }
            Self::SignInByClaimedEmail => {
                let email = if is_known { "claimed@example.org" } else { "claimad@example.org" };
                timed(visitor, SIGN_IN, &[("username", email), wrong]).await
            }
            Self::AskForCode => {
                let email = if is_known { "ordinary@example.org" } else { "ordinery@example.org" };
                timed(visitor, "/auth/sign-in-code/", &[("ask", "on"), ("email", email)]).await
            }
            Self::WrongCode => timed(visitor, "/auth/sign-in-code/enter/", &[("otp", "000000")]).await,
            Self::ForgotPassword => timed(visitor, "/auth/forgot-password/", &[("username", name)]).await,
            Self::SignUp => {
                let username = format!("u{number}{}", if is_known { "k" } else { "n" });
                let fields = [
                    ("username", format!("{username:x<6}")),
                    ("email", email),
                    ("password", OTHER_PASSWORD.to_owned()),
                    ("confirm_password", OTHER_PASSWORD.to_owned()),
                ];
                let fields = fields.each_ref().map(|(field, value)| (*field, value.as_str()));
                timed(visitor, "/auth/sign-up/user/", &fields).await
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::SignInByName => "sign-in by name",
            Self::SignInByEmail => "sign-in by email",
            Self::SignInWithSecondStep => "sign-in with and without a second step",
            Self::SignInByClaimedEmail => "sign-in by the email of a sign-up",
            Self::ForgotPassword => "forgot-password",
            Self::AskForCode => "asking for a sign-in code",
            Self::WrongCode => "a wrong sign-in code",
            Self::SignUp => "sign-up",
        }
    }
}

/// So many pairs of browsers that wait for a code, at an address that is nobody's and at one that has an account. Each is tried four times.
async fn waiting_for_codes(server: &Server, pairs: usize) -> Vec<[Visitor; 2]> {
    let mut waiting = Vec::new();
    for _ in 0..pairs {
        let mut both = [server.visitor(), server.visitor()];
        for (browser, name) in both.iter_mut().zip(["ordinery", "ordinary"]) {
            let email = format!("{name}@example.org");
            browser.post("/auth/sign-in-code/", &[("ask", "on"), ("email", &email)]).await;
        }
        waiting.push(both);
    }
    // Until the courier has found out whose they are.
    tokio::time::sleep(seconds(1)).await;
    waiting
}

/// Whether the time of an answer tells if there is such an account. At the lowest cost, where everything but bcrypt weighs
/// most.
async fn silence() {
    const TIMES: usize = 600;
    let server = Server::start(4).await;
    let mut visitor = server.visitor();
    visitor.sign_up("claimer", "claimed@example.org", OTHER_PASSWORD).await;
    let visitor = server.visitor();
    let mut pairs = About::ALL.map(|about| (about, Vec::new(), Vec::new()));
    let mut waiting = Vec::new();
    for number in 0..TIMES {
        if number % 40 == 0 {
            waiting = waiting_for_codes(&server, 10).await;
        }
        for (about, known, unknown) in &mut pairs {
            // The order changes, so that neither side is always the one that comes after the other.
            for is_known in if number % 2 == 0 { [true, false] } else { [false, true] } {
                let visitor = match about {
                    About::WrongCode => &waiting[number % 10][usize::from(is_known)],
                    _ => &visitor,
                };
                let time = about.ask(visitor, number, is_known).await;
                if is_known { known.push(time) } else { unknown.push(time) }
            }
        }
    }
    for (about, known, unknown) in &mut pairs {
        let apart = told_apart(known, unknown);
        println!(
            "{}: known and unknown told apart by time with {apart:.3} (goal: 0.45 to 0.55); medians {:.2} and {:.2} ms",
            about.name(),
            quantile(known, 0.5),
            quantile(unknown, 0.5)
        );
        assert!((0.4..0.6).contains(&apart), "{}", about.name());
    }
    server.stop();
}
