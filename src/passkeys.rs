//! Passkeys (Web Authentication, Level 3): what a page asks a browser, and whether the answer is right.
//!
//! A question stays in its page under seal, with the page's name and the time: an answer counts for that page alone, and for ten
//! minutes. Whoever takes an answer sees to it that it is taken once. User verification is always asked for, so that a passkey is both
//! something that its person has, and something that they know or are.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;
use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, Passkey, PasskeyAuthentication, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Url, Webauthn, WebauthnBuilder, WebauthnError,
};

use crate::config::Config;
use crate::identity::{Id, Moment, TokenDigest};
use crate::keys::Keys;

/// How long a question may be answered.
const LIFETIME: Duration = Duration::from_secs(600);

/// Asks for passkeys, and checks what comes back.
#[derive(Clone)]
pub struct Passkeys(Arc<Webauthn>);

/// What a page asks.
pub struct Question {
    /// For the browser, in JSON.
    pub options: String,
    /// The same under seal, to be sent back with the answer.
    pub sealed: String,
}

/// What a page sends back: the question under seal, and the browser's answer in JSON.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Reply {
    pub question: String,
    pub passkey: String,
}

/// For whom a passkey is made: what the browser shows its person.
pub struct Person<'a> {
    pub id: &'a Id,
    pub username: &'a str,
    pub name: &'a str,
}

/// A passkey that was made just now.
#[derive(Clone)]
pub struct Made {
    /// What is stored of it.
    pub credential: String,
    pub digest: TokenDigest,
    /// When it was asked for.
    pub asked_at: Moment,
}

/// A passkey that answered.
#[derive(Clone)]
pub struct Answered {
    pub digest: TokenDigest,
    /// What is stored of it since.
    pub credential: String,
    /// When it was asked.
    pub asked_at: Moment,
}

/// Why an answer does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is the answer to no question of this page, or came too late.
    Stale,
    Wrong,
}

/// A question that waits.
#[derive(Serialize, Deserialize)]
struct Waiting<S> {
    /// The page that asks, for whom.
    page: String,
    asked_at: i64,
    state: S,
}

impl Passkeys {
    /// Those of a site, where the settings allow them.
    ///
    /// # Errors
    /// When none can be kept for its address, which the settings refuse.
    pub fn of(config: &Config) -> Result<Option<Self>, WebauthnError> {
        if !config.two_factor.passkeys {
            return Ok(None);
        }
        let origin = Url::parse(config.public_url.origin()).map_err(|_| WebauthnError::InvalidRPOrigin)?;
        let webauthn = WebauthnBuilder::new(config.public_url.host(), &origin)?
            .rp_name(&config.brand.name)
            .timeout(LIFETIME)
            .build()?;
        Ok(Some(Self(Arc::new(webauthn))))
    }

    /// Asks for a new passkey, other than those of `known`.
    ///
    /// # Errors
    /// The library's, which would be a mistake of ours.
    pub fn ask_for_new(
        &self,
        keys: &Keys,
        page: &str,
        person: &Person<'_>,
        known: &[String],
        now: Moment,
    ) -> Result<Question, WebauthnError> {
        let known = readable(known).map(|key| key.cred_id().clone());
        let (options, state) = self.0.start_passkey_registration(
            handle_of(person.id)?,
            person.username,
            person.name,
            Some(known.collect()),
        )?;
        let mut options = json!(options);
        // So that it can sign its person in without a name, wherever there is room for that.
        if let Some(wanted) = options.pointer_mut("/publicKey/authenticatorSelection") {
            *wanted = json!({ "residentKey": "preferred", "userVerification": "required" });
        }
        Ok(question(keys, page, &options, state, now))
    }

    /// Checks a passkey that was made for a question.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn take_new(&self, keys: &Keys, page: &str, reply: &Reply, now: Moment) -> Result<Made, Refusal> {
        let (state, asked_at) = open::<PasskeyRegistration>(keys, page, &reply.question, now)?;
        let answer: RegisterPublicKeyCredential = read(&reply.passkey).ok_or(Refusal::Wrong)?;
        let made = self.0.finish_passkey_registration(&answer, &state).map_err(|error| refused(&error))?;
        let digest = TokenDigest::of(made.cred_id());
        Ok(Made { credential: write(&made), digest, asked_at })
    }

    /// Asks for any passkey that knows whose it is.
    ///
    /// # Errors
    /// The library's, which would be a mistake of ours.
    pub fn ask_anybody(&self, keys: &Keys, page: &str, now: Moment) -> Result<Question, WebauthnError> {
        let (options, state) = self.0.start_discoverable_authentication()?;
        let mut options = json!(options);
        // A button asks, no field that completes itself.
        if let Some(all) = options.as_object_mut() {
            all.remove("mediation");
        }
        Ok(question(keys, page, &options, state, now))
    }

    /// Checks the answer to that against the passkeys of whoever it says that it is.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn take_anybody(
        &self,
        keys: &Keys,
        page: &str,
        reply: &Reply,
        stored: &[String],
        now: Moment,
    ) -> Result<Answered, Refusal> {
        let (state, asked_at) = open::<DiscoverableAuthentication>(keys, page, &reply.question, now)?;
        let (answer, key) = answering(reply, stored)?;
        let result = self.0.finish_discoverable_authentication_v2(&answer, state, &key);
        Answered::new(key, &result.map_err(|error| refused(&error))?, asked_at)
    }

    /// Asks for one of these passkeys; `None` where there is none.
    ///
    /// # Errors
    /// The library's, which would be a mistake of ours.
    pub fn ask_one_of(
        &self,
        keys: &Keys,
        page: &str,
        stored: &[String],
        now: Moment,
    ) -> Result<Option<Question>, WebauthnError> {
        let these: Vec<Passkey> = readable(stored).collect();
        if these.is_empty() {
            return Ok(None);
        }
        let (options, state) = self.0.start_passkey_authentication(&these)?;
        Ok(Some(question(keys, page, &json!(options), state, now)))
    }

    /// Checks the answer to that.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn take_one_of(
        &self,
        keys: &Keys,
        page: &str,
        reply: &Reply,
        stored: &[String],
        now: Moment,
    ) -> Result<Answered, Refusal> {
        let (state, asked_at) = open::<PasskeyAuthentication>(keys, page, &reply.question, now)?;
        let (answer, key) = answering(reply, stored)?;
        let result = self.0.finish_passkey_authentication(&answer, &state);
        Answered::new(key, &result.map_err(|error| refused(&error))?, asked_at)
    }
}

impl Answered {
    /// What is stored from now on. A count of uses that was not raised, since the question or since then, is that of a copy.
    fn new(mut key: Passkey, result: &AuthenticationResult, asked_at: Moment) -> Result<Self, Refusal> {
        let is_changed = key.update_credential(result) == Some(true);
        if result.counter() > 0 && !is_changed {
            return Err(refused(&WebauthnError::CredentialPossibleCompromise));
        }
        Ok(Self { digest: TokenDigest::of(key.cred_id()), credential: write(&key), asked_at })
    }
}

impl Reply {
    /// Whether a browser has answered.
    pub fn is_given(&self) -> bool {
        !self.passkey.is_empty()
    }

    /// Whose passkey says that it answered. Nothing is proved by that.
    pub fn whose(&self) -> Option<Id> {
        let answer: PublicKeyCredential = read(&self.passkey)?;
        let handle = Uuid::from_slice(answer.get_user_unique_id()?).ok()?;
        Id::parse(&handle.to_string())
    }
}

/// What a passkey has for the name of its account. Says nothing of its person.
fn handle_of(user: &Id) -> Result<Uuid, WebauthnError> {
    Uuid::parse_str(user.as_str()).map_err(|_| WebauthnError::InvalidUserUniqueId)
}

fn question<S: Serialize>(keys: &Keys, page: &str, options: &Value, state: S, now: Moment) -> Question {
    let waiting = Waiting { page: page.to_owned(), asked_at: now.micros(), state };
    Question { options: options.to_string(), sealed: keys.passkey.seal(&write(&waiting)) }
}

fn open<S: DeserializeOwned>(
    keys: &Keys,
    page: &str,
    sealed: &str,
    now: Moment,
) -> Result<(S, Moment), Refusal> {
    let text = keys.all().find_map(|keys| keys.passkey.open(sealed)).ok_or(Refusal::Stale)?;
    let waiting: Waiting<S> = read(&text).ok_or(Refusal::Stale)?;
    let asked_at = Moment::from_micros(waiting.asked_at).ok_or(Refusal::Stale)?;
    let is_fresh = now < asked_at.plus(LIFETIME) && !asked_at.is_ahead_of(now);
    if waiting.page == page && is_fresh { Ok((waiting.state, asked_at)) } else { Err(Refusal::Stale) }
}

fn refused(error: &WebauthnError) -> Refusal {
    log::info!(target: "auth", "the answer of a passkey was refused: {error}");
    Refusal::Wrong
}

/// The answer of a page, and the passkey that gave it.
fn answering(reply: &Reply, stored: &[String]) -> Result<(PublicKeyCredential, Passkey), Refusal> {
    let answer: PublicKeyCredential = read(&reply.passkey).ok_or(Refusal::Wrong)?;
    let said: Value = serde_json::from_slice(&answer.response.client_data_json).unwrap_or_default();
    if said.get("crossOrigin").is_some_and(|framed| framed != false) {
        // Nobody's page may hold ours (7.2, step 12).
        return Err(Refusal::Wrong);
    }
    let key = readable(stored).find(|key| key.cred_id().as_slice() == answer.get_credential_id());
    Ok((answer, key.ok_or(Refusal::Wrong)?))
}

/// Those that can be read: all of them, unless the library forgets how it wrote them.
fn readable(stored: &[String]) -> impl Iterator<Item = Passkey> {
    stored.iter().filter_map(|stored| {
        let key = read(stored);
        if key.is_none() {
            log::error!("a passkey can't be read as it is stored, and is left out");
        }
        key
    })
}

fn read<T: DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

#[expect(clippy::expect_used, reason = "values of ours, without a map")]
fn write(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    /// As a database has it since the first version that took passkeys: made by Chromium, used twice.
    const STORED: &str = r#"{"cred":{"cred_id":"E89s7AIztz9dPIhhgLMmE_5Cg1NCJwjkuwxalr7WQsY","cred":{"type_":"ES256","key":{"EC_EC2":{"curve":"SECP256R1","x":"APoNAHr50CPGw3FahYWfY028CsCDWKsqsh5dWiuLYIU","y":"QOKmotAqUgGJe5iryRTQQkWwUNjO-cIcFPDyE5_si-k"}}},"counter":2,"transports":null,"user_verified":true,"backup_eligible":false,"backup_state":false,"registration_policy":"required","extensions":{"cred_protect":"Ignored","hmac_create_secret":"NotRequested","appid":"NotRequested","cred_props":"Ignored"},"attestation":{"data":"None","metadata":"None"},"attestation_format":"none"}}"#;

    #[test]
    fn what_was_stored_once_is_still_read() {
        let stored = [STORED.to_owned(), "{}".to_owned()];
        let read: Vec<Passkey> = readable(&stored).collect();
        assert_eq!(read.len(), 1);
        let id = URL_SAFE_NO_PAD.encode(read[0].cred_id());
        assert_eq!(id, "E89s7AIztz9dPIhhgLMmE_5Cg1NCJwjkuwxalr7WQsY");
    }
}
