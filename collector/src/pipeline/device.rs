//! Device, browser and operating system by the User-Agent header.

use compact_str::CompactString;
use woothee::{parser::Parser, woothee::VALUE_UNKNOWN};

/// What a User-Agent header says; unknown parts are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// `desktop`, `mobile`, `tablet` or empty.
    pub kind: &'static str,
    /// The browser's name without its version, such as `Firefox`.
    pub browser: CompactString,
    /// The operating system's name without its version, such as `Windows`.
    pub os: CompactString,
}

/// Reads a User-Agent header.
#[must_use]
pub fn read(user_agent: &str) -> Device {
    let Some(found) = Parser::new().parse(user_agent) else { return Device::default() };
    let kind = match found.category {
        "pc" => "desktop",
        "smartphone" | "mobilephone" if is_tablet(user_agent) => "tablet",
        "smartphone" | "mobilephone" => "mobile",
        _ => "",
    };
    Device { kind, browser: known(found.name).into(), os: family(known(found.os)).into() }
}

/// Android says `Mobile` on phones and leaves it out on tablets.
fn is_tablet(user_agent: &str) -> bool {
    user_agent.contains("iPad")
        || user_agent.contains("Tablet")
        || user_agent.contains("Android") && !user_agent.contains("Mobile")
}

fn known(text: &str) -> &str {
    if text == VALUE_UNKNOWN { "" } else { text }
}

fn family(os: &str) -> &str {
    match os {
        "Mac OSX" | "Mac OS Classic" => "macOS",
        "iPhone" | "iPad" | "iPod" | "iOS" => "iOS",
        windows if windows.starts_with("Windows") && !windows.contains("Phone") => "Windows",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_headers_are_read() {
        for (user_agent, kind, browser, os) in [
            ("", "", "", ""),
            ("curl/8.5.0", "", "HTTP Library", ""),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
                "desktop",
                "Chrome",
                "Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
                "desktop",
                "Edge",
                "Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
                "desktop",
                "Safari",
                "macOS",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "desktop", "Firefox", "Linux"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
                "mobile",
                "Safari",
                "iOS",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 Mobile/15E148 Safari/604.1",
                "tablet",
                "Safari",
                "iOS",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
                "mobile",
                "Chrome",
                "Android",
            ),
            (
                "Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
                "tablet",
                "Chrome",
                "Android",
            ),
        ] {
            assert_eq!(read(user_agent), Device { kind, browser: browser.into(), os: os.into() }, "{user_agent}");
        }
    }
}
