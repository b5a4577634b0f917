//! Expressions that several queries are made of.

/// Engagement, 0 to 5: one point each from 1, 2, 4, 8 and 16 page views within the dates.
pub(super) const ENGAGEMENT: &str =
    "((pageviews >= 1) + (pageviews >= 2) + (pageviews >= 4) + (pageviews >= 8) + (pageviews >= 16))";

/// Completeness, 0 to 5: one point for each of [`FACTS`] that is known.
pub(super) fn completeness(company: &str) -> String {
    let facts: Vec<String> = FACTS.iter().map(|(_, known)| known.replace("company.", &format!("{company}."))).collect();
    format!("({})", facts.join(" + "))
}

/// What makes a company's profile complete: the fact's name, and whether it is known, over a row of `companies`. The size
/// comes from profile files.
pub(super) const FACTS: [(&str, &str); 5] = [
    ("name", "(company.name != '')"),
    ("domain", "(company.domain != '')"),
    ("industry", "(company.industry != '')"),
    ("country", "(company.country_code != '')"),
    ("size", "(company.employees_min IS NOT NULL OR company.revenue_amount IS NOT NULL)"),
];

/// Companies that somebody hid.
pub(super) const HIDDEN: &str = "(SELECT company_id FROM company_marks FINAL WHERE site = {site:String} AND is_hidden)";
