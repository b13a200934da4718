//! Who is looking: the parameters of a handler say who may call it.

use std::time::Duration;

use actix_session::{Session, SessionExt};
use actix_web::http::Method;
use actix_web::{FromRequest, HttpRequest, dev, web};
use futures_util::future::LocalBoxFuture;

use super::client::Client;
use super::fault::{Fault, Refusal};
use super::session::{self, Pointer};
use crate::app::App;
use crate::db::{self, Connection};
use crate::identity::{Moment, Role, Standing};
use crate::paths::{Next, route};
use crate::records::sign_ins::{self, SignIn};
use crate::records::users::{self, User};

/// Somebody signed in, verified and not blocked.
#[derive(Clone)]
pub struct Viewer {
    /// Who they are.
    pub user: User,
    /// With which browser.
    pub sign_in: SignIn,
}

/// Anybody, signed in or not.
pub struct Anyone(pub Option<Viewer>);

/// Somebody who is not signed in; whoever is goes to their profile.
pub struct Stranger;

/// Somebody who sees the admin pages.
pub struct Staff(pub Viewer);

/// Somebody who may change what the admin pages show.
pub struct Superuser(pub Viewer);

/// For how long a password that was given counts as given just now (OWASP ASVS 5.0, 7.5.3).
const RECENT: Duration = Duration::from_secs(600);

/// Whether somebody is signed in.
enum Seen {
    Nobody,
    Somebody(Box<Viewer>),
    /// Nobody can tell: the session store is away.
    Unknown,
}

macro_rules! from_request {
    ($type:ty, $make:expr) => {
        impl FromRequest for $type {
            type Error = Fault;
            type Future = LocalBoxFuture<'static, Result<Self, Fault>>;

            fn from_request(req: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
                let req = req.clone();
                Box::pin(async move {
                    let make: fn(Seen, &HttpRequest) -> Result<Self, Fault> = $make;
                    make(look(&req).await?, &req)
                })
            }
        }
    };
}

from_request!(Viewer, signed_in);

from_request!(Anyone, |seen, _| match seen {
    Seen::Somebody(viewer) => Ok(Self(Some(*viewer))),
    Seen::Nobody | Seen::Unknown => Ok(Self(None)),
});

from_request!(Stranger, |seen, _| match seen {
    Seen::Somebody(_) => Err(Fault::Elsewhere(route::PROFILE.to_owned())),
    Seen::Nobody | Seen::Unknown => Ok(Self),
});

from_request!(Staff, |seen, req| {
    let viewer = signed_in(seen, req)?;
    if viewer.user.role.sees_admin() { Ok(Self(viewer)) } else { Err(Fault::Forbidden) }
});

from_request!(Superuser, |seen, req| {
    let viewer = signed_in(seen, req)?;
    if viewer.user.role == Role::Superuser { Ok(Self(viewer)) } else { Err(Fault::Forbidden) }
});

fn signed_in(seen: Seen, req: &HttpRequest) -> Result<Viewer, Fault> {
    match seen {
        Seen::Somebody(viewer) => Ok(*viewer),
        Seen::Unknown => Err(Fault::Unavailable("the session store is away".to_owned())),
        Seen::Nobody => Err(sign_in_needed(req)),
    }
}

/// A page is asked for again after signing in; a form is not sent again by itself.
fn sign_in_needed(req: &HttpRequest) -> Fault {
    let is_admin = req.path().starts_with(route::ADMIN);
    let door = if is_admin { Role::Staff } else { Role::User };
    let is_page = matches!(*req.method(), Method::GET | Method::HEAD);
    let next = match req.path() {
        _ if !is_page => Next::default(),
        // Signing in is giving the password.
        route::CONFIRM => Next::of_query(req.query_string()),
        _ => Next::parse(req.uri().path_and_query().map_or("", |asked| asked.as_str())),
    };
    Fault::SignInNeeded(next, door)
}

async fn look(req: &HttpRequest) -> Result<Seen, Fault> {
    let (id, generation) = match session::pointer(&req.get_session()) {
        Pointer::To(id, generation) => (id, generation),
        Pointer::Nobody => return Ok(Seen::Nobody),
        Pointer::Away => return Ok(Seen::Unknown),
    };
    let app = App::of(req)?;
    let found = app.db.find(move |conn| sign_ins::by_id(conn, &id).map_err(db::Error::from)).await?;
    let now = app.clock.now();
    let Some((sign_in, user)) = found else { return Ok(Seen::Nobody) };
    if sign_in.generation != generation || !sign_in.is_live(now) || user.standing() != Standing::Active {
        return Ok(Seen::Nobody);
    }
    session::is_alive(req, &sign_in, now);
    if sign_in.is_due(app.config.sessions, now) {
        write_down(&app, sign_in.clone());
    }
    Ok(Seen::Somebody(Box::new(Viewer { user, sign_in })))
}

/// Beside the request: a page that only reads does not wait for a write.
fn write_down(app: &web::Data<App>, sign_in: SignIn) {
    let app = web::Data::clone(app);
    actix_web::rt::spawn(async move {
        let (config, now) = (app.config.sessions, app.clock.now());
        let touched = app
            .db
            .write(move |conn| sign_ins::touch(conn, &sign_in, config, now).map_err(db::Error::from))
            .await;
        if let Err(error) = touched {
            log::warn!("a sign-in could not be kept awake: {error}");
        }
    });
}

impl Viewer {
    /// Refuses when the sign-in ended, or the account changed hands, since this request began. Asked inside the
    /// transaction of what a password was given for: hashing takes its time.
    ///
    /// # Errors
    /// Sign in again.
    pub fn still_may(&self, conn: &mut Connection, now: Moment) -> Result<(), Refusal> {
        // The account first: whoever holds its lock may be ending this very sign-in.
        let is_unchanged = users::is_unchanged(conn, &self.user)?;
        let sign_in = sign_ins::by_id(conn, &self.sign_in.id)?.map(|(sign_in, _)| sign_in);
        let lives = sign_in.is_some_and(|it| it.generation == self.sign_in.generation && it.is_live(now));
        if lives && is_unchanged {
            Ok(())
        } else {
            Err(Fault::SignInNeeded(Next::default(), self.user.role).into())
        }
    }

    /// Refuses when the password was last given more than ten minutes ago. Leads to where it is asked for, and back to
    /// `next` from there.
    ///
    /// # Errors
    /// Confirm the password.
    pub fn is_recent(&self, now: Moment, next: &str) -> Result<(), Fault> {
        if now.since(self.sign_in.confirmed_at) < RECENT {
            Ok(())
        } else {
            Err(Fault::ConfirmNeeded(Next::parse(next)))
        }
    }

    /// Gives the session a new id and a new generation, for those who are signed in and stay so. `confirmed`
    /// when the password was given just now.
    ///
    /// # Errors
    /// Sign in again, when the sign-in ended meanwhile.
    pub async fn rotate(&self, req: &HttpRequest, session: &Session, confirmed: bool) -> Result<(), Fault> {
        let app = App::of(req)?;
        let (sign_in, config, now) = (self.sign_in.clone(), app.config.sessions, app.clock.now());
        let rotated = app
            .db
            .write(move |conn| {
                sign_ins::rotate(conn, &sign_in, confirmed, config, now).map_err(db::Error::from)
            })
            .await?;
        let rotated = rotated.ok_or_else(|| sign_in_needed(req))?;
        session::point_to(req, session, &rotated, now)
    }
}

/// What a handler needs to know of a request in order to sign somebody in.
pub struct Browser {
    /// The request itself.
    pub req: HttpRequest,
    /// Its session.
    pub session: Session,
    /// Who sent it.
    pub client: Client,
}

impl FromRequest for Browser {
    type Error = Fault;
    type Future = std::future::Ready<Result<Self, Fault>>;

    fn from_request(req: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let client = Client::from_request(req, payload).into_inner();
        let browser = client.map(|client| Self { req: req.clone(), session: req.get_session(), client });
        std::future::ready(browser)
    }
}
