//! Who may do what: every route and every method, for everybody.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use latchkey::identity::Role;
use latchkey::paths::{HOME, account, admin, auth, service};
use reqwest::Method;

use crate::harness::{OTHER_PASSWORD, PASSWORD, Site, Visitor, run_alone};

/// For whom something is, and what they get. Everybody else gets what the arm says.
#[derive(Clone, Copy)]
enum For {
    /// Everybody gets this.
    All(u16),
    /// Who is not signed in; others are led on.
    Strangers(u16),
    /// Who is signed in; others are led to the door.
    People(u16),
    /// Staff and superusers; other people are refused, strangers led to the door.
    Staff(u16),
    /// Superusers.
    Superusers(u16),
}
use For::{All, People, Staff, Strangers, Superusers};

/// Each route with what GET and POST are for, as they answer an empty form.
const TABLE: &[(&str, For, For)] = &[
    (HOME.pattern(), Strangers(200), All(405)),
    (auth::SIGN_UP_ANY.pattern(), All(303), All(405)),
    (auth::SIGN_UP.pattern(), Strangers(200), Strangers(422)),
    (auth::VERIFY.pattern(), All(404), All(404)),
    (auth::RESEND.pattern(), All(303), All(404)),
    (auth::SIGN_IN_ANY.pattern(), All(303), All(405)),
    (auth::SIGN_IN.pattern(), Strangers(200), Strangers(422)),
    (auth::SIGN_OUT.pattern(), All(303), People(303)),
    (auth::FORGOT.pattern(), All(200), All(422)),
    (auth::RESET.pattern(), All(404), All(404)),
    (auth::UNDO_EMAIL.pattern(), All(404), All(404)),
    (auth::SECURE.pattern(), All(404), All(404)),
    (auth::KEEP.pattern(), All(404), All(404)),
    (auth::PASSKEY.pattern(), Strangers(200), Strangers(200)),
    (auth::SIGN_IN_CODE.pattern(), Strangers(200), Strangers(200)),
    (auth::ENTER_CODE.pattern(), Strangers(303), Strangers(303)),
    (auth::RESEND_CODE.pattern(), All(303), Strangers(303)),
    (auth::SECOND_STEP.pattern(), Strangers(303), Strangers(303)),
    (auth::LOST_FACTOR.pattern(), Strangers(303), Strangers(303)),
    (auth::KEEP_TWO_FACTOR.pattern(), All(404), All(404)),
    (auth::REFRESH.pattern(), All(303), People(303)),
    (auth::CONFIRM.pattern(), People(200), People(422)),
    (account::PROFILE.pattern(), People(200), All(405)),
    (account::DETAILS.pattern(), People(200), People(422)),
    (account::CHANGE_EMAIL.pattern(), People(200), People(422)),
    (account::CHANGE_EMAIL_VERIFY.pattern(), All(303), People(410)),
    (account::CHANGE_EMAIL_RESEND.pattern(), All(303), People(410)),
    (account::CHANGE_EMAIL_CANCEL.pattern(), All(303), People(303)),
    (account::CHANGE_PICTURE.pattern(), People(200), People(400)),
    (account::PASSWORD.pattern(), People(200), People(422)),
    (account::CROP.pattern(), People(303), People(303)),
    (account::CROP_SOURCE.pattern(), People(303), All(405)),
    (account::PICTURE.pattern(), People(404), All(405)),
    (account::ACTIVITY.pattern(), People(200), All(405)),
    (account::ACTIVITY_CSV.pattern(), People(200), All(405)),
    (account::TWO_FACTOR.pattern(), People(200), All(405)),
    (account::NEW_AUTHENTICATOR.pattern(), People(200), People(422)),
    (account::REMOVE_AUTHENTICATOR.pattern(), All(303), People(303)),
    (account::NEW_PASSKEY.pattern(), People(200), People(422)),
    (account::REMOVE_PASSKEY.pattern(), All(303), People(303)),
    (account::RECOVERY_CODES.pattern(), People(303), People(303)),
    (account::RECOVERY_CODES_FILE.pattern(), All(303), People(400)),
    (account::TWO_FACTOR_OFF.pattern(), All(303), People(303)),
    (account::TWO_FACTOR_KEEP.pattern(), All(303), People(303)),
    (account::DISTRUST.pattern(), All(303), People(303)),
    (account::SESSIONS.pattern(), People(200), All(405)),
    (account::END_OTHERS.pattern(), All(303), People(303)),
    (account::END_SESSION.pattern(), All(303), People(303)),
    (account::RENAME_SESSION.pattern(), All(303), People(303)),
    (account::UNDO_DETAILS.pattern(), All(303), People(303)),
    (account::UNDO_PICTURE.pattern(), All(303), People(303)),
    (account::DOWNLOAD.pattern(), People(200), People(200)),
    (account::LEAVE.pattern(), People(200), People(422)),
    (account::STAY.pattern(), All(303), People(303)),
    (admin::ADMIN.pattern(), Staff(200), All(405)),
    (admin::USERS.pattern(), Staff(200), All(405)),
    (admin::USERS_CSV.pattern(), Staff(200), All(405)),
    (admin::NEW_USER.pattern(), Superusers(200), Superusers(422)),
    (admin::BULK.pattern(), All(303), Superusers(400)),
    (admin::USER.pattern(), Staff(200), All(405)),
    (admin::DELETE_USER.pattern(), Superusers(200), Superusers(422)),
    (admin::USER_ACT.pattern(), All(303), Superusers(422)),
    (admin::CODES.pattern(), Staff(200), All(405)),
    (admin::CANCEL_CODE.pattern(), All(303), Superusers(303)),
    (admin::RESETS.pattern(), Staff(200), All(405)),
    (admin::CANCEL_RESET.pattern(), All(303), Superusers(303)),
    (admin::MAILS.pattern(), Staff(200), All(405)),
    (admin::MAIL.pattern(), Staff(404), All(405)),
    (admin::MAIL_ACT.pattern(), All(303), Superusers(404)),
    (admin::EVENTS.pattern(), Staff(200), All(405)),
    // Only with DEBUG.
    (service::DEV_MAILS.pattern(), All(404), All(404)),
    (service::DEV_MAIL.pattern(), All(404), All(404)),
    (service::DEV_MAIL_HTML.pattern(), All(404), All(404)),
    // Without what a proxy says of an application's request, and without an application's secret.
    (service::FORWARD_AUTH.pattern(), All(403), All(403)),
    (service::FORWARD_AUTH_NGINX.pattern(), All(403), All(403)),
    (service::FORWARD_AUTH_ENVOY.pattern(), All(403), All(403)),
    (service::INTROSPECT.pattern(), All(405), All(401)),
    (auth::ENTER.pattern(), All(400), All(405)),
    (account::APPLICATIONS.pattern(), People(200), All(405)),
    (account::LEAVE_APPLICATION.pattern(), All(303), People(303)),
    (admin::APPS.pattern(), Staff(200), All(405)),
    (admin::APP.pattern(), Staff(404), All(405)),
    (service::HEALTHZ.pattern(), All(200), All(405)),
    (service::READYZ.pattern(), All(200), All(405)),
    (service::STATIC.pattern(), All(404), All(405)),
    (service::FAVICON.pattern(), All(200), All(405)),
    (service::TOUCH_ICON.pattern(), All(200), All(405)),
    (service::ROBOTS.pattern(), All(200), All(405)),
    (service::PRIVACY.pattern(), All(200), All(405)),
    (service::CHANGE_PASSWORD.pattern(), All(303), All(405)),
    (auth::WHOAMI.pattern(), All(200), All(405)),
    (auth::PREFERENCES.pattern(), All(200), All(422)),
    // The last: whoever does it needs a new password.
    (account::SECURE_OWN.pattern(), People(200), People(303)),
];

/// Somebody of each kind. `None` is led to the door like a stranger, whatever their cookies say.
const EVERYBODY: [(&str, Option<Role>); 7] = [
    ("anonymous", None),
    ("unverified", None),
    ("blocked", None),
    ("user", Some(Role::User)),
    ("merchant", Some(Role::Merchant)),
    ("staff", Some(Role::Staff)),
    ("superuser", Some(Role::Superuser)),
];

impl For {
    fn status(self, role: Option<Role>) -> u16 {
        match (self, role) {
            (All(status), _)
            | (Strangers(status), None)
            | (People(status), Some(_))
            | (Staff(status), Some(Role::Staff | Role::Superuser))
            | (Superusers(status), Some(Role::Superuser)) => status,
            (Strangers(_), Some(_)) | (People(_) | Staff(_) | Superusers(_), None) => 303,
            (Staff(_) | Superusers(_), Some(_)) => 403,
        }
    }
}

#[test]
fn every_route_stands_in_the_table() {
    // The constants, as they are written in the files of each audience.
    let sources = [
        include_str!("../../src/paths.rs"),
        include_str!("../../src/paths/account.rs"),
        include_str!("../../src/paths/admin.rs"),
        include_str!("../../src/paths/auth.rs"),
        include_str!("../../src/paths/service.rs"),
    ];
    let constants = sources.iter().flat_map(|source| source.split("Route::new(").skip(1));
    let written: BTreeSet<&str> = constants.map(|rest| rest.split('"').nth(1).unwrap()).collect();
    let table: BTreeSet<&str> = TABLE.iter().map(|(route, ..)| *route).collect();
    assert_eq!(table, written);
    assert!(written.len() > 40, "the constants are found");
}

/// An address of that route.
fn address(route: &str, person: &str) -> String {
    let mut address = route.to_owned();
    while let Some(start) = address.find('{') {
        let end = start + address[start..].find('}').unwrap();
        let inside = address[start + 1..end].to_owned();
        let value = match inside.split_once(':') {
            Some((_, choices)) => choices.split('|').next().unwrap(),
            None if inside == "id" || inside == "uid" => person,
            None if inside == "random" => "AAAAAAAAAAAAAAAAAAAAAA",
            None => "1",
        };
        address.replace_range(start..=end, value);
    }
    address
}

async fn visitor(site: &Site, name: &str, role: Option<Role>) -> Visitor {
    let mut visitor = site.visitor();
    if let Some(role) = role {
        let door = format!("/auth/sign-in/{}/", role.as_str());
        visitor.sign_in_at(&door, &format!("{name}-ann"), OTHER_PASSWORD).await;
        visitor.status(200);
    }
    visitor
}

#[test]
fn everybody_may_do_what_the_table_says_and_nothing_else() {
    run_alone(async || {
        let site = Site::start(HashMap::from([("RATE_LIMITS", "off".to_owned())])).await;
        let mut unverified = site.visitor();
        unverified.sign_up("unverified-ann", "unverified@example.org", PASSWORD).await;
        let blocked = site.member("blocked-ann").await;
        site.sql("UPDATE users SET blocked_at = created_at WHERE username = 'blocked-ann'").await;
        for (name, role) in EVERYBODY {
            if let Some(role) = role {
                site.appoint(role, &format!("{name}-ann")).await;
            }
        }
        let mut superuser = visitor(&site, "superuser", Some(Role::Superuser)).await;
        superuser.visit("/admin/users/?q=unverified-ann").await;
        superuser.follow("unverified-ann").await;
        let person = superuser.path().split('/').nth(3).unwrap().to_owned();
        let mut wrong = Vec::new();
        for (route, get, post) in TABLE {
            let path = address(route, &person);
            for (name, role) in EVERYBODY {
                let visitor = match name {
                    "unverified" => unverified.twin(),
                    "blocked" => blocked.twin(),
                    _ => visitor(&site, name, role).await,
                };
                let other = match (get.status(None), post.status(None)) {
                    (404, 404) if path.starts_with("/dev/") => 404,
                    // For an application's requests, of whatever method.
                    (403, 403) => 403,
                    _ => 405,
                };
                let cells = BTreeMap::from([
                    ("GET", get.status(role)),
                    ("HEAD", get.status(role)),
                    ("PUT", other),
                    ("DELETE", other),
                    ("POST", post.status(role)),
                ]);
                for method in ["GET", "HEAD", "PUT", "DELETE", "POST"] {
                    let request = visitor.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
                    let answer = request
                        .header("Content-Type", "application/x-www-form-urlencoded")
                        .send()
                        .await
                        .unwrap();
                    if answer.status().as_u16() != cells[method] {
                        wrong.push(format!(
                            "{method} {path} as {name}: {} instead of {}",
                            answer.status(),
                            cells[method]
                        ));
                    }
                    if answer.status() == 405 {
                        assert!(answer.headers().contains_key("allow"), "{method} {path}");
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        site.stop().await;
    });
}
