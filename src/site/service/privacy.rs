//! What is kept about people, why and for how long: from the table that housekeeping forgets by, so that the page cannot lie.

use std::time::Duration;

use actix_web::web::Data;
use askama::Template;

use crate::app::App;
use crate::config::{Dormancy, DormantAction, LifecycleConfig, Privacy};
use crate::identity::{Message, Sentence, t};
use crate::paths::service::PRIVACY;
use crate::pictures::MIN_ORPHAN_AGE;
use crate::records::retention::Kept;
use crate::web::cookies;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::Anyone;

pub fn routes(pages: &mut Pages) {
    pages.service(routes::page(PRIVACY, show));
}

#[derive(Template)]
#[template(path = "privacy.html")]
struct PrivacyPage {
    rows: Vec<Row>,
    /// What becomes of accounts that end.
    ends: Vec<Message>,
}

struct Row {
    what: Sentence,
    why: Sentence,
    how_long: Message,
}

impl Row {
    fn of(kept: Kept, span: Option<Duration>) -> Self {
        let how_long = match span {
            Some(span) => t("{span} {since}").with("span", span).with("since", kept.since()),
            None => t("Until the account is deleted").into(),
        };
        Self { what: kept.what(), why: kept.why(), how_long }
    }
}

async fn show(app: Data<App>, _: Anyone) -> Answer {
    let mut rows: Vec<Row> = Kept::ALL.iter().map(|kept| Row::of(*kept, kept.span(&app.config))).collect();
    rows.push(Row {
        what: t("The whole of a picture that you upload, not just the part you keep"),
        why: t("So that you can crop it differently"),
        how_long: t("Up to {span}").with("span", MIN_ORPHAN_AGE + crate::housekeeping::EVERY),
    });
    rows.push(Row {
        what: t("A cookie in your browser that says who has signed in there. Only your browser keeps it."),
        why: t("So that other people's wrong guesses don't lock you out"),
        how_long: t("{span} after you last signed in there").with("span", cookies::MAX_LIFETIME),
    });
    rows.push(Row {
        what: t("A cookie in your browser that says what your details were before you changed them, or a copy of the picture that you removed"),
        why: t("So that you can undo it"),
        how_long: t("Up to {span}").with("span", MIN_ORPHAN_AGE + crate::housekeeping::EVERY),
    });
    page::ok(PrivacyPage { rows, ends: ends(app.config.lifecycle) })
}

/// Says what becomes of accounts that end.
fn ends(config: LifecycleConfig) -> Vec<Message> {
    let mut ends = Vec::new();
    if !config.grace.is_zero() {
        let waits = t("If you delete your account, we keep it for {span} in case you change your mind.");
        ends.push(waits.with("span", config.grace));
    }
    ends.push(match config.privacy {
        Privacy::Usual => {
            t("Events still name an account after it has been deleted, for as long as they're kept.").into()
        }
        Privacy::Strict => t(
            "When an account is deleted, its names, addresses and details are deleted from the events, too.",
        )
        .into(),
    });
    if let Some(Dormancy { after, action }) = config.dormancy {
        let unused = match action {
            DormantAction::Block => t(
                "An account that nobody signs in to for {span} is blocked. We email its owner 30 and 7 days before.",
            ),
            DormantAction::Delete => t(
                "An account that nobody signs in to for {span} is deleted. We email its owner 30 and 7 days before.",
            ),
        };
        ends.push(unused.with("span", after));
    }
    ends
}
