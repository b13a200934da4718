//! How somebody wants to see pages: their time zone and their theme.

use super::{Moment, Sentence, t};
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// A time zone of the IANA database, which is part of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A point in time as a clock on the wall shows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Local {
    pub year: i16,
    /// 1 to 12.
    pub month: usize,
    pub day: u32,
    /// `08:45`.
    pub time: String,
    /// `CET`, or `+05` where there is no word for it.
    pub zone: String,
}

impl Zone {
    /// The zone of whoever chose none.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Reads a name like `Europe/Berlin`.
    pub fn parse(name: &str) -> Option<Self> {
        if name == "UTC" { Some(Self::utc()) } else { TimeZoneDatabase::bundled().get(name).ok().map(Self) }
    }

    /// Lists the names that are offered: a place each, and UTC first.
    pub fn names() -> Vec<String> {
        let places = [
            "Africa/",
            "America/",
            "Antarctica/",
            "Asia/",
            "Atlantic/",
            "Australia/",
            "Europe/",
            "Indian/",
            "Pacific/",
        ];
        let is_place = |name: &String| places.iter().any(|place| name.starts_with(place));
        let all = TimeZoneDatabase::bundled();
        let names = all.available().map(|name| name.to_string()).filter(is_place);
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names.insert(0, "UTC".to_owned());
        names
    }

    /// Its name in the database.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Shows a point in time as clocks there do.
    pub fn local(&self, moment: Moment) -> Local {
        let at = jiff::Timestamp::from_microsecond(moment.micros()).unwrap_or_default();
        let info = self.0.to_offset_info(at);
        let wall = at.to_zoned_datetime(self.0.clone());
        // Zones without letters of their own are numbers, which would read like a sum.
        let abbreviation = match info.abbreviation() {
            number if number.starts_with(['+', '-']) => format!("UTC{number}"),
            letters => letters.to_owned(),
        };
        Local {
            year: wall.year(),
            month: usize::from(wall.month().unsigned_abs()),
            day: wall.day().unsigned_abs().into(),
            time: format!("{:02}:{:02}", wall.hour(), wall.minute()),
            zone: abbreviation,
        }
    }
}

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system has it.
    #[default]
    System,
    Light,
    Dark,
    /// Black on white, or white on black.
    Contrast,
}

impl Theme {
    /// All of them, in the order of a list.
    pub const ALL: [Self; 4] = [Self::System, Self::Light, Self::Dark, Self::Contrast];

    /// Its word in forms and in the database.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
            Self::Contrast => "contrast",
        }
    }

    /// What it is called on a page.
    pub fn name(self) -> Sentence {
        match self {
            Self::System => t("Same as your device"),
            Self::Light => t("Light"),
            Self::Dark => t("Dark"),
            Self::Contrast => t("High contrast"),
        }
    }

    /// Reads its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn clocks_differ_by_zone_and_season() {
        let shown = |zone: &str, at: OffsetDateTime| {
            let local = Zone::parse(zone).unwrap().local(Moment::new(at));
            format!("{} {} {} {} {}", local.day, local.month, local.year, local.time, local.zone)
        };
        let (winter, summer) = (datetime!(2026-01-15 23:30 UTC), datetime!(2026-07-15 23:30 UTC));
        assert_eq!(shown("UTC", winter), "15 1 2026 23:30 UTC");
        assert_eq!(shown("Europe/Berlin", winter), "16 1 2026 00:30 CET");
        assert_eq!(shown("Europe/Berlin", summer), "16 7 2026 01:30 CEST");
        assert_eq!(shown("Asia/Kolkata", summer), "16 7 2026 05:00 IST");
    }

    #[test]
    fn only_zones_that_exist_are_taken() {
        for bad in ["", "Mars/Olympus", "../etc/passwd", "Europe"] {
            assert!(Zone::parse(bad).is_none(), "{bad}");
        }
        let names = Zone::names();
        assert_eq!(names.first().map(String::as_str), Some("UTC"));
        assert!(names.len() > 200 && names.iter().all(|name| Zone::parse(name).is_some()));
    }
}
