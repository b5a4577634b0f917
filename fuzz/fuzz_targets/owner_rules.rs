//! The owner's rules: each line by itself, then the whole text as a rules file.
#![no_main]

use firmsight_fuzz::with_file;
use firmsight_resolver::{OwnerRule, OwnerRules};

libfuzzer_sys::fuzz_target!(|text: &str| {
    for line in text.lines() {
        if let Ok(rule) = line.parse::<OwnerRule>() {
            let written = rule.to_string();
            assert_eq!(written.parse::<OwnerRule>().as_ref(), Ok(&rule), "{written:?}");
        }
    }
    with_file(text.as_bytes(), |path| match OwnerRules::read(&[], Some(path)) {
        Ok(rules) => assert!(rules.len() <= text.lines().count()),
        Err(error) => assert!(error.to_string().contains("line"), "{error}"),
    });
});
