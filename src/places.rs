//! Where an IP address is, roughly: by a database that the operator gives (`GEOIP_DATABASE`); without one nobody is placed.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use maxminddb::{MaxMindDbError, Reader, geoip2};

/// A database of places, in memory. Cheap to clone.
#[derive(Clone)]
pub struct Places(Arc<Reader<Vec<u8>>>);

impl Places {
    /// Reads a database in `MaxMind`'s format, of cities or of countries.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn open(file: &Path) -> Result<Self, MaxMindDbError> {
        Reader::open_readfile(file).map(|reader| Self(Arc::new(reader)))
    }

    /// Names the city and the country of an address, as far as they are known: `Berlin, Germany`.
    pub fn of(&self, ip: &str) -> Option<String> {
        let ip: IpAddr = ip.parse().ok()?;
        let found = self.0.lookup(ip).ok()?.decode::<geoip2::City<'_>>().ok()??;
        let names = [found.city.names.english, found.country.names.english];
        let place = names.into_iter().flatten().collect::<Vec<_>>().join(", ");
        Some(place).filter(|place| !place.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_placed_as_well_as_the_database_knows() {
        let places = Places::open(Path::new("tests/data/places.mmdb")).unwrap();
        for (ip, place) in [
            ("10.1.2.3", Some("Berlin, Germany")),
            ("203.0.113.9", Some("Japan")),
            ("2001:db8::1", Some("Lisbon, Portugal")),
            ("192.0.2.1", None),
            ("nonsense", None),
        ] {
            assert_eq!(places.of(ip).as_deref(), place, "{ip}");
        }
        assert!(
            Places::open(Path::new("Cargo.toml")).is_err() && Places::open(Path::new("/nowhere")).is_err()
        );
    }
}
