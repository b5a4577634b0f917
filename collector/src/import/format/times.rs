//! When a request happened, in all the forms that logs write.

use super::LineError;
use crate::time::UnixMillis;
use jiff::{
    civil::DateTime,
    fmt::strtime,
    tz::{Offset, TimeZone},
};

/// How a time is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TimeForm {
    /// `10/Oct/2000:13:55:36 -0700`, NCSA's.
    Common,
    /// `06/Feb/2009:12:14:14.655`, HAProxy's, in a zone that the log doesn't say.
    CommonWithoutZone,
    /// ISO 8601 or RFC 3339; without an offset in a zone that the log doesn't say.
    Iso,
    /// Unix time; seconds with or without fraction, milliseconds, microseconds or nanoseconds, told by their size.
    Unix,
    /// By strftime's directives.
    Strftime(String),
    /// Whichever of the forms above but the last fits: JSON and labelled logs don't say.
    Any,
}

impl TimeForm {
    pub(super) const ANY: &'static Self = &Self::Any;
    pub(super) const COMMON: &'static Self = &Self::Common;
    pub(super) const ISO: &'static Self = &Self::Iso;
}

/// Reads a time; `zone` is that of times that don't say theirs.
///
/// # Errors
/// [`LineError::Time`].
pub(super) fn read(text: &str, form: &TimeForm, zone: &TimeZone) -> Result<UnixMillis, LineError> {
    let text = text.trim();
    match form {
        TimeForm::Common => common(text),
        TimeForm::CommonWithoutZone => by_directives("%d/%b/%Y:%H:%M:%S%.f", text, zone),
        TimeForm::Iso => iso(text, zone),
        TimeForm::Unix => unix(text),
        TimeForm::Strftime(directives) => by_directives(directives, text, zone),
        TimeForm::Any => {
            let text = text.trim_start_matches('[').trim_end_matches(']');
            unix(text)
                .or_else(|_| iso(text, zone))
                .or_else(|_| common(text))
                .or_else(|_| by_directives("%d/%b/%Y:%H:%M:%S%.f", text, zone))
                .or_else(|_| by_directives("%Y/%m/%d %H:%M:%S%.f", text, zone))
                .or_else(|_| by_directives("%a, %d %b %Y %H:%M:%S GMT", text, &TimeZone::UTC))
        }
    }
}

/// The form that nearly every line has, by hand: a general parser takes longer than the rest of the line.
fn common(text: &str) -> Result<UnixMillis, LineError> {
    let &[
        d1,
        d2,
        b'/',
        m1,
        m2,
        m3,
        b'/',
        y1,
        y2,
        y3,
        y4,
        b':',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        b' ',
        sign,
        o1,
        o2,
        o3,
        o4,
    ] = text.as_bytes()
    else {
        return Err(LineError::Time);
    };
    let month = match &[m1, m2, m3] {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return Err(LineError::Time),
    };
    let two = |tens, units| Some(digit(tens)? * 10 + digit(units)?);
    let read = || {
        let year = i16::from(two(y1, y2)?) * 100 + i16::from(two(y3, y4)?);
        // A leap second is the last one of its minute, as in every clock that keeps Unix time.
        let second = two(s1, s2)?.min(59);
        let local = DateTime::new(year, month, two(d1, d2)?, two(h1, h2)?, two(n1, n2)?, second, 0).ok()?;
        let (hours, minutes) = (two(o1, o2)?, two(o3, o4)?);
        let ahead = (i32::from(hours) * 60 + i32::from(minutes)) * 60;
        let offset = Offset::from_seconds(match sign {
            b'+' => ahead,
            b'-' => -ahead,
            _ => return None,
        });
        offset.ok()?.to_timestamp(local).ok()
    };
    read().map(|time| UnixMillis(time.as_millisecond())).ok_or(LineError::Time)
}

fn digit(byte: u8) -> Option<i8> {
    byte.is_ascii_digit().then(|| (byte - b'0').cast_signed())
}

fn iso(text: &str, zone: &TimeZone) -> Result<UnixMillis, LineError> {
    let time = match text.parse::<jiff::Timestamp>() {
        Ok(time) => time,
        // Go and nginx's neighbours write `+0200`, which RFC 3339 doesn't know.
        Err(_) => match text.parse::<DateTime>() {
            Ok(local) if text.contains(':') && !has_offset(text) => {
                zone.to_zoned(local).map(|zoned| zoned.timestamp()).map_err(|_| LineError::Time)?
            }
            _ => strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text)
                .and_then(|broken_down| broken_down.to_timestamp())
                .map_err(|_| LineError::Time)?,
        },
    };
    Ok(UnixMillis(time.as_millisecond()))
}

/// Whether something that looks like an offset stands after the time of day.
fn has_offset(text: &str) -> bool {
    text.get(11..).is_some_and(|time| time.contains(['+', '-', 'Z', 'z']))
}

fn unix(text: &str) -> Result<UnixMillis, LineError> {
    /// Up to the year 5138 in seconds; the same digits as milliseconds are the year 1973.
    const MOST_SECONDS: f64 = 1e11;
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(LineError::Time);
    }
    let number: f64 = text.parse().map_err(|_| LineError::Time)?;
    let milliseconds = if number < MOST_SECONDS {
        number * 1e3
    } else if number < MOST_SECONDS * 1e3 {
        number
    } else if number < MOST_SECONDS * 1e6 {
        number / 1e3
    } else {
        number / 1e6
    };
    // 2103; also whatever is no number at all.
    if (0.0..4.2e12).contains(&milliseconds) {
        Ok(UnixMillis(milliseconds.round() as i64))
    } else {
        Err(LineError::Time)
    }
}

fn by_directives(directives: &str, text: &str, zone: &TimeZone) -> Result<UnixMillis, LineError> {
    let read = || {
        let broken_down = strtime::parse(directives, text).ok()?;
        if broken_down.offset().is_some() || broken_down.timestamp().is_some() {
            return broken_down.to_timestamp().ok();
        }
        zone.to_zoned(broken_down.to_datetime().ok()?).ok().map(|zoned| zoned.timestamp())
    };
    read().map(|time| UnixMillis(time.as_millisecond())).ok_or(LineError::Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, form: &TimeForm) -> Option<i64> {
        read(text, form, &TimeZone::UTC).ok().map(|time| time.0)
    }

    #[test]
    fn the_common_form_is_read_by_hand_as_by_the_library() {
        for text in [
            "10/Oct/2000:13:55:36 -0700",
            "29/Feb/2024:23:59:59 +0530",
            "01/Jan/1970:00:00:00 +0000",
            "31/Dec/2099:00:00:00 +1345",
        ] {
            let expected = strtime::parse("%d/%b/%Y:%H:%M:%S %z", text).unwrap().to_timestamp().unwrap();
            assert_eq!(at(text, &TimeForm::Common), Some(expected.as_millisecond()), "{text}");
        }
        assert_eq!(at("30/Jun/2015:23:59:60 +0000", &TimeForm::Common), Some(1_435_708_799_000), "a leap second");
        for text in [
            "",
            "32/Oct/2000:13:55:36 -0700",
            "29/Feb/2023:13:55:36 -0700",
            "10/Okt/2000:13:55:36 -0700",
            "10/Oct/2000:24:55:36 -0700",
            "10/Oct/2000:13:55:36",
            "10/Oct/2000:13:55:36 *0700",
            "10/Oct/2000 13:55:36 -0700",
        ] {
            assert_eq!(at(text, &TimeForm::Common), None, "{text:?}");
        }
    }

    #[test]
    fn a_time_is_read_in_every_form_that_json_logs_have() {
        let expected = Some(1_714_557_600_500);
        for text in [
            "1714557600.5",
            "1714557600500",
            "1714557600500.0",
            "1714557600500000",
            "1714557600500000000",
            "2024-05-01T12:00:00.5+02:00",
            "2024-05-01T12:00:00.500+0200",
            "2024-05-01T10:00:00.500Z",
            "2024-05-01T10:00:00.500",
            "2024-05-01 10:00:00.500",
            "2024/05/01 10:00:00.5",
            "01/May/2024:10:00:00.500",
        ] {
            assert_eq!(at(text, &TimeForm::Any), expected, "{text}");
        }
        let whole = expected.map(|time| time - 500);
        for text in [
            "01/May/2024:12:00:00 +0200",
            "[01/May/2024:12:00:00 +0200]",
            "2024/05/01 10:00:00",
            "Wed, 01 May 2024 10:00:00 GMT",
        ] {
            assert_eq!(at(text, &TimeForm::Any), whole, "{text}");
        }
        for text in ["", "now", "-5", "NaN", "inf", "1e300", "2024-05-01", "99999999999999999999999"] {
            assert_eq!(at(text, &TimeForm::Any), None, "{text}");
        }
    }

    #[test]
    fn times_without_a_zone_are_of_the_zone_that_was_named() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (text, form) in [
            ("01/May/2024:12:00:00.000", TimeForm::CommonWithoutZone),
            ("2024-05-01 12:00:00", TimeForm::Iso),
            ("2024-05-01 12:00:00", TimeForm::Strftime("%Y-%m-%d %H:%M:%S".into())),
        ] {
            assert_eq!(read(text, &form, &berlin), Ok(UnixMillis(1_714_557_600_000)), "{text}");
        }
    }
}
