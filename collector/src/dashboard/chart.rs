//! Bars from zero, one a day: rectangles in percent, so that they fit any width and need no style attribute.

use jiff::civil::Date;

/// Share of a day's width that its bar takes, in percent.
const BAR_SHARE: f64 = 72.0;

/// Bars and what is written at them.
#[derive(Debug, Default)]
pub(super) struct Chart {
    /// What a screen reader says.
    pub(super) label: String,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) bars: Vec<Bar>,
}

/// A day. Numbers are percent of the chart.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) title: String,
    pub(super) hit_x: String,
    pub(super) hit_width: String,
    pub(super) x: String,
    pub(super) width: String,
    pub(super) middle: String,
    pub(super) parts: Vec<Part>,
    /// Stands over the highest bar alone.
    pub(super) top: Option<u64>,
}

/// A part of a bar.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) class: &'static str,
    pub(super) y: String,
    pub(super) height: String,
}

/// A day's numbers from the ground up: a class of the style, and how many.
pub(super) struct Day {
    pub(super) title: String,
    pub(super) parts: Vec<(&'static str, u64)>,
}

impl Day {
    fn sum(&self) -> u64 {
        self.parts.iter().map(|(_, count)| count).sum()
    }
}

impl Chart {
    /// Of days, oldest first.
    pub(super) fn of(label: String, (first, last): (String, String), days: Vec<Day>) -> Self {
        let highest = days.iter().map(Day::sum).max().unwrap_or(0);
        let width = 100.0 / days.len().max(1) as f64;
        // Of equally high bars the newest bears the number.
        let top = days.iter().rposition(|day| highest > 0 && day.sum() == highest);
        let bars = days
            .into_iter()
            .enumerate()
            .map(|(at, day)| {
                let left = at as f64 * width;
                Bar {
                    hit_x: percent(left),
                    hit_width: percent(width),
                    x: percent(left + width * (100.0 - BAR_SHARE) / 200.0),
                    width: percent(width * BAR_SHARE / 100.0),
                    middle: percent(left + width / 2.0),
                    parts: parts(&day.parts, highest),
                    top: (Some(at) == top).then_some(highest),
                    title: day.title,
                }
            })
            .collect();
        Self { label, first, last, bars }
    }
}

fn parts(parts: &[(&'static str, u64)], highest: u64) -> Vec<Part> {
    let share = |count: u64| count as f64 * 100.0 / highest.max(1) as f64;
    let mut ground = 100.0;
    parts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(class, count)| {
            ground -= share(*count);
            Part { class, y: percent(ground.max(0.0)), height: percent(share(*count)) }
        })
        .collect()
}

fn percent(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The days from the first to the last one.
pub(super) fn days_between(first: Date, last: Date) -> impl Iterator<Item = Date> {
    first.series(jiff::Span::new().days(1)).take_while(move |day| *day <= last)
}

/// A row of a list of bars.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) count: u64,
    /// Of the longest bar.
    pub(super) percent: String,
}

/// Bars side by side, as long as their counts.
pub(super) fn rows(counts: impl IntoIterator<Item = (String, u64)>) -> Vec<Row> {
    let counts: Vec<_> = counts.into_iter().collect();
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    counts
        .into_iter()
        .map(|(name, count)| Row { name, count, percent: percent(count as f64 * 100.0 / most as f64) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_on_the_ground_and_the_highest_bears_its_number() {
        let day = |new, returning| Day { title: String::new(), parts: vec![("back", returning), ("new", new)] };
        let chart =
            Chart::of(String::new(), (String::new(), String::new()), vec![day(0, 0), day(1, 3), day(2, 2), day(0, 1)]);
        let tops: Vec<_> = chart.bars.iter().map(|bar| bar.top).collect();
        assert_eq!(tops, [None, None, Some(4), None]);
        assert!(chart.bars[0].parts.is_empty());
        let of = |bar: &Bar| {
            bar.parts.iter().map(|part| (part.class, part.y.clone(), part.height.clone())).collect::<Vec<_>>()
        };
        assert_eq!(
            of(&chart.bars[1]),
            [("back", "25".to_owned(), "75".to_owned()), ("new", "0".to_owned(), "25".to_owned())]
        );
        assert_eq!((chart.bars[1].x.as_str(), chart.bars[1].width.as_str()), ("28.5", "18"));
    }

    #[test]
    fn nothing_makes_an_empty_chart() {
        let chart = Chart::of(
            String::new(),
            (String::new(), String::new()),
            vec![Day { title: String::new(), parts: vec![("back", 0)] }],
        );
        assert_eq!(chart.bars[0].top, None);
        assert!(rows([]).is_empty());
    }
}
