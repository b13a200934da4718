//! Who is at an application's door, for the proxy in front of it: asked for every request there, so that sign-out, block and a new
//! password count at the very next one.
//!
//! Answers from one row: the application's own cookie names a session there, which never outlives the one that it was made from. No page
//! is drawn for whoever may go on, nothing is read but what [`asked`] reads, and nothing is written but once a minute that somebody was
//! seen. Only proxies of `TRUSTED_PROXIES` are answered, and only an exact host decides, never a path.

mod answer;
mod asked;

use std::net::IpAddr;

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::app::App;
use crate::config::{Application, Place};
use crate::db;
use crate::identity::{AccountStatus, LinkToken, Moment, Username, visible_line};
use crate::limits::Limit;
use crate::paths::auth::ENTER;
use crate::paths::service::{FORWARD_AUTH, FORWARD_AUTH_ENVOY, FORWARD_AUTH_NGINX};
use crate::paths::{absolute, with_query};
use crate::records::app_sessions::{self, AppSession, TicketState};
use crate::records::events::{self, Kind, Source};
use crate::records::sessions::{self, Session};
use crate::records::users::User;
use crate::web::journal::OncePerMinute;
use crate::web::{client, connections};
use answer::Refused;
use asked::{Asked, Method, Proxy};

/// Registers the addresses that proxies ask; none without applications.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource(FORWARD_AUTH.pattern()).to(|app, req| ask(Proxy::Usual, app, req)))
        .service(web::resource(FORWARD_AUTH_NGINX.pattern()).to(|app, req| ask(Proxy::Nginx, app, req)))
        .service(web::resource(FORWARD_AUTH_ENVOY.pattern()).to(|app, req| ask(Proxy::Envoy, app, req)));
}

async fn ask(proxy: Proxy, app: Data<App>, req: HttpRequest) -> HttpResponse {
    let watched = connections::begin(&req);
    let answer = match decide(proxy, &app, &req).await {
        Ok(answer) => answer,
        Err(refused) => refused.page(&app, &req),
    };
    log::debug!(target: "access", "forward-auth {} \"{}\"", answer.status().as_u16(), req.method());
    connections::end(watched, &answer);
    answer
}

/// Somebody asks who is no proxy of ours.
fn warn_of_stranger(peer: Option<IpAddr>) {
    static SAID: OncePerMinute = OncePerMinute::new();
    let peer = peer.map_or_else(|| "nobody".to_owned(), |peer| peer.to_string());
    SAID.warn(|| {
        format!("{peer} asks /forward-auth and is not in TRUSTED_PROXIES; if it is your proxy, add it there")
    });
}

/// A proxy, or a setting, is not as it must be.
fn unusable(why: &str, host: &str) -> Refused {
    static SAID: OncePerMinute = OncePerMinute::new();
    let host: String = visible_line(host).chars().take(100).collect();
    SAID.warn(|| format!("a request to an application is refused: {why} {host}"));
    Refused::Unusable
}

/// What a cookie says of its browser, at one application.
enum Standing {
    /// Nobody, as far as the application is concerned.
    Nobody,
    /// Somebody whose password was given too long ago for it.
    Stale,
    /// Somebody of a role that it is not for.
    OtherRole(Username),
    In(Box<Entered>),
}

/// Somebody who may go on.
struct Entered {
    at: AppSession,
    session: Session,
    user: User,
}

async fn decide(proxy: Proxy, app: &Data<App>, req: &HttpRequest) -> Result<HttpResponse, Refused> {
    let peer = req.peer_addr().map(|peer| peer.ip());
    if !client::is_proxy(peer, &app.config.trusted_proxies) {
        warn_of_stranger(peer);
        return Err(Refused::Unusable);
    }
    let asked = Asked::of(proxy, req).map_err(|why| unusable(why, ""))?;
    let Some(application) = app.config.applications.at(asked.host) else {
        return Err(unusable("the host is none of APPS", asked.host));
    };
    let now = app.clock.now();
    let standing = standing(app, application, asked.cookie.as_ref(), now).await?;
    if let Some(ticket) = asked.ticket() {
        return redeem(app, &asked, application, ticket, standing).await;
    }
    match standing {
        Standing::In(entered) => {
            let answer = answer::go_on(&entered.user);
            touch_later(app, *entered, now);
            Ok(answer)
        }
        Standing::OtherRole(username) => {
            Err(Refused::OtherRole { application: application.name.clone(), username })
        }
        Standing::Nobody | Standing::Stale => Ok(lead_in(app, &asked, application)),
    }
}

/// Finds who has that cookie there.
async fn standing(
    app: &App,
    application: &Application,
    cookie: Option<&LinkToken>,
    now: Moment,
) -> Result<Standing, Refused> {
    let Some(token) = cookie.cloned() else { return Ok(Standing::Nobody) };
    let found = app.db.find(move |conn| app_sessions::by_token(conn, &token)).await?;
    let Some((at, session, user)) = found else { return Ok(Standing::Nobody) };
    if at.host != application.host || !at.is_open() || !is_live(&session, &user, now) {
        return Ok(Standing::Nobody);
    }
    app.limits.take_here(&Limit::Application.of(at.id.as_str()))?;
    Ok(if !application.is_for(user.role) {
        Standing::OtherRole(user.username)
    } else if is_stale(application, &session, now) {
        Standing::Stale
    } else {
        Standing::In(Box::new(Entered { at, session, user }))
    })
}

fn is_live(session: &Session, user: &User, now: Moment) -> bool {
    session.is_live(now) && user.status() == AccountStatus::Active
}

/// Whether an application asks for a password that was given later.
fn is_stale(application: &Application, session: &Session, now: Moment) -> bool {
    let is_fresh = |within| session.since_password(now).is_some_and(|since| since < within);
    !application.password_within.is_none_or(is_fresh)
}

/// Finds who has a cookie at an application and may use it now, for the application itself.
///
/// # Errors
/// When the database is away.
pub(super) async fn whose(
    app: &Data<App>,
    application: &Application,
    cookie: &LinkToken,
) -> Result<Option<(User, Session)>, Refused> {
    let now = app.clock.now();
    match standing(app, application, Some(cookie), now).await? {
        Standing::In(entered) => {
            let (user, session) = (entered.user.clone(), entered.session.clone());
            touch_later(app, *entered, now);
            Ok(Some((user, session)))
        }
        Standing::Nobody | Standing::Stale | Standing::OtherRole(_) => Ok(None),
    }
}

/// Leads a browser to where it gets a ticket. What is no navigation is only refused: a script or a picture cannot follow.
fn lead_in(app: &App, asked: &Asked<'_>, application: &Application) -> HttpResponse {
    if !asked.is_navigation {
        return answer::unknown();
    }
    let place = match asked.method {
        Method::Get => asked.place(application),
        Method::Other => Place::start(application),
    };
    // The cookie that names this browser to the ticket; one that is there already serves as well.
    let nonce = asked.cookie.clone().unwrap_or_else(LinkToken::random);
    let cookie = asked.cookie.is_none().then(|| answer::cookie(&nonce, None));
    let state = nonce.state_digest();
    let enter = with_query(ENTER.path(), &[("to", &place.url()), ("state", state.as_str())]);
    answer::lead(asked, &absolute(&app.config.public_url, &enter), cookie)
}

/// What became of a ticket.
enum Redeemed {
    Entered(LinkToken, Box<Session>),
    No(TicketState),
}

/// Lets a browser in by its ticket, and leads it to where it wanted to go.
async fn redeem(
    app: &App,
    asked: &Asked<'_>,
    application: &Application,
    ticket: &str,
    standing: Standing,
) -> Result<HttpResponse, Refused> {
    let place = asked.place(application);
    let redeemed = match LinkToken::parse(ticket) {
        Some(ticket) => use_ticket(app, asked, application, ticket).await?,
        None => Redeemed::No(TicketState::Used),
    };
    match (redeemed, standing) {
        (Redeemed::Entered(token, session), _) => {
            let max_age = session.outlives_window().then(|| session.remaining(app.clock.now()));
            Ok(answer::lead(asked, &place.url(), Some(answer::cookie(&token, max_age))))
        }
        // By reload or by the Back button: they are in already.
        (Redeemed::No(_), Standing::In(_)) => Ok(answer::lead(asked, &place.url(), None)),
        (Redeemed::No(state), Standing::Nobody | Standing::Stale | Standing::OtherRole(_)) => {
            Err(Refused::Ticket {
                name: application.name.clone(),
                host: application.host.clone(),
                url: place.url(),
                state,
            })
        }
    }
}

async fn use_ticket(
    app: &App,
    asked: &Asked<'_>,
    application: &Application,
    ticket: LinkToken,
) -> Result<Redeemed, db::Error> {
    let (host, cookie) = (application.host.clone(), asked.cookie.clone());
    let source = Source::Ip(asked.ip);
    let token = LinkToken::random();
    let now = app.clock.now();
    app.db
        .write(move |conn| {
            let Some((row, session, user)) = app_sessions::by_ticket(conn, &ticket)? else {
                return Ok(Redeemed::No(TicketState::Used));
            };
            let state = row.ticket_state(&host, cookie.as_ref(), now);
            if state != TicketState::Open {
                return Ok(Redeemed::No(state));
            }
            if !is_live(&session, &user, now) || !app_sessions::enter(conn, &row, &token, now)? {
                return Ok(Redeemed::No(TicketState::Used));
            }
            if let Some(left) = &cookie {
                app_sessions::leave(conn, left, now)?;
            }
            events::note(conn, Kind::ApplicationOpened, Some(&user.id), &source, &host, now)?;
            Ok(Redeemed::Entered(token.clone(), Box::new(session)))
        })
        .await
}

/// Stores beside the request that somebody was seen there, at most once a minute: it lengthens the idle life of their session.
fn touch_later(app: &Data<App>, entered: Entered, now: Moment) {
    let config = app.config.sessions;
    let Entered { at, session, .. } = entered;
    if !session.is_due(config, now) && !at.is_due(now) {
        return;
    }
    let app = Data::clone(app);
    actix_web::rt::spawn(async move {
        let touched = app
            .db
            .write(move |conn| {
                sessions::touch(conn, &session, config, now)?;
                app_sessions::touch(conn, &at.id, now).map_err(db::Error::from)
            })
            .await;
        if let Err(error) = touched {
            log::warn!("a session at an application could not be kept awake: {error}");
        }
    });
}
