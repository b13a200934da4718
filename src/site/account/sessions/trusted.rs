//! The devices on which the password is enough for a while: shown beside those that are signed in, and trusted no more when asked.

use actix_web::web::{Data, Path};

use crate::app::App;
use crate::identity::{Id, KnownDevice, Message, Moment, browser_name, t};
use crate::paths::account::{DISTRUST, SESSIONS};
use crate::records::events::{self, Kind};
use crate::records::two_factor::trusted_devices::{self, TrustedDevice};
use crate::web::errors::HttpError;
use crate::web::forms::FormError;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::viewer::By;

pub(super) const DISTRUSTED: Notice =
    Notice::new("device-distrusted", t("We'll ask for a code next time you sign in on that device."));

/// A trusted device on the page.
pub(super) struct Trusted {
    pub title: Message,
    pub is_this: bool,
    pub until: Moment,
    pub remove: String,
}

impl Trusted {
    pub fn of(device: &TrustedDevice, this: Option<&KnownDevice>) -> Self {
        Self {
            title: browser_name(&device.device),
            is_this: this.is_some_and(|this| device.is(this)),
            until: device.expires_at,
            remove: DISTRUST.to([device.id.as_str()]),
        }
    }
}

/// Trusts a device no more.
pub(super) async fn distrust(app: Data<App>, by: By, at: Path<String>) -> Result<Answer, HttpError> {
    let Some(id) = Id::parse(&at) else { return Ok(page::see_other(SESSIONS.path())) };
    app.db
        .write(move |conn| {
            let user = by.still_may(conn)?;
            if trusted_devices::remove(conn, &user.id, &id)? {
                events::note(conn, Kind::DeviceDistrusted, Some(&user.id), &by.source(), "", by.now)?;
            }
            Ok::<_, FormError>(())
        })
        .await?;
    Ok(page::see_other(SESSIONS.path()).saying(DISTRUSTED.post()))
}
