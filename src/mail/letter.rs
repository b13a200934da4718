//! What each mail says. All have one shape: a greeting, paragraphs, perhaps a code or a button, and what to do
//! when it was not you. One text and one HTML template therefore serve them all.

use std::time::Duration;

use askama::Template;

use super::Mail;
use crate::config::PublicUrl;
use crate::identity::{Id, LinkToken, Message, Purpose, Role};
use crate::keys::Keys;
use crate::paths::{self, route};
use crate::web::fault::human_wait;
use crate::web::filters;
use crate::web::language::Language;

/// What every letter is written with.
#[derive(Clone)]
pub struct Stationery {
    /// The origin of every link.
    pub public_url: PublicUrl,
    /// For the tokens of verification links.
    pub keys: Keys,
    /// The language it is written in.
    pub language: Language,
}

/// A mail's content.
#[derive(Debug)]
pub struct Letter {
    /// The subject line.
    pub subject: Message,
    /// Whom it greets.
    pub greeting: String,
    /// What it is about.
    pub paragraphs: Vec<Message>,
    /// A code to type, in one piece.
    pub code: Option<String>,
    /// A link: its label and its address.
    pub button: Option<(Message, String)>,
    /// How long it is good, and what to do when it was not you.
    pub notes: Vec<Message>,
    /// Where it came from.
    pub site: String,
}

#[derive(Template)]
#[template(path = "mail/letter.txt")]
struct Text<'a> {
    letter: &'a Letter,
}

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct Html<'a> {
    letter: &'a Letter,
}

impl Letter {
    /// The subject in the reader's language.
    pub fn subject(&self, language: Language) -> String {
        self.subject.render(|sentence| language.translate(sentence).to_owned())
    }

    /// The plain part.
    ///
    /// # Errors
    /// When the template fails.
    pub fn text(&self, language: Language) -> askama::Result<String> {
        Text { letter: self }.render_with_values(&language)
    }

    /// The HTML part.
    ///
    /// # Errors
    /// When the template fails.
    pub fn html(&self, language: Language) -> askama::Result<String> {
        Html { letter: self }.render_with_values(&language)
    }
}

impl Stationery {
    /// Writes a mail; `secret` is the code or token that it carries, `left` how long that is still good.
    /// `None` for what is no mail.
    pub fn write(&self, mail: &Mail, secret: &str, left: Duration) -> Option<Letter> {
        let at = |path: &str| paths::absolute(&self.public_url, path);
        let lifetime = human_wait(left);
        let letter = match mail {
            Mail::RecoveryAsked => return None,
            Mail::VerifyAddress { username, flow } => {
                let flow = Id::parse(flow)?;
                let token = LinkToken::of_flow(&self.keys.link, &flow, Purpose::SignUp);
                self.letter(username, Message::new("{code} is your code for Latchkey").with("code", secret))
                    .say("Enter this code to confirm your e-mail address and finish signing up:")
                    .code(secret)
                    .button("Enter the code", at(&paths::verify(&flow, &token)))
                    .note(Message::new("The code is good for {lifetime}. Only the newest one works.").with("lifetime", lifetime))
                    .note("It was not you? Then ignore this mail: without the code nothing happens, and the account goes away by itself. Never tell the code to anybody.")
            }
            Mail::AccountExists { username } => self
                .letter(username, "You already have an account".into())
                .say("Somebody, perhaps you, just tried to sign up with this e-mail address. You already have an account, so nothing was made and nothing was changed.")
                .button("Sign in", at(&paths::sign_in(Role::User)))
                .note("If you forgot your password, choose “Forgot your password?” on the sign-in page.")
                .note("It was not you? Then there is nothing to do: whoever tried was told nothing about you."),
            Mail::ResetPassword { username, link } => self
                .letter(username, "Choose a new password".into())
                .say("Somebody asked for a new password for your account. If it was you, choose it here:")
                .button("Choose a new password", at(&paths::reset(&Id::parse(link)?, secret)))
                .note(Message::new("The link is good for {lifetime} and works once.").with("lifetime", lifetime))
                .note("It was not you? Then ignore this mail: your password stays as it is."),
            Mail::PasswordChanged { username, at: when, from } => self
                .letter(username, "Your password was changed".into())
                .say(Message::new("The password of your account was changed on {when} from the address {from}.").with("when", when).with("from", from))
                .note("It was you? Then there is nothing to do.")
                .note(Message::new("It was not you? Then go to {site} now and choose “Forgot your password?” on the sign-in page. That signs every browser out.").with("site", at(route::HOME))),
            Mail::ConfirmNewAddress { username } => self
                .letter(username, Message::new("{code} is your code for Latchkey").with("code", secret))
                .say("Enter this code on your profile page to make this your new e-mail address:")
                .code(secret)
                .button("Go to your profile", at(route::CHANGE_EMAIL))
                .note(Message::new("The code is good for {lifetime}. Only the newest one works.").with("lifetime", lifetime))
                .note("It was not you? Then ignore this mail: without the code nothing happens. Never tell the code to anybody."),
            Mail::AddressChanged { username, new_address, link } => self
                .letter(username, "Your e-mail address was changed".into())
                .say(Message::new("The e-mail address of your account is now {address}. Mail from us goes there from now on.").with("address", new_address))
                .note("It was you? Then there is nothing to do.")
                .say("It was not you? Then bring this address back. Every browser is signed out, and you choose a new password.")
                .button("Bring this address back", at(&paths::undo_email(&Id::parse(link)?, secret)))
                .note(Message::new("The link is good for {lifetime}.").with("lifetime", lifetime)),
            Mail::Test => self
                .letter("", "A test mail from Latchkey".into())
                .say("This mail shows that Latchkey can send mail with the settings it has."),
            by_superuser => return self.write_of_acts(by_superuser, secret, &lifetime),
        };
        Some(letter)
    }

    /// The mails that tell what a superuser did.
    fn write_of_acts(&self, mail: &Mail, secret: &str, lifetime: &str) -> Option<Letter> {
        let at = |path: &str| paths::absolute(&self.public_url, path);
        let letter = match mail {
            Mail::Invitation { username, link } => self
                .letter(username, "Your new account".into())
                .say(Message::new("An account was made for you, with the username {username}. Choose its password here:").with("username", username))
                .button("Choose a password", at(&paths::reset(&Id::parse(link)?, secret)))
                .note(Message::new("The link is good for {lifetime} and works once. After that, use “Forgot your password?” on the sign-in page to get a new link.").with("lifetime", lifetime))
                .note("You did not expect this? Then ignore this mail: nobody can use the account without the link."),
            Mail::AccountBlocked { username, reason } => self
                .letter(username, "Your account is blocked".into())
                .say(Message::new("An administrator blocked your account, for this reason: {reason}").with("reason", reason))
                .say("Every browser was signed out, and you cannot sign in for now.")
                .note("If you think that this is a mistake, please contact the operator of the site."),
            Mail::AccountUnblocked { username } => self
                .letter(username, "Your account is open again".into())
                .say("An administrator lifted the block of your account. You can sign in again.")
                .button("Sign in", at(route::SIGN_IN_ANY)),
            Mail::RoleChanged { username, role } => {
                let role = Role::parse(role)?;
                self.letter(username, "You have another role now".into())
                    .say(Message::new("An administrator gave your account another role: {role}. Please sign in again with the button below.").with("role", role.as_str()))
                    .button("Sign in", at(&paths::sign_in(role)))
            }
            Mail::AccountRemoved { username, reason } => self
                .letter(username, "Your account was deleted".into())
                .say(Message::new("An administrator deleted your account, for this reason: {reason}").with("reason", reason))
                .note("If you think that this is a mistake, please contact the operator of the site."),
            _ => return None,
        };
        Some(letter)
    }

    fn letter(&self, greeting: &str, subject: Message) -> Letter {
        Letter {
            subject,
            greeting: greeting.to_owned(),
            paragraphs: Vec::new(),
            code: None,
            button: None,
            notes: Vec::new(),
            site: paths::absolute(&self.public_url, route::HOME),
        }
    }
}

impl Letter {
    fn say(mut self, paragraph: impl Into<Message>) -> Self {
        self.paragraphs.push(paragraph.into());
        self
    }

    fn code(self, code: &str) -> Self {
        Self { code: Some(code.to_owned()), ..self }
    }

    fn button(self, label: &'static str, address: String) -> Self {
        Self { button: Some((label.into(), address)), ..self }
    }

    fn note(mut self, note: impl Into<Message>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// An address for the eyes of somebody who may no longer be its owner: `a•••@example.org`.
pub fn masked(address: &str) -> String {
    let (local, domain) = address.split_once('@').unwrap_or((address, ""));
    let first: String = local.chars().take(1).collect();
    format!("{first}•••@{domain}")
}
