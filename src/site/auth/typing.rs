//! How a new password is typed: hidden and twice, or shown and once; and ideas for whoever has none.

use serde::Deserialize;

use crate::app::App;
use crate::identity::{Password, passphrase, t};
use crate::web::forms::Problems;

/// How many passphrases are suggested at once.
const IDEAS: usize = 3;

/// What the page draws.
#[derive(Default)]
pub struct Typing {
    pub min_length: usize,
    pub is_shown: bool,
    /// Whether it was just asked for.
    pub has_focus: bool,
    pub ideas: Vec<String>,
}

/// The fields in which a new password is chosen, as sent.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct NewPasswordForm {
    pub password: String,
    pub confirm_password: String,
    /// On, when the field showed what was typed.
    pub shown: String,
    /// The button that only draws the form again: `on`, `off` or `ideas`.
    pub show: String,
}

impl NewPasswordForm {
    /// Whether nothing was sent, but the form is to be drawn again.
    pub fn only_shows(&self) -> bool {
        !self.show.is_empty()
    }

    /// How the page draws its fields.
    pub fn typing(&self, app: &App) -> Typing {
        let is_shown = match self.show.as_str() {
            "" => !self.shown.is_empty(),
            word => word != "off",
        };
        let ideas = if self.show == "ideas" { IDEAS } else { 0 };
        Typing {
            min_length: app.config.passwords.rules.min_length,
            is_shown,
            has_focus: self.only_shows(),
            ideas: (0..ideas).map(|_| passphrase()).collect(),
        }
    }

    /// Reads the password. Whoever sees what they type need not repeat it; who does must agree with themselves.
    ///
    /// # Errors
    /// Everything that is wrong with it at first sight.
    pub fn parse(&self, app: &App, problems: &mut Problems) -> Option<Password> {
        let password =
            problems.take("password", Password::choose(&self.password, app.config.passwords.rules));
        let is_repeated = if self.confirm_password.is_empty() && !self.shown.is_empty() {
            true
        } else {
            self.password.is_empty() || self.password == self.confirm_password
        };
        if !is_repeated {
            problems.add("confirm_password", t("The passwords don't match."));
        }
        password.filter(|_| is_repeated)
    }
}
