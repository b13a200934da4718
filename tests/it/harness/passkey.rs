//! A passkey, as phones, laptops and security keys make them (Web Authentication, Level 3), written down byte by byte from there: what
//! checks it is not ours, and neither is this.

use std::cell::Cell;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use scraper::{Html, Selector};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Site, Visitor, codes_on};

/// A passkey, and the device that holds it.
pub struct Passkey {
    keys: EcdsaKeyPair,
    id: Vec<u8>,
    /// What it calls its account.
    pub handle: Vec<u8>,
    /// How often it was used, if it counts that.
    pub counter: Cell<u32>,
    /// Whether the device knows who is using it.
    pub verifies: bool,
    /// The site that its browser is at.
    pub origin: String,
    /// Whether a page of somebody else's holds that site.
    pub framed: bool,
}

/// User presence, user verification, and a key that follows (6.1).
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const WITH_KEY: u8 = 0x40;

impl Passkey {
    /// A device that has none yet, at a site.
    pub fn at(site: &Site) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("a key");
        let keys = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random);
        Self {
            keys: keys.expect("a key"),
            id: rand::random::<[u8; 16]>().to_vec(),
            handle: Vec::new(),
            counter: Cell::new(0),
            verifies: true,
            origin: site.app.config.public_url.origin().to_owned(),
            framed: false,
        }
    }

    /// Adds one to the account of somebody who is signed in.
    pub async fn add(site: &Site, visitor: &mut Visitor, name: &str) -> Self {
        let mut passkey = Self::at(site);
        visitor.visit("/user-profile/two-factor/passkeys/new/").await;
        let answer = passkey.make(visitor);
        visitor.fill("Passkey name", name).choose("passkey", &answer).press("Add a passkey").await;
        visitor.status(200);
        passkey
    }

    /// Makes it for the question of a page: what the browser sends back.
    pub fn make(&mut self, visitor: &Visitor) -> String {
        let question = question_of(visitor);
        self.handle = bytes(&question["user"]["id"]);
        let data = self.data(&question["rp"]["id"], WITH_KEY);
        // CBOR (RFC 8949): a map of three, whose last value is these bytes.
        let length = u16::try_from(data.len()).expect("a short key").to_be_bytes();
        let object = [&b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"[..], &length, &data].concat();
        let response = json!({
            "attestationObject": BASE64.encode(object),
            "clientDataJSON": BASE64.encode(self.client_data("webauthn.create", &question)),
        });
        self.credential(&response)
    }

    /// Answers the question of a page: what the browser sends back.
    pub fn answer(&self, visitor: &Visitor) -> String {
        let question = question_of(visitor);
        let data = self.data(&question["rpId"], 0);
        let client_data = self.client_data("webauthn.get", &question);
        let signed = [data.clone(), Sha256::digest(&client_data).to_vec()].concat();
        let signature = self.keys.sign(&SystemRandom::new(), &signed).expect("a signature");
        let response = json!({
            "authenticatorData": BASE64.encode(data),
            "clientDataJSON": BASE64.encode(client_data),
            "signature": BASE64.encode(signature),
            "userHandle": BASE64.encode(&self.handle),
        });
        self.credential(&response)
    }

    /// Signs in with it alone.
    pub async fn sign_in(&self, visitor: &mut Visitor) {
        visitor.visit("/auth/passkey/").await;
        self.use_on(visitor).await;
    }

    /// Uses it on a page that asks for one.
    pub async fn use_on(&self, visitor: &mut Visitor) {
        let answer = self.answer(visitor);
        visitor.choose("passkey", &answer).press("Use a passkey").await;
    }

    fn credential(&self, response: &Value) -> String {
        let id = BASE64.encode(&self.id);
        json!({ "id": id, "rawId": id, "type": "public-key", "response": response }).to_string()
    }

    fn client_data(&self, kind: &str, question: &Value) -> Vec<u8> {
        let data = json!({
            "type": kind, "challenge": question["challenge"], "origin": self.origin, "crossOrigin": self.framed,
        });
        data.to_string().into_bytes()
    }

    /// Authenticator data (6.1), with the key where it has just been made.
    fn data(&self, host: &Value, with: u8) -> Vec<u8> {
        let verified = if self.verifies { VERIFIED } else { 0 };
        let mut data = Sha256::digest(host.as_str().expect("a host")).to_vec();
        data.push(PRESENT | verified | with);
        data.extend(self.counter.get().to_be_bytes());
        if with == WITH_KEY {
            data.extend([0; 16]);
            data.extend(u16::try_from(self.id.len()).expect("a short name").to_be_bytes());
            data.extend(&self.id);
            // COSE (RFC 9053): a map of five, with both halves of an uncompressed point.
            let (x, y) = self.keys.public_key().as_ref()[1..].split_at(32);
            data.extend([&b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"[..], x, b"\x22\x58\x20", y].concat());
        }
        data
    }
}

/// Somebody whose only second step is a passkey: where they are signed in, and their recovery codes.
pub struct WithPasskey {
    pub visitor: Visitor,
    pub passkey: Passkey,
    pub recovery_codes: Vec<String>,
}

impl WithPasskey {
    /// A new member who has added one.
    pub async fn new(site: &Site, name: &str) -> Self {
        let mut visitor = site.member(name).await;
        let passkey = Passkey::add(site, &mut visitor, "My phone").await;
        visitor.see("Save your recovery codes");
        let recovery_codes = codes_on(&visitor);
        let address = format!("{name}@example.org");
        while !site.mail_to(&address).await.text.contains("was added to your account") {}
        Self { visitor, passkey, recovery_codes }
    }
}

/// What a page asks the browser.
fn question_of(visitor: &Visitor) -> Value {
    let page = Html::parse_document(&visitor.page().body);
    let asking = Selector::parse("[data-question]").expect("a selector");
    let part = page.select(&asking).next().unwrap_or_else(|| panic!("no question: {}", visitor.page()));
    let mut question: Value = serde_json::from_str(part.attr("data-question").expect("it")).expect("JSON");
    question["publicKey"].take()
}

fn bytes(value: &Value) -> Vec<u8> {
    BASE64.decode(value.as_str().expect("text")).expect("base64url")
}
