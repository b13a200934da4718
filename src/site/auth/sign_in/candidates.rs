//! Who may be meant by what was typed at sign-in, and which limits a wrong password counts in.

use diesel::QueryResult;

use crate::accounts::email::confirmed_owner;
use crate::app::App;
use crate::db::Connection;
use crate::hasher::{HashError, Verdict};
use crate::identity::{Login, Password};
use crate::limits::{Limit, TooMany};
use crate::records::users::{self, User};
use crate::records::verifications;
use crate::web::client::Client;

/// The accounts that may be meant. An address can mean two: its owner, and the newest sign-up that wants it and waits for its
/// code. Both are tried, always in this order and always both before it is wrong, so that neither answer nor time tells
/// which of them there is.
pub struct Candidates {
    login: Login,
    sign_up: Option<User>,
    owner: Option<User>,
}

impl Candidates {
    /// Finds them.
    pub fn find(conn: &mut Connection, login: Login) -> QueryResult<Self> {
        let (sign_up, owner) = match &login {
            // Nobody's, and more than some databases can compare with one.
            login if !login.as_str().is_ascii() => (None, None),
            Login::Username(name) => (None, users::by_username(conn, name)?),
            Login::Email(address) => {
                let sign_up = verifications::by_claimed_email(conn, address)?.map(|(_, user)| user);
                (sign_up, confirmed_owner(conn, address)?)
            }
        };
        Ok(Self { login, sign_up, owner })
    }

    /// The account that a failure is logged for.
    pub fn likeliest(&self) -> Option<&User> {
        self.owner.as_ref().or(self.sign_up.as_ref())
    }

    /// The buckets that a wrong password counts in: those of everybody who may be meant, in any spelling, and for an address
    /// or a name that is nobody's one of its own, so that no bucket tells whether there is an owner.
    fn limit_keys(&self) -> Vec<String> {
        let users = [self.sign_up.as_ref(), self.owner.as_ref()].into_iter().flatten();
        let mut keys: Vec<String> = users.map(|user| user.id.as_str().to_owned()).collect();
        if self.is_by_email() || keys.is_empty() {
            keys.insert(0, format!("login {}", self.login.as_str()));
        }
        keys
    }

    fn is_by_email(&self) -> bool {
        matches!(self.login, Login::Email(_))
    }

    /// Finds whose password it is.
    ///
    /// # Errors
    /// When it could not be hashed.
    pub async fn whose(&self, app: &App, password: &Password) -> Result<Option<User>, HashError> {
        if self.is_by_email() && is_password_of(app, self.sign_up.as_ref(), password).await? {
            return Ok(self.sign_up.clone());
        }
        let is_owner = is_password_of(app, self.owner.as_ref(), password).await?;
        Ok(self.owner.clone().filter(|_| is_owner))
    }
}

/// Costs the same work when there is nobody.
async fn is_password_of(app: &App, user: Option<&User>, password: &Password) -> Result<bool, HashError> {
    let stored = user.map(|user| user.password_hash.clone());
    let verdict = app.hasher.verify(password.clone(), stored).await?;
    if let (Verdict::RightButOld, Some(user)) = (verdict, user) {
        rehash_later(app.clone(), user.clone(), password.clone());
    }
    Ok(verdict != Verdict::Wrong)
}

/// Stores the password at today's cost beside the request: the person need not wait for it.
fn rehash_later(app: App, user: User, password: Password) {
    actix_web::rt::spawn(async move {
        // Too busy now: the next sign-in is soon enough.
        let Ok(new) = app.hasher.hash(password).await else { return };
        let stored = app
            .db
            .write(move |conn| {
                users::rehash(conn, &user.id, &user.password_hash, &new).map_err(crate::db::Error::from)
            })
            .await;
        if let Err(error) = stored {
            log::warn!("a password could not be stored at the new cost: {error}");
        }
    });
}

/// Tokens that were taken before anything is hashed; given back unless the password was wrong.
pub struct Tokens(Vec<(Limit, String)>);

impl Tokens {
    /// Takes a token of each limit: all of them, or none.
    ///
    /// # Errors
    /// With the time to wait.
    pub async fn take(app: &App, client: &Client, candidates: &Candidates) -> Result<Self, TooMany> {
        let network = client.network();
        let keys = candidates.limit_keys();
        let pair = format!("{network} {}", keys.first().map_or("", String::as_str));
        let mut taken = Self(Vec::new());
        let mut wanted = vec![(Limit::SignInNetwork, network.clone())];
        wanted.extend(keys.into_iter().map(|key| (Limit::SignInAccount, key)));
        // Another account than within the last hour: it counts among those that this network fails at.
        if app.limits.take(Limit::SignInPair, &pair).await.is_ok() {
            taken.0.push((Limit::SignInPair, pair));
            wanted.push((Limit::SignInSpread, network));
        }
        for (limit, key) in wanted {
            if let Err(too_many) = app.limits.take(limit, &key).await {
                taken.give_back(app).await;
                return Err(too_many);
            }
            taken.0.push((limit, key));
        }
        Ok(taken)
    }

    /// Gives them back.
    pub async fn give_back(self, app: &App) {
        for (limit, key) in &self.0 {
            app.limits.give_back(*limit, key).await;
        }
    }
}
