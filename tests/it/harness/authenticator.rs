//! An authenticator app, as people have it on their phones: it holds a key, and shows codes. Its arithmetic is not ours.

use totp_rs::{Algorithm, Builder, Secret};

use super::{PASSWORD, Site, Visitor};

/// An app that holds one key.
#[derive(Clone)]
pub struct Authenticator {
    /// In base32.
    pub key: String,
}

impl Authenticator {
    /// One that was told the key of the page that somebody is looking at.
    pub fn of_page(visitor: &Visitor) -> Self {
        let body = &visitor.page().body;
        let (_, rest) = body.split_once("<code class=\"key\">").expect("a key");
        let (key, _) = rest.split_once("</code>").expect("its end");
        Self { key: key.replace(' ', "") }
    }

    /// The code that it shows now, by the clock of a site.
    pub fn code(&self, site: &Site) -> String {
        self.code_off_by(site, 0)
    }

    /// The code that it shows with a clock that is so many seconds ahead.
    pub fn code_off_by(&self, site: &Site, seconds: i64) -> String {
        let now = site.app.clock.now().micros() / 1_000_000 + seconds;
        let totp = Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_secret(Secret::try_from_base32(&self.key).expect("base32"))
            .build_noncompliant();
        totp.generate(u64::try_from(now).expect("later than 1970")).to_string()
    }
}

/// Somebody with two-step sign-in: where they are signed in, their app and their recovery codes.
pub struct Enrolled {
    pub visitor: Visitor,
    pub app: Authenticator,
    pub recovery_codes: Vec<String>,
}

impl Enrolled {
    /// A new member who has set it up. A code of the app works again at once: the time of its first one is over.
    pub async fn new(site: &Site, name: &str) -> Self {
        let visitor = site.member(name).await;
        Self::with(site, name, visitor).await
    }

    /// Sets it up for somebody who is signed in.
    pub async fn with(site: &Site, name: &str, mut visitor: Visitor) -> Self {
        visitor.visit("/user-profile/two-factor/authenticators/new/").await;
        let app = Authenticator::of_page(&visitor);
        visitor.fill("6-digit code", &app.code(site)).press("Add the app").await;
        visitor.status(200).see("Save your recovery codes");
        let recovery_codes = codes_on(&visitor);
        // What was mailed before has been read.
        while !site
            .mail_to(&format!("{name}@example.org"))
            .await
            .text
            .contains("An authenticator app was added")
        {}
        site.wait(super::seconds(30)).await;
        Self { visitor, app, recovery_codes }
    }

    /// Gives the right password in another browser, which is asked for a code then.
    pub async fn at_second_step(&self, site: &Site, name: &str) -> Visitor {
        let mut browser = site.visitor();
        browser.sign_in(name, PASSWORD).await;
        assert_eq!(browser.status(200).path(), "/auth/two-factor/");
        browser
    }

    /// Gives the right password and the code of now.
    pub async fn sign_in(&self, site: &Site, name: &str) -> Visitor {
        let mut browser = self.at_second_step(site, name).await;
        browser.fill("Code", &self.app.code(site)).press("Sign in").await;
        browser
    }
}

/// The recovery codes on the page that somebody is looking at.
pub fn codes_on(visitor: &Visitor) -> Vec<String> {
    let lines = visitor.page().body.split("<li><code>").skip(1);
    lines.map(|line| line.split("</code>").next().expect("its end").to_owned()).collect()
}
