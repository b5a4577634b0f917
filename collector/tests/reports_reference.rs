//! Which test covers which rule and attribute of the API that we stand in for, by name. A rule whose test does not exist, does
//! not run or asserts nothing fails. Rules are those of the collected facts about that API: what every endpoint does, then its
//! check-list, by its numbers.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

const ACCESS: &str = include_str!("reports_access.rs");
const LISTS: &str = include_str!("reports_lists.rs");
const EXPORTS: &str = include_str!("reports_exports.rs");
const FEEDS: &str = include_str!("reports_feeds.rs");
const PAGING: &str = include_str!("../src/leadfeeder/paging.rs");
const DATES: &str = include_str!("../src/reports/dates.rs");
const CUSTOM_FEEDS: &str = include_str!("../src/leadfeeder/custom_feeds.rs");
const AUTHENTICATION: &str = include_str!("../src/admin/authentication.rs");
const CONTRACT: &str = include_str!("reports_contract.rs");
const INJECTION: &str = include_str!("reports_injection.rs");
const PSEUDONYM: &str = include_str!("../src/leadfeeder/pseudonym.rs");
const V1: &str = include_str!("reports_v1.rs");

/// A rule, the file of its test, and the test.
const RULES: &[(&str, &str, &str)] = &[
    (
        "token, bearer and X-Api-Key are accepted, quoted or not",
        ACCESS,
        "every_form_of_a_key_opens_and_nothing_else_does",
    ),
    ("401 is a JSON:API error", ACCESS, "every_report_asks_for_a_key"),
    ("404 is a JSON:API error", ACCESS, "unknown_paths_and_methods_get_json_api_errors"),
    ("429 has the exact body and Retry-After", ACCESS, "beyond_the_limit_comes_the_body_that_clients_know"),
    ("content type is application/json", LISTS, "documents_are_as_clients_know_them"),
    ("parameters that are missing or wrong are 400", ACCESS, "wrong_parameters_are_named"),
    ("GET /accounts", ACCESS, "a_key_sees_its_own_sites_and_others_do_not_exist_for_it"),
    ("GET /accounts/{account_id}", ACCESS, "a_key_sees_its_own_sites_and_others_do_not_exist_for_it"),
    ("GET /accounts/{account_id}/leads", LISTS, "documents_are_as_clients_know_them"),
    ("GET /accounts/{account_id}/leads/{lead_id}", LISTS, "documents_are_as_clients_know_them"),
    ("GET /accounts/{account_id}/leads/{lead_id}/visits", LISTS, "documents_are_as_clients_know_them"),
    ("GET /accounts/{account_id}/visits", LISTS, "documents_are_as_clients_know_them"),
    ("GET /accounts/{account_id}/custom-feeds", EXPORTS, "feeds_marks_and_scores_are_made_and_read_through_the_api"),
    (
        "GET /accounts/{account_id}/custom-feeds/{feed_id}",
        EXPORTS,
        "built_in_feeds_and_the_tracking_script_have_their_attributes",
    ),
    (
        "GET /accounts/{account_id}/custom-feeds/{feed_id}/leads",
        FEEDS,
        "any_filter_over_hostile_texts_finds_what_a_computation_without_sql_finds",
    ),
    ("feed id all_leads", EXPORTS, "built_in_feeds_and_the_tracking_script_have_their_attributes"),
    (
        "GET /accounts/{account_id}/website-tracking-script",
        EXPORTS,
        "built_in_feeds_and_the_tracking_script_have_their_attributes",
    ),
    (
        "POST /export-requests in all body forms",
        EXPORTS,
        "an_export_is_asked_for_in_any_form_and_fetched_when_it_is_made",
    ),
    ("GET /export-requests/{id}", EXPORTS, "an_export_is_asked_for_in_any_form_and_fetched_when_it_is_made"),
    ("GET /download/{unique_filename}", EXPORTS, "an_export_is_asked_for_in_any_form_and_fetched_when_it_is_made"),
    ("exports are bounded and expire", EXPORTS, "an_export_that_cannot_be_is_refused_by_name_and_expires"),
    ("IP-Enrich /companies?ip=", ACCESS, "the_company_behind_an_address_has_the_shape_of_ip_enrich"),
    (
        "dates are whole days of the account's zone, summer time included",
        DATES,
        "a_date_is_the_whole_day_in_the_sites_zone_also_when_the_clocks_change",
    ),
    ("date and hour in the account's zone", LISTS, "days_are_the_accounts_own_also_when_the_clocks_change"),
    ("page[number], page[size] with defaults and a cap", PAGING, "sizes_default_to_ten_and_are_cut_at_a_hundred"),
    (
        "links sorted and encoded, no next on the last page",
        PAGING,
        "links_are_absolute_sorted_and_encoded_and_differ_by_place",
    ),
    ("following next reaches every entry", LISTS, "following_next_ends_where_the_list_ends"),
    ("10,000 leads at most", LISTS, "leads_end_at_ten_thousand"),
    ("stable order under parallel paging", LISTS, "parallel_paging_loses_and_repeats_nothing_while_visits_arrive"),
    ("criteria of feeds", CUSTOM_FEEDS, "criteria_name_each_condition_and_whether_it_is_excluded"),
    (
        "filters are parameters, never SQL text",
        FEEDS,
        "any_filter_over_hostile_texts_finds_what_a_computation_without_sql_finds",
    ),
    ("ids and dates are parameters, never SQL text", LISTS, "no_parameter_reaches_the_store_as_sql"),
    (
        "every parameter of every reading operation is text, never SQL",
        INJECTION,
        "every_parameter_of_every_reading_operation_takes_tricks_as_text",
    ),
    (
        "ids of changing operations are text, never SQL",
        INJECTION,
        "ids_of_changing_operations_that_are_tricks_change_nothing",
    ),
    ("texts in bodies come back as they were sent", INJECTION, "texts_in_bodies_come_back_as_they_were_sent"),
    (
        "an unknown value has the type that clients decode",
        LISTS,
        "every_attribute_is_there_with_the_type_that_clients_decode",
    ),
    ("places are in included, each once", LISTS, "every_attribute_is_there_with_the_type_that_clients_decode"),
    ("a lead that never came is 404", LISTS, "a_lead_that_never_came_is_404_and_one_that_stayed_away_has_no_visits"),
    (
        "lf_client_id has the form of a client id and is none",
        PSEUDONYM,
        "a_pseudonym_has_the_form_of_a_client_id_and_depends_on_key_site_and_visitor",
    ),
    ("keys have an allowance of their own each minute", ACCESS, "beyond_the_limit_comes_the_body_that_clients_know"),
    ("a site is seen by its keys alone", ACCESS, "a_key_sees_its_own_sites_and_others_do_not_exist_for_it"),
    (
        "exports survive a restart and a crash",
        CONTRACT,
        "exports_survive_a_kill_and_their_downloads_are_in_the_audit_log",
    ),
    (
        "a generic JSON:API client loses and repeats nothing while beacons arrive",
        CONTRACT,
        "a_json_api_client_pages_a_thousand_leads_in_parallel_while_beacons_arrive",
    ),
    ("check-list 1: forms of the key", AUTHENTICATION, "tokens_are_read_from_every_form_that_clients_use"),
    ("check-list 1: forms of the key, over HTTP", ACCESS, "every_form_of_a_key_opens_and_nothing_else_does"),
    ("check-list 2: paths at the root, ours under /v1", V1, "unknown_paths_and_methods_under_v1_are_problems_too"),
    ("check-list 2: /companies?ip=", ACCESS, "the_company_behind_an_address_has_the_shape_of_ip_enrich"),
    ("check-list 3: date or datetime", DATES, "a_datetime_is_an_instant_and_its_end_is_inclusive"),
    ("check-list 3: 400 on garbage", DATES, "garbage_and_reversed_dates_are_refused_by_name"),
    ("check-list 4: page parameters, raw or encoded", ACCESS, "wrong_parameters_are_named"),
    ("check-list 4: default 10, at most 100", PAGING, "sizes_default_to_ten_and_are_cut_at_a_hundred"),
    ("check-list 5: links", PAGING, "links_are_absolute_sorted_and_encoded_and_differ_by_place"),
    ("check-list 6: instants, dates and hours", DATES, "instants_have_milliseconds_and_the_sites_own_date_and_hour"),
    (
        "check-list 6: page_depth, visit_length, entrance, time_on_page",
        LISTS,
        "every_attribute_is_there_with_the_type_that_clients_decode",
    ),
    ("check-list 7: 402", V1, "a_month_that_is_used_up_is_402_in_both_halves_and_on_every_process"),
    ("check-list 7: 429 and Retry-After", ACCESS, "beyond_the_limit_comes_the_body_that_clients_know"),
    ("check-list 7: 401 as JSON:API error", ACCESS, "every_report_asks_for_a_key"),
    ("check-list 8: stable order", LISTS, "parallel_paging_loses_and_repeats_nothing_while_visits_arrive"),
    ("check-list 9: 10,000 at most", LISTS, "leads_end_at_ten_thousand"),
    (
        "check-list 9: export, asynchronous, both body forms, unguessable addresses",
        EXPORTS,
        "an_export_is_asked_for_in_any_form_and_fetched_when_it_is_made",
    ),
    ("check-list 10: links begin with the configured address", LISTS, "following_next_ends_where_the_list_ends"),
    ("check-list 11: application/json", LISTS, "documents_are_as_clients_know_them"),
    (
        "tags, assignee and hidden companies show in leads",
        EXPORTS,
        "feeds_marks_and_scores_are_made_and_read_through_the_api",
    ),
];

/// Attributes by resource, and the file in which one is compared with what it must be.
const ATTRIBUTES: &[(&str, &str, &[&str])] = &[
    (
        "accounts",
        include_str!("golden/reports/account.json"),
        &["name", "subscription", "timezone", "on_trial", "subscription_addons", "website_tracking_status"],
    ),
    (
        "leads",
        LISTS,
        &[
            "name",
            "industry",
            "industries",
            "first_visit_date",
            "last_visit_date",
            "status",
            "website_url",
            "phone",
            "linkedin_url",
            "twitter_handle",
            "facebook_url",
            "logo_url",
            "employee_count",
            "employees_range",
            "crm_lead_id",
            "crm_organization_id",
            "tags",
            "assignee",
            "business_id",
            "revenue",
            "emailed_to",
            "view_in_leadfeeder",
            "visits",
            "quality",
        ],
    ),
    ("locations", LISTS, &["country", "country_code", "region", "region_code", "city", "state_code"]),
    (
        "visits",
        LISTS,
        &[
            "source",
            "medium",
            "campaign",
            "keyword",
            "query_term",
            "referring_url",
            "page_depth",
            "landing_page_path",
            "visit_route",
            "visit_length",
            "started_at",
            "date",
            "hour",
            "lead_id",
            "lf_client_id",
            "ga_client_ids",
            "adobe_cookies",
            "visitor_email",
            "visitor_first_name",
            "visitor_last_name",
            "country_code",
            "device_type",
        ],
    ),
    (
        "visit_route",
        LISTS,
        &["hostname", "page_path", "previous_page_path", "time_on_page", "page_title", "page_url", "display_page_name"],
    ),
    ("custom_feeds", EXPORTS, &["name", "criteria"]),
    ("website-tracking-script", EXPORTS, &["script_hash", "script_html", "timezone"]),
    ("export_requests", EXPORTS, &["status", "created_at", "status_url", "download_url"]),
    ("export rows", EXPORTS, &["keywords", "quality", "stats", "bounces", "last_visit", "pageviews", "visits", "lead"]),
    (
        "IP-Enrich",
        include_str!("golden/reports/company.json"),
        &[
            "id",
            "ip_address",
            "confidence_score",
            "company",
            "name",
            "domain",
            "logo_url",
            "revenue",
            "year",
            "amount",
            "employees_range",
            "min",
            "max",
            "industries",
            "sic",
            "naics",
            "social",
            "twitter",
            "facebook",
            "linkedin",
            "business_ids",
            "location",
            "city",
            "region",
            "country_code",
        ],
    ),
];

#[test]
fn every_rule_of_the_reference_has_a_test_that_runs_and_asserts() {
    for (rule, file, test) in RULES {
        let start = file.find(&format!("fn {test}(")).unwrap_or_else(|| panic!("{rule}: there is no test {test}"));
        let line = file[..start].rfind('\n').map_or(0, |end| end + 1);
        let attribute = file[..line].lines().last().unwrap_or_default().trim();
        assert!(
            attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test"),
            "{rule}: {test} is no test"
        );
        let indent = &file[line..start].chars().take_while(|character| *character == ' ').collect::<String>();
        let end = file[start..].find(&format!("\n{indent}}}")).map_or(file.len(), |length| start + length);
        assert!(file[start..end].contains("assert"), "{rule}: {test} asserts nothing");
    }
    for number in 1..=11 {
        assert!(RULES.iter().any(|(rule, ..)| rule.starts_with(&format!("check-list {number}:"))), "{number}");
    }
}

#[test]
fn every_attribute_of_the_reference_is_compared_by_name() {
    for (resource, file, attributes) in ATTRIBUTES {
        for attribute in *attributes {
            assert!(file.contains(&format!("\"{attribute}\"")), "{resource}: nothing compares {attribute}");
        }
    }
}
