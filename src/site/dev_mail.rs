//! With `DEBUG`: every mail that this process sent, so that a developer needs no mail server.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::web::{Data, Path};
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::app::App;
use crate::courier::{SentMail, SentMails};
use crate::mail::LOGO;
use crate::paths::service::{DEV_MAIL, DEV_MAIL_HTML, DEV_MAILS};
use crate::web::errors::HttpError;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;

pub(super) fn routes(pages: &mut Pages) {
    pages
        .service(routes::page(DEV_MAILS, list))
        .service(routes::page(DEV_MAIL, show))
        .service(routes::page(DEV_MAIL_HTML, show_html));
}

#[derive(Template)]
#[template(path = "dev_mail/list.html")]
struct MailsPage {
    mails: Vec<SentMail>,
}

#[derive(Template)]
#[template(path = "dev_mail/show.html")]
struct MailPage {
    mail: SentMail,
}

async fn list(app: Data<App>) -> Answer {
    let mails = app.sent_mails.as_ref().map(SentMails::all).unwrap_or_default();
    page::ok(MailsPage { mails })
}

async fn show(app: Data<App>, number: Path<usize>) -> Result<Answer, HttpError> {
    let mail = find(&app, *number)?;
    Ok(page::ok(MailPage { mail }))
}

/// Shows the HTML part alone, on a page of its own that may style itself and do nothing else.
async fn show_html(app: Data<App>, number: Path<usize>) -> Result<HttpResponse, HttpError> {
    let mail = find(&app, *number)?;
    let logo = STANDARD.encode(app.config.brand.png().unwrap_or_default());
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((
            CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        ))
        .body(mail.html.replace(&format!("cid:{LOGO}"), &format!("data:image/png;base64,{logo}"))))
}

fn find(app: &App, number: usize) -> Result<SentMail, HttpError> {
    app.sent_mails.as_ref().and_then(|mails| mails.get(number)).ok_or(HttpError::NotFound)
}

impl MailsPage {
    fn path(mail: &SentMail) -> String {
        DEV_MAIL.to([mail.number.to_string().as_str()])
    }
}

impl MailPage {
    fn html(&self) -> String {
        DEV_MAIL_HTML.to([self.mail.number.to_string().as_str()])
    }
}
