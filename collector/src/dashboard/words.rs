//! Numbers and times as people read them.

use super::texts::Texts;
use crate::{
    reports::ranking::{Kind, Ranked, Reason},
    time::UnixMillis,
};
use jiff::{Timestamp, Zoned, civil::Date, tz::TimeZone};

/// A kind's class in the style and its words.
pub(super) struct KindWords {
    pub(super) class: &'static str,
    pub(super) text: String,
}

pub(super) fn kind(kind: Kind, texts: &Texts) -> KindWords {
    match kind {
        Kind::New => KindWords { class: "new", text: texts.kind_new.to_owned() },
        Kind::Back(_) => KindWords { class: "again", text: texts.kind_back.to_owned() },
        Kind::Returning => KindWords { class: "back", text: texts.kind_returning.to_owned() },
    }
}

/// Why a company is worth a look, in one sentence.
pub(super) fn sentence(reasons: &[Reason], texts: &Texts) -> String {
    let clauses: Vec<String> = reasons.iter().map(|reason| clause(reason, texts)).collect();
    let Some((first, rest)) = clauses.split_first() else { return String::new() };
    let mut sentence = first.clone();
    for clause in rest {
        sentence.push_str(", ");
        sentence.push_str(clause);
    }
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str() + ".")
}

/// The strongest reason in a few words, or what was read.
pub(super) fn sign(company: &Ranked, texts: &Texts) -> String {
    let telling = company.reasons.iter().find(|reason| !matches!(reason, Reason::New | Reason::People(_)));
    match telling {
        Some(reason) => {
            let clause = clause(reason, texts);
            let mut letters = clause.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
        }
        None => company.pages.iter().take(2).map(|(title, _)| title.as_str()).collect::<Vec<_>>().join(", "),
    }
}

fn clause(reason: &Reason, texts: &Texts) -> String {
    match reason {
        Reason::Goals(names) => (texts.reached)(&list(names, texts)),
        Reason::Back(days) => (texts.back_after)(*days),
        Reason::KeyPages(times) => (texts.key_pages)(*times),
        Reason::People(count) => (texts.people_came)(*count),
        Reason::New => texts.first_time.to_owned(),
    }
}

/// `A, B and C`.
pub(super) fn list(names: &[String], texts: &Texts) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {} {last}", first.join(", "), texts.and),
    }
}

/// `1:05`, or `1:01:05` beyond an hour.
pub(super) fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// An instant in a zone.
pub(super) fn zoned(millis: i64, zone: &TimeZone) -> Zoned {
    Timestamp::from_millisecond(millis).unwrap_or_default().to_zoned(zone.clone())
}

/// A time of a page: for programs, and for people.
pub(super) struct Time {
    pub(super) machine: String,
    pub(super) human: String,
}

/// How long ago, up to a day; else the date.
pub(super) fn ago(millis: i64, now: UnixMillis, zone: &TimeZone, texts: &Texts) -> Time {
    let at = zoned(millis, zone);
    let minutes = now.0.saturating_sub(millis).max(0) / 60_000;
    let human = match minutes {
        0 => texts.now.to_owned(),
        1..60 => (texts.minutes_ago)(minutes),
        60..1440 => (texts.hours_ago)(minutes / 60),
        _ => day(at.date(), texts),
    };
    Time { machine: at.timestamp().to_string(), human }
}

/// `27 Nov`.
pub(super) fn day(date: Date, texts: &Texts) -> String {
    (texts.short_date)(
        date.day(),
        texts.months_short[usize::from(date.month().unsigned_abs()).saturating_sub(1).min(11)],
    )
}

/// `Friday, 27 November`.
pub(super) fn long_day(date: Date, texts: &Texts) -> String {
    let weekday = texts.weekdays[usize::from(date.weekday().to_monday_zero_offset().unsigned_abs()).min(6)];
    let month = texts.months[usize::from(date.month().unsigned_abs()).saturating_sub(1).min(11)];
    (texts.long_date)(weekday, date.day(), month)
}

/// `08:05`.
pub(super) fn time_of_day(at: &Zoned) -> String {
    format!("{:02}:{:02}", at.hour(), at.minute())
}

/// The first letter of a name, for a mark beside it.
pub(super) fn initial(name: &str) -> String {
    name.chars()
        .find(|char| char.is_alphanumeric())
        .map_or_else(|| "?".to_owned(), |char| char.to_uppercase().collect())
}

/// A company without a name goes by its domain.
pub(super) fn company_name(name: &str, domain: &str, texts: &Texts) -> String {
    [name, domain].into_iter().find(|text| !text.trim().is_empty()).unwrap_or(texts.nameless).to_owned()
}

/// A source, or that there was none.
pub(super) fn source(source: &str, texts: &Texts) -> String {
    if source.is_empty() { texts.direct.to_owned() } else { source.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{super::texts::ENGLISH, *};

    #[test]
    fn reasons_make_one_sentence() {
        let goals = Reason::Goals(vec!["Asked for a quote".to_owned(), "Ordered samples".to_owned()]);
        for (reasons, expected) in [
            (vec![], ""),
            (vec![Reason::New], "Came for the first time."),
            (vec![Reason::Back(45), Reason::People(2)], "Back after 45 days, 2 people came."),
            (
                vec![goals, Reason::KeyPages(3)],
                "Reached “Asked for a quote and Ordered samples”, looked at prices or offers 3 times.",
            ),
        ] {
            assert_eq!(sentence(&reasons, &ENGLISH), expected);
        }
    }

    #[test]
    fn times_are_told_by_how_long_they_are_past() {
        let now = UnixMillis(1_790_000_000_000);
        let told = |before: i64| ago(now.0 - before, now, &TimeZone::UTC, &ENGLISH).human;
        assert_eq!(
            [0, 59_000, 60_000, 3_599_000, 3_600_000, 86_399_000].map(told),
            ["now", "now", "1 min ago", "59 min ago", "1 h ago", "23 h ago"]
        );
        assert_eq!(told(86_400_000), "20 Sep");
        assert_eq!(told(-5_000), "now", "a clock that is a little ahead");
    }

    #[test]
    fn durations_and_initials() {
        assert_eq!([0, 59, 65, 3_665].map(clock), ["0:00", "0:59", "1:05", "1:01:05"]);
        assert_eq!(["Bosch", "»émile«", "", "…"].map(initial), ["B", "É", "?", "?"]);
    }
}
