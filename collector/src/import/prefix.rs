//! What stands before a line that a log passed through: syslog, journald, `docker logs`, `docker compose logs`, `kubectl logs`
//! and the container runtimes of Kubernetes (CRI).

/// How many of them are taken off: CRI inside Docker inside syslog is three.
pub const MAX_PREFIXES: usize = 4;

/// The line without the outermost prefix; `None` where it has none that is known.
#[must_use]
pub fn stripped(line: &str) -> Option<&str> {
    let line = without_colours(line);
    let rest = match line.as_bytes().first()? {
        b'<' => priority(line),
        b'[' => kubectl(line),
        b'0'..=b'9' => timestamped(line),
        _ => bsd_syslog(line).or_else(|| compose(line)),
    };
    rest.map(without_colours).filter(|rest| !rest.is_empty())
}

/// Compose colours the names of services.
fn without_colours(line: &str) -> &str {
    let mut line = line;
    while let Some(rest) = line.strip_prefix("\u{1b}[") {
        let Some((code, rest)) = rest.split_once('m') else { return line };
        if code.len() > 12 {
            return line;
        }
        line = rest;
    }
    line
}

/// `<165>` before either form of syslog.
fn priority(line: &str) -> Option<&str> {
    let (number, rest) = line[1..].split_once('>')?;
    if number.is_empty() || number.len() > 3 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match rest.strip_prefix("1 ") {
        Some(rest) => rfc5424(rest),
        None => bsd_syslog(rest).or_else(|| timestamped(rest)),
    }
}

/// RFC 5424 after its version: time, host, program, process, message id, structured data, message.
fn rfc5424(rest: &str) -> Option<&str> {
    let mut rest = rest;
    for _ in 0..5 {
        rest = rest.split_once(' ')?.1;
    }
    if let Some(message) = rest.strip_prefix("- ") {
        return Some(message.trim_start_matches('\u{feff}'));
    }
    let end = rest.starts_with('[').then(|| rest.find("] "))??;
    Some(rest[end + 2..].trim_start_matches('\u{feff}'))
}

/// RFC 3164 and journald's short form: `Oct 11 22:14:15 host program[pid]: message`.
fn bsd_syslog(line: &str) -> Option<&str> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (time, rest) = line.split_at_checked(16)?;
    let is_time = MONTHS.contains(&time.get(..3)?)
        && matches!(time.as_bytes(), [_, _, _, b' ', _, b'0'..=b'9', b' ', _, _, b':', _, _, b':', _, _, b' ']);
    if is_time { after_program(rest) } else { None }
}

/// `host program[pid]: message`; nginx can leave the host out.
fn after_program(text: &str) -> Option<&str> {
    let (first, rest) = text.split_once(' ')?;
    if is_program(first) {
        return Some(rest);
    }
    let (second, rest) = rest.split_once(' ')?;
    is_program(second).then_some(rest)
}

fn is_program(word: &str) -> bool {
    let Some(name) = word.strip_suffix(':') else { return false };
    let name = name.split_once('[').map_or(name, |(name, _)| name);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte))
}

/// An ISO time first: CRI's `stdout F`, syslog with precise times, or `docker logs --timestamps`.
fn timestamped(line: &str) -> Option<&str> {
    let (time, rest) = line.split_once(' ')?;
    let is_time = matches!(time.as_bytes(), [_, _, _, _, b'-', _, _, b'-', _, _, b'T', _, _, b':', _, _, b':', ..]);
    if !is_time {
        return None;
    }
    let stream = rest.strip_prefix("stdout ").or_else(|| rest.strip_prefix("stderr "));
    if let Some(message) = stream.and_then(|rest| rest.strip_prefix("F ").or_else(|| rest.strip_prefix("P "))) {
        return Some(message);
    }
    after_program(rest).or(Some(rest))
}

/// `[pod/web-7c9/nginx] message`, of `kubectl logs --prefix`.
fn kubectl(line: &str) -> Option<&str> {
    line.strip_prefix("[pod/")?.split_once("] ").map(|(_, message)| message)
}

/// `web-1  | message`.
fn compose(line: &str) -> Option<&str> {
    let (name, message) = line.split_once('|')?;
    let name = name.trim_end();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    is_name.then(|| without_colours(message).trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_is_taken_off() {
        const LINE: &str = "192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 5";
        for prefix in [
            "<190>Oct 11 22:14:15 web nginx: ",
            "<190>Oct  1 22:14:15 nginx: ",
            "Oct 11 22:14:15 web nginx[123]: ",
            "<34>1 2003-10-11T22:14:15.003Z web nginx 12 ID47 - ",
            "<34>1 2003-10-11T22:14:15.003Z web nginx - - [a@1 b=\"c\"] \u{feff}",
            "2024-05-01T12:00:00.123456+02:00 web nginx[123]: ",
            "2024-05-01T12:00:00+0200 web nginx[123]: ",
            "2024-05-01T12:00:00.123456789Z ",
            "2024-05-01T12:00:00.123456789Z stdout F ",
            "2024-05-01T12:00:00.123456789+02:00 stderr P ",
            "web-1  | ",
            "my_shop_web_1 | ",
            "\u{1b}[36mweb-1  | \u{1b}[0m",
            "[pod/web-7c9fd-x/nginx] ",
        ] {
            assert_eq!(stripped(&format!("{prefix}{LINE}")), Some(LINE), "{prefix}");
        }
        assert_eq!(stripped(LINE), None);
        for line in [
            "",
            "<",
            "<1>",
            "[pod/",
            "Oct 11 22:14:15 x",
            "2024-05-01T12:00:00Z",
            "|",
            "\u{1b}[",
            "Ökt 11 22:14:15 web nginx: x",
        ] {
            assert_eq!(stripped(line), None, "{line:?}");
        }
    }

    #[test]
    fn prefixes_stand_in_each_other() {
        let line = "web-1  | 2024-05-01T12:00:00.1Z <190>Oct 11 22:14:15 web nginx: x";
        let once = stripped(line).unwrap();
        assert_eq!(stripped(stripped(once).unwrap()), Some("x"));
    }
}
