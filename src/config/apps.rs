//! `APPS`: the applications that people reach by signing in here, in the setting itself or in a file that it names.

mod page;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::Deserialize;

use super::brand::Logo;
use super::origin::PublicUrl;
use super::reader::Reader;
use crate::identity::{Role, visible_line};
pub use page::{AppPage, ticket_in};

/// An application at a host of its own.
#[derive(Debug, Clone)]
pub struct Application {
    /// As browsers name it: with its port where that is not 443.
    pub host: String,
    pub name: String,
    pub icon: Option<Logo>,
    /// Who may open it.
    pub roles: Vec<Role>,
    /// How old the password may be that was last given.
    pub password_within: Option<Duration>,
    /// Whether only those may open it who signed in with a second step.
    pub needs_factor: bool,
    /// Raised to replace the secret that it asks with.
    pub secret_number: u32,
}

impl Application {
    /// Its start page.
    pub fn url(&self) -> String {
        format!("https://{}/", self.host)
    }

    /// Whether it is open to a role.
    pub fn is_for(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// All applications, found by their exact hosts.
#[derive(Debug, Clone, Default)]
pub struct Applications {
    all: Vec<Application>,
    by_host: HashMap<String, usize>,
}

impl Applications {
    /// Iterates over them, in the order of the setting.
    pub fn iter(&self) -> impl Iterator<Item = &Application> {
        self.all.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Finds the application at exactly this host.
    pub fn at(&self, host: &str) -> Option<&Application> {
        // Some proxies name the usual port, too.
        let host = host.strip_suffix(":443").unwrap_or(host);
        self.all.get(*self.by_host.get(host)?)
    }

    pub(super) fn read(read: &mut Reader<'_>, public_url: &PublicUrl) -> Self {
        let text = read.text("APPS", "");
        let entries = if text.trim().to_ascii_lowercase().ends_with(".toml") && !text.contains("://") {
            read_file(text.trim())
        } else {
            read_list(&text)
        };
        let entries = entries.unwrap_or_else(|why| {
            read.mistake("APPS", &why);
            Vec::new()
        });
        let mut apps = Self::default();
        for (number, entry) in (1..).zip(entries) {
            let application = entry.parse(public_url).and_then(|application| {
                let is_new = apps.by_host.insert(application.host.clone(), apps.all.len()).is_none();
                if is_new { Ok(application) } else { Err("has the same host as an earlier entry".to_owned()) }
            });
            match application {
                Ok(application) => apps.all.push(application),
                Err(why) => read.mistake("APPS", &format!("entry {number} {why}")),
            }
        }
        apps.warn_of_shared_names(read);
        apps
    }

    /// Cookies know no port.
    fn warn_of_shared_names(&self, read: &mut Reader<'_>) {
        let mut names = BTreeSet::new();
        let name =
            |app: &Application| app.host.rsplit_once(':').map_or(&*app.host, |(name, _)| name).to_owned();
        if !self.iter().all(|app| names.insert(name(app))) {
            read.warn("APPS has two applications at different ports of one host: browsers keep one cookie for both, so opening one signs people out of the other. Use a different host for each");
        }
    }
}

/// An application as it is given.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    url: String,
    #[serde(default)]
    roles: Vec<String>,
    name: Option<String>,
    icon: Option<String>,
    password_within: Option<u32>,
    #[serde(default)]
    factor: bool,
    secret_number: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    app: Vec<Entry>,
}

fn read_file(path: &str) -> Result<Vec<Entry>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("names a file that can't be read: {}", error.kind()))?;
    let file: File = toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!(
            "names a file with a mistake on line {}: {}",
            before.matches('\n').count() + 1,
            error.message()
        )
    })?;
    Ok(file.app)
}

/// Reads `URL role role name="…"; URL role`.
fn read_list(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for (number, words) in (1..).zip(split(text)?.into_iter().filter(|words| !words.is_empty())) {
        let mut words = words.into_iter();
        let mut entry = Entry { url: words.next().unwrap_or_default(), ..Entry::default() };
        for word in words {
            let Some((key, value)) = word.split_once('=') else {
                match word.as_str() {
                    "factor" => entry.factor = true,
                    _ => entry.roles.push(word),
                }
                continue;
            };
            let number_given =
                || value.parse().map(Some).map_err(|_| format!("entry {number} needs a number after {key}="));
            match key {
                "name" => entry.name = Some(value.to_owned()),
                "icon" => entry.icon = Some(value.to_owned()),
                "password_within" => entry.password_within = number_given()?,
                "secret_number" => entry.secret_number = number_given()?,
                _ => {
                    return Err(format!(
                        "entry {number} has an unknown option; use name, icon, password_within, factor or secret_number"
                    ));
                }
            }
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Splits at semicolons into entries, and at blanks into words; quotation marks hold a word together.
fn split(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut entries = vec![Vec::new()];
    let mut word = String::new();
    let mut is_quoted = false;
    for character in text.chars().chain([';']) {
        match character {
            '"' => is_quoted = !is_quoted,
            ';' | ' ' | '\t' | '\n' | '\r' if !is_quoted => {
                if let Some(entry) = entries.last_mut().filter(|_| !word.is_empty()) {
                    entry.push(std::mem::take(&mut word));
                }
                if character == ';' {
                    entries.push(Vec::new());
                }
            }
            _ => word.push(character),
        }
    }
    if is_quoted { Err("has a quotation mark that isn't closed".to_owned()) } else { Ok(entries) }
}

impl Entry {
    fn parse(self, public_url: &PublicUrl) -> Result<Application, String> {
        let url = PublicUrl::parse_application(&self.url)
            .ok_or("must begin with a URL like https://wiki.example.org, without a path")?;
        if url.host() == public_url.host() {
            return Err("must use a different host from PUBLIC_URL, or they would share cookies".to_owned());
        }
        let roles: Option<Vec<Role>> = self.roles.iter().map(|role| Role::parse(role)).collect();
        let roles = roles.filter(|roles| !roles.is_empty());
        let name = visible_line(&self.name.unwrap_or_else(|| url.host().to_owned())).trim().to_owned();
        if name.is_empty() || name.chars().count() > MAX_NAME {
            return Err(format!("must have a name of 1 to {MAX_NAME} characters"));
        }
        let minutes =
            self.password_within.map(|minutes| (1..=MAX_MINUTES).contains(&minutes).then_some(minutes));
        let minutes = minutes.map(|valid| valid.ok_or("must have a password_within of 1 to 1440 minutes"));
        Ok(Application {
            host: url.origin().trim_start_matches("https://").to_owned(),
            name,
            icon: self
                .icon
                .map(|path| Logo::read(&path).map_err(|why| format!("has an icon that {why}")))
                .transpose()?,
            roles: roles.ok_or("must name one or more roles: user, merchant, staff, superuser")?,
            password_within: minutes.transpose()?.map(|minutes| Duration::from_secs(60 * u64::from(minutes))),
            needs_factor: self.factor,
            secret_number: self.secret_number.unwrap_or(1),
        })
    }
}

/// The longest name, in characters: it stands on buttons.
const MAX_NAME: usize = 40;
/// A day.
const MAX_MINUTES: u32 = 1440;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn apps(value: &str) -> Result<Applications, String> {
        let given = |name: &str| match name {
            "SECRET_KEY" => Some("0123456789".repeat(6)),
            "PUBLIC_URL" => Some("https://accounts.example.org".to_owned()),
            "APPS" => Some(value.to_owned()),
            _ => None,
        };
        Config::from_lookup(&given).map(|config| config.applications).map_err(|errors| errors.to_string())
    }

    #[test]
    fn applications_are_listed_in_the_setting() {
        let apps = apps("https://wiki.example.org user merchant; https://Ops.Example.org:8443/ staff superuser name=\"The; ops\" password_within=10 secret_number=2;").unwrap();
        let all: Vec<_> = apps.iter().collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].host.as_str(), all[0].name.as_str()), ("wiki.example.org", "wiki.example.org"));
        assert_eq!(all[0].roles, [Role::User, Role::Merchant]);
        assert_eq!((all[1].host.as_str(), all[1].name.as_str()), ("ops.example.org:8443", "The; ops"));
        assert_eq!((all[1].password_within, all[1].secret_number), (Some(Duration::from_secs(600)), 2));
        assert!(apps.at("wiki.example.org").is_some() && apps.at("wiki.example.org:443").is_some());
        for other in [
            "",
            "WIKI.example.org",
            "wiki.example.org:80",
            "wiki.example.org.",
            "evilwiki.example.org",
            "example.org",
        ] {
            assert!(apps.at(other).is_none(), "{other}");
        }
        assert!(super::Applications::default().is_empty() && self::apps("").unwrap().is_empty());
    }

    #[test]
    fn many_applications_stand_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("apps.toml");
        let value = file.display().to_string();
        let one = "[[app]]\nurl = \"https://wiki.example.org\"\nroles = [\"user\"]\nname = \"Wiki\"\n";
        std::fs::write(&file, one).unwrap();
        assert_eq!(apps(&value).unwrap().at("wiki.example.org").unwrap().name, "Wiki");
        std::fs::write(&file, format!("{one}rolls = []\n")).unwrap();
        let mistake = apps(&value).unwrap_err();
        assert!(mistake.contains("on line 5: unknown field `rolls`"), "{mistake}");
        assert!(apps("nowhere.toml").unwrap_err().contains("can't be read"));
    }

    #[test]
    fn mistakes_are_told_by_the_number_of_the_entry() {
        for (value, expected) in [
            ("http://wiki.example.org user", "entry 1 must begin with a URL"),
            ("https://wiki.example.org/a user", "entry 1 must begin with a URL"),
            ("user https://wiki.example.org", "entry 1 must begin with a URL"),
            ("https://a.example.org user; https://b.example.org", "entry 2 must name one or more roles"),
            ("https://a.example.org users", "entry 1 must name one or more roles"),
            ("https://a.example.org user; https://a.example.org:443 staff", "entry 2 has the same host"),
            ("https://accounts.example.org user", "entry 1 must use a different host"),
            ("https://accounts.example.org:8443 user", "entry 1 must use a different host"),
            ("https://a.example.org user password_within=0", "entry 1 must have a password_within of"),
            ("https://a.example.org user password_within=soon", "entry 1 needs a number"),
            ("https://a.example.org user color=red", "entry 1 has an unknown option"),
            ("https://a.example.org user icon=/nowhere.svg", "entry 1 has an icon that can't be read"),
            ("https://a.example.org user name=\"a", "isn't closed"),
            ("https://a.example.org user name=\"\"", "entry 1 must have a name"),
        ] {
            let mistake = apps(value).unwrap_err();
            assert!(mistake.starts_with("APPS") && mistake.contains(expected), "{value}: {mistake}");
        }
    }
}
