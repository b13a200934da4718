//! What one transaction of a sign-up does.

use diesel::QueryResult;

use super::codes::{self, CodeRules};
use super::email::notify_owner;
use super::usernames;
use crate::db::Connection;
use crate::identity::{CodePurpose, Email, Id, Moment, Otp, PasswordHash, Role, Username};
use crate::records::events::{self, Kind, Source};
use crate::records::mail_budgets::{self, Asker, Budget};
use crate::records::users::{self, User};
use crate::records::verifications::{self, Verification};

/// A sign-up, understood and hashed.
pub struct SignUp {
    /// The role that it is for.
    pub role: Role,
    /// The hash of the chosen password.
    pub hash: PasswordHash,
    pub username: Username,
    pub email: Email,
    /// Where to go after it is confirmed; empty for the usual place.
    pub next: String,
    /// The sign-up that this browser began before.
    pub own: Option<Id>,
    pub source: Source,
    /// Who asks, as far as mail budgets go.
    pub asker: Asker,
    pub rules: CodeRules,
}

/// What became of a sign-up.
pub enum SignedUp {
    /// There is an account, or what looks like one, and its code is queued.
    Flow(Id),
    UsernameHeld(Box<Holder>),
}

/// Who has the username.
pub struct Holder {
    pub user: User,
    /// The flow, where it is a sign-up that waits for its code.
    pub flow: Option<Verification>,
}

impl SignUp {
    /// Makes the account and queues its code. In the browser that signed up before, that sign-up is corrected or replaced.
    pub fn run(&self, conn: &mut Connection, now: Moment) -> QueryResult<SignedUp> {
        let own = self.own_sign_up(conn)?;
        if let Some(holder) = self.holder(conn, own.as_ref().map(|(_, user)| &user.id), now)? {
            return Ok(SignedUp::UsernameHeld(Box::new(holder)));
        }
        if let Some((flow, user)) = own {
            let wait = mail_budgets::wait(conn, &self.email, Budget::Code, &self.asker, now)?;
            if flow.email.is_same_as(&self.email) && !wait.is_zero() {
                // Corrected: no other code may be mailed yet, and the one that is on its way keeps working.
                users::correct_sign_up(conn, &user.id, &self.username, &self.hash, self.role)?;
                verifications::set_next(conn, &flow.id, &self.next)?;
                return Ok(SignedUp::Flow(flow.id));
            }
            users::remove_unverified(conn, &user.id)?;
        }
        self.begin(conn, now).map(SignedUp::Flow)
    }

    /// The sign-up that this browser began, if it still waits for its code.
    fn own_sign_up(&self, conn: &mut Connection) -> QueryResult<Option<(Verification, User)>> {
        let Some(own) = &self.own else { return Ok(None) };
        let found = verifications::by_id(conn, own)?;
        Ok(found.filter(|(flow, user)| {
            flow.ended_at.is_none() && user.verified_at.is_none() && user.blocked_at.is_none()
        }))
    }

    fn holder(&self, conn: &mut Connection, own: Option<&Id>, now: Moment) -> QueryResult<Option<Holder>> {
        let Some(user) = usernames::holder(conn, &self.username, own, now)? else { return Ok(None) };
        let flow = match user.verified_at {
            Some(_) => None,
            None => verifications::pending(conn, &user.id, CodePurpose::SignUp)?,
        };
        Ok(Some(Holder { user, flow }))
    }

    /// Makes the account, its flow and its mail. Where the address already has an account, or may not be mailed now, the
    /// same rows are written without the address and with a code that never fits. Where somebody else waits for a code at the
    /// same address, both do: the mailbox decides who is confirmed, and no stranger ends a sign-up that is under way.
    fn begin(&self, conn: &mut Connection, now: Moment) -> QueryResult<Id> {
        let may_mail = mail_budgets::take(conn, &self.email, Budget::Code, &self.asker, now)?.is_ok();
        let canonical = self.email.canonical();
        let earlier = verifications::by_claimed_email(conn, &canonical)?;
        // One that was blocked keeps its claim, so that signing up again is no way around a block.
        let claims = may_mail && earlier.as_ref().is_none_or(|(_, user)| user.blocked_at.is_none());
        if let Some((flow, _)) = earlier.filter(|_| claims) {
            verifications::give_up_claim(conn, &flow.id)?;
        }
        let holder = users::by_email(conn, &canonical)?;
        let is_free = holder.is_none();
        let owner = holder.filter(|holder| holder.verified_at.is_some() || holder.blocked_at.is_some());
        let is_real = owner.is_none() && may_mail;
        let email = Some(self.email.clone()).filter(|_| is_real && is_free);
        let user = User::new(self.username.clone(), email, self.hash.clone(), self.role, now);
        users::insert(conn, &user)?;
        let code = Otp::random();
        let flow = self.flow(&user, &code, now);
        let flow = Verification {
            claim: flow.claim.filter(|_| claims),
            code_digest: flow.code_digest.filter(|_| is_real),
            ..flow
        };
        verifications::insert(conn, &flow)?;
        events::note(conn, Kind::SignedUp, Some(&user.id), &self.source, self.role.as_str(), now)?;
        let is_notified = match owner {
            Some(owner) if may_mail => notify_owner(conn, &owner, now)?,
            Some(_) | None => false,
        };
        if !is_notified {
            let code = Some(&code).filter(|_| is_real);
            codes::queue(conn, &user, &flow, code, &self.rules, now)?;
        }
        Ok(flow.id)
    }

    fn flow(&self, user: &User, code: &Otp, now: Moment) -> Verification {
        let id = Id::new();
        Verification {
            code_digest: Some(code.digest(&self.rules.key, &id, CodePurpose::SignUp, &self.email)),
            id,
            user_id: Some(user.id.clone()),
            purpose: CodePurpose::SignUp,
            email: self.email.clone(),
            claim: Some(self.email.canonical()),
            code_expires_at: now.plus(self.rules.lifetime),
            tries: 0,
            next_path: self.next.clone(),
            created_at: now,
            ended_at: None,
        }
    }
}
