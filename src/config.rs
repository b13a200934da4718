//! The settings: read once at the start from a lookup function, all mistakes reported at once.
//!
//! No part of the program reads the environment for itself. Secrets are kept in types whose `Debug` hides them.

mod apps;
mod brand;
mod database;
mod given;
mod lifecycle;
mod limits;
mod log;
mod mail;
mod media;
mod network;
mod origin;
mod reader;
mod redis;
mod two_factor;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

pub use apps::{AppPage, Application, Applications, ticket_in};
pub use brand::{Brand, FooterLink, Logo, LogoKind, Palette, Shades, Support};
pub use database::{Backend, DatabaseConfig, THREADS_PER_WORKER};
pub use given::Given;
pub use lifecycle::{Dormancy, DormantAction, LifecycleConfig, Privacy};
pub use limits::{Limit, LimitsConfig, Rate, RateLimits};
pub use log::LogFormat;
pub use mail::{MailConfig, Sender, Smtp, SmtpSecurity, TransportKind};
pub use media::{BucketConfig, MediaConfig};
pub use network::{AllowedHost, Listen};
pub use origin::PublicUrl;
pub use reader::Errors;
use reader::Reader;
pub use redis::{RedisConfig, RedisPlace};
pub use two_factor::TwoFactorConfig;

use crate::identity::PasswordRules;

/// Everything that an operator can choose. The order is that of `.env.example`.
#[derive(Debug, Clone)]
pub struct Config {
    /// All keys are derived from the first; what the others made is accepted.
    pub secret_keys: Vec<SecretString>,
    /// `/dev/mail/`, and unsafe settings only warned about.
    pub debug: bool,
    /// Where to listen.
    pub bind: Vec<Listen>,
    /// The origin of every link in a mail, and of the cross-site check.
    pub public_url: PublicUrl,
    /// Names that we answer to besides that of `PUBLIC_URL`.
    pub allowed_hosts: Vec<AllowedHost>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    pub database: DatabaseConfig,
    /// Sessions and limits; `None` keeps both in this process and its cookies.
    pub redis: Option<RedisConfig>,
    pub mail: MailConfig,
    /// The site's own name and face.
    pub brand: Brand,
    /// `GEOIP_DATABASE`: names places beside IP addresses.
    pub geoip_database: Option<PathBuf>,
    pub media: MediaConfig,
    /// How passwords are chosen and hashed.
    pub passwords: PasswordConfig,
    /// How long a code works.
    pub otp_lifetime: Duration,
    /// How long a reset link works.
    pub reset_lifetime: Duration,
    /// How long a session lasts.
    pub sessions: SessionConfig,
    /// How often things may be done.
    pub limits: LimitsConfig,
    /// Whether strangers may sign up.
    pub sign_up: SignUp,
    /// Whether people may sign in with a code that is emailed, instead of a password.
    pub sign_in_by_code: bool,
    /// From where the admin pages and the sign-in pages of staff may be used; empty: from anywhere.
    pub admin_networks: Vec<IpNet>,
    /// Front ends of other origins that may ask who is signed in.
    pub cors_allowed_origins: Vec<String>,
    /// What people reach by signing in here.
    pub applications: Applications,
    /// What keeps browsers on https, with an https origin.
    pub hsts: Option<String>,
    /// How long the audit log is kept.
    pub events_kept: Duration,
    pub lifecycle: LifecycleConfig,
    /// Who signs in with a second step.
    pub two_factor: TwoFactorConfig,
    /// What a log line looks like.
    pub log_format: LogFormat,
    /// What is allowed but unwise, reported at every start.
    pub warnings: Vec<String>,
}

/// `BCRYPT_COST`, `PASSWORD_MIN_LENGTH`, `PASSWORD_PEPPER`.
#[derive(Debug, Clone)]
pub struct PasswordConfig {
    /// bcrypt's work factor, 4–15.
    pub cost: u32,
    /// What is asked of a new password.
    pub rules: PasswordRules,
    /// Joined to the hash's key; empty when there is none.
    pub pepper: SecretString,
}

/// `SESSION_IDLE_SECONDS`, `SESSION_ABSOLUTE_SECONDS`.
#[derive(Debug, Clone, Copy)]
pub struct SessionConfig {
    /// How long it lasts without a request.
    pub idle: Duration,
    /// How long it lasts at most.
    pub absolute: Duration,
}

/// `SIGN_UP`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUp {
    Open,
    Closed,
}

/// Settings that hold a secret and may therefore come as `NAME_FILE`.
const SECRETS: [&str; 6] = [
    "SECRET_KEY",
    "DATABASE_URL",
    "REDIS_URL",
    "EMAIL_HOST_PASSWORD",
    "PASSWORD_PEPPER",
    "AWS_SECRET_ACCESS_KEY",
];

impl Config {
    /// The settings that `lookup` gives, defaults where it gives none.
    ///
    /// # Errors
    /// Every mistake, each with the name of its setting and never with its value.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, Errors> {
        let mut read = Reader::new(lookup);
        let config = Self::read(&mut read);
        Ok(Self { warnings: read.finish()?, ..config })
    }

    /// The settings that were given.
    ///
    /// # Errors
    /// Every mistake, each with the name of its setting and never with its value; also names that are no setting's.
    pub fn of(given: &Given) -> Result<Self, Errors> {
        let lookup = |name: &str| given.value(name);
        let mut read = Reader::new(&lookup);
        let config = Self::read(&mut read);
        read.compare_with(given);
        Ok(Self { warnings: read.finish()?, ..config })
    }

    fn read(read: &mut Reader<'_>) -> Self {
        log::check_filter(read);
        let debug = read.flag("DEBUG", false);
        let bind = network::listen(read);
        let public_url = PublicUrl::read(read, network::port(&bind));
        if debug && !public_url.is_local() {
            read.mistake("DEBUG", "must be off when PUBLIC_URL is not on this machine");
        }
        if debug && !bind.iter().all(Listen::is_local) {
            read.mistake("DEBUG", "must be off when other machines can reach BIND");
        }
        let trusted_proxies = network::trusted_proxies(read);
        let is_alone = trusted_proxies.is_empty() && bind.iter().any(|place| matches!(place, Listen::Tcp(_)));
        if public_url.is_https() && is_alone {
            read.warn("TRUSTED_PROXIES is empty but PUBLIC_URL is https: all visitors appear to come from your proxy and share one set of limits. Set it to the proxy's IP address");
        }
        let applications = Applications::read(read, &public_url);
        if !applications.is_empty() && is_alone {
            read.warn("APPS is set but TRUSTED_PROXIES is empty: /forward-auth refuses your proxies. Set TRUSTED_PROXIES to their IP addresses");
        }
        if debug {
            read.warn("DEBUG is on: every email can be read at /dev/mail/");
        }
        Self {
            secret_keys: secret_keys(read),
            debug,
            bind,
            allowed_hosts: network::allowed_hosts(read),
            trusted_proxies,
            database: DatabaseConfig::read(read),
            redis: RedisConfig::read(read),
            mail: MailConfig::read(read, &public_url),
            brand: Brand::read(read),
            geoip_database: Some(read.text("GEOIP_DATABASE", ""))
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            media: MediaConfig::read(read),
            passwords: passwords(read),
            otp_lifetime: Duration::from_secs(read.number("OTP_LIFETIME_SECONDS", 600, 60..=3600).into()),
            reset_lifetime: read.seconds("RESET_LIFETIME_SECONDS", 1200),
            sessions: sessions(read),
            limits: LimitsConfig::read(read),
            sign_up: read.one_of(
                "SIGN_UP",
                SignUp::Open,
                &[("open", SignUp::Open), ("closed", SignUp::Closed)],
            ),
            sign_in_by_code: read.flag("SIGN_IN_BY_CODE", false),
            admin_networks: network::networks(read, "ADMIN_NETWORKS"),
            cors_allowed_origins: network::cors_origins(read, &public_url),
            applications,
            hsts: network::hsts(read),
            events_kept: read.days("EVENTS_KEEP_DAYS", 400),
            lifecycle: LifecycleConfig::read(read),
            two_factor: TwoFactorConfig::read(read, &public_url),
            log_format: LogFormat::read(read),
            public_url,
            warnings: Vec::new(),
        }
    }

    /// Whether this Host header, with or without port, names us.
    pub fn answers_to(&self, host: &str) -> bool {
        let Some(name) = origin::host_name(host) else { return false };
        // Every mail links to it.
        let is_own = name == self.public_url.host();
        let is_this_machine = self.public_url.is_local() && origin::is_loopback(&name);
        is_own || is_this_machine || self.allowed_hosts.iter().any(|host| host.fits(&name))
    }

    /// Whether the admin pages, and the sign-in of those who see them, are open to that IP address.
    pub fn admits_admins_from(&self, ip: IpAddr) -> bool {
        self.admin_networks.is_empty() || self.admin_networks.iter().any(|network| network.contains(&ip))
    }

    /// The name of a cookie: with `__Host-` a browser takes it only over TLS and from this very host. Cookies know no port: where
    /// it is not the usual one, a neighbour's site may stand at that, and each has names of its own.
    pub fn cookie_name(&self, name: &str) -> String {
        match (self.public_url.is_https(), self.public_url.port()) {
            (true, 443) => format!("{HOST_ONLY}{name}"),
            (true, port) => format!("{HOST_ONLY}{name}-{port}"),
            (false, _) => name.to_owned(),
        }
    }

    /// The other way: what a cookie of that name is called here, if it is one of ours.
    pub fn cookie_called<'a>(&self, name: &'a str) -> Option<&'a str> {
        match (self.public_url.is_https(), self.public_url.port()) {
            (true, 443) => name.strip_prefix(HOST_ONLY),
            (true, port) => name.strip_prefix(HOST_ONLY)?.strip_suffix(&format!("-{port}")),
            (false, _) => Some(name),
        }
    }
}

const HOST_ONLY: &str = "__Host-";

fn sessions(read: &mut Reader<'_>) -> SessionConfig {
    let idle = read.seconds("SESSION_IDLE_SECONDS", 3600);
    let absolute = read.seconds("SESSION_ABSOLUTE_SECONDS", 86_400);
    if idle > absolute {
        read.warn("SESSION_IDLE_SECONDS is longer than SESSION_ABSOLUTE_SECONDS, so the shorter one applies");
    }
    SessionConfig { idle, absolute }
}

/// Fewer different characters than a random key ever has.
const MIN_DIFFERENT: usize = 12;

fn secret_keys(read: &mut Reader<'_>) -> Vec<SecretString> {
    let keys = read.list("SECRET_KEY");
    if keys.is_empty() {
        read.mistake("SECRET_KEY", "isn't set. Add it to the environment or to .env in this folder; to make one: openssl rand -base64 48");
    } else if keys
        .iter()
        .any(|key| key.chars().count() < 50 || key.contains(|c: char| c.is_whitespace() || c.is_control()))
    {
        read.mistake(
            "SECRET_KEY",
            "must be at least 50 characters, without spaces or commas; older keys may follow, separated by commas",
        );
    } else if keys.iter().any(|key| key.starts_with("change-me")) {
        read.mistake("SECRET_KEY", "is still the example; make one with: openssl rand -base64 48");
    }
    let is_weak = |key: &String| key.chars().collect::<BTreeSet<_>>().len() < MIN_DIFFERENT;
    if keys.iter().any(is_weak) {
        read.warn("SECRET_KEY repeats the same few characters, so it's easy to guess; to make one: openssl rand -base64 48");
    }
    keys.into_iter().map(SecretString::from).collect()
}

fn passwords(read: &mut Reader<'_>) -> PasswordConfig {
    let cost = read.number("BCRYPT_COST", 12, 4..=15);
    if cost < 10 {
        read.warn("BCRYPT_COST is under 10: passwords in a stolen database could be guessed quickly");
    }
    PasswordConfig {
        cost,
        rules: PasswordRules { min_length: read.number("PASSWORD_MIN_LENGTH", 8, 8..=64) as usize },
        pepper: read.text("PASSWORD_PEPPER", "").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settings: &[(&str, &str)]) -> Result<Config, Errors> {
        let with_key = [("SECRET_KEY", "0123456789012345678901234567890123456789012345678901234567890123")];
        let all: Vec<_> =
            settings.iter().chain(&with_key).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Config::from_lookup(&move |name| {
            all.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn defaults_serve_this_machine() {
        let config = config(&[]).unwrap();
        assert_eq!(config.public_url.origin(), "http://localhost:8000");
        assert!(
            config.answers_to("localhost:8000")
                && config.answers_to("127.0.0.1")
                && config.answers_to("[::1]:8000")
        );
        assert!(!config.answers_to("evil.example") && !config.answers_to("localhost@evil.example"));
        assert_eq!(config.cookie_name("latchkey"), "latchkey");
    }

    #[test]
    fn every_mistake_is_reported_at_once_and_no_value_with_it() {
        let mistakes = config(&[
            ("SECRET_KEY", "hunter2"),
            ("BIND", "hunter2"),
            ("BCRYPT_COST", "hunter2"),
            ("DEBUG", "hunter2"),
            ("EMAIL_BACKEND", "hunter2"),
        ])
        .unwrap_err()
        .to_string();
        for name in ["SECRET_KEY", "BIND", "BCRYPT_COST", "DEBUG", "EMAIL_BACKEND"] {
            assert!(mistakes.contains(name), "{name} in {mistakes}");
        }
        assert!(!mistakes.contains("hunter2"), "{mistakes}");
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        assert!(config(&[("PUBLIC_URL", "http://example.org")]).is_err());
        assert!(config(&[("PUBLIC_URL", "http://127.0.0.9:80")]).is_ok());
        assert!(config(&[("PUBLIC_URL", "https://example.org/path")]).is_err());
        let public = config(&[("PUBLIC_URL", "https://Accounts.Example.org/")]).unwrap();
        assert_eq!(public.public_url.origin(), "https://accounts.example.org");
        assert_eq!(public.cookie_name("latchkey"), "__Host-latchkey");
        assert!(public.answers_to("accounts.example.org:443") && !public.answers_to("localhost"));
        assert!(config(&[("PUBLIC_URL", "https://example.org"), ("DEBUG", "on")]).is_err());
        assert!(config(&[("BIND", "0.0.0.0:8000"), ("DEBUG", "on")]).is_err());
    }

    #[test]
    fn sites_at_two_ports_of_one_host_have_cookies_of_their_own() {
        let name = |url: &str| {
            let given = |name: &str| match name {
                "SECRET_KEY" => Some("k".repeat(64)),
                "PUBLIC_URL" => Some(url.to_owned()),
                _ => None,
            };
            Config::from_lookup(&given).unwrap().cookie_name("latchkey")
        };
        assert_eq!(name("https://a.example.org"), "__Host-latchkey");
        assert_eq!(name("https://a.example.org:8443"), "__Host-latchkey-8443");
        assert_eq!(name("http://localhost:8000"), "latchkey");
    }

    #[test]
    fn debug_output_hides_secrets() {
        let config = config(&[("PASSWORD_PEPPER", "hunter2"), ("EMAIL_HOST_PASSWORD", "hunter2")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
