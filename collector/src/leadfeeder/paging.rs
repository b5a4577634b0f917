//! Page numbers in, links out.

use crate::admin::{
    problem::Problem,
    wire::{Parameters, dates::Dates},
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

const DEFAULT_SIZE: u64 = 10;
const MAX_SIZE: u64 = 100;
/// Far beyond any list, and small enough that number × size can't overflow.
const MAX_NUMBER: u64 = 1_000_000_000;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// From 1.
    pub(super) number: u64,
    /// 1 to 100.
    pub(super) size: u64,
}

impl Page {
    /// Reads `page[number]` and `page[size]`; a size over 100 counts as 100.
    pub(super) fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let positive = |name: &'static str, default: u64, max: u64| match parameters.optional(name)? {
            None => Ok(default),
            Some(text) => parse_positive(text)
                .map(|value| value.min(max))
                .ok_or_else(|| Problem::Parameter { name, detail: format!("{name} must be a whole number from 1") }),
        };
        Ok(Self {
            number: positive("page[number]", 1, MAX_NUMBER)?,
            size: positive("page[size]", DEFAULT_SIZE, MAX_SIZE)?,
        })
    }

    /// How many entries lie before this page.
    pub(super) const fn offset(self) -> u64 {
        (self.number - 1) * self.size
    }

    /// How many entries the page may hold where the list ends at `cap` entries.
    pub(super) fn limit_under(self, cap: u64) -> u64 {
        self.size.min(cap.saturating_sub(self.offset()))
    }
}

/// Digits only (`parse` alone would take a plus sign); what does not fit is as good as the largest.
fn parse_positive(text: &str) -> Option<u64> {
    let is_number = (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX)).filter(|value| *value > 0)
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what `Page::read` reads")]
pub(super) struct PageParameters {
    /// From 1; 1 when absent.
    #[param(rename = "page[number]", minimum = 1, required = false, nullable = false)]
    number: Option<u64>,
    /// 10 when absent; more than 100 counts as 100.
    #[param(rename = "page[size]", minimum = 1, required = false, nullable = false)]
    size: Option<u64>,
}

/// A list document's links: absolute, parameters sorted by name and percent-encoded. Clients cut the
/// page count out of `last` between `page%5Bnumber%5D=` and `&page%5Bsize`.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Links {
    #[serde(rename = "self")]
    pub(super) this: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
}

impl Links {
    /// `address` is the list's own without parameters; `total` counts the entries that can be reached.
    ///
    /// The first page has `self`, `next`, `last`; the last page `self`, `first`, `prev`; those between have all; a
    /// list of one page has `self` alone; a page after the last one leads back.
    pub(super) fn of(address: &str, dates: &Dates, page: Page, total: u64) -> Self {
        let last = total.div_ceil(page.size).max(1);
        let link = |number: u64| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("end_date", &dates.end_date);
            query.append_pair("page[number]", &number.to_string());
            query.append_pair("page[size]", &page.size.to_string());
            query.append_pair("start_date", &dates.start_date);
            format!("{address}?{}", query.finish())
        };
        let has_next = page.number < last;
        Self {
            this: link(page.number),
            first: (page.number > 1).then(|| link(1)),
            prev: (page.number > 1).then(|| link((page.number - 1).min(last))),
            next: has_next.then(|| link(page.number + 1)),
            last: has_next.then(|| link(last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dates() -> Dates {
        Dates { start_date: "2021-01-01".to_owned(), end_date: "2021-05-24".to_owned() }
    }

    fn page(query: &str) -> Result<Page, String> {
        Page::read(&Parameters::read(Some(query))).map_err(|error| error.to_string())
    }

    #[test]
    fn sizes_default_to_ten_and_are_cut_at_a_hundred() {
        let cases = [
            ("", 1, 10),
            ("page[number]=3", 3, 10),
            ("page%5Bnumber%5D=2&page%5Bsize%5D=100", 2, 100),
            ("page[size]=101", 1, 100),
            ("page[size]=99999999999999999999999", 1, 100),
            ("page[number]=18446744073709551616", MAX_NUMBER, 10),
        ];
        for (query, number, size) in cases {
            assert_eq!(page(query), Ok(Page { number, size }), "{query}");
        }
    }

    #[test]
    fn what_is_no_positive_number_is_refused() {
        for bad in ["0", "-1", "+1", "1.5", "", "abc", "1 ", "1;SELECT 1", "٣", "00"] {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("page[size]", bad).finish();
            assert_eq!(page(&query), Err("page[size] must be a whole number from 1".to_owned()), "{bad}");
        }
    }

    fn links(number: u64, size: u64, total: u64) -> serde_json::Value {
        let links = Links::of("https://api.example/accounts/shop/leads", &dates(), Page { number, size }, total);
        serde_json::to_value(links).unwrap()
    }

    #[test]
    fn links_are_absolute_sorted_and_encoded_and_differ_by_place() {
        let to = |number: u64| {
            format!(
                "https://api.example/accounts/shop/leads?end_date=2021-05-24&page%5Bnumber%5D={number}&page%5Bsize%5D=100&start_date=2021-01-01"
            )
        };
        assert_eq!(links(1, 100, 4500), serde_json::json!({"self": to(1), "next": to(2), "last": to(45)}));
        assert_eq!(links(45, 100, 4500), serde_json::json!({"self": to(45), "first": to(1), "prev": to(44)}));
        let all = serde_json::json!({"self": to(2), "first": to(1), "prev": to(1), "next": to(3), "last": to(45)});
        assert_eq!(links(2, 100, 4500), all);
        assert_eq!(links(1, 100, 100), serde_json::json!({"self": to(1)}));
        assert_eq!(links(1, 100, 0), serde_json::json!({"self": to(1)}));
        assert_eq!(links(9, 100, 150), serde_json::json!({"self": to(9), "first": to(1), "prev": to(2)}));
    }

    proptest! {
        #[test]
        fn following_next_reaches_every_entry_once(size in 1u64..=100, total in 0u64..2_000) {
            let mut number = 1;
            let mut seen = 0;
            loop {
                let page = Page { number, size };
                prop_assert_eq!(page.offset(), seen);
                seen += page.limit_under(total);
                if links(number, size, total).get("next").is_none() {
                    break;
                }
                number += 1;
            }
            prop_assert_eq!(seen, total);
        }
    }
}
