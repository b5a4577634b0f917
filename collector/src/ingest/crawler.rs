//! Robots by their own word: the User-Agent header.

use aho_corasick::AhoCorasick;
use std::{borrow::Cow, cell::Cell, sync::LazyLock};

/// Longest user agent that is looked at and kept, in bytes.
pub const MAX_USER_AGENT_BYTES: usize = 512;

/// Browsers without a person in front: headless ones, audits, tests. `iscrawl` takes them for what drives them.
const UNATTENDED: &[&str] = &[
    "headless",
    "lighthouse",
    "phantomjs",
    "slimerjs",
    "puppeteer",
    "playwright",
    "selenium",
    "cypress/",
    "gtmetrix",
    "pingdom",
    "statuscake",
    "site24x7",
    "catchpoint",
    "speedcurve",
    "calibreapp",
    "datadogsynthetics",
    "dynatrace",
    "page speed",
    "pagespeed",
    "validator",
    "accessibility",
];

/// Whether this user agent is a robot, a script or nothing at all.
///
/// Rests on `iscrawl`, to which `UNATTENDED` is added, with two of its habits mended: it remembers answers by the text's place in
/// memory, length and both ends, so that two visitors whose headers land in the same buffer can get
/// each other's answer (each call therefore ends in other digits), and it reads the phone brand
/// Cubot as a robot.
#[must_use]
pub fn is_crawler(user_agent: &str) -> bool {
    thread_local! {
        static CALLS: Cell<u32> = const { Cell::new(0) };
    }
    /// `iscrawl` takes anything over 512 bytes for a browser.
    const LOOKED_AT: usize = MAX_USER_AGENT_BYTES - SUFFIX;
    /// A space and eight digits.
    const SUFFIX: usize = 9;

    if user_agent.trim().is_empty() {
        return true;
    }
    let user_agent = &user_agent[..user_agent.floor_char_boundary(LOOKED_AT)];
    if is_unattended(user_agent) {
        return true;
    }
    let user_agent = if user_agent.contains("CUBOT") || user_agent.contains("Cubot") {
        Cow::Owned(user_agent.replace("CUBOT", "").replace("Cubot", ""))
    } else {
        Cow::Borrowed(user_agent)
    };
    let call = CALLS.with(|calls| {
        let next = (calls.get() + 1) % 100_000_000;
        calls.set(next);
        next
    });
    let mut buffer = [b'0'; MAX_USER_AGENT_BYTES];
    let (text, suffix) = buffer.split_at_mut(user_agent.len());
    text.copy_from_slice(user_agent.as_bytes());
    suffix[0] = b' ';
    let mut rest = call;
    for digit in suffix[1..SUFFIX].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let length = user_agent.len() + SUFFIX;
    std::str::from_utf8(&buffer[..length]).is_ok_and(iscrawl::is_crawler)
}

fn is_unattended(user_agent: &str) -> bool {
    // `None` when the words make no automaton, which the test below would show.
    static WORDS: LazyLock<Option<AhoCorasick>> =
        LazyLock::new(|| AhoCorasick::builder().ascii_case_insensitive(true).build(UNATTENDED).ok());
    WORDS.as_ref().is_some_and(|words| words.is_match(user_agent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn robots_are_told_from_browsers() {
        for (user_agent, expected) in [
            ("", true),
            ("  ", true),
            ("curl/8.5.0", true),
            ("python-requests/2.32", true),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", true),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", false),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
                false,
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36",
                true,
            ),
            (
                "Mozilla/5.0 (Linux; Android 11; moto g) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36 Chrome-Lighthouse",
                true,
            ),
            (
                "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0.0.0 Mobile Safari/537.36",
                false,
            ),
        ] {
            assert_eq!(is_crawler(user_agent), expected, "{user_agent}");
        }
    }

    #[test]
    fn two_visitors_in_the_same_buffer_get_their_own_answers() {
        let human = "Mozilla/5.0 (Windows NT 10.0; rv) AppleWebKit/537.36 Safari/537.36";
        let robot = "Mozilla/5.0 (Googlebot; +robot; x) AppleWebKit/537.36 Safari/537.36";
        let mut buffer = String::with_capacity(128);
        for _ in 0..3 {
            for (text, expected) in [(human, false), (robot, true)] {
                buffer.clear();
                buffer.push_str(&text[..text.len().min(66)]);
                assert_eq!(is_crawler(&buffer), expected);
            }
        }
    }

    #[test]
    fn an_endless_user_agent_is_judged_by_its_start() {
        let long = format!("Mozilla/5.0 Gecko/20100101 {}", "ü".repeat(10_000));
        assert!(!is_crawler(&long));
    }
}
