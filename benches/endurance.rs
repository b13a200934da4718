//! Whether memory stays what it is: `cargo bench --bench endurance -- 60`, for an hour; without a number, for two minutes.
//!
//! The real program on SQLite under mixed load: people sign up with codes from their mailbox, sign in and out, look at their pages and
//! change their pictures (at the pace of 10,000 in an hour), and a superuser searches them. There are 100,000 people from
//! the beginning, so that SQLite's caches (2 MB for each of eight connections) are full soon: what is resident at half-time is to be what is
//! resident at the end.

#![expect(
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

use std::cell::Cell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use it::harness::{
    MailServer, OTHER_PASSWORD, PASSWORD, Program, Visitor, World, fill, free_port, minutes, pictures,
    run_alone, seconds,
};
use latchkey::identity::Role;

/// Who change their pictures, one each at a time.
const PAINTERS: usize = 4;
/// In an hour.
const PICTURES: u32 = 10_000;

fn main() {
    let given = std::env::args().skip(1).find_map(|word| word.parse().ok());
    run_alone(async || hold(minutes(given.unwrap_or(2))).await);
}

/// What has been done so far.
#[derive(Default)]
struct Done {
    pictures: Cell<u32>,
    pages: Cell<u32>,
    sign_ins: Cell<u32>,
    sign_ups: Cell<u32>,
}

fn count(one: &Cell<u32>) {
    one.set(one.get() + 1);
}

async fn hold(span: Duration) {
    let sandbox = World::Embedded.sandbox().expect("SQLite");
    sandbox.open().migrate().expect("tables");
    fill(World::Embedded, &sandbox, 100_000);
    let site = sandbox.site().await;
    for number in 0..PAINTERS {
        site.appoint(Role::User, &format!("painter{number}")).await;
    }
    site.appoint(Role::User, "reader").await;
    site.appoint(Role::Superuser, "chief").await;
    let (folder, mail) = site.stop().await;
    let port = free_port();
    let settings = HashMap::from([
        ("PUBLIC_URL", format!("http://localhost:{port}")),
        ("RATE_LIMITS", "off".to_owned()),
        ("DATABASE_URL", sandbox.url()),
    ]);
    let program = Program::serve(folder.path(), port, &mail, &settings);
    let (until, done) = (Instant::now() + span, Done::default());
    let visitor = |address: &str| Visitor::new(format!("http://localhost:{port}"), address.to_owned());
    let painters = (0..PAINTERS).map(|number| paint(visitor("10.0.1.1"), number, until, &done));
    let others = async {
        tokio::join!(
            read(visitor("10.0.2.1"), until, &done),
            sign_in_and_out(visitor("10.0.3.1"), until, &done),
            sign_up(&mail, || visitor("10.0.4.1"), until, &done),
            search(visitor("10.0.5.1"), until, &done),
            watch(&program, span, &done),
        )
    };
    let (_, (.., memory)) = tokio::join!(join_all(painters), others);
    let (early, late) = (memory[memory.len() / 2], memory[memory.len() - 1]);
    println!("resident at half-time: {early:.1} MB, at the end: {late:.1} MB");
    assert!(late < early + 3.0, "memory grows");
}

/// Measures sixty times; returns the megabytes.
async fn watch(program: &Program, span: Duration, done: &Done) -> Vec<f64> {
    let mut memory = Vec::new();
    for _ in 0..60 {
        tokio::time::sleep(span / 60).await;
        memory.push(program.memory("VmRSS"));
        println!(
            "{:.1} MB resident, {:.1} at most; {} pictures, {} pages, {} sign-ins, {} sign-ups",
            memory[memory.len() - 1],
            program.memory("VmHWM"),
            done.pictures.get(),
            done.pages.get(),
            done.sign_ins.get(),
            done.sign_ups.get(),
        );
    }
    memory
}

/// Changes a picture, each time to one of another size, at the pace that makes 10,000 of all painters in an hour.
async fn paint(mut visitor: Visitor, number: usize, until: Instant, done: &Done) {
    let pace = Duration::from_secs(3600) * u32::try_from(PAINTERS).unwrap() / PICTURES;
    visitor.sign_in_at("/auth/sign-in/user/", &format!("painter{number}"), OTHER_PASSWORD).await;
    let pictures: Vec<Vec<u8>> = (1..=8).map(|size| pictures::png(150 * size, 100 * size)).collect();
    let mut next = tokio::time::Instant::now();
    for picture in pictures.iter().cycle() {
        if Instant::now() > until {
            return;
        }
        tokio::time::sleep_until(next).await;
        next += pace;
        visitor.visit("/user-profile/change-picture/").await;
        visitor.choose_file("Picture", "a.png", "image/png", picture).press("Save").await;
        visitor.status(200);
        count(&done.pictures);
    }
}

async fn read(mut visitor: Visitor, until: Instant, done: &Done) {
    visitor.sign_in_at("/auth/sign-in/user/", "reader", OTHER_PASSWORD).await;
    let pages = [
        ("/user-profile/", 200),
        ("/user-profile/activity/", 200),
        ("/user-profile/sessions/", 200),
        ("/auth/sign-in/user/", 200),
        ("/nowhere/", 404),
    ];
    visit_in_turn(visitor, &pages, Duration::from_millis(10), until, done).await;
}

async fn search(mut visitor: Visitor, until: Instant, done: &Done) {
    visitor.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
    let pages = ["/admin/users/", "/admin/users/?q=comer", "/admin/events/", "/admin/", "/admin/users.csv"];
    let pages = pages.map(|page| (page, 200));
    visit_in_turn(visitor, &pages, Duration::from_millis(200), until, done).await;
}

/// Visits pages again and again, each of which is to answer with its status.
async fn visit_in_turn(
    mut visitor: Visitor,
    pages: &[(&str, u16)],
    pause: Duration,
    until: Instant,
    done: &Done,
) {
    for (page, status) in pages.iter().cycle() {
        if Instant::now() > until {
            return;
        }
        visitor.visit(page).await;
        visitor.status(*status);
        count(&done.pages);
        tokio::time::sleep(pause).await;
    }
}

async fn sign_in_and_out(mut visitor: Visitor, until: Instant, done: &Done) {
    while Instant::now() < until {
        visitor.sign_in_at("/auth/sign-in/user/", "reader", OTHER_PASSWORD).await;
        visitor.visit("/user-profile/").await;
        visitor.status(200);
        visitor.press("Sign out").await;
        count(&done.sign_ins);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn sign_up(mail: &MailServer, visitor: impl Fn() -> Visitor, until: Instant, done: &Done) {
    while Instant::now() < until {
        let name = format!("newcomer{}", done.sign_ups.get());
        let address = format!("{name}@example.org");
        let mut newcomer = visitor();
        newcomer.sign_up(&name, &address, PASSWORD).await;
        let code = mail.next_to(&address).await.code();
        newcomer.fill("Code", &code).press("Confirm").await;
        newcomer.status(200);
        count(&done.sign_ups);
        tokio::time::sleep(seconds(1)).await;
    }
}
