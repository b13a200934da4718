//! Sign in, at the door of one's role, with username or e-mail and password.
//!
//! Whoever does not know the password learns nothing: unknown, unverified, blocked and other people's accounts
//! get the same answer in the same time. Whoever knows it is told what is the matter. Five wrong passwords for an
//! account, then one a minute; twenty from an address, then one a minute; right ones do not count.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query, ServiceConfig};
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::db::{self, Connection};
use crate::hasher::Verdict;
use crate::identity::{Id, Message, Password, Purpose, Role, Standing};
use crate::paths::{self, Next, route};
use crate::records::events::{self, Kind};
use crate::records::sign_ins::{self, SignIn};
use crate::records::users::{self, User};
use crate::records::verifications;
use crate::site::{confirm, verification};
use crate::web::client::Client;
use crate::web::fault::{Fault, Refusal};
use crate::web::forms::{Form, Problems};
use crate::web::limits::Limit;
use crate::web::page::{self, Chrome};
use crate::web::viewer::{Browser, Stranger};
use crate::web::{filters, routes, session};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(route::SIGN_IN_ANY, choose_door)).service(routes::form(
        route::SIGN_IN,
        show,
        submit,
    ));
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    chrome: Chrome,
    role: Role,
    form: SignInForm,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SignInForm {
    username: String,
    password: String,
    remember: String,
    next: String,
}

async fn choose_door() -> HttpResponse {
    page::see_other(&paths::sign_in(Role::User))
}

async fn show(
    _: Stranger,
    role: Path<String>,
    Query(asked): Query<SignInForm>,
    req: actix_web::HttpRequest,
) -> Result<HttpResponse, Fault> {
    let role = Role::parse(&role).ok_or(Fault::NotFound)?;
    let form = SignInForm { next: Next::parse(&asked.next).as_str().to_owned(), ..SignInForm::default() };
    let chrome = Chrome::plain().with_notice(req.query_string());
    Ok(page::ok(&SignInPage { chrome, role, form, problems: Problems::default() }))
}

/// Where somebody who gave the right password goes.
enum Welcome {
    /// In.
    In(Box<SignIn>),
    /// To the page where the address is confirmed first.
    Verify(Id),
}

async fn submit(
    app: Data<App>,
    _: Stranger,
    browser: Browser,
    role: Path<String>,
    Form(form): Form<SignInForm>,
) -> Result<HttpResponse, Fault> {
    let role = Role::parse(&role).ok_or(Fault::NotFound)?;
    match sign_in(&app, &browser.client, role, &form).await {
        Ok(Welcome::In(sign_in)) => {
            session::point_to(&browser.req, &browser.session, &sign_in, app.clock.now())?;
            let usual = if role.sees_admin() { route::ADMIN } else { route::PROFILE };
            Ok(page::see_other(&Next::parse(&form.next).or(usual)))
        }
        Ok(Welcome::Verify(flow)) => verification::lead_to_page(&app, &flow),
        Err(refusal) => {
            let problems = refusal.problems()?;
            Ok(page::refused(&SignInPage { chrome: Chrome::plain(), role, form, problems }))
        }
    }
}

async fn sign_in(app: &App, client: &Client, door: Role, form: &SignInForm) -> Result<Welcome, Refusal> {
    let login = form.parse()?;
    let wanted = login.clone();
    let people = app.db.read(move |conn| Ok::<_, db::Error>(People::of(conn, &wanted)?)).await?;
    let tokens = admit(app, client, people.buckets(&login)).await?;
    let checked = check(app, &people, &Password::entered(&form.password)).await;
    // Right, or not looked at: only failures count.
    if !matches!(checked, Ok(None)) {
        give_back(app, &tokens).await;
    }
    let Some(user) = checked? else {
        note(app, Kind::SignInFailed, people.owner(), client).await?;
        return Err(wrong());
    };
    if user.role != door {
        return Err(other_door(user.role, form).into());
    }
    match user.standing() {
        Standing::Blocked(reason) => {
            note(app, Kind::SignInBlocked, Some(&user), client).await?;
            Err(confirm::blocked(&reason).into())
        }
        Standing::Unverified => begin_verification(app, &user).await,
        Standing::Active => let_in(app, client, &user, !form.remember.is_empty()).await,
    }
}

/// Who may be meant. An address can mean two: its owner, and the newest sign-up that wants it and waits for its
/// code. Both are tried, always in this order and always both before it is wrong, so that neither answer nor
/// time tells which of them there is.
struct People {
    sign_up: Option<User>,
    owner: Option<User>,
    by_address: bool,
}

impl People {
    fn of(conn: &mut Connection, login: &str) -> diesel::QueryResult<Self> {
        // Nobody's name or address, and more than some databases can compare with one.
        if !login.is_ascii() {
            return Ok(Self { sign_up: None, owner: None, by_address: login.contains('@') });
        }
        if !login.contains('@') {
            return Ok(Self { sign_up: None, owner: users::by_username(conn, login)?, by_address: false });
        }
        let sign_up = verifications::claiming(conn, login)?.map(|(_, user)| user);
        let owner = users::by_email(conn, login)?.filter(|owner| owner.verified_at.is_some());
        Ok(Self { sign_up, owner, by_address: true })
    }

    fn owner(&self) -> Option<&User> {
        self.owner.as_ref().or(self.sign_up.as_ref())
    }

    /// The buckets that a wrong password counts in: those of everybody who may be meant, in any spelling, and for
    /// an address or a name that is nobody's one of its own, so that no bucket tells whether there is an owner.
    fn buckets(&self, login: &str) -> Vec<String> {
        let people = [self.sign_up.as_ref(), self.owner.as_ref()].into_iter().flatten();
        let mut buckets: Vec<String> = people.map(|user| user.id.as_str().to_owned()).collect();
        if self.by_address || buckets.is_empty() {
            buckets.insert(0, format!("login {login}"));
        }
        buckets
    }
}

/// Takes a token of each limit before anything is hashed; all of them, or none and the answer is "too many".
async fn admit(app: &App, client: &Client, accounts: Vec<String>) -> Result<Vec<(Limit, String)>, Fault> {
    let network = client.network();
    let pair = format!("{network} {}", accounts.first().map_or("", String::as_str));
    let mut tokens: Vec<(Limit, String)> = Vec::new();
    let mut wanted = vec![(Limit::SignInAddress, network.clone())];
    wanted.extend(accounts.into_iter().map(|account| (Limit::SignInAccount, account)));
    // Another account than within the last hour: it counts among those that this address fails at.
    if app.limits.take(Limit::SignInPair, &pair).await.is_ok() {
        tokens.push((Limit::SignInPair, pair));
        wanted.push((Limit::SignInSpread, network));
    }
    for (limit, whom) in wanted {
        if let Err(too_many) = app.limits.take(limit, &whom).await {
            give_back(app, &tokens).await;
            return Err(too_many);
        }
        tokens.push((limit, whom));
    }
    Ok(tokens)
}

async fn give_back(app: &App, tokens: &[(Limit, String)]) {
    for (limit, whom) in tokens {
        app.limits.give_back(*limit, whom).await;
    }
}

async fn check(app: &App, people: &People, password: &Password) -> Result<Option<User>, Fault> {
    if people.by_address && is_password_of(app, people.sign_up.as_ref(), password).await? {
        return Ok(people.sign_up.clone());
    }
    Ok(if is_password_of(app, people.owner.as_ref(), password).await? { people.owner.clone() } else { None })
}

/// Costs the same work when there is nobody.
async fn is_password_of(app: &App, user: Option<&User>, password: &Password) -> Result<bool, Fault> {
    let stored = user.map(|user| user.password_hash.clone());
    let verdict = app.hasher.verify(password.clone(), stored).await?;
    if let (Verdict::RightButOld, Some(user)) = (verdict, user) {
        rehash(app.clone(), user.clone(), password.clone());
    }
    Ok(verdict != Verdict::Wrong)
}

/// Beside the request: the person need not wait for our new cost.
fn rehash(app: App, user: User, password: Password) {
    actix_web::rt::spawn(async move {
        let Ok(new) = app.hasher.hash(password).await else { return };
        let (id, old) = (user.id, user.password_hash);
        let kept = app.db.write(move |conn| Ok::<_, db::Error>(users::rehash(conn, &id, &old, &new)?)).await;
        if let Err(error) = kept {
            log::warn!("a password could not be kept at the new cost: {error}");
        }
    });
}

async fn begin_verification(app: &App, user: &User) -> Result<Welcome, Refusal> {
    let id = user.id.clone();
    let flow = app
        .db
        .read(move |conn| Ok::<_, db::Error>(verifications::pending(conn, &id, Purpose::SignUp)?))
        .await?;
    // Confirmed or replaced a moment ago, by another request.
    let flow = flow.ok_or_else(wrong)?;
    if verification::send_code(app, &flow, user).await?.is_err() {
        log::debug!(
            "over the budget: the newest code is the one before, and the page tells when there may be another"
        );
    }
    Ok(Welcome::Verify(flow.id))
}

async fn let_in(app: &App, client: &Client, user: &User, remember: bool) -> Result<Welcome, Refusal> {
    let (user, config, now) = (user.clone(), app.config.sessions, app.clock.now());
    let (device, origin) = (client.device(), client.origin());
    let sign_in = app
        .db
        .write(move |conn| {
            // Hashing took its time: what was checked must still be so, or an old password outlives its change.
            if !users::is_unchanged(conn, &user)? {
                return Err(wrong());
            }
            events::note(conn, Kind::SignedIn, Some(&user.id), &origin, &device.agent, now)?;
            let kind = sign_ins::Kind::of(user.role, remember);
            Ok(sign_ins::begin(conn, &user.id, kind, &device, config, now)?)
        })
        .await?;
    Ok(Welcome::In(Box::new(sign_in)))
}

async fn note(app: &App, kind: Kind, user: Option<&User>, client: &Client) -> Result<(), Fault> {
    let (user, origin, now) = (user.map(|user| user.id.clone()), client.origin(), app.clock.now());
    app.db
        .write(move |conn| Ok::<_, db::Error>(events::note(conn, kind, user.as_ref(), &origin, "", now)?))
        .await
        .map_err(Fault::from)
}

fn wrong() -> Refusal {
    Refusal::at("username", "These do not belong together. Check the name or address, and the password.")
}

/// Only for who knows the password.
fn other_door(role: Role, form: &SignInForm) -> Problems {
    let (message, label): (Message, Message) = match role {
        Role::User => ("This is a user account. Please use its own door.".into(), "Sign in as a user".into()),
        Role::Merchant => {
            ("This is a merchant account. Please use its own door.".into(), "Sign in as a merchant".into())
        }
        Role::Staff => {
            ("This is a staff account. Please use its own door.".into(), "Sign in as staff".into())
        }
        Role::Superuser => {
            ("This is a superuser account. Please use its own door.".into(), "Sign in as superuser".into())
        }
    };
    let door = Next::parse(&form.next).after(&paths::sign_in(role));
    Problems::one("username", message).with_link(door, label)
}

impl SignInPage {
    fn title(&self) -> Message {
        match self.role {
            Role::User => "Sign in".into(),
            Role::Merchant => "Sign in as a merchant".into(),
            Role::Staff => "Staff sign-in".into(),
            Role::Superuser => "Superuser sign-in".into(),
        }
    }

    fn sign_up(&self) -> String {
        Next::parse(&self.form.next).after(&paths::sign_up(self.role))
    }
}

impl SignInForm {
    /// The name or address, lower case.
    fn parse(&self) -> Result<String, Problems> {
        let mut problems = Problems::default();
        let login = self.username.trim_matches(' ').to_ascii_lowercase();
        if login.is_empty() || login.len() > 254 {
            problems.add("username", "Enter your username or e-mail address.");
        }
        if self.password.is_empty() {
            problems.add("password", "Enter your password.");
        }
        if problems.is_empty() { Ok(login) } else { Err(problems) }
    }
}
