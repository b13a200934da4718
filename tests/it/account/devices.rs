//! The devices that an account is signed in on, as its person sees them.

use std::collections::HashMap;

use crate::harness::{PASSWORD, Site, Visitor, minutes, run_alone, stories};

stories! {
    each_device_is_shown_with_what_it_is_and_can_be_signed_out,
    all_others_or_all_devices_can_be_signed_out_at_once,
    a_device_can_be_given_a_name,
    nobody_signs_out_or_names_the_devices_of_somebody_else,
    two_hundred_who_sign_a_device_out_at_once_do_it_once,
}

#[test]
fn places_are_named_where_the_operator_gives_a_database() {
    run_alone(async || {
        let database = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/places.mmdb").to_owned();
        let site = Site::start(HashMap::from([("GEOIP_DATABASE", database)])).await;
        let mut ann = site.member("annalee").await;
        ann.visit("/user-profile/sessions/").await;
        ann.see("near Berlin, Germany");
        site.stop().await;
        let site = Site::start(HashMap::new()).await;
        let mut ann = site.member("annalee").await;
        ann.visit("/user-profile/sessions/").await;
        assert!(!ann.page().sees("near "), "{}", ann.page());
        site.stop().await;
    });
}

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1";

/// The same person in another browser, which stays signed in.
async fn on(ann: &Visitor, agent: &str) -> Visitor {
    let mut other = ann.other_browser();
    let fields = [("username", "annalee"), ("password", PASSWORD), ("remember", "on")];
    let request = other.posting("/auth/sign-in/user/", &fields).header("User-Agent", agent);
    other.send(request, "/auth/sign-in/user/").await;
    other.status(200).see("@annalee");
    other
}

/// The path that signs a device out, by what stands on its button.
fn sign_out_of(visitor: &Visitor, device: &str) -> String {
    let body = &visitor.page().body;
    let button = body.find(&format!("Sign out<span class=\"unseen\"> – {device}")).expect("a button");
    let form = body[..button].rfind("action=\"").expect("a form");
    body[form + 8..].split('"').next().expect("a path").to_owned()
}

async fn each_device_is_shown_with_what_it_is_and_can_be_signed_out(site: &Site) {
    let mut ann = site.member("annalee").await;
    site.wait(minutes(5)).await;
    let mut firefox = on(&ann, FIREFOX).await;
    let mut phone = on(&ann, PHONE).await;
    ann.visit("/user-profile/").await;
    ann.follow("Devices").await;
    ann.status(200).see("This device").see("Firefox on Linux").see("Safari on iPhone");
    ann.see("with your password").see("with the code that confirmed your account");
    ann.see("Stays signed in until").see("just now");
    assert_eq!(ann.page().text().matches("This device").count(), 1, "{}", ann.page());
    assert!(ann.page().text().contains("IP address 10."), "{}", ann.page());
    let path = sign_out_of(&ann, "Firefox on Linux");
    ann.post(&path, &[]).await;
    ann.status(200).see("The device has been signed out.");
    assert!(!ann.page().sees("Firefox on Linux"));
    assert!(!firefox.is_signed_in().await);
    assert!(phone.is_signed_in().await && ann.is_signed_in().await);
    ann.post(&path, &[]).await;
    ann.see("That device had already been signed out.");
    let events = site.texts("SELECT detail AS text FROM events WHERE kind = 'device-signed-out'").await;
    assert!(events.len() == 1 && events[0].contains("Firefox"), "{events:?}");
}

async fn all_others_or_all_devices_can_be_signed_out_at_once(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut others = [on(&ann, FIREFOX).await, on(&ann, PHONE).await];
    let mut bob = site.member("bobbob").await;
    ann.visit("/user-profile/sessions/").await;
    ann.press("Sign out all other devices").await;
    ann.status(200).see("2 other devices have been signed out.").see("This device");
    assert!(!ann.page().sees("Sign out all other devices"), "there are none");
    for other in &mut others {
        assert!(!other.is_signed_in().await);
    }
    let mut phone = on(&ann, PHONE).await;
    ann.visit("/user-profile/sessions/").await;
    ann.press("Sign out everywhere, including here").await;
    ann.status(200).see("You've signed out.");
    assert!(!ann.is_signed_in().await && !phone.is_signed_in().await && bob.is_signed_in().await);
    assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'devices-signed-out'").await, 2);
}

async fn a_device_can_be_given_a_name(site: &Site) {
    let mut ann = site.member("annalee").await;
    let phone = on(&ann, PHONE).await;
    ann.visit("/user-profile/sessions/").await;
    let path = sign_out_of(&ann, "Safari on iPhone").replace("/end/", "/rename/");
    let name = "  Küche \u{202e}<b>tablet</b>  ";
    ann.post(&path, &[("name", name)]).await;
    ann.status(200).see("The name has been saved.").see("Küche <b>tablet</b>").see("Safari on iPhone");
    assert!(!ann.page().body.contains("<b>tablet"));
    ann.post(&path, &[("name", &"x".repeat(41))]).await;
    ann.status(422).see("Name must be 40 characters or fewer.");
    assert!(ann.page().body.contains(&"x".repeat(41)), "nothing typed is lost");
    // The same again, and then none.
    for (name, title) in [("Tablet", "Tablet"), ("Tablet", "Tablet"), ("", "Safari on iPhone")] {
        ann.post(&path, &[("name", name)]).await;
        ann.status(200).see("The name has been saved.");
        sign_out_of(&ann, title);
    }
    // It is the session's: after another sign-in it is a new one.
    drop(phone);
}

async fn nobody_signs_out_or_names_the_devices_of_somebody_else(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut bob = site.member("bobbob").await;
    let id =
        site.texts("SELECT id AS text FROM sessions WHERE ended_at IS NULL ORDER BY created_at, id").await;
    for act in ["end", "rename"] {
        bob.post(&format!("/user-profile/sessions/{}/{act}/", id[0]), &[("name", "mine")]).await;
        bob.status(200).see("That device had already been signed out.");
        bob.post(&format!("/user-profile/sessions/%2e%2e/{act}/"), &[]).await;
    }
    assert!(ann.is_signed_in().await);
    assert_eq!(site.count("SELECT COUNT(*) FROM sessions WHERE name <> ''").await, 0);
}

async fn two_hundred_who_sign_a_device_out_at_once_do_it_once(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut phone = on(&ann, PHONE).await;
    ann.visit("/user-profile/sessions/").await;
    let path = sign_out_of(&ann, "Safari on iPhone");
    let requests = (0..200).map(|_| ann.posting(&path, &[]));
    crate::harness::at_once(requests).await;
    assert!(!phone.is_signed_in().await && ann.is_signed_in().await);
    assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'device-signed-out'").await, 1);
}
