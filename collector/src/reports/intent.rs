//! What intent is made of, and which companies are worth a call: one definition in SQL, which every list, score and brief
//! uses. docs/scores.md explains it for people.

/// Words of a path that mean interest in buying, in the languages that the product speaks.
const KEY_PAGES: &str = "['/pricing', '/price', '/plans', '/quote', '/demo', '/samples', '/preis', '/angebot', '/muster', '/tarif', '/prix', '/devis', '/echantillon']";

/// Words of a path that mean anything but: applicants, lawyers, people who work with what they have bought.
const PAGES_AGAINST: &str = "['/job', '/career', '/vacanc', '/karriere', '/stellen', '/emploi', '/carriere', '/recrutement', '/imprint', '/impressum', \
    '/legal', '/mentions-legales', '/privacy', '/datenschutz', '/confidentialite', '/login', '/signin', '/sign-in', '/anmelden', '/connexion']";

const DAY: i64 = 86_400_000;

/// Days without a visit after which a company that comes again is back rather than returning.
pub(crate) const BACK_AFTER_DAYS: i64 = 30;

/// Aggregates over rows of `visits AS visit` in a window, from which [`parts`] are computed. `reached` says whether a visit reached
/// a goal. A visit counts where it reached one, or saw at least one page that doesn't count against interest.
pub(super) fn numbers(reached: &str) -> String {
    let counts = format!(
        "(({reached}) OR arrayExists(path -> multiSearchAnyCaseInsensitive(path, {PAGES_AGAINST}) = 0, visit.route_path))"
    );
    format!(
        "toUInt64(countIf({reached})) AS goal_visits, toUInt64(countIf({counts})) AS counted, \
        toUInt64(uniqExactIf(toDate(visit.started_at, {{zone:String}}), {counts})) AS days, \
        toUInt64(uniqExactIf(visit.visitor, {counts})) AS visitors, \
        toUInt64(sumIf(visit.pageviews, {counts})) AS counted_pages, \
        if(counted = 0, toInt64(0), {{until:Int64}} - toUnixTimestamp64Milli(maxIf(visit.started_at, {counts}))) AS since, \
        toUInt64(sum(length(arrayFilter(path -> multiSearchAnyCaseInsensitive(path, {KEY_PAGES}) = 1, visit.route_path)))) AS key_reads"
    )
}

/// The parts of intent, 2 points each: name, value and points, over the columns of [`numbers`].
pub(super) fn parts() -> [(&'static str, String, String); 5] {
    [
        ("goals", "toFloat64(goal_visits)".to_owned(), "((goal_visits >= 1) + (goal_visits >= 3))".to_owned()),
        ("active_days", "toFloat64(days)".to_owned(), "((days >= 2) + (days >= 5))".to_owned()),
        ("visitors", "toFloat64(visitors)".to_owned(), "((visitors >= 2) + (visitors >= 4))".to_owned()),
        (
            "recency",
            format!("toFloat64(intDiv(since, {DAY}))"),
            format!("if(counted = 0, 0, (since < 30 * {DAY}) + (since < 7 * {DAY}))"),
        ),
        (
            "depth",
            "if(counted = 0, 0, counted_pages / counted)".to_owned(),
            "if(counted = 0, 0, (counted_pages / counted >= 3) + (counted_pages / counted >= 6))".to_owned(),
        ),
    ]
}

/// Intent, 0 to 10, over the columns of [`numbers`].
pub(super) fn intent() -> String {
    let points: Vec<String> = parts().into_iter().map(|(_, _, points)| points).collect();
    format!("toUInt8({})", points.join(" + "))
}

/// What speaks for a call, over the columns of [`numbers`] and `silent_days`: reasons outweigh scores. A goal is worth more than all
/// else together; then a key page read twice, coming back, several people, a first visit that looked around.
pub(super) fn reasons() -> String {
    format!(
        "toUInt8(if(counted = 0, 0, 16 * (goal_visits > 0) + 4 * (key_reads >= 2) + 4 * (silent_days >= {BACK_AFTER_DAYS}) \
            + 2 * (visitors >= 2) + (is_new AND counted_pages >= 3)))"
    )
}
