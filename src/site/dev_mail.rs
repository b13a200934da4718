//! With `DEBUG`: every mail that this process sent, so that a developer needs no mail server.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::web::{Data, Path, ServiceConfig};
use askama::Template;

use crate::app::App;
use crate::mail::mailbox::SentMail;
use crate::paths::{self, route};
use crate::web::fault::Fault;
use crate::web::page::{self, Chrome};
use crate::web::{filters, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(routes::page(route::DEV_MAILS, list))
        .service(routes::page(route::DEV_MAIL, show))
        .service(routes::page(route::DEV_MAIL_HTML, show_html));
}

#[derive(Template)]
#[template(path = "dev_mail/list.html")]
struct MailsPage {
    chrome: Chrome,
    mails: Vec<SentMail>,
}

#[derive(Template)]
#[template(path = "dev_mail/show.html")]
struct MailPage {
    chrome: Chrome,
    mail: SentMail,
}

async fn list(app: Data<App>) -> HttpResponse {
    let mails = app.sent_mails.as_ref().map(crate::mail::mailbox::SentMails::all).unwrap_or_default();
    page::ok(&MailsPage { chrome: Chrome::plain(), mails })
}

async fn show(app: Data<App>, number: Path<usize>) -> Result<HttpResponse, Fault> {
    let mail = find(&app, *number)?;
    Ok(page::ok(&MailPage { chrome: Chrome::plain(), mail }))
}

/// The HTML part alone, on a page of its own that may style itself and do nothing else.
async fn show_html(app: Data<App>, number: Path<usize>) -> Result<HttpResponse, Fault> {
    let mail = find(&app, *number)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'; style-src 'unsafe-inline'"))
        .body(mail.html))
}

fn find(app: &App, number: usize) -> Result<SentMail, Fault> {
    app.sent_mails.as_ref().and_then(|mails| mails.get(number)).ok_or(Fault::NotFound)
}

impl MailPage {
    fn html(&self) -> String {
        format!("{}html/", paths::dev_mail(self.mail.number))
    }
}
