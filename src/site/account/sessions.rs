//! The devices that one's account is signed in on: each can be given a name, and signed out.

mod trusted;

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::db::{self, Connection};
use crate::identity::{Id, Message, Moment, Sentence, browser_name, t, visible_line};
use crate::paths::account::{DISTRUST, END_OTHERS, END_SESSION, RENAME_SESSION, SESSIONS};
use crate::paths::auth::SIGN_IN;
use crate::places::Places;
use crate::records::events::{self, Kind};
use crate::records::sessions::{self, Session, SessionKind, SignedInBy};
use crate::records::two_factor::trusted_devices;
use crate::site::auth::sign_out::SIGNED_OUT;
use crate::web::device_cookie;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::{By, Viewer};
use trusted::{DISTRUSTED, Trusted};

const ENDED: Notice = Notice::new("device-ended", t("The device has been signed out."));
const GONE: Notice = Notice::new("device-gone", t("That device had already been signed out."));
const OTHERS_ENDED: Notice = Notice::counted(
    "devices-ended",
    "1 other device has been signed out.",
    "{count} other devices have been signed out.",
);
const NAMED: Notice = Notice::new("device-named", t("The name has been saved."));

/// The longest name of a device, in characters.
const MAX_NAME: usize = 40;

pub(super) fn routes(pages: &mut Pages) {
    pages
        .service(routes::page(SESSIONS, show))
        .service(routes::act(END_OTHERS, SESSIONS, end_others))
        .service(routes::act(END_SESSION, SESSIONS, end))
        .service(routes::act(RENAME_SESSION, SESSIONS, rename))
        .service(routes::act(DISTRUST, SESSIONS, trusted::distrust));
}

#[derive(Template)]
#[template(path = "account/sessions.html")]
struct SessionsPage {
    rows: Vec<Row>,
    trusted: Vec<Trusted>,
    problems: Problems,
}

/// A device on the page.
struct Row {
    id: Id,
    /// What its person calls it, or what it is.
    title: Message,
    /// What it is, where it has a name.
    kind: Option<Message>,
    name: String,
    /// Whether its new name was refused.
    is_refused: bool,
    is_this: bool,
    ip: String,
    /// Where that is, roughly.
    place: Option<String>,
    signed_in: Moment,
    by: Sentence,
    last_used: Moment,
    /// Until when it stays signed in, where that outlasts the browser's window.
    stays_until: Option<Moment>,
}

impl Row {
    fn of(session: &Session, this: &Id, places: Option<&Places>) -> Self {
        let kind = browser_name(&session.device);
        let is_named = !session.name.is_empty();
        Self {
            id: session.life.id.clone(),
            title: if is_named { Message::verbatim(&session.name) } else { kind.clone() },
            kind: is_named.then_some(kind),
            name: session.name.clone(),
            is_refused: false,
            is_this: session.life.id == *this,
            ip: session.ip.clone(),
            place: places.and_then(|places| places.of(&session.ip)),
            signed_in: session.life.created_at,
            by: match session.signed_in_by {
                SignedInBy::Password => t("with your password"),
                SignedInBy::Code => t("with the code that confirmed your account"),
                SignedInBy::PasswordAndCode => t("with your password and a code"),
                SignedInBy::PasswordAndRecoveryCode => t("with your password and a recovery code"),
                SignedInBy::PasswordAndPasskey => t("with your password and a passkey"),
                SignedInBy::Passkey => t("with a passkey"),
                SignedInBy::EmailedCode => t("with a code from an email"),
                SignedInBy::EmailedCodeAndCode => t("with a code from an email and one from your app"),
                SignedInBy::EmailedCodeAndRecoveryCode => t("with a code from an email and a recovery code"),
                SignedInBy::EmailedCodeAndPasskey => t("with a code from an email and a passkey"),
                SignedInBy::PasswordOnTrustedDevice => t("with your password, on a device you trust"),
            },
            last_used: session.life.last_seen_at,
            stays_until: (session.life.kind == SessionKind::Remembered).then(|| session.life.ends_at()),
        }
    }

    fn end_path(&self) -> String {
        END_SESSION.to([self.id.as_str()])
    }

    fn rename_path(&self) -> String {
        RENAME_SESSION.to([self.id.as_str()])
    }
}

impl SessionsPage {
    async fn read(app: &App, viewer: &Viewer, req: &HttpRequest) -> Result<Self, db::Error> {
        let (user, now) = (viewer.user.id.clone(), app.clock.now());
        let read = move |conn: &mut Connection| {
            Ok((sessions::live_of(conn, &user, now)?, trusted_devices::live_of(conn, &user, now)?))
        };
        let (sessions, trusted) = app.db.read(read).await?;
        let row = |session| Row::of(session, &viewer.session.life.id, app.places.as_ref());
        let mut rows: Vec<Row> = sessions.iter().map(row).collect();
        // The one in front of its person comes first, then the newest.
        rows.sort_by_key(|row| !row.is_this);
        let this = device_cookie::known(app, req, &viewer.user);
        let trusted = trusted.iter().map(|device| Trusted::of(device, this.as_ref())).collect();
        Ok(Self { rows, trusted, problems: Problems::default() })
    }
}

async fn show(app: Data<App>, viewer: Viewer, req: HttpRequest) -> Result<Answer, HttpError> {
    let page = SessionsPage::read(&app, &viewer, &req).await?;
    Ok(page::ok(page).showing(&[&ENDED, &GONE, &OTHERS_ENDED, &NAMED, &DISTRUSTED]))
}

async fn end(app: Data<App>, by: By, req: HttpRequest, at: Path<String>) -> Result<Answer, HttpError> {
    let Some(id) = Id::parse(&at) else { return Ok(gone()) };
    let this = device_cookie::known(&app, &req, by.user());
    let has_ended = app
        .db
        .write(move |conn| {
            by.still_may(conn)?;
            let user = &by.user().id;
            if !sessions::end_of(conn, user, &id, by.now)? {
                return Ok::<_, FormError>(false);
            }
            // Which of the trusted ones it is nobody knows: a code is asked for on all of them again.
            trusted_devices::remove_others(conn, user, this.as_ref())?;
            let device = sessions::by_id(conn, &id)?.map(|(session, _)| session.device).unwrap_or_default();
            events::note(conn, Kind::DeviceSignedOut, Some(user), &by.source(), &device, by.now)?;
            Ok(true)
        })
        .await?;
    Ok(if has_ended { page::see_other(SESSIONS.path()).saying(ENDED.post()) } else { gone() })
}

fn gone() -> Answer {
    page::see_other(SESSIONS.path()).saying(GONE.post())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EndForm {
    /// On, when this device is to be signed out with the others.
    everywhere: String,
}

async fn end_others(
    app: Data<App>,
    by: By,
    browser: SignInRequest,
    Form(form): Form<EndForm>,
) -> Result<Answer, HttpError> {
    let role = by.user().role;
    let is_everywhere = !form.everywhere.is_empty();
    let this_device = device_cookie::known(&app, &browser.req, by.user()).filter(|_| !is_everywhere);
    let ended = app
        .db
        .write(move |conn| {
            by.still_may(conn)?;
            let (user, this) = (&by.user().id, &by.viewer.session.life.id);
            let ended = sessions::end_all(conn, user, Some(this).filter(|_| !is_everywhere), by.now)?;
            trusted_devices::remove_others(conn, user, this_device.as_ref())?;
            events::note(conn, Kind::DevicesSignedOut, Some(user), &by.source(), "", by.now)?;
            Ok::<_, FormError>(ended)
        })
        .await?;
    if !is_everywhere {
        return Ok(page::see_other(SESSIONS.path()).saying(OTHERS_ENDED.of(ended)));
    }
    browser.cookie_session.purge();
    Ok(page::see_other(SIGN_IN.to([role.as_str()])).saying(SIGNED_OUT.post()))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NameForm {
    name: String,
}

async fn rename(
    app: Data<App>,
    by: By,
    req: HttpRequest,
    at: Path<String>,
    Form(form): Form<NameForm>,
) -> Result<Answer, HttpError> {
    let Some(id) = Id::parse(&at) else { return Ok(gone()) };
    let name = visible_line(&form.name).trim().to_owned();
    if name.chars().count() > MAX_NAME {
        let message = t("Name must be {most} characters or fewer.").with("most", MAX_NAME);
        let mark = |row: Row| {
            let is_refused = row.id == id;
            Row { is_refused, name: if is_refused { form.name.clone() } else { row.name.clone() }, ..row }
        };
        let page = SessionsPage::read(&app, &by.viewer, &req).await?;
        let rows = page.rows.into_iter().map(mark).collect();
        return Ok(page::form_again(SessionsPage { rows, problems: Problems::one("name", message), ..page }));
    }
    let is_named = app
        .db
        .write(move |conn| {
            by.still_may(conn)?;
            Ok::<_, FormError>(sessions::rename(conn, &by.user().id, &id, &name)?)
        })
        .await?;
    Ok(if is_named { page::see_other(SESSIONS.path()).saying(NAMED.post()) } else { gone() })
}
