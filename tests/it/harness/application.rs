//! A browser at an application, by way of a proxy that asks us for each of its requests.

use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder};

use super::Visitor;
use super::site::Site;

/// What we answer the proxy.
#[derive(Debug)]
pub struct Said {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Said {
    /// A header of the answer; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| std::str::from_utf8(value.as_bytes()).expect("UTF-8"));
        value.unwrap_or_default()
    }

    pub fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }
}

/// A browser, as far as one application sees it.
#[derive(Clone)]
pub struct AtApplication {
    pub site: String,
    pub host: &'static str,
    /// The application's cookie, with its name.
    pub cookie: String,
    pub client: Client,
}

impl AtApplication {
    pub fn new(site: &Site, host: &'static str) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Self { site: site.url.clone(), host, cookie: String::new(), client }
    }

    /// The same browser, whose proxy asks another instance from now on.
    pub fn at(&self, instance: &Site) -> Self {
        Self { site: instance.url.clone(), ..self.clone() }
    }

    /// What a proxy asks about a request of this browser.
    pub fn asking(&self, method: &str, path: &str) -> RequestBuilder {
        let request = self
            .client
            .get(format!("{}/forward-auth", self.site))
            .header("X-Forwarded-For", "10.200.0.7")
            .header("X-Forwarded-Method", method)
            .header("X-Forwarded-Proto", "https")
            .header("X-Forwarded-Host", self.host)
            .header("X-Forwarded-Uri", path);
        if self.cookie.is_empty() { request } else { request.header(COOKIE, &self.cookie) }
    }

    /// Sends it, and keeps the cookie of the answer.
    pub async fn send(&mut self, request: RequestBuilder) -> Said {
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["vary"], "Cookie");
        let cookies: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert!(cookies.len() < 2, "one cookie at most: {cookies:?}");
        if let Some(line) = cookies.first() {
            let line = line.to_str().expect("text");
            for needed in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(line.split("; ").any(|part| part == needed), "{line}");
            }
            assert!(!line.contains("Domain"), "{line}");
            line.split(';').next().expect("a cookie").clone_into(&mut self.cookie);
        }
        let body = answer.text().await.expect("a whole answer");
        Said { status, headers, body }
    }

    /// Goes to a page, as a person does.
    pub async fn visit(&mut self, path: &str) -> Said {
        let request = self.asking("GET", path).header("Sec-Fetch-Mode", "navigate");
        self.send(request).await
    }

    /// Loads a part of a page, as a script does.
    pub async fn fetch(&mut self, path: &str) -> Said {
        let request = self.asking("GET", path).header("Sec-Fetch-Mode", "cors");
        self.send(request).await
    }

    /// Whether this browser may use the application now.
    pub async fn is_in(&mut self) -> bool {
        self.fetch("/").await.status == 200
    }

    /// Goes to a page with somebody who is signed in, by way of our site, and returns what we say in the end.
    pub async fn open(&mut self, visitor: &mut Visitor, path: &str) -> Said {
        let asked = self.visit(path).await;
        let with_ticket = self.ticket(visitor, &asked).await;
        let entered = self.visit(&with_ticket).await;
        assert_eq!(
            (entered.status, entered.location()),
            (302, format!("https://{}{path}", self.host).as_str())
        );
        self.visit(path).await
    }

    /// The path with a ticket that our site leads to, after [`Self::visit`] led there.
    pub async fn ticket(&self, visitor: &mut Visitor, asked: &Said) -> String {
        assert_eq!(asked.status, 302, "{asked:?}");
        visitor.visit(asked.location()).await;
        self.led_on(visitor)
    }

    /// Where the page of our site leads that is in front of somebody: a path of the application.
    pub fn led_on(&self, visitor: &Visitor) -> String {
        let page = scraper::Html::parse_document(&visitor.page().body);
        let selector = scraper::Selector::parse("meta[http-equiv=refresh]").expect("a selector");
        let meta = page.select(&selector).next();
        let content =
            meta.and_then(|meta| meta.attr("content")).unwrap_or_else(|| panic!("{}", visitor.page()));
        let url = content.strip_prefix("0;url=").expect("at once");
        url.strip_prefix(&format!("https://{}", self.host)).expect("the application").to_owned()
    }
}
