//! Who opens an application, for the proxy in front of it: asked for every request there, so that sign-out, block and a new
//! password count at the very next one.
//!
//! Answers from one row: the application's own cookie names a session there, which never outlives the one that it was made from. No page
//! is drawn for whoever may go on, nothing is read but what [`forwarded`] reads, and nothing is written but once a minute that somebody was
//! seen. Only proxies of `TRUSTED_PROXIES` are answered, and only an exact host decides, never a path.

mod answer;
mod forwarded;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::app::App;
use crate::config::{AppPage, Application};
use crate::db;
use crate::identity::{AccountStatus, Id, LinkToken, Moment, Username, visible_line};
use crate::limits::Limit;
use crate::paths::auth::ENTER;
use crate::paths::service::{FORWARD_AUTH, FORWARD_AUTH_ENVOY, FORWARD_AUTH_NGINX};
use crate::paths::{absolute, with_query};
use crate::records::app_sessions::{self, AppSession, TicketState};
use crate::records::events::{self, Kind, Source};
use crate::records::sessions::{self, Life};
use crate::records::users::Person;
use crate::web::journal::OncePerMinute;
use crate::web::{client, connections};
pub(super) use answer::Denied;
pub use answer::not_for;
pub(super) use forwarded::Proxy;
use forwarded::{ForwardedRequest, Method};

/// Registers the paths that proxies ask.
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
        Err(denied) => denied.page(proxy, &app, &req),
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
        format!("{peer} called /forward-auth but isn't in TRUSTED_PROXIES; if it's your proxy, add it")
    });
}

/// A proxy does not say what it must.
fn malformed(why: &str) -> Denied {
    static SAID: OncePerMinute = OncePerMinute::new();
    SAID.warn(|| format!("refused a request to an application: {why}"));
    Denied::Unusable
}

/// A proxy asks for a host that is none of ours; visitors can choose it, so it has a warning of its own.
fn unknown_host(host: &str) -> Denied {
    static SAID: OncePerMinute = OncePerMinute::new();
    let host: String = visible_line(host).chars().take(100).collect();
    SAID.warn(|| format!("refused a request to an application: APPS doesn't list the host {host}"));
    Denied::Unusable
}

/// What a cookie says of its browser, at one application.
enum Known {
    /// Nobody, as far as the application is concerned.
    Nobody,
    /// Somebody who has to prove more, or again, who they are.
    Stale,
    /// Somebody of a role that it is not for.
    OtherRole(Username),
    In(Box<Entered>),
}

/// Somebody who may go on.
struct Entered {
    at: AppSession,
    life: Life,
    person: Person,
}

async fn decide(proxy: Proxy, app: &Data<App>, req: &HttpRequest) -> Result<HttpResponse, Denied> {
    let peer = req.peer_addr().map(|peer| peer.ip());
    if !client::is_proxy(peer, &app.config.trusted_proxies) {
        warn_of_stranger(peer);
        return Err(Denied::Unusable);
    }
    let asked = ForwardedRequest::of(proxy, req).map_err(malformed)?;
    let Some(application) = app.config.applications.at(asked.host) else {
        return Err(unknown_host(asked.host));
    };
    let now = app.clock.now();
    let known = known(app, application, asked.cookie.as_ref(), now).await?;
    if let Some(ticket) = asked.ticket() {
        return redeem(app, &asked, application, ticket, known).await;
    }
    match known {
        Known::In(entered) => {
            let answer = answer::go_on(&entered.person);
            touch_later(app, *entered, now);
            Ok(answer)
        }
        Known::OtherRole(username) => {
            let (application, host) = (application.name.clone(), application.host.clone());
            Err(Denied::OtherRole { application, host, username })
        }
        Known::Nobody | Known::Stale => Ok(lead_in(app, &asked, application)),
    }
}

/// Finds who has that cookie there.
async fn known(
    app: &App,
    application: &Application,
    cookie: Option<&LinkToken>,
    now: Moment,
) -> Result<Known, Denied> {
    let Some(token) = cookie.cloned() else { return Ok(Known::Nobody) };
    let found = app.db.find(move |conn| app_sessions::by_token(conn, &token)).await?;
    let Some((at, life, person)) = found else { return Ok(Known::Nobody) };
    if at.host != application.host || !at.is_open() || !life.is_live(now) || !person.is_active() {
        return Ok(Known::Nobody);
    }
    app.limits.take_here(&Limit::Application.of(at.id.as_str()))?;
    // Not for strangers and whoever asks too often: they would slow down sign-ins without a limit.
    app.hasher.give_way();
    Ok(if !application.is_for(person.role) {
        Known::OtherRole(person.username)
    } else if is_stale(app, application, &life, &person, now) {
        Known::Stale
    } else {
        Known::In(Box::new(Entered { at, life, person }))
    })
}

/// Whether an application asks for a password that was given later, or it or the site for a second step.
fn is_stale(app: &App, application: &Application, life: &Life, person: &Person, now: Moment) -> bool {
    let has_two_factor = person.has_two_factor();
    let is_fresh = |within| life.is_proven_within(within, person.takes_code(now), now);
    let lacks_factor = application.needs_factor && (life.factor_at.is_none() || !has_two_factor);
    let comes_first = app.config.two_factor.comes_first(person.role, has_two_factor, now);
    lacks_factor || comes_first || !application.password_within.is_none_or(is_fresh)
}

/// Finds the session of whoever has a cookie at an application and may use it now, for the application itself.
///
/// # Errors
/// When the database is away.
pub(super) async fn whose(
    app: &Data<App>,
    application: &Application,
    cookie: &LinkToken,
) -> Result<Option<Id>, Denied> {
    let now = app.clock.now();
    match known(app, application, Some(cookie), now).await? {
        Known::In(entered) => {
            let session = entered.life.id.clone();
            touch_later(app, *entered, now);
            Ok(Some(session))
        }
        Known::Nobody | Known::Stale | Known::OtherRole(_) => Ok(None),
    }
}

/// Leads a browser to where it gets a ticket. What is no navigation is only refused: a script or a picture cannot follow.
fn lead_in(app: &App, asked: &ForwardedRequest<'_>, application: &Application) -> HttpResponse {
    if !asked.is_navigation {
        return answer::unknown();
    }
    let page = match asked.method {
        Method::Get => asked.page(application),
        Method::Other => AppPage::start(application),
    };
    // The cookie that names this browser to the ticket; one that is there already serves as well.
    let nonce = asked.cookie.clone().unwrap_or_else(LinkToken::random);
    let cookie = asked.cookie.is_none().then(|| answer::nonce_cookie(&nonce));
    let state = nonce.state_digest();
    let enter = with_query(ENTER.path(), &[("to", &page.url()), ("state", state.as_str())]);
    answer::lead(asked, &absolute(&app.config.public_url, &enter), cookie)
}

/// What became of a ticket.
enum Redeemed {
    Entered(LinkToken, Box<Life>),
    No(TicketState),
}

/// Lets a browser in by its ticket, and leads it to where it wanted to go.
async fn redeem(
    app: &App,
    asked: &ForwardedRequest<'_>,
    application: &Application,
    ticket: &str,
    known: Known,
) -> Result<HttpResponse, Denied> {
    let page = asked.page(application);
    match (use_ticket(app, asked, application, ticket).await?, known) {
        (Redeemed::Entered(token, life), _) => {
            let max_age = life.outlives_window().then(|| life.remaining(app.clock.now()));
            Ok(answer::lead(asked, &page.url(), Some(answer::cookie(&token, max_age))))
        }
        // By reload or by the Back button: they are in already.
        (Redeemed::No(_), Known::In(_)) => Ok(answer::lead(asked, &page.url(), None)),
        (Redeemed::No(state), Known::Nobody | Known::Stale | Known::OtherRole(_)) => {
            let (name, host) = (application.name.clone(), application.host.clone());
            Err(Denied::Ticket { name, host, url: page.url(), state })
        }
    }
}

/// Uses a ticket. What cannot work costs no write: anybody can ask for it.
async fn use_ticket(
    app: &App,
    asked: &ForwardedRequest<'_>,
    application: &Application,
    ticket: &str,
) -> Result<Redeemed, db::Error> {
    let Some(cookie) = asked.cookie.clone() else { return Ok(Redeemed::No(TicketState::OtherBrowser)) };
    let Some(ticket) = LinkToken::parse(ticket) else { return Ok(Redeemed::No(TicketState::Used)) };
    let found = app.db.find(move |conn| app_sessions::by_ticket(conn, &ticket)).await?;
    let Some((row, session, user)) = found else { return Ok(Redeemed::No(TicketState::Used)) };
    let now = app.clock.now();
    let state = row.ticket_state(&application.host, &cookie, now);
    if state != TicketState::Open {
        return Ok(Redeemed::No(state));
    }
    if !session.life.is_live(now) || user.status() != AccountStatus::Active {
        return Ok(Redeemed::No(TicketState::Over));
    }
    let source = Source::Ip(client::ip_of_request(asked.req));
    let token = LinkToken::random();
    app.db
        .write(move |conn| {
            if !app_sessions::enter(conn, &row.at.id, &token, now)? {
                return Ok(Redeemed::No(TicketState::Used));
            }
            app_sessions::leave(conn, &cookie)?;
            events::note(conn, Kind::ApplicationOpened, Some(&user.id), &source, &row.at.host, now)?;
            Ok(Redeemed::Entered(token.clone(), Box::new(session.life.clone())))
        })
        .await
}

/// Stores beside the request that somebody was seen there, at most once a minute: it lengthens the idle life of their session. Of many
/// requests at once, as a page has pictures, one does so.
fn touch_later(app: &Data<App>, entered: Entered, now: Moment) {
    static UNDER_WAY: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let under_way = || UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
    let config = app.config.sessions;
    let Entered { at, life, .. } = entered;
    if !(life.is_due(config, now) || at.is_due(now)) || !under_way().insert(at.id.as_str().to_owned()) {
        return;
    }
    let app = Data::clone(app);
    actix_web::rt::spawn(async move {
        let name = at.id.as_str().to_owned();
        let touched = app
            .db
            .write(move |conn| {
                if app_sessions::touch(conn, &at.id, now)? || life.is_due(config, now) {
                    sessions::touch(conn, &life, config, now)?;
                }
                Ok::<_, db::Error>(())
            })
            .await;
        under_way().remove(&name);
        if let Err(error) = touched {
            log::warn!("an application session's last use couldn't be stored: {error}");
        }
    });
}
