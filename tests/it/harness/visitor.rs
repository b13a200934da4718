//! Somebody with a browser that runs no script: visits pages, fills fields by their labels, presses buttons.

use std::collections::BTreeMap;
use std::fmt;

use actix_web::cookie::Cookie;
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder, Response};
use scraper::{ElementRef, Html, Selector};

use super::site::Site;

/// A page as it came.
#[derive(Clone, Debug)]
pub struct Page {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with the text: {}", self.status, self.text())
    }
}

impl Page {
    async fn of(answer: Response) -> Self {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = String::from_utf8_lossy(&answer.bytes().await.expect("a whole answer")).into_owned();
        Self { status, headers, body }
    }

    /// What a person reads.
    pub fn text(&self) -> String {
        let page = Html::parse_document(&self.body);
        let read = page.select(&selector("main")).next();
        let read = read.map_or_else(|| self.body.clone(), |main| main.text().collect::<Vec<_>>().join(" "));
        read.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub fn sees(&self, text: &str) -> bool {
        self.text().contains(text)
    }
}

/// What stands in a field.
enum Value {
    Text(String),
    File { name: String, kind: String, bytes: Vec<u8> },
}

/// Somebody with a browser.
pub struct Visitor {
    site: String,
    address: String,
    client: Client,
    cookies: BTreeMap<String, String>,
    path: String,
    page: Page,
    filled: BTreeMap<String, Value>,
}

impl Visitor {
    pub fn new(site: String, address: String) -> Self {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // The tests of TLS make certificates of their own.
            .danger_accept_invalid_certs(true)
            .build()
            .expect("a client");
        let page = Page { status: 0, headers: HeaderMap::new(), body: String::new() };
        Self {
            site,
            address,
            client,
            cookies: BTreeMap::new(),
            path: String::new(),
            page,
            filled: BTreeMap::new(),
        }
    }

    /// The same person in a copy of the same browser: the same cookies from now on apart.
    pub fn twin(&self) -> Self {
        let twin = Self::new(self.site.clone(), self.address.clone());
        Self { cookies: self.cookies.clone(), path: self.path.clone(), page: self.page.clone(), ..twin }
    }

    /// The same browser, led to another instance from now on.
    pub fn go_to(&mut self, instance: &Site) -> &mut Self {
        self.go_to_url(&instance.url)
    }

    /// The same by the instance's address.
    pub fn go_to_url(&mut self, url: &str) -> &mut Self {
        url.clone_into(&mut self.site);
        self
    }

    /// The same person at the same address with another browser.
    pub fn other_browser(&self) -> Self {
        Self::new(self.site.clone(), self.address.clone())
    }

    pub fn page(&self) -> &Page {
        &self.page
    }

    /// Path and query of the page.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// The same browser in another tab: what it was given there counts here, too.
    pub fn take_cookies_of(&mut self, other_tab: &Self) {
        self.cookies.clone_from(&other_tab.cookies);
    }

    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    /// A request with this browser's cookies, sent as its own pages send it.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.client.request(method, format!("{}{path}", self.site));
        request = request.header("X-Forwarded-For", &self.address).header("Sec-Fetch-Site", "same-origin");
        if !self.cookies.is_empty() {
            let all: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, all.join("; "));
        }
        request
    }

    /// Sends a request and looks at the answer, wherever it leads.
    pub async fn send(&mut self, request: RequestBuilder, path: &str) -> &Page {
        let mut answer = request.send().await.expect("an answer");
        path.clone_into(&mut self.path);
        for _ in 0..5 {
            self.take_cookies(answer.headers());
            if answer.status().as_u16() != 303 {
                break;
            }
            let to = answer.headers()[LOCATION].to_str().expect("an address").to_owned();
            assert!(to.starts_with('/'), "{to} is a page of this site");
            answer = self.request(Method::GET, &to).send().await.expect("an answer");
            self.path = to;
        }
        self.filled.clear();
        self.page = Page::of(answer).await;
        &self.page
    }

    pub fn take_cookies(&mut self, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            let cookie = Cookie::parse(line.to_str().expect("text").to_owned()).expect("a cookie");
            if cookie.max_age() == Some(actix_web::cookie::time::Duration::ZERO) {
                self.cookies.remove(cookie.name());
            } else {
                self.cookies.insert(cookie.name().to_owned(), cookie.value().to_owned());
            }
        }
    }

    /// Opens a page.
    pub async fn visit(&mut self, path: &str) -> &Page {
        let path = path.strip_prefix(&self.site).unwrap_or(path).to_owned();
        let request = self.request(Method::GET, &path);
        self.send(request, &path).await
    }

    /// Writes into the field of that label.
    pub fn fill(&mut self, label: &str, text: &str) -> &mut Self {
        let name = self.field(label);
        self.filled.insert(name, Value::Text(text.to_owned()));
        self
    }

    /// Chooses one of several, by its name and value.
    pub fn choose(&mut self, name: &str, value: &str) -> &mut Self {
        self.filled.insert(name.to_owned(), Value::Text(value.to_owned()));
        self
    }

    /// Ticks the box of that label.
    pub fn tick(&mut self, label: &str) -> &mut Self {
        self.fill(label, "on")
    }

    /// Ticks the box of that name, which has no label beside it.
    pub fn tick_box(&mut self, name: &str) -> &mut Self {
        let page = Html::parse_document(&self.page.body);
        let boxes = selector("input[type=checkbox]");
        let found = page.select(&boxes).find(|it| it.attr("aria-label") == Some(name));
        let found = found.unwrap_or_else(|| panic!("a box “{name}” on {}: {}", self.path, self.page));
        let field = found.attr("name").expect("a field has a name").to_owned();
        drop(page);
        self.filled.insert(field, Value::Text("on".to_owned()));
        self
    }

    /// Chooses a file for the field of that label.
    pub fn choose_file(&mut self, label: &str, name: &str, kind: &str, bytes: &[u8]) -> &mut Self {
        let field = self.field(label);
        let file = Value::File { name: name.to_owned(), kind: kind.to_owned(), bytes: bytes.to_owned() };
        self.filled.insert(field, file);
        self
    }

    /// Sends fields that no page has as a form, from a page of this site.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> &Page {
        let request = self.posting(path, fields);
        self.send(request, path).await
    }

    /// The request of [`Self::post`].
    pub fn posting(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        self.request(Method::POST, path)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(serde_urlencoded::to_string(fields).expect("a form"))
    }

    /// Presses the button and looks at what comes.
    pub async fn press(&mut self, button: &str) -> &Page {
        let (request, path) = self.submission(button);
        self.send(request, &path).await
    }

    /// The request that pressing the button would send.
    pub fn submission(&mut self, button: &str) -> (RequestBuilder, String) {
        let page = Html::parse_document(&self.page.body);
        let form = page
            .select(&selector("form"))
            .find(|form| form.select(&selector("button")).any(|this| text_of(this) == button))
            .unwrap_or_else(|| panic!("a button “{button}” on {}: {}", self.path, self.page));
        let path = form.attr("action").unwrap_or(&self.path).to_owned();
        let method = if form.attr("method") == Some("post") { Method::POST } else { Method::GET };
        let mut values = defaults(form);
        let pressed = form.select(&selector("button")).find(|this| text_of(*this) == button).expect("it");
        if let Some(name) = pressed.attr("name") {
            values.insert(name.to_owned(), pressed.attr("value").unwrap_or_default().to_owned());
        }
        let filled = std::mem::take(&mut self.filled);
        let is_query = method == Method::GET;
        let request = self.request(method, &path);
        let request = if form.attr("enctype") == Some("multipart/form-data") {
            request.multipart(multipart(form, values, filled))
        } else {
            for (name, value) in filled {
                let Value::Text(text) = value else { panic!("a file in a plain form") };
                let fields = format!("[name=\"{name}\"]");
                let is_inside = form.select(&selector(&fields)).next().is_some();
                assert!(is_inside, "the field {name} is in the form of “{button}” on {}", self.path);
                values.insert(name, text);
            }
            if is_query {
                let path = format!("{path}?{}", serde_urlencoded::to_string(&values).expect("a form"));
                return (self.request(Method::GET, &path), path);
            }
            request
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(serde_urlencoded::to_string(&values).expect("a form"))
        };
        (request, path)
    }

    /// The text that stands in the field of that label.
    pub fn written(&self, label: &str) -> String {
        let name = self.field(label);
        let page = Html::parse_document(&self.page.body);
        let field = page.select(&selector(&format!("[name={name}]"))).next().expect("a field");
        field.attr("value").map_or_else(|| text_of(field), str::to_owned)
    }

    /// What is said at the field of that label; checks that it is tied to it for screen readers.
    pub fn problem(&self, label: &str) -> String {
        let name = self.field(label);
        let page = Html::parse_document(&self.page.body);
        let field = page.select(&selector(&format!("[name={name}]"))).next().expect("a field");
        let Some(problem) = page.select(&selector(&format!("#{name}-problem"))).next() else {
            return String::new();
        };
        assert_eq!(field.attr("aria-invalid"), Some("true"));
        assert!(field.attr("aria-describedby").unwrap_or_default().contains(&format!("{name}-problem")));
        text_of(problem)
    }

    fn field(&self, label: &str) -> String {
        let page = Html::parse_document(&self.page.body);
        let label_of = page.select(&selector("label")).find(|this| text_of(*this) == label);
        let label = label_of.unwrap_or_else(|| panic!("a field “{label}” on {}: {}", self.path, self.page));
        let id = label.attr("for").expect("a label is for a field");
        let field = page.select(&selector(&format!("[id={id}]"))).next().expect("the field of the label");
        field.attr("name").expect("a field has a name").to_owned()
    }

    /// Follows a link by its text.
    pub async fn follow(&mut self, text: &str) -> &Page {
        let page = Html::parse_document(&self.page.body);
        let link = page.select(&selector("a")).find(|link| text_of(*link) == text);
        let link = link.unwrap_or_else(|| panic!("a link “{text}” on {}: {}", self.path, self.page));
        let to = link.attr("href").expect("a link leads somewhere").to_owned();
        drop(page);
        self.visit(&to).await
    }

    /// Asserts that a person reads this.
    #[track_caller]
    pub fn see(&self, text: &str) -> &Self {
        assert!(self.page.sees(text), "“{text}” on {}, which is {}", self.path, self.page);
        self
    }

    /// Asserts the status of the page.
    #[track_caller]
    pub fn status(&self, status: u16) -> &Self {
        assert_eq!(self.page.status, status, "{} is {}", self.path, self.page);
        self
    }

    pub async fn sign_up(&mut self, name: &str, address: &str, password: &str) -> &Page {
        self.visit("/auth/sign-up/user/").await;
        self.fill("Username", name).fill("Email address", address);
        self.fill("Password", password).fill("Repeat the password", password);
        self.press("Create account").await
    }

    pub async fn sign_in(&mut self, name: &str, password: &str) -> &Page {
        self.sign_in_at("/auth/sign-in/user/", name, password).await
    }

    pub async fn sign_in_at(&mut self, door: &str, name: &str, password: &str) -> &Page {
        self.visit(door).await;
        self.fill("Username or email address", name).fill("Password", password).press("Sign in").await
    }

    /// Changes one's password on the profile.
    pub async fn change_password(&mut self, current: &str, new: &str) -> &Page {
        self.visit("/user-profile/update-password/").await;
        self.fill("Current password", current);
        self.fill("New password", new).fill("Repeat the new password", new);
        self.press("Change password").await
    }

    /// Whether this browser is signed in.
    pub async fn is_signed_in(&mut self) -> bool {
        self.visit("/user-profile/").await;
        self.path.starts_with("/user-profile/") && self.page.status == 200
    }
}

fn defaults(form: ElementRef<'_>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for field in form.select(&selector("input[name], textarea[name], select[name]")) {
        let name = field.attr("name").unwrap_or_default().to_owned();
        match field.attr("type") {
            Some("checkbox" | "radio") if field.attr("checked").is_none() => {}
            Some("file") => {}
            _ if field.value().name() == "select" => {
                let options: Vec<_> = field.select(&selector("option")).collect();
                let chosen = options.iter().find(|option| option.attr("selected").is_some());
                let chosen = chosen.or(options.first()).and_then(|option| option.attr("value"));
                drop(values.insert(name, chosen.unwrap_or_default().to_owned()));
            }
            _ if field.value().name() == "textarea" => drop(values.insert(name, field.text().collect())),
            _ => drop(values.insert(name, field.attr("value").unwrap_or_default().to_owned())),
        }
    }
    values
}

fn multipart(
    form: ElementRef<'_>,
    values: BTreeMap<String, String>,
    mut filled: BTreeMap<String, Value>,
) -> Form {
    // As browsers do: a file field without a file is sent as an empty one.
    for field in form.select(&selector("input[type=file]")) {
        let name = field.attr("name").unwrap_or_default().to_owned();
        let kind = "application/octet-stream".to_owned();
        filled.entry(name).or_insert(Value::File { name: String::new(), kind, bytes: Vec::new() });
    }
    let texts = values.into_iter().fold(Form::new(), |form, (name, value)| form.text(name, value));
    filled.into_iter().fold(texts, |form, (field, value)| match value {
        Value::Text(text) => form.text(field, text),
        Value::File { name, kind, bytes } => {
            form.part(field, Part::bytes(bytes).file_name(name).mime_str(&kind).expect("a media type"))
        }
    })
}

fn text_of(element: ElementRef<'_>) -> String {
    element.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn selector(css: &str) -> Selector {
    Selector::parse(css).expect("a selector")
}
