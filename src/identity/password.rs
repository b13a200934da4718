//! Passwords: what is accepted, and the form in which they are hashed.

use diesel::sql_types::Text;
use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;
use zxcvbn::{Entropy, feedback::Warning};

use super::{Message, Sentence, t};

/// The longest accepted password, in code points (NIST SP 800-63B asks for at least 64).
const MAX_LENGTH: usize = 128;

/// How many code points are judged: the guesses for a beginning are a lower bound for the whole, and zxcvbn's work grows with
/// the fourth power of the length for some passwords.
const MAX_JUDGED: usize = 32;

/// Signs that zxcvbn takes for letters in disguise. It tries every reading that the different ones of a password allow.
const DISGUISES: &str = "4@8({[<369&#!1|0$5+7%2";

/// How many different disguises are judged at once (up to 4 milliseconds). With more, which no common password has,
/// growing beginnings are judged, and a good one is enough: all 32 characters took up to 54 milliseconds.
const MAX_DISGUISES: usize = 10;

/// The beginnings that are judged one after the other, in code points.
const BEGINNINGS: [usize; 4] = [16, 20, 24, 28];

/// A password in Unicode form NFC, so that the same letters typed on two machines are the same password
/// (NIST SP 800-63B-4, 3.1.1.2).
#[derive(Clone)]
pub struct Password(SecretString);

/// How a password is stored. A [`Password`] is another type, so that storing a plain one does not compile.
#[derive(Clone, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct PasswordHash(String);

/// What is stored where no password may sign in, as in Django and in `/etc/shadow`.
const UNUSABLE: &str = "!";

/// What the operator asks of a new password.
#[derive(Clone, Copy, Debug)]
pub struct PasswordRules {
    /// The least number of code points.
    pub min_length: usize,
}

impl Password {
    /// A password as somebody gave it to be checked: no rule applies.
    pub fn entered(typed: &str) -> Self {
        Self(SecretString::from(typed.nfc().collect::<String>()))
    }

    /// Reads a new password, or says which rule it breaks. Whether it can be guessed is another question, whose answer
    /// takes its time: [`Self::refuse_if_guessable`].
    pub fn choose(typed: &str, rules: PasswordRules) -> Result<Self, Message> {
        if typed.is_empty() {
            return Err(t("Enter a password.").into());
        }
        // Bytes first: nothing below may be made to work on a megabyte (Django's CVE-2021-45115).
        if typed.len() > 4 * MAX_LENGTH {
            return Err(too_long());
        }
        let password = Self::entered(typed);
        let length = password.expose().chars().count();
        if length > MAX_LENGTH {
            return Err(too_long());
        }
        if length < rules.min_length {
            return Err(
                t("Password must be at least {least} characters long.").with("least", rules.min_length)
            );
        }
        Ok(password)
    }

    /// The text, for the hasher alone.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Refuses a password under a zxcvbn score of 3 (about 10⁸ guesses), and says why. `own_words` are the person's names
    /// and addresses, which make a password guessable. For hashing threads: it takes some milliseconds.
    pub fn refuse_if_guessable(&self, own_words: &[String]) -> Result<(), Message> {
        let words = words_of(own_words);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let estimate = self.estimate(&words);
        if is_good(&estimate) {
            return Ok(());
        }
        let lower = self.expose().to_lowercase();
        if words.iter().any(|word| word.len() >= 4 && lower.contains(&word.to_lowercase())) {
            return Err(t(
                "This password is too easy to guess: it contains your name, your email address or our name.",
            )
            .into());
        }
        let warning = estimate.feedback().and_then(zxcvbn::feedback::Feedback::warning);
        Err(warning.map_or(TOO_EASY, reason).into())
    }

    /// How many guesses the judged beginning takes, at a cost that whoever chooses the password cannot drive up.
    fn estimate(&self, words: &[&str]) -> Entropy {
        let judge = |length| zxcvbn::zxcvbn(&self.expose().chars().take(length).collect::<String>(), words);
        let judged: String = self.expose().chars().take(MAX_JUDGED).collect();
        let disguises = DISGUISES.chars().filter(|&sign| judged.contains(sign)).count();
        let early = if disguises > MAX_DISGUISES { &BEGINNINGS[..] } else { &[] };
        early.iter().map(|&length| judge(length)).find(is_good).unwrap_or_else(|| judge(MAX_JUDGED))
    }
}

/// A zxcvbn score of 3: about 10⁸ guesses.
fn is_good(estimate: &Entropy) -> bool {
    estimate.score() >= zxcvbn::Score::Three
}

const TOO_EASY: Sentence =
    t("This password is too easy to guess. Add another word or two – unusual ones are best.");

/// Says in our own words what zxcvbn found.
fn reason(warning: Warning) -> Sentence {
    match warning {
        Warning::StraightRowsOfKeysAreEasyToGuess => {
            t("This password is too easy to guess: it's a row of keys on the keyboard.")
        }
        Warning::ShortKeyboardPatternsAreEasyToGuess => {
            t("This password is too easy to guess: it's a short pattern on the keyboard.")
        }
        Warning::RepeatsLikeAaaAreEasyToGuess => {
            t("This password is too easy to guess: it repeats one character.")
        }
        Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess => {
            t("This password is too easy to guess: it repeats the same few characters.")
        }
        Warning::ThisIsATop10Password => {
            t("This password is too easy to guess: it's one of the ten most used passwords.")
        }
        Warning::ThisIsATop100Password => {
            t("This password is too easy to guess: it's one of the hundred most used passwords.")
        }
        Warning::ThisIsACommonPassword => {
            t("This password is too easy to guess: many people use this password.")
        }
        Warning::ThisIsSimilarToACommonlyUsedPassword => {
            t("This password is too easy to guess: it's similar to a password that many people use.")
        }
        Warning::SequencesLikeAbcAreEasyToGuess => {
            t("This password is too easy to guess: it contains a sequence like abc or 6543.")
        }
        Warning::RecentYearsAreEasyToGuess => {
            t("This password is too easy to guess: it contains a recent year.")
        }
        Warning::AWordByItselfIsEasyToGuess => {
            t("This password is too easy to guess: it's a single word. Add another word or two.")
        }
        Warning::DatesAreOftenEasyToGuess => t("This password is too easy to guess: it's a date."),
        Warning::NamesAndSurnamesByThemselvesAreEasyToGuess => {
            t("This password is too easy to guess: it's a name. Add another word or two.")
        }
        Warning::CommonNamesAndSurnamesAreEasyToGuess => {
            t("This password is too easy to guess: it's a common name.")
        }
    }
}

/// The words themselves, and the parts of addresses and names that people build passwords from.
fn words_of(own_words: &[String]) -> Vec<String> {
    let mut words = vec!["latchkey".to_owned(), "accounts".to_owned()];
    for word in own_words {
        words.push(word.clone());
        words.extend(
            word.split(['@', '.', '-', '_', '+', ' ']).filter(|part| part.len() > 2).map(str::to_owned),
        );
    }
    words
}

fn too_long() -> Message {
    t("Password must be {most} characters or fewer.").with("most", MAX_LENGTH)
}

impl PasswordHash {
    /// A hash that no password has: a new one must be chosen by mail first.
    pub fn unusable() -> Self {
        Self(UNUSABLE.to_owned())
    }

    /// Whether it is such a hash.
    pub fn is_unusable(&self) -> bool {
        self.0 == UNUSABLE
    }

    /// As stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a database gave it back, or as the hasher made it.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }
}

hide_in_debug!(Password, PasswordHash);

/// How many words a suggested passphrase has: 7776⁴ of them are 51 bits, and zxcvbn gives them its best score.
const WORDS: usize = 4;

/// Words of the list that read like a fault of the page, or that nobody wants to be handed.
const UNKIND: [&str; 24] = [
    "undefined",
    "unknown",
    "abuse",
    "arson",
    "casket",
    "corpse",
    "crucifix",
    "cruelty",
    "disease",
    "drunk",
    "exorcism",
    "fatality",
    "gallows",
    "grenade",
    "haunt",
    "infection",
    "manhunt",
    "neurotic",
    "outlaw",
    "perish",
    "pyromania",
    "slaughter",
    "stab",
    "trauma",
];

/// Makes up a passphrase: four words of the EFF's long list, each as likely, from the system's generator.
pub fn passphrase() -> String {
    let list = &diceware_wordlists::EFF_LONG_WORDLIST;
    let word = || list.get(rand::random_range(0..list.len())).copied().unwrap_or_default();
    let kind = std::iter::repeat_with(word).filter(|word| !UNKIND.contains(word));
    kind.take(WORDS).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(typed: &str) -> Result<Password, Message> {
        let own_words = ["annalena", "anna.lena@example.org"].map(str::to_owned);
        let password = Password::choose(typed, PasswordRules { min_length: 8 })?;
        password.refuse_if_guessable(&own_words).map(|()| password)
    }

    #[test]
    fn a_password_is_judged_by_its_beginning() {
        // What follows costs nothing and helps nothing.
        let strong = "kG7#vQ2!mZ9@xR4$";
        assert!(choose(&format!("{}{strong}{strong}", "a".repeat(32))).is_err());
        assert!(choose(&format!("{strong}{}", "a".repeat(100))).is_ok());
    }

    #[test]
    fn many_disguises_make_no_guessable_password_good_and_no_good_one_guessable() {
        for weak in ["1234567890!@#$%^&", "12345678901234567890123456789012", "!@#$%^&*()_+1234567890"] {
            assert!(choose(weak).is_err(), "{weak}");
        }
        // The beginning alone would be refused.
        for good in ["1234567890!@#$%^&Kelp(umbrella", "4@8({[<369&#!1|0$5+7%24@8({[<369&#"] {
            assert!(choose(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn guessable_passwords_are_refused_whatever_their_signs() {
        let guessable = [
            "",
            "short7!",
            "password",
            "Password1",
            "Passw0rd!",
            "12345678",
            "qwertyuiop",
            "annalena1",
            "Latchkey2026!",
        ];
        for bad in guessable {
            assert!(choose(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn any_characters_make_a_password() {
        for good in [
            "violet canyon umbrella",
            "  lead and trail 9 ",
            "🦉🐘🌵🎻🛶🧭🪁🥁🪶🧶",
            "größtenteils_Nebelkrähe",
        ] {
            assert!(choose(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn length_is_counted_in_code_points() {
        let long: String = "🦉🐘🌵🎻🛶🧭🪁🥁".chars().cycle().take(128).collect();
        assert!(choose(&long).is_ok());
        assert!(choose(&format!("{long}x")).is_err());
        assert!(choose(&"x".repeat(1 << 20)).is_err());
    }

    #[test]
    fn the_same_letters_are_the_same_password() {
        assert_eq!(Password::entered("caf\u{e9}").expose(), Password::entered("cafe\u{301}").expose());
    }

    #[test]
    fn a_suggested_passphrase_is_four_words_that_nobody_guesses() {
        let ideas: std::collections::BTreeSet<String> = (0..20).map(|_| passphrase()).collect();
        assert_eq!(ideas.len(), 20);
        for idea in ideas {
            assert_eq!(idea.split(' ').count(), 4, "{idea}");
            assert!(Password::choose(&idea, PasswordRules { min_length: 8 }).is_ok(), "{idea}");
        }
    }
}
