//! A sentence shown once, after something was done and the browser was led on.
//!
//! Each is a constant beside its act. It travels in a sealed cookie of one minute and stands in no address, so that no link
//! can make a page say it; and each page names those that it shows.

use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::dev::ServiceResponse;
use actix_web::{HttpMessage, HttpRequest};

use super::{app_of, cookies};
use crate::app::App;
use crate::identity::{Message, Moment, Sentence, tn};

const LIFETIME: Duration = Duration::from_secs(60);

/// A sentence for the page after a redirect.
#[derive(Debug)]
pub struct Notice {
    word: &'static str,
    text: Text,
}

#[derive(Clone, Copy, Debug)]
enum Text {
    Plain(Sentence),
    Counted(&'static str, &'static str),
}

/// A notice on its way, with the number in it.
#[derive(Clone, Copy, Debug)]
pub struct Posted {
    word: &'static str,
    count: usize,
}

impl Notice {
    /// A sentence under a word of its own.
    pub const fn new(word: &'static str, sentence: Sentence) -> Self {
        Self { word, text: Text::Plain(sentence) }
    }

    /// A sentence with a number in it; `{count}` stands for it.
    pub const fn counted(word: &'static str, one: &'static str, other: &'static str) -> Self {
        Self { word, text: Text::Counted(one, other) }
    }

    /// Posts it.
    pub const fn post(&self) -> Posted {
        self.of(0)
    }

    /// Posts it with a number.
    pub const fn of(&self, count: usize) -> Posted {
        Posted { word: self.word, count }
    }

    fn message(&self, count: usize) -> Message {
        match self.text {
            Text::Plain(sentence) => sentence.into(),
            Text::Counted(one, other) => tn(one, other, count),
        }
    }
}

impl Posted {
    /// Builds the cookie that carries it.
    pub fn cookie(self, app: &App) -> Cookie<'static> {
        let until = app.clock.now().plus(LIFETIME).micros();
        let mut cookie =
            cookies::build(&app.config, cookies::NOTICE, format!("{until} {} {}", self.count, self.word));
        cookies::keep_for(&mut cookie, LIFETIME);
        cookies::seal(&app.keys.notice, cookie)
    }
}

/// A notice was shown: its cookie goes.
struct Shown;

/// Reads the notice that was posted to this browser, if it is one of those that the page shows.
pub fn read(req: &HttpRequest, may_show: &[&Notice]) -> Option<Message> {
    let app = app_of(req).ok()?;
    let text = cookies::read(req, &app.config, &app.keys, cookies::NOTICE, |keys| &keys.notice)?;
    let mut parts = text.splitn(3, ' ');
    let until = Moment::from_micros(parts.next()?.parse().ok()?)?;
    let count = parts.next()?.parse().ok()?;
    let word = parts.next()?;
    let notice = may_show.iter().find(|notice| notice.word == word && app.clock.now() < until)?;
    req.extensions_mut().insert(Shown);
    Some(notice.message(count))
}

/// Takes the cookie away from a browser that has just been shown its notice.
pub fn forget_if_shown<B>(answer: &mut ServiceResponse<B>) {
    let is_shown = answer.request().extensions_mut().remove::<Shown>().is_some();
    if is_shown && let Ok(app) = app_of(answer.request()) {
        let name = app.config.cookie_name(cookies::NOTICE);
        if !cookies::is_set(answer.headers(), &name) {
            cookies::set(answer.headers_mut(), &cookies::removal(&app.config, cookies::NOTICE));
        }
    }
}
