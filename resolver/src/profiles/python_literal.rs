//! Reads a Python literal of dictionaries, lists, texts and numbers, as generated data modules hold them, as JSON.
//!
//! Not Python: names, calls, operators and everything else is refused.

use serde_json::{Map, Number, Value};

/// How deep lists may lie in lists.
const MAX_DEPTH: usize = 32;

/// The value that a module assigns to a name: `NAME = {…}`.
pub(crate) fn assigned(module: &str, name: &str) -> Result<Value, String> {
    let start = module
        .match_indices(name)
        .filter(|(at, _)| *at == 0 || module.as_bytes().get(at - 1) == Some(&b'\n'))
        .find_map(|(at, _)| module.get(at + name.len()..)?.trim_start().strip_prefix('='))
        .ok_or_else(|| format!("nothing is assigned to {name}"))?;
    let mut reader = Reader { rest: start };
    reader.value(0)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            let Some(comment) = self.rest.strip_prefix('#') else { return };
            self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
        }
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip();
        let Some(rest) = self.rest.strip_prefix(wanted) else { return false };
        self.rest = rest;
        true
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        self.skip();
        match self.rest.chars().next() {
            _ if depth > MAX_DEPTH => Err(format!("deeper than {MAX_DEPTH}")),
            Some('{') => self.dictionary(depth),
            Some('[') => self.list(depth, ('[', ']')),
            Some('(') => self.list(depth, ('(', ')')),
            Some('\'' | '"') => self.text().map(Value::String),
            _ => self.word(),
        }
    }

    fn dictionary(&mut self, depth: usize) -> Result<Value, String> {
        let mut map = Map::new();
        self.take('{');
        while !self.take('}') {
            self.skip();
            let key = self.text()?;
            if !self.take(':') {
                return Err(format!("no colon behind the key {key:?}"));
            }
            map.insert(key, self.value(depth + 1)?);
            if !self.take(',') && !self.rest.starts_with('}') {
                return Err("a dictionary that does not end".to_owned());
            }
        }
        Ok(Value::Object(map))
    }

    fn list(&mut self, depth: usize, (open, close): (char, char)) -> Result<Value, String> {
        let mut values = Vec::new();
        self.take(open);
        while !self.take(close) {
            values.push(self.value(depth + 1)?);
            if !self.take(',') && !self.rest.starts_with(close) {
                return Err("a list that does not end".to_owned());
            }
        }
        Ok(Value::Array(values))
    }

    fn text(&mut self) -> Result<String, String> {
        let mut letters = self.rest.chars();
        let quote = letters.next().filter(|quote| matches!(quote, '\'' | '"')).ok_or("a text without a quote")?;
        let mut text = String::new();
        loop {
            match letters.next().ok_or("a text that does not end")? {
                letter if letter == quote => break,
                '\\' => match letters.next().ok_or("a text that does not end")? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    'x' => text.push(code(&mut letters, 2)?),
                    'u' => text.push(code(&mut letters, 4)?),
                    'U' => text.push(code(&mut letters, 8)?),
                    letter @ ('\\' | '\'' | '"') => text.push(letter),
                    other => return Err(format!("an unknown escape \\{other}")),
                },
                letter => text.push(letter),
            }
        }
        self.rest = letters.as_str();
        Ok(text)
    }

    fn word(&mut self) -> Result<Value, String> {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '+' | '_');
        let end = self.rest.find(|letter| !is_part(letter)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "None" => Ok(Value::Null),
            "True" => Ok(Value::Bool(true)),
            "False" => Ok(Value::Bool(false)),
            _ => word
                .parse::<i64>()
                .map(Number::from)
                .ok()
                .or_else(|| Number::from_f64(word.parse().ok()?))
                .map(Value::Number)
                .ok_or_else(|| format!("{word:?} is neither a number nor None, True or False")),
        }
    }
}

fn code(letters: &mut std::str::Chars<'_>, digits: usize) -> Result<char, String> {
    let text: String = letters.take(digits).collect();
    u32::from_str_radix(&text, 16).ok().and_then(char::from_u32).ok_or_else(|| format!("{text:?} is no character"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literals_are_read_as_json() {
        let module = "\"\"\"DATA = none\"\"\"\nDATA = {  # a comment\n 'a': [1, -2.5, None, True], \"b\": {'c': ('it\\'s', \"x\\u00e9\\xe9\"),},\n}\n";
        let expected = json!({"a": [1, -2.5, null, true], "b": {"c": ["it's", "xéé"]}});
        assert_eq!(assigned(module, "DATA").unwrap(), expected);
    }

    #[test]
    fn what_is_no_literal_is_refused() {
        for module in
            ["", "DATA", "DATA = {", "DATA = {'a' 1}", "DATA = ['a", "DATA = open('x')", "DATA = [1 2]", "DATA = '\\q'"]
        {
            assert!(assigned(module, "DATA").is_err(), "{module}");
        }
        assert!(assigned(&format!("DATA = {}", "[".repeat(1000)), "DATA").is_err());
    }
}
