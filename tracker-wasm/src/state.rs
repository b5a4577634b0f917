//! What the core remembers between two calls, as text that the shell keeps for it. It lives as long as the page and
//! is stored nowhere.
//!
//! Texts and numbers are kept in arrays, since reading and writing named fields one by one would be a quarter of the
//! tracker's size.

use crate::{
    PART,
    bytes::{self, Fields, number, push, push_byte, push_number},
    consent::{Choice, Mode, Permission, permission},
};
use core::ops::{Index, IndexMut};

/// Names of the remembered texts; all are empty at first.
#[derive(Clone, Copy)]
pub(crate) enum Text {
    /// Empty until the tracker was started.
    Site,
    /// The client id, once it may be read.
    Client,
    /// When the page that waits for consent was opened, Unix milliseconds; empty when no page is to be counted.
    Opened,
    /// The id of the running pageview; empty when there is none.
    Page,
    /// The running pageview's address.
    Url,
    /// Since when the page is visible, Unix milliseconds; empty when it is hidden.
    VisibleSince,
    /// Events to be sent, as JSON, separated by commas.
    Queue,
}

/// Names of the remembered numbers; all are 0 at first.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    /// How many events are in the queue.
    Queued,
    /// How long the page was visible before `VisibleSince`, in milliseconds.
    VisibleMs,
    /// What of it the collector knows.
    ReportedMs,
    /// How far down the page was seen, in percent of its height.
    Scroll,
    /// See [`State::mode`].
    Mode,
    /// See [`State::choice`].
    Choice,
    /// How long the client id lives, in days.
    LifeDays,
    /// What counts as a pageview, see `tracker::HASH` and the following.
    Pageviews,
    /// 1: the browser sends the Global Privacy Control signal.
    Objects,
    /// 1: the site's owner allows `identify`.
    Identify,
    /// Who says yes: a bit for each source of consent; the page itself is the lowest. This and the next three are the
    /// last ones, see [`State::note`].
    Granting,
    /// Who says no.
    Denying,
    /// Who says that there is no choice yet.
    Undecided,
    /// Who has not said anything yet, but will.
    Silent,
}

const TEXTS: usize = Text::Queue as usize + 1;
const NUMBERS: usize = Number::Silent as usize + 1;

pub(crate) struct State<'a> {
    texts: [&'a [u8]; TEXTS],
    numbers: [u32; NUMBERS],
}

impl<'a> State<'a> {
    pub(crate) const EMPTY: Self = Self { texts: [b""; TEXTS], numbers: [0; NUMBERS] };

    pub(crate) fn read(&mut self, text: &'a [u8]) {
        let mut parts = Fields::new(text, PART);
        parts.fill(&mut self.texts);
        for place in &mut self.numbers {
            *place = number(parts.field());
        }
    }

    pub(crate) fn write(&self, out: &mut bytes::Text<'_>) {
        for text in self.texts {
            push(out, text);
            push_byte(out, PART);
        }
        for number in self.numbers {
            push_number(out, number);
            push_byte(out, PART);
        }
    }

    /// Notes what a source of consent said: granted, denied, undecided or silent by its position, or none of these.
    pub(crate) fn note(&mut self, word: u32, source: u32) {
        for (said, sources) in (0..).zip(self.numbers.iter_mut().skip(Number::Granting as usize)) {
            *sources = *sources & !(1 << source) | u32::from(word == said) << source;
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        Mode::from_number(self[Number::Mode])
    }

    pub(crate) fn choice(&self) -> Choice {
        Choice::from_number(self[Number::Choice])
    }

    pub(crate) fn choose(&mut self, choice: Choice) {
        self[Number::Choice] = choice as u32;
    }

    /// What the consent table permits.
    pub(crate) fn table(&self) -> Permission {
        if self[Text::Site].is_empty() {
            Permission::Nothing
        } else {
            permission(self.mode(), self.choice(), self[Number::Objects] == 1)
        }
    }

    /// What is permitted now: nothing begins while a manager that is here was not heard.
    #[inline(never)]
    pub(crate) fn permission(&self) -> Permission {
        if self[Number::Silent] != 0 && self[Number::Choice] == Choice::Unknown as u32 && self[Text::Page].is_empty() {
            Permission::Nothing
        } else {
            self.table()
        }
    }
}

impl<'a> Index<Text> for State<'a> {
    type Output = &'a [u8];

    fn index(&self, text: Text) -> &&'a [u8] {
        &self.texts[text as usize]
    }
}

impl IndexMut<Text> for State<'_> {
    fn index_mut(&mut self, text: Text) -> &mut Self::Output {
        &mut self.texts[text as usize]
    }
}

impl Index<Number> for State<'_> {
    type Output = u32;

    fn index(&self, number: Number) -> &u32 {
        &self.numbers[number as usize]
    }
}

impl IndexMut<Number> for State<'_> {
    fn index_mut(&mut self, number: Number) -> &mut u32 {
        &mut self.numbers[number as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::tests::written;

    #[test]
    fn what_is_written_reads_back() {
        for choice in [Choice::Unknown, Choice::Granted, Choice::Denied, Choice::Withdrawn] {
            for mode in [Mode::NotRequired, Mode::Cookieless, Mode::Required] {
                let mut state = State::EMPTY;
                state.choose(choice);
                state[Number::Mode] = mode as u32;
                state[Text::Site] = b"shop";
                state[Text::Queue] = b"{}";
                state[Number::Queued] = 7;
                let text = written(|out| state.write(out));
                let mut read = State::EMPTY;
                read.read(&text);
                assert_eq!((read.choice(), read.mode()), (choice, mode));
                assert_eq!((read.texts, read.numbers), (state.texts, state.numbers));
            }
        }
    }

    #[test]
    fn at_first_nothing_is_known_and_nothing_permitted() {
        let state = State::EMPTY;
        assert_eq!((state.choice(), state.permission()), (Choice::Unknown, Permission::Nothing));
    }
}
