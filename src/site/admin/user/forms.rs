//! The fields that acts on an account are made of.

use serde::Deserialize;

use crate::accounts::administration::{Act, ActKind};
use crate::identity::{Role, Username, t};
use crate::records::users::User;
use crate::site::account::details::DetailsForm;
use crate::site::listing::id;
use crate::web::forms::{FormError, Problems};

/// The fields of the delete form.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ReasonForm {
    pub reason: String,
    /// The name of the account, typed on the page that deletes it: against a slip of the hand.
    pub username: Option<String>,
}

impl ReasonForm {
    /// Finds everything that is wrong in it at first sight.
    pub fn problems(&self, username: &Username) -> Problems {
        let mut problems = Problems::default();
        problems.take("reason", ActKind::Delete.reason(&self.reason));
        let typed = self.username.as_ref().map(|typed| typed.trim());
        if typed.is_some_and(|typed| !typed.eq_ignore_ascii_case(username.as_str())) {
            let message = t("The username doesn't match. Enter {name} to confirm.");
            problems.add("username", message.with("name", username.as_str()));
        }
        problems
    }
}

/// The fields of all acts: each form sends those that it has.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ActForm {
    pub reason: String,
    pub role: String,
    pub session: String,
    pub username: String,
    pub full_name: String,
    pub phone: String,
    pub about: String,
}

impl ActForm {
    /// The fields as they stand for an account.
    pub fn of(user: &User) -> Self {
        Self { role: user.role.as_str().to_owned(), ..Self::default() }.with_details(DetailsForm::of(user))
    }

    /// Reads the act that a form asks for.
    ///
    /// # Errors
    /// What is wrong in it.
    pub fn parse(&self, kind: ActKind, user: &User) -> Result<Act, FormError> {
        Ok(match kind {
            ActKind::Block => Act::Block,
            ActKind::Unblock => Act::Unblock,
            ActKind::Verify => Act::Verify,
            ActKind::SendCode => Act::SendCode,
            ActKind::SendReset => Act::SendReset,
            ActKind::ResetTwoFactor => Act::ResetTwoFactor,
            ActKind::RemindTwoFactor => Act::RemindTwoFactor,
            ActKind::SetRole => {
                let role = Role::parse(&self.role);
                Act::SetRole(role.ok_or_else(|| FormError::at("role", t("Choose a role.")))?)
            }
            ActKind::EndSessions if self.session.is_empty() => Act::EndSessions,
            ActKind::EndSessions => Act::EndSession(id(&self.session)?),
            ActKind::RemovePicture => Act::RemovePicture,
            ActKind::Edit => Act::Edit(self.details().parse(user)?),
            ActKind::BeginDeletion => Act::BeginDeletion,
            ActKind::Keep => Act::Keep,
            ActKind::Delete => Act::Delete,
        })
    }

    /// What the page shows again after an act was refused: what was typed for it, and otherwise what stands for the account.
    pub fn again(self, kind: ActKind, of_user: Self) -> Self {
        match kind {
            ActKind::Edit => of_user.with_details(self.details()),
            ActKind::SetRole => Self { reason: self.reason, role: self.role, ..of_user },
            ActKind::Block
            | ActKind::Unblock
            | ActKind::Verify
            | ActKind::SendCode
            | ActKind::SendReset
            | ActKind::ResetTwoFactor
            | ActKind::RemindTwoFactor
            | ActKind::EndSessions
            | ActKind::RemovePicture
            | ActKind::BeginDeletion
            | ActKind::Keep
            | ActKind::Delete => Self { reason: self.reason, ..of_user },
        }
    }

    fn details(&self) -> DetailsForm {
        DetailsForm {
            username: self.username.clone(),
            full_name: self.full_name.clone(),
            phone: self.phone.clone(),
            about: self.about.clone(),
        }
    }

    fn with_details(self, details: DetailsForm) -> Self {
        let DetailsForm { username, full_name, phone, about } = details;
        Self { username, full_name, phone, about, ..self }
    }
}
