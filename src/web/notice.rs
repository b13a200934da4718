//! A sentence shown once, after something was done and the browser was led on.
//!
//! Each is a constant beside its act. It travels in a sealed cookie of one minute and stands in no address, so that no link
//! can make a page say it; and each page names those that it shows.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;

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

/// Reads the notice that was posted to this browser, if it is one of those that the page shows.
pub fn read(req: &HttpRequest, may_show: &[&Notice]) -> Option<Message> {
    if may_show.is_empty() {
        return None;
    }
    let app = app_of(req).ok()?;
    let text = cookies::read(req, &app.config, &app.keys, cookies::NOTICE, |keys| &keys.notice)?;
    let mut parts = text.splitn(3, ' ');
    let until = Moment::from_micros(parts.next()?.parse().ok()?)?;
    let count = parts.next()?.parse().ok()?;
    let word = parts.next()?;
    let notice = may_show.iter().find(|notice| notice.word == word && app.clock.now() < until)?;
    cookies::forget_later(req, cookies::NOTICE);
    Some(notice.message(count))
}
