//! Create an account: for users and merchants, while sign-up is open.
//!
//! Whether an *address* has an account already is told to nobody: such a sign-up gets the same pages in the
//! same time, a code that never fits, and the owner of the address is mailed. A taken *username* is told.
//! Until its address is verified a sign-up holds its username only while its newest code lives, and its address
//! not at all. In the same browser a further sign-up corrects the one before.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query, ServiceConfig};
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::config::Config;
use crate::db::{self, Connection};
use crate::identity::{
    Email, Id, Message, Moment, Otp, Password, PasswordHash, PasswordRules, Purpose, Role, Username,
};
use crate::keys::Keys;
use crate::mail::{self, CodeMail, Mail, Posting};
use crate::paths::{self, Next, route};
use crate::records::events::{self, Kind, Origin};
use crate::records::mail_budgets::{self, Budget};
use crate::records::users::{self, NewUser, User};
use crate::records::verifications::{self, NewVerification, Verification};
use crate::site::{confirm, verification};
use crate::web::client::Client;
use crate::web::fault::{DeadEnd, Fault, Refusal};
use crate::web::forms::{Form, Problems, same_twice};
use crate::web::limits::Limit;
use crate::web::page::{self, Chrome};
use crate::web::viewer::{Browser, Stranger};
use crate::web::{filters, flow_cookie, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(route::SIGN_UP_ANY, choose_door)).service(routes::form(
        route::SIGN_UP,
        show,
        submit,
    ));
}

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUpPage {
    chrome: Chrome,
    role: Role,
    min_length: usize,
    form: SignUpForm,
    problems: Problems,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct SignUpForm {
    username: String,
    email: String,
    password: String,
    confirm_password: String,
    next: String,
}

/// A sign-up that makes sense.
struct NewAccount {
    username: Username,
    email: Email,
    password: Password,
    next: Next,
}

async fn choose_door() -> HttpResponse {
    page::see_other(&paths::sign_up(Role::User))
}

async fn show(
    app: Data<App>,
    _: Stranger,
    role: Path<String>,
    asked: Query<AskedNext>,
) -> Result<HttpResponse, Fault> {
    let role = open_role(&app, &role)?;
    let next = Next::parse(&asked.next).as_str().to_owned();
    let form = SignUpForm { next, ..SignUpForm::default() };
    Ok(page::ok(&SignUpPage::new(&app, role, form, Problems::default())))
}

/// `?next=`
#[derive(Default, Deserialize)]
#[serde(default)]
struct AskedNext {
    next: String,
}

async fn submit(
    app: Data<App>,
    _: Stranger,
    browser: Browser,
    role: Path<String>,
    Form(form): Form<SignUpForm>,
) -> Result<HttpResponse, Fault> {
    let role = open_role(&app, &role)?;
    match sign_up(&app, &browser, role, &form).await {
        Ok(flow) => verification::lead_to_page(&app, &flow),
        Err(refusal) => Ok(page::refused(&SignUpPage::new(&app, role, form, refusal.problems()?))),
    }
}

/// The role of the door, if sign-up is open for it.
fn open_role(app: &App, word: &str) -> Result<Role, Fault> {
    let role = Role::parse(word).filter(|role| role.is_open()).ok_or(Fault::NotFound)?;
    if app.config.sign_up_open {
        return Ok(role);
    }
    let closed = DeadEnd::new(
        actix_web::http::StatusCode::FORBIDDEN,
        "Sign-up is closed",
        "New accounts are not open to everybody here. If you have one already, you can sign in.",
    );
    Err(closed.way_on("Sign in", paths::sign_in(role)).into())
}

/// Makes the account; the flow in which its address is confirmed.
async fn sign_up(app: &App, browser: &Browser, role: Role, form: &SignUpForm) -> Result<Id, Refusal> {
    let new = form.parse(app.config.passwords.rules)?;
    app.limits.take(Limit::SignUp, &browser.client.network()).await?;
    let hash = app.hasher.hash(new.password.clone()).await?;
    let job = Registration {
        role,
        hash,
        username: new.username,
        email: new.email,
        next: new.next,
        own: flow_cookie::read(app, &browser.req),
        origin: browser.client.origin(),
        now: app.clock.now(),
    };
    let (config, keys) = (app.config.clone(), app.keys.clone());
    match app.db.write(move |conn| job.run(conn, &config, &keys)).await? {
        Registered::Flow(flow) => {
            app.bell.ring();
            Ok(flow)
        }
        Registered::NameHeld(holder) => same_again(app, &browser.client, *holder, form, new.password).await,
    }
}

/// The name is held. A double click is no stranger: the same address and the same password mean the same
/// sign-up once more. The password is always checked, so that the time tells nothing about the holder, and a wrong
/// one counts as at sign-in, so that this is no other door to guess at.
async fn same_again(
    app: &App,
    client: &Client,
    holder: Holder,
    form: &SignUpForm,
    password: Password,
) -> Result<Id, Refusal> {
    let taken = "This username is taken. Please choose another one.";
    confirm::check_password(app, &holder.user, password, client, ("username", taken)).await?;
    match holder.sign_up {
        Some((flow, address)) if address.eq_ignore_ascii_case(form.email.trim_matches(' ')) => Ok(flow),
        _ => Err(Refusal::at("username", taken)),
    }
}

/// What one transaction of sign-up needs.
struct Registration {
    role: Role,
    hash: PasswordHash,
    username: Username,
    email: Email,
    next: Next,
    /// The sign-up that this browser began before.
    own: Option<Id>,
    origin: Origin,
    now: Moment,
}

enum Registered {
    /// There is an account, or what looks like one, and its code is queued.
    Flow(Id),
    /// Somebody has that username.
    NameHeld(Box<Holder>),
}

struct Holder {
    user: User,
    /// The flow and the address, where it is a sign-up that waits for its code.
    sign_up: Option<(Id, String)>,
}

impl Registration {
    fn run(&self, conn: &mut Connection, config: &Config, keys: &Keys) -> Result<Registered, Refusal> {
        let own = self.own_sign_up(conn)?;
        if let Some(holder) = self.name_holder(conn, own.as_ref().map(|(_, user)| &user.id))? {
            return Ok(Registered::NameHeld(Box::new(holder)));
        }
        if let Some((flow, user)) = own {
            let budget = mail_budgets::wait(conn, &self.email.canonical(), Budget::Code, self.now)?;
            if flow.address.eq_ignore_ascii_case(self.email.as_str()) && !budget.is_zero() {
                // Corrected: no other code may be mailed yet, and the one that is on its way stays good.
                users::correct_sign_up(conn, &user.id, &self.username, &self.hash, self.role)?;
                verifications::set_next(conn, &flow.id, self.next.as_str())?;
                return Ok(Registered::Flow(flow.id));
            }
            users::remove_unverified(conn, &user.id)?;
        }
        let flow = self.begin(conn, config, keys)?;
        Ok(Registered::Flow(flow))
    }

    /// The sign-up that this browser began, if it still waits for its code.
    fn own_sign_up(&self, conn: &mut Connection) -> Result<Option<(Verification, User)>, db::Error> {
        let Some(own) = &self.own else { return Ok(None) };
        let found = verifications::by_id(conn, own)?;
        Ok(found.filter(|(flow, user)| {
            flow.ended_at.is_none() && user.verified_at.is_none() && user.blocked_at.is_none()
        }))
    }

    /// Who holds the username. An unverified account whose newest code ran out makes way.
    fn name_holder(&self, conn: &mut Connection, own: Option<&Id>) -> Result<Option<Holder>, db::Error> {
        let Some(holder) = users::by_username(conn, &self.username.canonical())? else { return Ok(None) };
        if own == Some(&holder.id) {
            return Ok(None);
        }
        if !verifications::holds_username(conn, &holder, self.now)? {
            users::remove_unverified(conn, &holder.id)?;
            return Ok(None);
        }
        let flow = match holder.verified_at {
            Some(_) => None,
            None => verifications::pending(conn, &holder.id, Purpose::SignUp)?,
        };
        Ok(Some(Holder { user: holder, sign_up: flow.map(|flow| (flow.id, flow.address)) }))
    }

    /// The account, its flow and its mail. Where the address has an account already, or may not be mailed now,
    /// the same rows are written without the address and with a code that never fits.
    fn begin(&self, conn: &mut Connection, config: &Config, keys: &Keys) -> Result<Id, db::Error> {
        let (address, now) = (self.email.canonical(), self.now);
        let may_mail = mail_budgets::take(conn, &address, Budget::Code, now)?.is_ok();
        let claims = may_mail
            && match verifications::claiming(conn, &address)? {
                Some((_, earlier)) => users::remove_unverified(conn, &earlier.id)?,
                None => true,
            };
        let owner = users::by_email(conn, &address)?;
        let withheld = owner.is_some() || !may_mail;
        let (user, flow, code) = (Id::new(), Id::new(), Otp::random());
        let account = NewUser {
            id: &user,
            username: &self.username,
            email: (!withheld).then_some(&self.email),
            password_hash: &self.hash,
            role: self.role,
            verified_at: None,
        };
        users::insert(conn, &account, now)?;
        let digest = code.digest(&keys.code, &flow, Purpose::SignUp, self.email.as_str());
        let verification = NewVerification {
            id: &flow,
            user_id: &user,
            purpose: Purpose::SignUp,
            address: self.email.as_str(),
            claim: claims.then_some(&address),
            code_digest: (!withheld).then_some(&digest),
            lifetime: config.otp_lifetime,
            next_path: self.next.as_str(),
        };
        verifications::insert(conn, &verification, now)?;
        events::note(conn, Kind::SignedUp, Some(&user), &self.origin, self.role.as_str(), now)?;
        let told = match owner {
            Some(owner) if may_mail => tell_owner(conn, &owner, now)?,
            _ => false,
        };
        if !told {
            let new = CodeMail {
                user: &user,
                username: self.username.as_str(),
                flow: &flow,
                purpose: Purpose::SignUp,
                address: self.email.as_str(),
                code: (!withheld).then_some(&code),
                lifetime: config.otp_lifetime,
            };
            mail::queue_code(conn, &new, now)?;
        }
        Ok(flow)
    }
}

/// Tells the owner of an address that somebody tried to sign up with it, at most once an hour.
pub(super) fn tell_owner(conn: &mut Connection, owner: &User, now: Moment) -> Result<bool, db::Error> {
    let Some(address) = owner.email.as_deref().filter(|_| owner.verified_at.is_some()) else {
        return Ok(false);
    };
    if mail_budgets::take(conn, &address.to_ascii_lowercase(), Budget::AccountExists, now)?.is_err() {
        return Ok(false);
    }
    let mail = Mail::AccountExists { username: owner.username.clone() };
    mail::queue(conn, &mail, &Posting::to(&owner.id, address), now)?;
    Ok(true)
}

impl SignUpPage {
    fn new(app: &App, role: Role, form: SignUpForm, problems: Problems) -> Self {
        Self {
            chrome: Chrome::plain(),
            role,
            min_length: app.config.passwords.rules.min_length,
            form,
            problems,
        }
    }

    fn title(&self) -> Message {
        match self.role {
            Role::Merchant => "Create your merchant account".into(),
            _ => "Create your account".into(),
        }
    }

    fn sign_in(&self) -> String {
        Next::parse(&self.form.next).after(&paths::sign_in(self.role))
    }
}

impl SignUpForm {
    fn parse(&self, rules: PasswordRules) -> Result<NewAccount, Problems> {
        let mut problems = Problems::default();
        let username = problems.take("username", Username::parse(&self.username));
        let email = problems.take("email", Email::parse(&self.email));
        let own_words =
            [self.username.as_str(), self.email.as_str()].map(|word| word.get(..254).unwrap_or(word));
        let password = problems.take("password", Password::choose(&self.password, rules, &own_words));
        same_twice(&mut problems, &self.password, &self.confirm_password);
        let next = Next::parse(&self.next);
        match (username, email, password) {
            (Some(username), Some(email), Some(password)) if problems.is_empty() => {
                Ok(NewAccount { username, email, password, next })
            }
            _ => Err(problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told_at_once() {
        let form = SignUpForm {
            username: "a".into(),
            email: "b".into(),
            password: "c".into(),
            ..SignUpForm::default()
        };
        let problems = form.parse(PasswordRules { min_length: 8 }).err().unwrap();
        let fields: Vec<&str> = problems.all().iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["username", "email", "password", "confirm_password"]);
    }
}
