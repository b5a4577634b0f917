//! Quality and intent as formulas in SQL: docs/scores.md explains them for people.

/// Engagement, 0 to 5: one point each from 1, 2, 4, 8 and 16 page views within the dates.
pub(super) const ENGAGEMENT: &str =
    "((pageviews >= 1) + (pageviews >= 2) + (pageviews >= 4) + (pageviews >= 8) + (pageviews >= 16))";

/// Completeness, 0 to 5: one point each for a known name, domain, industry, country and city.
pub(super) const COMPLETENESS: &str = "((company.name != '') + (company.domain != '') + (company.industry != '') \
    + (company.country_code != '') + (company.city != ''))";
