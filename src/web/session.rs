//! The session: a cookie that points to a `sign_ins` row and says nothing else.
//!
//! actix-session carries it, over a store of our own: encrypted in the cookie itself, or in Redis under the
//! hash of a random id. Either way the row is the authority (see [`crate::records::sign_ins`]).

use std::collections::HashMap;
use std::time::Duration;

use actix_session::config::{BrowserSession, CookieContentSecurity};
use actix_session::storage::{
    CookieSessionStore, LoadError, SaveError, SessionKey, SessionStore, UpdateError,
};
use actix_session::{Session, SessionMiddleware};
use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::fault::Fault;
use super::redis_link::RedisLink;
use super::reseal;
use crate::app::App;
use crate::identity::{Id, Moment};
use crate::records::sign_ins::{self, Kind, SignIn};

type State = HashMap<String, String>;

/// The name of the session cookie, before any `__Host-`.
pub const COOKIE: &str = "latchkey";
const POINTER: &str = "sign_in";
const AWAY: &str = "redis_away";

/// What a session says.
pub enum Pointer {
    /// Nothing: nobody is signed in.
    Nobody,
    /// The sign-in of that identifier, at that generation.
    To(Id, i32),
    /// Somebody may be signed in, but Redis, who knows, is away.
    Away,
}

/// What the session of this request says.
pub fn pointer(session: &Session) -> Pointer {
    let entries = session.entries();
    if entries.contains_key(AWAY) {
        return Pointer::Away;
    }
    let read = || -> Option<(String, i32)> { serde_json::from_str(entries.get(POINTER)?).ok() };
    match read().and_then(|(id, generation)| Some((Id::parse(&id)?, generation))) {
        Some((id, generation)) => Pointer::To(id, generation),
        None => Pointer::Nobody,
    }
}

/// Points the session to that sign-in, under a new id. A remembered one gets a cookie that outlives the window.
///
/// # Errors
/// When the session cannot hold it, which would be a mistake of ours.
pub fn point_to(req: &HttpRequest, session: &Session, sign_in: &SignIn, now: Moment) -> Result<(), Fault> {
    session.clear();
    session.renew();
    session
        .insert(POINTER, (sign_in.id.as_str(), sign_in.generation))
        .map_err(|error| Fault::Internal(error.to_string()))?;
    is_alive(req, sign_in, now);
    Ok(())
}

/// Somebody is signed in, and for how long their cookie shall outlive the browser's window.
struct Alive {
    max_age: Option<Duration>,
}

/// The session layer of one worker.
pub fn layer(app: &App, redis: Option<RedisLink>) -> SessionMiddleware<Store> {
    // Redis' own expiry is only housekeeping: the longest idle life there is.
    let kept = app.config.sessions.idle.max(sign_ins::REMEMBERED_IDLE).as_secs();
    let store = match redis {
        Some(link) => Store::Redis(link, kept),
        None => Store::Cookie(CookieSessionStore::default()),
    };
    SessionMiddleware::builder(store, app.keys.session.clone())
        .cookie_name(app.config.cookie_name(COOKIE))
        .cookie_secure(app.config.public_url.is_https())
        .cookie_http_only(true)
        // Lax, not Strict: a link in a mail must arrive signed in. Posts are covered by the gate.
        .cookie_same_site(SameSite::Lax)
        .cookie_content_security(CookieContentSecurity::Private)
        .session_lifecycle(BrowserSession::default())
        .build()
}

/// Outside the session layer: what that layer cannot do for itself.
///
/// # Errors
/// The inner ones; a store that failed is a part that is away, not a mistake.
pub async fn around<B: MessageBody>(
    mut req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    reseal::request(&mut req);
    match next.call(req).await {
        Ok(mut answer) => {
            let alive = answer.request().extensions_mut().remove::<Alive>();
            if let Some(Alive { max_age }) = alive {
                reseal::answer(&mut answer);
                if let Some(life) = max_age {
                    outlive_window(&mut answer, life);
                }
            }
            Ok(answer)
        }
        Err(error) if error.as_error::<Fault>().is_some() => Err(error),
        Err(error) => Err(Fault::Unavailable(format!("the session could not be stored: {error}")).into()),
    }
}

/// Whether an answer gives the browser a cookie of that name.
pub fn is_set(headers: &HeaderMap, name: &str) -> bool {
    let lines = headers.get_all(SET_COOKIE).filter_map(|line| line.to_str().ok());
    lines.filter_map(|line| Cookie::parse(line).ok()).any(|cookie| cookie.name() == name)
}

/// Says that this request is of a sign-in that lives. A remembered one's cookie outlives the window, wherever it is given.
pub fn is_alive(req: &HttpRequest, sign_in: &SignIn, now: Moment) {
    let max_age = (sign_in.kind == Kind::Remembered).then(|| sign_in.remaining(now));
    req.extensions_mut().insert(Alive { max_age });
}

fn outlive_window<B>(answer: &mut ServiceResponse<B>, life: Duration) {
    let seconds = life.as_secs() + u64::from(life.subsec_nanos() > 0);
    let lines: Vec<HeaderValue> = answer.headers().get_all(SET_COOKIE).cloned().collect();
    answer.headers_mut().remove(SET_COOKIE);
    for line in lines {
        // One that ends the session says so itself.
        let of_session = Cookie::parse(line.to_str().unwrap_or_default()).is_ok_and(|cookie| {
            cookie.name().trim_start_matches("__Host-") == COOKIE && cookie.max_age().is_none()
        });
        let longer = of_session
            .then(|| format!("{}; Max-Age={seconds}", line.to_str().unwrap_or_default()))
            .and_then(|text| HeaderValue::from_str(&text).ok());
        answer.headers_mut().append(SET_COOKIE, longer.unwrap_or(line));
    }
}

/// Where sessions are.
#[expect(clippy::large_enum_variant, reason = "there is one for each worker")]
pub enum Store {
    /// In the cookie, encrypted.
    Cookie(CookieSessionStore),
    /// In Redis, each for so many seconds after it was last used.
    Redis(RedisLink, u64),
}

impl Store {
    /// A dump of Redis holds no id that could be used.
    fn name(link: &RedisLink, id: &str) -> String {
        link.key(&format!("session:{}", URL_SAFE_NO_PAD.encode(Sha256::digest(id))))
    }
}

/// Never brings a session back: an update of one that is gone writes nothing (actix-session's own Redis store
/// saves it anew, so that a request in flight undoes a sign-out).
impl SessionStore for Store {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        let (link, kept) = match self {
            Self::Cookie(store) => return store.load(key).await,
            Self::Redis(link, kept) => (link, kept),
        };
        let name = Self::name(link, key.as_ref());
        let mut load = redis::cmd("GETEX");
        load.arg(name).arg("EX").arg(kept);
        match link.run(async |mut conn| load.query_async::<Option<String>>(&mut conn).await).await {
            Ok(Some(text)) => {
                serde_json::from_str(&text).map(Some).map_err(|e| LoadError::Deserialization(e.into()))
            }
            Ok(None) => Ok(None),
            // Public pages go on without knowing who looks; the others answer 503, and the cookie stays.
            Err(_) => Ok(Some(HashMap::from([(AWAY.to_owned(), String::new())]))),
        }
    }

    async fn save(&self, state: State, ttl: &time::Duration) -> Result<SessionKey, SaveError> {
        let (link, kept) = match self {
            Self::Cookie(store) => return store.save(state, ttl).await,
            Self::Redis(link, kept) => (link, *kept),
        };
        let id = format!("{}{}", crate::identity::random_name(), crate::identity::random_name());
        write(link, &id, &state, (kept, "NX")).await.map_err(SaveError::Other)?;
        SessionKey::try_from(id).map_err(|error| SaveError::Other(error.into()))
    }

    async fn update(
        &self,
        key: SessionKey,
        state: State,
        ttl: &time::Duration,
    ) -> Result<SessionKey, UpdateError> {
        match self {
            Self::Cookie(store) => store.update(key, state, ttl).await,
            Self::Redis(link, kept) => {
                write(link, key.as_ref(), &state, (*kept, "XX")).await.map_err(UpdateError::Other)?;
                Ok(key)
            }
        }
    }

    async fn update_ttl(&self, _: &SessionKey, _: &time::Duration) -> Result<(), anyhow::Error> {
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        let Self::Redis(link, _) = self else { return Ok(()) };
        let mut delete = redis::cmd("DEL");
        delete.arg(Self::name(link, key.as_ref()));
        link.run(async |mut conn| delete.query_async::<()>(&mut conn).await).await.map_err(anyhow::Error::new)
    }
}

async fn write(
    link: &RedisLink,
    id: &str,
    state: &State,
    (kept, condition): (u64, &str),
) -> Result<(), anyhow::Error> {
    let text = serde_json::to_string(state)?;
    let mut set = redis::cmd("SET");
    set.arg(Store::name(link, id)).arg(text).arg("EX").arg(kept).arg(condition);
    // With XX, nil means that the session is gone: it stays gone.
    link.run(async |mut conn| set.query_async::<Option<String>>(&mut conn).await).await?;
    Ok(())
}
