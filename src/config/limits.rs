//! `RATE_LIMITS` and `LIMITS_…`: how often things may be done.

use std::str::FromStr;
use std::time::Duration;

use super::reader::Reader;

/// `RATE_LIMITS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimits {
    On,
    Off,
}

/// A bucket of `burst` tokens that gets one back every `step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens in a full bucket.
    pub burst: u32,
    /// Time to get one token back.
    pub step: Duration,
}

/// In place of a rate that cannot be read, so that there is never none.
const STRICT: Rate = Rate { burst: 1, step: Duration::from_secs(60) };

/// The list of all limits: the name of each, the setting that changes it, and its usual rate.
macro_rules! limits {
    ($($(#[$about:meta])* $limit:ident: $name:literal, $setting:literal, $usual:literal;)+) => {
        /// What is limited.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Limit { $($(#[$about])* $limit),+ }

        impl Limit {
            const ALL: &[Self] = &[$(Self::$limit),+];

            /// Names its buckets.
            pub fn name(self) -> &'static str {
                match self { $(Self::$limit => $name),+ }
            }

            fn setting(self) -> &'static str {
                match self { $(Self::$limit => $setting),+ }
            }

            fn usual(self) -> &'static str {
                match self { $(Self::$limit => $usual),+ }
            }
        }
    };
}

limits! {
    /// Wrong passwords for one name or address, as typed: what is counted for one spelling says nothing about another.
    SignIn: "sign-in", "LIMITS_SIGN_IN", "1/minute burst 5";
    /// Wrong passwords on a device that was signed in before: strangers cannot use it up.
    SignInDevice: "sign-in-device", "LIMITS_SIGN_IN_DEVICE", "1/minute burst 5";
    /// Wrong passwords from one network.
    SignInNetwork: "sign-in-network", "LIMITS_SIGN_IN_NETWORK", "60/hour burst 20";
    /// Different names and addresses that one network fails at.
    SignInSpread: "sign-in-spread", "LIMITS_SIGN_IN_SPREAD", "15/hour";
    /// Whether this network failed at this name within the hour.
    SignInPair: "sign-in-pair", "LIMITS_SIGN_IN_PAIR", "1/hour";
    /// Wrong passwords of somebody signed in, for one session.
    Confirm: "confirm", "LIMITS_CONFIRM", "1/minute burst 5";
    /// Wrong codes of authenticators at one account, under one password: a new password starts again.
    Factor: "factor", "LIMITS_FACTOR", "10/hour";
    /// The same on a device that was signed in before: strangers cannot use it up.
    FactorDevice: "factor-device", "LIMITS_FACTOR_DEVICE", "10/hour";
    /// Sign-ups from one network.
    SignUp: "sign-up", "LIMITS_SIGN_UP", "10/hour";
    /// Codes, wrong passwords and resends for one sign-up or one change of address.
    Code: "code", "LIMITS_CODE", "120/hour burst 60";
    /// Changes of address that one account begins; a network may begin four times as many.
    ChangeEmail: "change-email", "LIMITS_CHANGE_EMAIL", "10/day burst 5";
    /// Forgotten passwords from one network.
    Recovery: "recovery", "LIMITS_RECOVERY", "20/hour";
    /// Codes to sign in with that one network asks for.
    SignInCode: "sign-in-code", "LIMITS_SIGN_IN_CODE", "20/hour";
    /// Wrong ones for one address, from devices that it never signed in on.
    SignInCodeWrong: "sign-in-code-wrong", "LIMITS_SIGN_IN_CODE_WRONG", "10/day";
    /// Uses of one link that was mailed.
    Link: "link", "LIMITS_LINK", "20/hour";
    /// Uploads of one account.
    Picture: "picture", "LIMITS_PICTURE", "20/hour";
    /// Copies of their data that one account takes.
    Download: "download", "LIMITS_DOWNLOAD", "10/day burst 5";
    /// Requests of one browser to one application, on one instance. None count by address: all come from the proxy.
    Application: "application", "LIMITS_APPLICATION", "6000/minute burst 3000";
    /// Everything from one network. Never in Redis: it would cost each request a trip.
    Everything: "everything", "LIMITS_EVERYTHING", "600/minute";
}

/// How often things may be done.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// Off only for a load test.
    pub mode: RateLimits,
    rates: Vec<(Limit, Rate)>,
}

impl LimitsConfig {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let mode = if read.flag("RATE_LIMITS", true) { RateLimits::On } else { RateLimits::Off };
        if mode == RateLimits::Off {
            read.warn("RATE_LIMITS is off: nothing slows down password guessing");
        }
        let form = "a rate like 10/hour or '60/hour burst 20'; units: second, minute, hour, day";
        let rates = Limit::ALL
            .iter()
            .map(|limit| {
                let given = read.parsed(limit.setting(), limit.usual(), form);
                (*limit, given.unwrap_or(STRICT))
            })
            .collect();
        Self { mode, rates }
    }

    /// How often something may be done.
    pub fn rate(&self, limit: Limit) -> Rate {
        self.rates.iter().find(|(known, _)| *known == limit).map_or(STRICT, |(_, rate)| *rate)
    }
}

impl FromStr for Rate {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split_whitespace();
        let (count, span) = words.next().and_then(|rate| rate.split_once('/')).ok_or(())?;
        let count: u32 = count.parse().ok().filter(|count| (1..=1_000_000).contains(count)).ok_or(())?;
        let span = Duration::from_secs(match span {
            "second" => 1,
            "minute" => 60,
            "hour" => 3600,
            "day" => 86_400,
            _ => return Err(()),
        });
        let burst = match (words.next(), words.next(), words.next()) {
            (None, None, None) => count,
            (Some("burst"), Some(burst), None) => burst.parse().map_err(|_| ())?,
            _ => return Err(()),
        };
        if !(1..=1_000_000).contains(&burst) {
            return Err(());
        }
        Ok(Self { burst, step: span / count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_said() {
        let rate = |burst, seconds| Ok(Rate { burst, step: Duration::from_secs(seconds) });
        assert_eq!("10/hour".parse(), rate(10, 360));
        assert_eq!("1/minute burst 5".parse(), rate(5, 60));
        assert_eq!("10/day  burst 2".parse(), rate(2, 8640));
        for bad in ["", "10", "0/hour", "-1/hour", "10/week", "10/hour burst", "10/hour burst 0", "10/hour 5"]
        {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        assert!(Limit::ALL.iter().all(|limit| limit.usual().parse::<Rate>().is_ok()));
    }
}
