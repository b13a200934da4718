//! Who may do what: every route and every method, for everybody.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use latchkey::identity::Role;
use latchkey::paths::route;
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
    (route::HOME, Strangers(200), All(405)),
    (route::SIGN_UP_ANY, All(303), All(405)),
    (route::SIGN_UP, Strangers(200), Strangers(422)),
    (route::VERIFY, All(404), All(404)),
    (route::RESEND, All(405), All(404)),
    (route::SIGN_IN_ANY, All(303), All(405)),
    (route::SIGN_IN, Strangers(200), Strangers(422)),
    (route::SIGN_OUT, All(405), People(303)),
    (route::FORGOT, All(200), All(422)),
    (route::RESET, All(404), All(404)),
    (route::UNDO_EMAIL, All(404), All(404)),
    (route::REFRESH, All(405), People(303)),
    (route::CONFIRM, People(200), People(422)),
    (route::PROFILE, People(200), All(405)),
    (route::DETAILS, People(200), People(422)),
    (route::CHANGE_EMAIL, People(200), People(422)),
    (route::CHANGE_EMAIL_VERIFY, All(405), People(410)),
    (route::CHANGE_EMAIL_RESEND, All(405), People(410)),
    (route::CHANGE_EMAIL_CANCEL, All(405), People(303)),
    (route::CHANGE_PICTURE, People(200), People(400)),
    (route::PASSWORD, People(200), People(422)),
    (route::PICTURE, People(404), All(405)),
    (route::ADMIN, Staff(200), All(405)),
    (route::PEOPLE, Staff(200), All(405)),
    (route::PEOPLE_CSV, Staff(200), All(405)),
    (route::NEW_PERSON, Superusers(200), Superusers(422)),
    (route::BULK, All(405), Superusers(400)),
    (route::PERSON, Staff(200), All(405)),
    (route::DELETE_PERSON, Superusers(200), Superusers(422)),
    (route::PERSON_ACT, All(405), Superusers(422)),
    (route::CODES, Staff(200), All(405)),
    (route::CANCEL_CODE, All(405), Superusers(303)),
    (route::RESETS, Staff(200), All(405)),
    (route::CANCEL_RESET, All(405), Superusers(303)),
    (route::MAILS, Staff(200), All(405)),
    (route::MAIL, Staff(404), All(405)),
    (route::MAIL_ACT, All(405), Superusers(404)),
    (route::EVENTS, Staff(200), All(405)),
    // Only with DEBUG.
    (route::DEV_MAILS, All(404), All(404)),
    (route::DEV_MAIL, All(404), All(404)),
    (route::DEV_MAIL_HTML, All(404), All(404)),
    (route::HEALTHZ, All(200), All(405)),
    (route::READYZ, All(200), All(405)),
    (route::STATIC, All(404), All(405)),
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
    // The constants of the route list, as they are written there.
    let source = include_str!("../../src/paths.rs");
    let list = source.split("pub mod route").nth(1).unwrap().split("pub const ALL").next().unwrap();
    let written: BTreeSet<&str> =
        list.split("&str =").skip(1).map(|rest| rest.split('"').nth(1).unwrap()).collect();
    let table: BTreeSet<&str> = TABLE.iter().map(|(route, ..)| *route).collect();
    assert_eq!(table, written);
    assert!(route::ALL.iter().all(|route| table.contains(route)));
    // Those that end in a slash are also found without it.
    let slashed: BTreeSet<&str> = table.iter().copied().filter(|route| route.ends_with('/')).collect();
    assert_eq!(slashed, route::ALL.iter().copied().collect());
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
        superuser.follow("UAunverified-ann").await;
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
                let other =
                    if get.status(None) == 404 && post.status(None) == 404 && path.starts_with("/dev/") {
                        404
                    } else {
                        405
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
