//! Who is looking: the parameters of a handler say who may call it.

use std::rc::Rc;
use std::time::Duration;

use actix_session::SessionExt;
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev};
use diesel::QueryResult;
use futures_util::future::LocalBoxFuture;

use super::app_of;
use super::carried::{InSession, Owner};
use super::client::Client;
use super::errors::{ErrorPage, HttpError, Redirect};
use super::forms::FormError;
use super::preferences::Preferences;
use super::session::{self, Pointer};
use super::signed_in::SignedInAs;
use crate::app::App;
use crate::config::SessionConfig;
use crate::db::{self, Connection};
use crate::identity::{Id, Moment, Role, Username, t};
use crate::paths::Next;
use crate::paths::account::{LEAVE, PROFILE, TWO_FACTOR};
use crate::paths::admin::ADMIN;
use crate::paths::auth::CONFIRM;
use crate::records::events::Source;
use crate::records::sessions::{self, Life, Rotation, Session};
use crate::records::users::{self, Head, User};

/// Somebody signed in, confirmed, not blocked and not about to leave.
#[derive(Clone)]
pub struct Viewer {
    pub user: User,
    pub session: Session,
}

/// Somebody signed in, also in the days of grace before their account goes.
pub struct Remaining(pub By);

/// Somebody signed in who may have to set up the second step of signing in first.
pub struct Enrolling(pub By);

/// Anybody, signed in or not.
pub struct Anyone(pub Option<Viewer>);

/// Whoever it is, as far as can be told; refuses while nobody can tell.
pub struct Known(pub Option<Viewer>);

/// Somebody who is not signed in; whoever is goes to their profile.
pub struct Stranger;

/// Somebody signed in, as their page reads them.
pub struct As<T>(pub T);

/// Somebody signed in, as a page reads them: in one trip to the database, with what it shows beside.
pub trait SignedIn: Send + Sized + 'static {
    /// Finds a session and whose it is, live or not.
    ///
    /// # Errors
    /// The query's.
    fn find(conn: &mut Connection, session: &Id) -> QueryResult<Option<Self>>;

    /// How long the session lasts.
    fn life(&self) -> &Life;

    /// What the head of the page shows.
    fn head(&self) -> Head<'_>;
}

impl Viewer {
    /// Whether a form that asks for the password asks for a code, too: of the second step, unless it was taken in the last ten minutes.
    pub fn asks_code(&self, now: Moment) -> bool {
        let since = self.session.life.since_factor(now);
        self.user.takes_code(now) && since.is_none_or(|since| since >= RECENT)
    }
}

impl SignedIn for Viewer {
    fn find(conn: &mut Connection, session: &Id) -> QueryResult<Option<Self>> {
        Ok(sessions::by_id(conn, session)?.map(|(session, user)| Self { user, session }))
    }

    fn life(&self) -> &Life {
        &self.session.life
    }

    fn head(&self) -> Head<'_> {
        self.user.head()
    }
}

/// Somebody who sees the admin pages.
pub struct Staff(pub Viewer);

/// Somebody who may change what the admin pages show.
pub struct Superuser(pub By);

/// By whom, from where and when something is done: what a change of an account and its event need to know.
#[derive(Clone)]
pub struct By {
    pub viewer: Viewer,
    pub client: Client,
    pub now: Moment,
}

/// For how long a password that was given counts as given just now (OWASP ASVS 5.0, 7.5.3).
const RECENT: Duration = Duration::from_secs(600);

/// Whether somebody is signed in.
enum Seen<T = Viewer> {
    Nobody,
    Somebody(Box<T>),
    /// Nobody can tell: the session store is away.
    Unknown,
}

macro_rules! from_request {
    ($type:ty, $make:expr) => {
        impl FromRequest for $type {
            type Error = HttpError;
            type Future = LocalBoxFuture<'static, Result<Self, HttpError>>;

            fn from_request(req: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
                let req = req.clone();
                Box::pin(async move {
                    let make: fn(Seen, &HttpRequest) -> Result<Self, HttpError> = $make;
                    make(load_viewer(&req).await?, &req)
                })
            }
        }
    };
}

impl<T: SignedIn> FromRequest for As<T> {
    type Error = HttpError;
    type Future = LocalBoxFuture<'static, Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move { settled(load_viewer(&req).await?, &req).map(Self) })
    }
}

from_request!(Viewer, settled);

from_request!(Remaining, |seen, req| By::of(signed_in(seen, req)?, req).map(Self));

from_request!(Enrolling, |seen, req| By::of(staying(seen, req)?, req).map(Self));

from_request!(Anyone, |seen, req| match seen {
    Seen::Nobody | Seen::Unknown if Owner::of(req).is_none() => Ok(Self(None)),
    // Whoever sends a form of an account sends it for that account.
    seen => signed_in(seen, req).map(|viewer| Self(Some(viewer))),
});

from_request!(Known, |seen, _| match seen {
    Seen::Nobody => Ok(Self(None)),
    Seen::Somebody(viewer) => Ok(Self(Some(*viewer))),
    Seen::Unknown => Err(HttpError::Unavailable("the session store is away".to_owned())),
});

from_request!(Stranger, |seen, _| match seen {
    Seen::Somebody(_) => Err(Redirect::Elsewhere(PROFILE.to_string()).into()),
    Seen::Nobody | Seen::Unknown => Ok(Self),
});

from_request!(Staff, |seen, req| {
    let viewer = settled(seen, req)?;
    if viewer.user.role.sees_admin() { Ok(Self(viewer)) } else { Err(HttpError::Forbidden) }
});

from_request!(By, |seen, req| By::of(settled(seen, req)?, req));

from_request!(Superuser, |seen, req| {
    let viewer = settled(seen, req)?;
    if viewer.user.role == Role::Superuser {
        By::of(viewer, req).map(Self)
    } else {
        Err(HttpError::Forbidden)
    }
});

/// Who leaves is shown when, and how to stay, wherever they go.
fn staying<T: SignedIn>(seen: Seen<T>, req: &HttpRequest) -> Result<T, HttpError> {
    let viewer = signed_in(seen, req)?;
    if viewer.head().is_leaving() {
        return Err(Redirect::Elsewhere(LEAVE.to_string()).into());
    }
    Ok(viewer)
}

/// Whoever has to set up the second step of signing in does that before anything else.
fn settled<T: SignedIn>(seen: Seen<T>, req: &HttpRequest) -> Result<T, HttpError> {
    let viewer = staying(seen, req)?;
    let app = app_of(req)?;
    let head = viewer.head();
    if app.config.two_factor.comes_first(head.role, head.has_two_factor, app.clock.now()) {
        return Err(Redirect::Elsewhere(wanted(req).after(TWO_FACTOR.path())).into());
    }
    Ok(viewer)
}

fn signed_in<T: SignedIn>(seen: Seen<T>, req: &HttpRequest) -> Result<T, HttpError> {
    match seen {
        Seen::Somebody(viewer) => match Owner::of(req).filter(|owner| owner.id != *viewer.head().id) {
            Some(owner) => Err(somebody_elses(&owner, viewer.head().username).into()),
            None => Ok(*viewer),
        },
        Seen::Unknown => Err(HttpError::Unavailable("the session store is away".to_owned())),
        Seen::Nobody => Err(sign_in_needed(req).into()),
    }
}

/// The page for a form that was shown to one account and sent under another: taken, it would change what its sender does not see.
pub fn somebody_elses(owner: &Owner, viewer: &Username) -> ErrorPage {
    let title = t("You're now signed in as {name}").with("name", viewer.as_str());
    let text = t("This form was {other}'s. Nothing was changed. To send it, sign in as {other} again.")
        .with("other", &owner.username);
    ErrorPage::new(StatusCode::FORBIDDEN, title, text)
}

/// A page is asked for again after signing in; a form is shown again (see [`super::carried`]).
fn sign_in_needed(req: &HttpRequest) -> Redirect {
    let is_admin = req.path().starts_with(ADMIN.path());
    let used_last = Preferences::read(req).role;
    let role = if is_admin && !used_last.sees_admin() { Role::Staff } else { used_last };
    let next = if req.path() == CONFIRM.path() {
        // Signing in is giving the password.
        Next::of_query(req.query_string())
    } else {
        wanted(req)
    };
    Redirect::SignInNeeded(next, role)
}

/// Where a request wanted to go, if that is a page.
fn wanted(req: &HttpRequest) -> Next {
    if matches!(*req.method(), Method::GET | Method::HEAD) {
        Next::parse(req.uri().path_and_query().map_or("", |asked| asked.as_str()))
    } else {
        Next::default()
    }
}

/// Finds who is signed in with the browser of a request.
async fn load_viewer<T: SignedIn>(req: &HttpRequest) -> Result<Seen<T>, HttpError> {
    let (id, generation) = match session::pointer(&req.get_session()) {
        Pointer::To(id, generation) => (id, generation),
        Pointer::Nobody => return Ok(Seen::Nobody),
        Pointer::Away => return Ok(Seen::Unknown),
    };
    let app = app_of(req)?;
    let found = app.db.find(move |conn| T::find(conn, &id)).await?;
    let now = app.clock.now();
    let Some(viewer) = found else { return Ok(Seen::Nobody) };
    let (life, head) = (viewer.life(), viewer.head());
    if life.generation != generation || !life.is_live(now) || !head.may_enter() {
        return Ok(Seen::Nobody);
    }
    session::mark_live(req, life, now);
    req.extensions_mut().insert(Rc::new(SignedInAs::of(head)));
    req.extensions_mut().insert(InSession(life.clone()));
    if life.is_due(app.config.sessions, now) {
        touch_later(&app, life.clone());
    }
    Ok(Seen::Somebody(Box::new(viewer)))
}

/// Finds out who is looking at an error page, so that it keeps their header.
pub async fn recognise<B>(answer: &ServiceResponse<B>) {
    let is_known = answer.request().extensions().contains::<Rc<SignedInAs>>();
    if answer.response().error().is_some() && !is_known {
        // Where that cannot be found out, the page is a stranger's; why has been logged.
        if let Err(error) = load_viewer::<Viewer>(answer.request()).await {
            log::debug!("an error page is drawn for a stranger: {error}");
        }
    }
}

/// Stores beside the request that a session was seen: a page that only reads does not wait for a write.
fn touch_later(app: &Data<App>, life: Life) {
    let app = Data::clone(app);
    actix_web::rt::spawn(async move {
        let config = app.config.sessions;
        let now = app.clock.now();
        let touched = app
            .db
            .write(move |conn| sessions::touch(conn, &life, config, now).map_err(db::Error::from))
            .await;
        if let Err(error) = touched {
            log::warn!("a session could not be kept awake: {error}");
        }
    });
}

impl By {
    fn of(viewer: Viewer, req: &HttpRequest) -> Result<Self, HttpError> {
        let client = Client::from_request(req, &mut dev::Payload::None).into_inner()?;
        Ok(Self { viewer, client, now: app_of(req)?.clock.now() })
    }

    /// Whose account it is.
    pub fn user(&self) -> &User {
        &self.viewer.user
    }

    /// Describes for the audit log from where it is done.
    pub fn source(&self) -> Source {
        self.client.source()
    }

    /// Locks the account and returns it as it is now; refuses when the session ended, or the account changed hands, since this
    /// request began. Asked inside the transaction of what a password was given for: hashing takes its time.
    ///
    /// # Errors
    /// Sign in again.
    pub fn still_may(&self, conn: &mut Connection) -> Result<User, FormError> {
        // The account first: whoever holds its lock may be ending this very session.
        let current = users::lock_if_unchanged(conn, self.user())?;
        let ours = &self.viewer.session;
        let session = sessions::by_id(conn, &ours.life.id)?.map(|(session, _)| session);
        let is_live = session.is_some_and(|session| {
            session.life.generation == ours.life.generation && session.life.is_live(self.now)
        });
        current.filter(|_| is_live).ok_or_else(|| self.signed_out().into())
    }

    /// Gives the session a new generation, for those who are signed in and stay so; the caller points the browser to it once
    /// its transaction is done.
    ///
    /// # Errors
    /// Sign in again, when the session has ended in the meantime.
    pub fn rotate(
        &self,
        conn: &mut Connection,
        why: Rotation,
        config: SessionConfig,
    ) -> Result<Session, FormError> {
        let rotated = sessions::rotate(conn, &self.viewer.session, why, config, self.now)?;
        rotated.ok_or_else(|| self.signed_out().into())
    }

    /// Refuses when the password, or the second step of an account that has one, was last given more than ten minutes ago. Leads to where it is asked for, and back to
    /// `next` from there.
    ///
    /// # Errors
    /// Confirm the password.
    pub fn require_recent_proof(&self, next: &str) -> Result<(), HttpError> {
        self.require_proof_within(RECENT, Next::parse(next))
    }

    /// The same for another span of time.
    ///
    /// # Errors
    /// Confirm the password.
    pub fn require_proof_within(&self, span: Duration, next: Next) -> Result<(), HttpError> {
        let takes_code = self.user().takes_code(self.now);
        if self.viewer.session.life.is_proven_within(span, takes_code, self.now) {
            Ok(())
        } else {
            Err(Redirect::ConfirmNeeded(next).into())
        }
    }

    fn signed_out(&self) -> Redirect {
        Redirect::SignInNeeded(Next::default(), self.user().role)
    }
}
