//! The real server on a free port, with a database, a Redis prefix, a clock and a mailbox of its own.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use diesel::RunQueryDsl;
use latchkey::app::App;
use latchkey::clock::Clock;
use latchkey::config::Config;
use latchkey::db;
use latchkey::hasher::OWN_LINE;
use latchkey::identity::{Email, Id, Password, Role, Username};
use latchkey::records::sessions;
use latchkey::records::users::{self, User};
use latchkey::server::{self, Listener};

use super::mailbox::{Mail, MailServer};
use super::visitor::Visitor;
use super::world::World;
use super::{OTHER_PASSWORD, PASSWORD};

/// Two applications: one for people, one for staff that asks for a password of the last ten minutes.
const APPS: &str = "https://wiki.example.org user merchant name=\"Team wiki\"; https://ops.example.org staff superuser password_within=10";

/// A running site.
pub struct Site {
    pub app: App,
    pub url: String,
    pub listens_at: SocketAddr,
    pub mail: MailServer,
    pub folder: tempfile::TempDir,
    server: Option<(ServerHandle, actix_web::rt::task::JoinHandle<std::io::Result<()>>)>,
    visitors: Cell<u32>,
}

/// Runs a story on a site of its own in that world.
pub fn run(world: World, story: impl AsyncFnOnce(&Site)) {
    let Some(sandbox) = world.sandbox() else { return };
    run_alone(async || {
        let site = Site::start(sandbox.settings.clone()).await;
        story(&site).await;
        site.stop().await;
    });
}

/// Runs something that starts its own sites.
pub fn run_alone(story: impl AsyncFnOnce()) {
    // Somebody else may have been first, with the same.
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    actix_web::rt::System::new().block_on(story());
}

impl Site {
    /// A site with these settings over those that tests usually have.
    pub async fn start(settings: HashMap<&'static str, String>) -> Self {
        let mail = MailServer::start().await;
        Self::start_in(tempfile::tempdir().expect("a temporary folder"), mail, settings).await
    }

    /// A site that the world knows under that address, by way of a proxy.
    pub async fn start_at(public_url: &str) -> Self {
        let site = Self::start(HashMap::from([("PUBLIC_URL", public_url.to_owned())])).await;
        let url = format!("http://{}", site.listens_at);
        Self { url, ..site }
    }

    /// A site with the database of another one that has stopped.
    pub async fn start_in(
        folder: tempfile::TempDir,
        mail: MailServer,
        settings: HashMap<&'static str, String>,
    ) -> Self {
        let listener = server::listen("127.0.0.1:0").expect("a free port");
        let listens_at = listener.local_addr().expect("an address");
        let port = listens_at.port();
        let inside = |name: &str| folder.path().join(name).display().to_string();
        let mut all = HashMap::from([
            ("SECRET_KEY", "k".repeat(64)),
            ("PUBLIC_URL", format!("http://localhost:{port}")),
            // Visitors come through a proxy, each from an address of their own.
            ("TRUSTED_PROXIES", "127.0.0.0/8".to_owned()),
            ("DATABASE_URL", format!("sqlite://{}", inside("db.sqlite3"))),
            ("MEDIA_ROOT", inside("media")),
            ("EMAIL_HOST", "127.0.0.1".to_owned()),
            ("EMAIL_PORT", mail.port.to_string()),
            ("EMAIL_USE_TLS", "off".to_owned()),
            ("BCRYPT_COST", "4".to_owned()),
            ("APPS", APPS.to_owned()),
            ("PASSKEYS", "on".to_owned()),
            ("SIGN_IN_BY_CODE", "on".to_owned()),
        ]);
        all.extend(settings);
        let config = Config::from_lookup(&|name| all.get(name).cloned()).expect("settings");
        let app = App::new(config, Clock::system()).expect("an application");
        app.db.migrate().expect("a database");
        app.pictures.prepare().await.expect("a picture folder");
        let (tell, told) = tokio::sync::oneshot::channel();
        let serving =
            server::serve(app.clone(), vec![Listener::Tcp(listener)], |server| drop(tell.send(server)));
        let serving = actix_web::rt::spawn(serving);
        let server = told.await.expect("a server");
        let url = app.config.public_url.origin().to_owned();
        Self { app, url, listens_at, mail, folder, server: Some((server, serving)), visitors: Cell::new(0) }
    }

    /// Stops as after SIGTERM; what is left can be started again.
    pub async fn stop(mut self) -> (tempfile::TempDir, MailServer) {
        if let Some((server, serving)) = self.server.take() {
            self.app.begin_shutdown();
            server.stop(true).await;
            serving.await.expect("the server ends").expect("the server ends well");
        }
        (self.folder, self.mail)
    }

    /// Somebody new, with an empty cookie jar and an address of their own.
    pub fn visitor(&self) -> Visitor {
        self.visitors.set(self.visitors.get() + 1);
        let number = self.visitors.get();
        Visitor::new(self.url.clone(), format!("10.{}.{}.7", number / 250, number % 250))
    }

    /// Somebody who signed up with that name, confirmed `<name>@example.org`, and is signed in.
    pub async fn member(&self, name: &str) -> Visitor {
        let mut visitor = self.visitor();
        visitor.sign_up(name, &format!("{name}@example.org"), PASSWORD).await;
        let code = self.code_to(&format!("{name}@example.org")).await;
        visitor.fill("Code", &code).press("Confirm").await;
        assert!(visitor.path().starts_with("/user-profile/"), "{}", visitor.page());
        visitor
    }

    /// Somebody of a role that nobody signs up for, with [`OTHER_PASSWORD`].
    pub async fn appoint(&self, role: Role, name: &str) {
        let hash = self.app.hasher.hash(OWN_LINE, Password::entered(OTHER_PASSWORD)).await.expect("a hash");
        let username = Username::parse(name).expect("a name");
        let email = Email::parse(&format!("{name}@example.org")).expect("an address");
        let now = self.app.clock.now();
        let user = User::new(username, Some(email), hash, role, now);
        let user = User { verified_at: Some(now), ..user };
        let write = self.app.db.write(move |conn| users::insert(conn, &user).map_err(db::Error::from));
        write.await.expect("a new account");
    }

    /// The next mail to that address.
    pub async fn mail_to(&self, address: &str) -> Mail {
        self.mail.next_to(address).await
    }

    /// The code in the next mail to that address.
    pub async fn code_to(&self, address: &str) -> String {
        self.mail_to(address).await.code()
    }

    /// Lets time pass at once. Mail that is on its way arrives first: its courier does not expect hours to pass.
    pub async fn wait(&self, span: Duration) {
        let on_its_way = "SELECT COUNT(*) FROM outbox WHERE state = 'waiting' AND tries = 0";
        while self.mail.is_good() && self.count(on_its_way).await > 0 {
            tokio::time::sleep(seconds(1) / 100).await;
        }
        self.app.clock.advance(span);
        self.app.wakeup.wake();
    }

    /// Waits until a query gives that number.
    pub async fn until(&self, query: &'static str, number: i64) {
        let patience = Instant::now() + minutes(1);
        loop {
            let now = self.count(query).await;
            if now == number {
                return;
            }
            assert!(Instant::now() < patience, "{query} is {now} and not {number}");
            tokio::time::sleep(seconds(1) / 100).await;
        }
    }

    /// Waits until it is stored that everybody who is signed in was seen just now, which happens beside requests.
    pub async fn until_seen(&self) {
        let users = self.texts("SELECT DISTINCT user_id AS text FROM sessions WHERE ended_at IS NULL").await;
        let users: Vec<Id> = users.into_iter().map(Id::from_stored).collect();
        let patience = Instant::now() + minutes(1);
        loop {
            let wanted = users.clone();
            let seen =
                self.app.db.read(move |conn| sessions::last_seen(conn, &wanted)).await.expect("sessions");
            if seen.values().all(|at| self.app.clock.now().since(*at) < minutes(1)) {
                return;
            }
            assert!(Instant::now() < patience, "nobody is seen");
            tokio::time::sleep(seconds(1) / 100).await;
        }
    }

    /// What no page does.
    pub async fn sql(&self, statement: &'static str) -> usize {
        let run =
            move |conn: &mut db::Connection| Ok::<_, db::Error>(diesel::sql_query(statement).execute(conn)?);
        self.app.db.write(run).await.expect(statement)
    }

    /// The texts that a query gives, in its column `text`.
    pub async fn texts(&self, query: &'static str) -> Vec<String> {
        #[derive(diesel::QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Text)]
            text: String,
        }
        self.app
            .db
            .read(move |conn| diesel::sql_query(query).load::<Row>(conn))
            .await
            .expect(query)
            .into_iter()
            .map(|row| row.text)
            .collect()
    }

    /// The number that a query gives.
    pub async fn count(&self, query: &'static str) -> i64 {
        #[derive(diesel::QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            number: i64,
        }
        let run = move |conn: &mut db::Connection| {
            diesel::sql_query(format!("SELECT ({query}) AS number")).get_result::<Row>(conn)
        };
        self.app.db.read(run).await.expect(query).number
    }
}

/// Takes SQLite's write lock for a test, once whoever writes just now has done so: the courier begins when it likes.
pub const WRITE_LOCK: &str = "PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE";

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub fn minutes(count: u64) -> Duration {
    seconds(60 * count)
}

pub fn hours(count: u64) -> Duration {
    minutes(60 * count)
}
