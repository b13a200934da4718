//! w3m and Lynx walk the whole journey: the pages need no picture, no style and no script.

use std::collections::HashMap;

use crate::harness::{OTHER_PASSWORD, PASSWORD, Site, Terminal, TextBrowser, program, run_alone};

async fn journey(site: &Site, browser: TextBrowser, name: &str) {
    let email = format!("{name}@example.org");
    let page = Terminal::start(browser, &format!("{}/auth/sign-up/user/", site.url)).await;
    page.fill("Username", name).await.fill("Email address", &email).await;
    page.fill("Password", PASSWORD).await.fill("Repeat the password", PASSWORD).await;
    page.press("Create account").await.see("We sent a 6-digit code to").await;
    let code = site.code_to(&email).await;
    page.fill("Code", &code).await;
    page.press("Confirm").await.see("Welcome! Your email address is confirmed.").await;
    page.press("Details").await.see("Change your details").await;
    page.fill("Name", "Ann Lee").await;
    page.press("Save").await.see("Your changes have been saved.").await;
    page.press("Password").await.see("Change your password").await;
    page.fill("Current password", PASSWORD).await;
    page.fill("New password", OTHER_PASSWORD).await.fill("Repeat the new password", OTHER_PASSWORD).await;
    page.press("Change password").await.see("Your password has been changed.").await;
    page.press("Sign out").await.see("You've signed out.").await;
    page.fill("Username or email address", name).await.fill("Password", OTHER_PASSWORD).await;
    page.press("Sign in").await.see("Ann Lee").await;
}

fn walk(browser: TextBrowser, name: &'static str) {
    if program(name, name).is_none() || program("tmux", "tmux").is_none() {
        return;
    }
    run_alone(async || {
        let site = Site::start(HashMap::from([("RATE_LIMITS", "off".to_owned())])).await;
        journey(&site, browser, &format!("{name}-person")).await;
        site.stop().await;
    });
}

#[test]
fn the_journey_in_w3m() {
    walk(TextBrowser::W3m, "w3m");
}

#[test]
fn the_journey_in_lynx() {
    walk(TextBrowser::Lynx, "lynx");
}
