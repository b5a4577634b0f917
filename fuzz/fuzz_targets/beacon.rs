//! The body of a beacon: what is read keeps every limit.
#![no_main]

use beacon::{
    Beacon, MAX_AT_MS, MAX_EVENTS, MAX_NAME_BYTES, MAX_PROPS_BYTES, MAX_TITLE_BYTES, MAX_URL_BYTES, MIN_AT_MS,
};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let beacon = match Beacon::decode(body) {
        Ok(beacon) => beacon,
        Err(refusal) => {
            assert!(!refusal.rule.is_empty() && !refusal.detail.is_empty());
            return;
        }
    };
    assert!((1..=MAX_EVENTS).contains(&beacon.events.len()));
    for event in &beacon.events {
        let fits = |text: &Option<std::borrow::Cow<'_, str>>, limit: usize| {
            text.as_deref().is_none_or(|text| text.len() <= limit)
        };
        assert!((MIN_AT_MS..MAX_AT_MS).contains(&event.at));
        assert!(fits(&event.url, MAX_URL_BYTES) && fits(&event.referrer, MAX_URL_BYTES));
        assert!(fits(&event.title, MAX_TITLE_BYTES) && fits(&event.name, MAX_NAME_BYTES));
        assert!(event.scroll.is_none_or(|percent| percent <= 100));
        assert!(event.props.is_none_or(|props| props.get().len() <= MAX_PROPS_BYTES));
    }
});
