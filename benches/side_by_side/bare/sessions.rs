//! Who is signed in, as far as the cookie says.

use actix_web::HttpRequest;
use actix_web::cookie::{CookieJar, Key};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::aio::MultiplexedConnection;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

/// As long as ours are kept.
const KEPT: u32 = 30 * 86_400;

/// The sessions of one worker.
pub struct Sessions {
    key: Key,
    redis: Option<(redis::Client, String)>,
    connection: OnceCell<MultiplexedConnection>,
}

#[derive(serde::Deserialize)]
struct State {
    session: String,
}

impl Sessions {
    pub fn new(key: Key, redis: Option<(redis::Client, String)>) -> Self {
        Self { key, redis, connection: OnceCell::new() }
    }

    /// The session and its generation.
    pub async fn of(&self, req: &HttpRequest) -> Option<(String, i32)> {
        let mut jar = CookieJar::new();
        jar.add_original(req.cookie("latchkey")?);
        let opened = jar.private(&self.key).get("latchkey")?;
        let state = match &self.redis {
            None => opened.value().to_owned(),
            Some((client, prefix)) => {
                let connect = || client.get_multiplexed_async_connection();
                let mut connection = self.connection.get_or_try_init(connect).await.ok()?.clone();
                let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(opened.value()));
                let name = format!("{prefix}session:{digest}");
                let mut get = redis::pipe();
                get.cmd("GET").arg(&name).cmd("EXPIRE").arg(&name).arg(KEPT).ignore();
                get.query_async::<(Option<String>,)>(&mut connection).await.ok()?.0?
            }
        };
        let state: State = serde_json::from_str(&state).ok()?;
        serde_json::from_str(&state.session).ok()
    }
}
