//! Where actix-session keeps what a cookie means: encrypted in the cookie itself, or in Redis under the hash of a random id.

use std::collections::HashMap;

use actix_session::storage::{
    CookieSessionStore, LoadError, SaveError, SessionKey, SessionStore, UpdateError,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::identity::random_name;
use crate::records::sessions::SessionKind;
use crate::redis_connection::{RedisConnection, Unavailable};

type State = HashMap<String, String>;

/// The entry that stands in for a session while Redis is away.
pub(super) const REDIS_AWAY: &str = "redis_away";

/// The session store of one worker.
pub enum Store {
    Cookie(CookieSessionStore),
    Redis(RedisStore),
}

/// Sessions in Redis.
pub struct RedisStore {
    redis: RedisConnection,
    /// Seconds after its last use here until Redis forgets a session: as many as one can last, for it may be used at applications
    /// alone. Only housekeeping: the row decides.
    kept: u64,
}

/// On which condition Redis writes.
#[derive(Clone, Copy)]
enum Write {
    /// There is no such session yet.
    New,
    /// There is one still: one that is gone stays gone.
    Existing,
}

impl Store {
    pub(super) fn of(app: &App) -> Self {
        match &app.redis {
            Some(redis) => {
                let kept =
                    SessionKind::Remembered.absolute(app.config.sessions).max(app.config.sessions.absolute);
                let kept = kept.as_secs();
                Self::Redis(RedisStore { redis: redis.clone(), kept })
            }
            None => Self::Cookie(CookieSessionStore::default()),
        }
    }
}

/// Never brings a session back: an update of one that is gone writes nothing (actix-session's own Redis store saves it
/// again, so that a request in flight undoes a sign-out).
impl SessionStore for Store {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        let store = match self {
            Self::Cookie(store) => return store.load(key).await,
            Self::Redis(store) => store,
        };
        match store.read(key.as_ref()).await {
            Ok(Some(text)) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|error| LoadError::Deserialization(error.into())),
            Ok(None) => Ok(None),
            // Public pages go on without knowing who looks; the others answer 503, and the cookie stays.
            Err(Unavailable) => Ok(Some(HashMap::from([(REDIS_AWAY.to_owned(), String::new())]))),
        }
    }

    async fn save(&self, state: State, ttl: &time::Duration) -> Result<SessionKey, SaveError> {
        let store = match self {
            Self::Cookie(store) => return store.save(state, ttl).await,
            Self::Redis(store) => store,
        };
        let id = format!("{}{}", random_name(), random_name());
        store.write(&id, &state, Write::New).await.map_err(SaveError::Other)?;
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
            Self::Redis(store) => {
                store.write(key.as_ref(), &state, Write::Existing).await.map_err(UpdateError::Other)?;
                Ok(key)
            }
        }
    }

    async fn update_ttl(&self, _: &SessionKey, _: &time::Duration) -> Result<(), anyhow::Error> {
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        match self {
            Self::Cookie(_) => Ok(()),
            Self::Redis(store) => store.delete(key.as_ref()).await.map_err(anyhow::Error::new),
        }
    }
}

impl RedisStore {
    /// A dump of Redis holds no id that could be used.
    fn name(&self, id: &str) -> String {
        self.redis.key(&format!("session:{}", URL_SAFE_NO_PAD.encode(Sha256::digest(id))))
    }

    async fn read(&self, id: &str) -> Result<Option<String>, Unavailable> {
        // GETEX would do both, and is newer than the Redis of many (6.2).
        let name = self.name(id);
        let mut get = redis::pipe();
        get.cmd("GET").arg(&name).cmd("EXPIRE").arg(&name).arg(self.kept).ignore();
        let answered = self.redis.run(async |mut conn| get.query_async::<(Option<String>,)>(&mut conn).await);
        answered.await.map(|(text,)| text)
    }

    async fn write(&self, id: &str, state: &State, condition: Write) -> Result<(), anyhow::Error> {
        let text = serde_json::to_string(state)?;
        let condition = match condition {
            Write::New => "NX",
            Write::Existing => "XX",
        };
        let mut set = redis::cmd("SET");
        set.arg(self.name(id)).arg(text).arg("EX").arg(self.kept).arg(condition);
        self.redis.run(async |mut conn| set.query_async::<Option<String>>(&mut conn).await).await?;
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<(), Unavailable> {
        let mut delete = redis::cmd("DEL");
        delete.arg(self.name(id));
        self.redis.run(async |mut conn| delete.query_async::<()>(&mut conn).await).await
    }
}
