//! Who may be meant by what was typed at sign-in, and which limits a wrong password counts in.

use diesel::QueryResult;

use crate::app::App;
use crate::db::Connection;
use crate::hasher::{HashError, OWN_LINE, Verdict};
use crate::identity::{Login, Password};
use crate::limits::{Limit, LimitKey, Tokens, TooMany};
use crate::records::users::{self, User};
use crate::records::verifications;
use crate::web::device_cookie;
use crate::web::sign_in_request::SignInRequest;

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
                (sign_up, users::by_confirmed_email(conn, address)?)
            }
        };
        Ok(Self { login, sign_up, owner })
    }

    /// The account that a failure is logged for.
    pub fn likeliest(&self) -> Option<&User> {
        self.owner.as_ref().or(self.sign_up.as_ref())
    }

    /// The buckets that a wrong password counts in. On a device that one of these accounts signed in on before, that is the
    /// device's own; elsewhere the network's, and one for the name or address as typed: neither says anything about other
    /// spellings, nor whether there is such an account.
    fn limit_keys(&self, app: &App, browser: &SignInRequest) -> Vec<LimitKey> {
        let mut users = [self.sign_up.as_ref(), self.owner.as_ref()].into_iter().flatten();
        let known = users.find_map(|user| device_cookie::known(app, &browser.req, user));
        if let Some(device) = known {
            return vec![Limit::SignInDevice.of(device.lane())];
        }
        let mut keys = browser.client.keys(Limit::SignInNetwork);
        keys.push(Limit::SignIn.of(self.login.as_str()));
        keys
    }

    fn is_by_email(&self) -> bool {
        matches!(self.login, Login::Email(_))
    }

    /// Finds whose password it is. Costs the same work whether or not there is anybody.
    ///
    /// # Errors
    /// When it could not be hashed.
    pub async fn whose(&self, app: &App, line: &str, password: &Password) -> Result<Option<User>, HashError> {
        let tried = if self.is_by_email() { vec![&self.sign_up, &self.owner] } else { vec![&self.owner] };
        let stored = tried.iter().map(|user| user.as_ref().map(|user| user.password_hash.clone())).collect();
        let verdicts = app.hasher.verify_each(line, password.clone(), stored).await?;
        let right = tried.into_iter().zip(verdicts).find(|(_, verdict)| *verdict != Verdict::Wrong);
        let Some((Some(user), verdict)) = right else { return Ok(None) };
        if verdict == Verdict::RightButOld {
            rehash_later(app.clone(), user.clone(), password.clone());
        }
        Ok(Some(user.clone()))
    }
}

/// Stores the password at today's cost beside the request: the person need not wait for it.
fn rehash_later(app: App, user: User, password: Password) {
    actix_web::rt::spawn(async move {
        // Too busy now: the next sign-in is soon enough.
        let Ok(new) = app.hasher.hash(OWN_LINE, password).await else { return };
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

/// Takes the tokens of a try before anything is hashed: they are given back unless the password is wrong.
///
/// # Errors
/// With the time to wait.
pub async fn take_tokens(
    app: &App,
    browser: &SignInRequest,
    candidates: &Candidates,
) -> Result<Tokens, TooMany> {
    let mut keys = candidates.limit_keys(app, browser);
    let pair = format!("{} {}", browser.client.network(), candidates.login.as_str());
    let is_known = keys.iter().any(|key| key.is_of(Limit::SignInDevice));
    // Another name than within the last hour: it counts among those that this network fails at.
    let pair = if is_known { None } else { app.limits.take([Limit::SignInPair.of(pair)]).await.ok() };
    if pair.is_some() {
        keys.extend(browser.client.keys(Limit::SignInSpread));
    }
    match app.limits.take(keys).await {
        Ok(tokens) => Ok(tokens.and(pair)),
        Err(too_many) => {
            if let Some(pair) = pair {
                app.limits.give_back(pair).await;
            }
            Err(too_many)
        }
    }
}
