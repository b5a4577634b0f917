//! Word lists: words of a rule file found in a text in one pass (Aho-Corasick).

use super::file::{self, Row};
use crate::ResolverError;
use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};
use geoip_data::rules::RuleFile;
use smallvec::SmallVec;
use std::sync::Arc;

/// Where a word counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Between characters that are not letters.
    Whole,
    /// At the start of a run of letters.
    Start,
    /// Between characters that are not letters, with a digit behind.
    Numbered,
    /// As the ending of a longer run of letters.
    End,
    /// Anywhere.
    Any,
}

/// A word and what it says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Word<T> {
    pub(crate) word: Arc<str>,
    pub(crate) says: T,
    place: Place,
}

/// A compiled word list.
pub(crate) struct WordList<T> {
    words: Vec<Word<T>>,
    automaton: AhoCorasick,
}

impl<T> WordList<T> {
    /// Compiles rows of `columns` columns, of which the first is the word and the second its place; `read` reads the
    /// others.
    pub(crate) fn compile(
        file: RuleFile,
        columns: usize,
        read: impl Fn(&Row) -> Result<T, ResolverError>,
    ) -> Result<Self, ResolverError> {
        let mut words: Vec<Word<T>> = Vec::new();
        for row in file::rows(file, columns)? {
            let place = match row.text(1) {
                "whole" => Place::Whole,
                "numbered" => Place::Numbered,
                "start" => Place::Start,
                "end" => Place::End,
                "any" => Place::Any,
                other => return Err(row.error(format!("match is whole, numbered, start, end or any, not {other:?}"))),
            };
            let word: Arc<str> = row.text(0).into();
            if word.is_empty() || words.iter().any(|known| known.word == word) {
                return Err(row.error(format!("{word:?} is empty or there twice")));
            }
            words.push(Word { word, says: read(&row)?, place });
        }
        let automaton = AhoCorasickBuilder::new()
            .match_kind(MatchKind::Standard)
            // A few hundred words make a small table; with it a byte of a name costs one step.
            .kind(Some(AhoCorasickKind::DFA))
            .ascii_case_insensitive(true)
            .build(words.iter().map(|word| word.word.as_bytes()))
            .map_err(|error| ResolverError::Rules { file: file.name, line: 0, reason: error.to_string() })?;
        Ok(Self { words, automaton })
    }

    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// The place of a word of this list, in the order of the file.
    pub(crate) fn place(&self, word: &Word<T>) -> Option<usize> {
        self.words.iter().position(|known| std::ptr::eq(known, word))
    }

    /// The words of a text, each once; words inside longer ones that count are left out.
    pub(crate) fn find(&self, text: &str) -> SmallVec<[&Word<T>; 8]> {
        let bytes = text.as_bytes();
        let is_letter = |index: Option<usize>| {
            index.and_then(|index| bytes.get(index)).is_some_and(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80)
        };
        let mut found: SmallVec<[(usize, usize, &Word<T>); 16]> = SmallVec::new();
        for hit in self.automaton.find_overlapping_iter(text) {
            let Some(word) = self.words.get(hit.pattern().as_usize()) else { continue };
            // A domain ending starts with its dot: what stands before doesn't matter.
            let starts_with_letter = is_letter(Some(hit.start()));
            let letter_before = is_letter(hit.start().checked_sub(1)) && starts_with_letter;
            let letter_after = is_letter(Some(hit.end()));
            let counts = match word.place {
                Place::Whole => !letter_before && !letter_after,
                Place::Numbered => !letter_before && bytes.get(hit.end()).is_some_and(u8::is_ascii_digit),
                Place::Start => !letter_before,
                Place::End => letter_before && !letter_after,
                Place::Any => true,
            };
            if counts {
                found.push((hit.start(), hit.end(), word));
            }
        }
        let mut words: SmallVec<[&Word<T>; 8]> = SmallVec::new();
        for (start, end, word) in &found {
            let inside = found.iter().any(|(other_start, other_end, other)| {
                other_start <= start && end <= other_end && other.word.len() > word.word.len()
            });
            if !inside && !words.iter().any(|known| std::ptr::eq(*known, *word)) {
                words.push(word);
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count_only_in_their_place_and_longer_ones_win() {
        let file = RuleFile {
            name: "test.csv",
            text: "word,match\nnat,whole\ndial,start\ndialup,any\nnet,end\n.io,whole\npm,numbered\n",
        };
        let list = WordList::compile(file, 2, |_| Ok(())).unwrap();
        for (text, expected) in [
            ("nat-1", vec!["nat"]),
            ("national", vec![]),
            ("signat", vec![]),
            ("dial2", vec!["dial"]),
            ("redial", vec![]),
            ("mdialup7", vec!["dialup"]),
            ("dialup-dial", vec!["dialup", "dial"]),
            ("supernet", vec!["net"]),
            ("network", vec![]),
            ("net", vec![]),
            ("pm7", vec!["pm"]),
            ("spm7", vec![]),
            ("pm-7", vec![]),
            ("acme.io", vec![".io"]),
            ("acme.ion", vec![]),
        ] {
            assert_eq!(list.find(text).iter().map(|word| &*word.word).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
