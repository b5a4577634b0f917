//! Where a pageview came from: source, medium, campaign and term, in the words web analytics uses.
//!
//! Signals in falling order: `utm_*` parameters of the page's URL, click ids that advertising networks
//! append, the referrer. A referrer that is one of the site's own hosts says nothing. Names of search
//! engines and social networks are those people know ("Google", "LinkedIn"); any other referrer is
//! named by its host with the medium "referral"; no signal at all is "(direct)" with "(none)".

use crate::site::Site;
use std::borrow::Cow;
use url::Url;

/// Longest kept source, medium, campaign or term, in bytes: they come from URLs that anybody can write.
const MAX_VALUE_BYTES: usize = 256;

const ORGANIC: &str = "organic";
const SOCIAL: &str = "social";
const PAID: &str = "cpc";
const EMAIL: &str = "email";
const ASSISTANT: &str = "ai-assistant";
const NOT_SET: &str = "(not set)";

/// Where a pageview came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// Such as "Google", "newsletter", "example.org" or "(direct)".
    pub source: String,
    /// Such as "organic", "cpc", "social", "email", "referral" or "(none)".
    pub medium: String,
    /// The `utm_campaign`; empty when there is none.
    pub campaign: String,
    /// The `utm_term`, or what was searched for where the search engine still tells; empty otherwise.
    pub term: String,
}

/// Parameters that advertising networks append to the landing page's URL.
const CLICK_IDS: [(&str, &str, &str); 13] = [
    ("gclid", "Google", PAID),
    ("gbraid", "Google", PAID),
    ("wbraid", "Google", PAID),
    ("dclid", "Google", "display"),
    ("msclkid", "Bing", PAID),
    ("yclid", "Yandex", PAID),
    ("ttclid", "TikTok", PAID),
    ("twclid", "X", PAID),
    ("li_fat_id", "LinkedIn", PAID),
    ("rdt_cid", "Reddit", PAID),
    // These two are appended to unpaid posts as well.
    ("fbclid", "Facebook", SOCIAL),
    ("igshid", "Instagram", SOCIAL),
    ("mc_eid", "Mailchimp", EMAIL),
];

/// A group of hosts that people know by one name. A host belongs to it when it equals one of the
/// hosts, or ends with one after a dot.
struct KnownReferrer {
    name: &'static str,
    medium: &'static str,
    hosts: &'static [&'static str],
    /// The URL parameter with what was searched for; empty when there is none.
    term: &'static str,
}

const fn known(name: &'static str, medium: &'static str, hosts: &'static [&'static str]) -> KnownReferrer {
    KnownReferrer { name, medium, hosts, term: "" }
}

const fn search(name: &'static str, hosts: &'static [&'static str], term: &'static str) -> KnownReferrer {
    KnownReferrer { name, medium: ORGANIC, hosts, term }
}

/// The longest matching host wins, so that `mail.google.com` is not the search engine.
const KNOWN_REFERRERS: [KnownReferrer; 67] = [
    search("Google", &["com.google.android.googlequicksearchbox"], "q"),
    search("Bing", &["bing.com"], "q"),
    search("DuckDuckGo", &["duckduckgo.com"], "q"),
    search("Yahoo!", &["search.yahoo.com", "search.yahoo.co.jp"], "p"),
    search("Ecosia", &["ecosia.org"], "q"),
    search("Qwant", &["qwant.com"], "q"),
    search("Startpage", &["startpage.com"], "query"),
    search("Brave", &["search.brave.com"], "q"),
    search("Kagi", &["kagi.com"], "q"),
    search("Yandex", &["yandex.ru", "yandex.com", "ya.ru"], "text"),
    search("Baidu", &["baidu.com"], "wd"),
    search("Sogou", &["sogou.com"], "query"),
    search("360 Search", &["so.com"], "q"),
    search("Naver", &["search.naver.com"], "query"),
    search("Daum", &["search.daum.net"], "q"),
    search("Seznam", &["search.seznam.cz"], "q"),
    search("Mojeek", &["mojeek.com"], "q"),
    search("MetaGer", &["metager.de", "metager.org"], "eingabe"),
    search("Swisscows", &["swisscows.com"], "query"),
    search("T-Online", &["suche.t-online.de"], "q"),
    search("WEB.DE", &["suche.web.de"], "q"),
    search("GMX", &["suche.gmx.net"], "q"),
    search("Ask", &["ask.com"], "q"),
    search("AOL", &["search.aol.com"], "q"),
    known("Google Maps", "referral", &["maps.google.com"]),
    known("Google Ads", PAID, &["googleadservices.com", "doubleclick.net"]),
    known("LinkedIn", SOCIAL, &["linkedin.com", "lnkd.in", "com.linkedin.android"]),
    known("XING", SOCIAL, &["xing.com"]),
    known("Facebook", SOCIAL, &["facebook.com", "fb.me", "com.facebook.katana"]),
    known("Instagram", SOCIAL, &["instagram.com"]),
    known("Threads", SOCIAL, &["threads.net", "threads.com"]),
    known("X", SOCIAL, &["twitter.com", "x.com", "t.co"]),
    known("YouTube", SOCIAL, &["youtube.com", "youtu.be"]),
    known("Reddit", SOCIAL, &["reddit.com", "com.reddit.frontpage"]),
    known("Hacker News", SOCIAL, &["news.ycombinator.com"]),
    known("GitHub", SOCIAL, &["github.com"]),
    known("Stack Overflow", SOCIAL, &["stackoverflow.com"]),
    known("Pinterest", SOCIAL, &["pinterest.com", "pinterest.de", "pin.it"]),
    known("TikTok", SOCIAL, &["tiktok.com"]),
    known("Bluesky", SOCIAL, &["bsky.app", "go.bsky.app"]),
    known("Mastodon", SOCIAL, &["mastodon.social", "mastodon.online", "org.joinmastodon.android"]),
    known("WhatsApp", SOCIAL, &["whatsapp.com", "wa.me"]),
    known("Telegram", SOCIAL, &["telegram.org", "t.me", "org.telegram.messenger"]),
    known("Discord", SOCIAL, &["discord.com"]),
    known("Slack", SOCIAL, &["slack.com", "com.slack"]),
    known("Microsoft Teams", SOCIAL, &["teams.microsoft.com", "statics.teams.cdn.office.net"]),
    known("Quora", SOCIAL, &["quora.com"]),
    known("Medium", SOCIAL, &["medium.com"]),
    known("Vimeo", SOCIAL, &["vimeo.com"]),
    known("VK", SOCIAL, &["vk.com"]),
    known("Weibo", SOCIAL, &["weibo.com"]),
    known("Gmail", EMAIL, &["mail.google.com", "com.google.android.gm"]),
    known("Outlook", EMAIL, &["outlook.live.com", "outlook.office.com", "outlook.office365.com"]),
    known("Outlook Safe Links", EMAIL, &["safelinks.protection.outlook.com"]),
    known("Yahoo! Mail", EMAIL, &["mail.yahoo.com"]),
    known("GMX", EMAIL, &["gmx.net", "gmx.de"]),
    known("WEB.DE", EMAIL, &["web.de"]),
    known("Proton Mail", EMAIL, &["mail.proton.me"]),
    known("ChatGPT", ASSISTANT, &["chatgpt.com", "chat.openai.com", "com.openai.chatgpt"]),
    known("Claude", ASSISTANT, &["claude.ai", "com.anthropic.claude"]),
    known("Perplexity", ASSISTANT, &["perplexity.ai", "ai.perplexity.app.android"]),
    known("Gemini", ASSISTANT, &["gemini.google.com", "com.google.android.apps.bard"]),
    known("Microsoft Copilot", ASSISTANT, &["copilot.microsoft.com", "copilot.com", "m365.cloud.microsoft"]),
    known("Mistral", ASSISTANT, &["chat.mistral.ai"]),
    known("Grok", ASSISTANT, &["grok.com", "x.ai"]),
    known("DeepSeek", ASSISTANT, &["chat.deepseek.com"]),
    known("Meta AI", ASSISTANT, &["meta.ai"]),
];

/// What is kept in place of a click id: that there was one.
const CLICKED: &str = "1";

/// A URL's query without the values of click ids, which tell single clicks, and so people, apart: only that there was one
/// is kept.
#[must_use]
pub fn without_click_ids(query: &str) -> String {
    let flagged = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if !value.is_empty() && is_click_id(name) => Cow::Owned(format!("{name}={CLICKED}")),
        _ => Cow::Borrowed(pair),
    });
    flagged.collect::<Vec<_>>().join("&")
}

/// A name of the list above, or one that ends like theirs: networks keep inventing more.
fn is_click_id(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ends = ["clid", "clkid", "clickid", "click_id"].iter().any(|end| name.ends_with(end));
    ends || CLICK_IDS.iter().any(|(id, ..)| name == *id)
}

/// Works out where a pageview came from. `page` is its URL, `referrer` what the browser said.
#[must_use]
pub fn attribute(page: Option<&Url>, referrer: &str, site: &Site) -> Attribution {
    let mut utm = Utm::default();
    let mut click = None;
    for (name, value) in page.into_iter().flat_map(Url::query_pairs) {
        if value.trim().is_empty() {
            continue;
        }
        match utm.slot(&name) {
            Some(slot) => *slot = cut(value.trim()).to_owned(),
            None => click = click.or_else(|| CLICK_IDS.iter().find(|(id, ..)| name.eq_ignore_ascii_case(id))),
        }
    }
    let base = match click {
        Some((_, source, medium)) => Attribution::named(source, medium),
        None => from_referrer(referrer, site),
    };
    let said = said_source(&utm.source);
    let medium = match said {
        _ if !utm.medium.is_empty() => utm.medium,
        Some(known) if click.is_none() => known.medium.to_owned(),
        _ if !utm.source.is_empty() && click.is_none() => NOT_SET.to_owned(),
        _ => base.medium,
    };
    Attribution {
        source: match said {
            Some(known) => known.name.to_owned(),
            None if utm.source.is_empty() => base.source,
            None => utm.source,
        },
        medium,
        campaign: utm.campaign,
        term: if utm.term.is_empty() { base.term } else { utm.term },
    }
}

/// What a `utm_source` means that is a host of the table, as assistants write it ("chatgpt.com"), or an assistant's name. What an
/// owner names otherwise stays as it is.
fn said_source(source: &str) -> Option<&'static KnownReferrer> {
    let source = source.to_ascii_lowercase();
    if source.contains('.') {
        return longest_match(&source);
    }
    let is_name = |name: &str| name.split(' ').next_back().is_some_and(|last| last.eq_ignore_ascii_case(&source));
    KNOWN_REFERRERS.iter().find(|known| known.medium == ASSISTANT && is_name(known.name))
}

#[derive(Default)]
struct Utm {
    source: String,
    medium: String,
    campaign: String,
    term: String,
}

impl Utm {
    /// Links that were escaped once too often have "&amp;" between their parameters.
    fn slot(&mut self, name: &str) -> Option<&mut String> {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("amp;").unwrap_or(&name) {
            "utm_source" => Some(&mut self.source),
            "utm_medium" => Some(&mut self.medium),
            "utm_campaign" => Some(&mut self.campaign),
            "utm_term" => Some(&mut self.term),
            _ => None,
        }
    }
}

impl Attribution {
    fn named(source: &str, medium: &str) -> Self {
        Self { source: source.to_owned(), medium: medium.to_owned(), campaign: String::new(), term: String::new() }
    }
}

fn from_referrer(referrer: &str, site: &Site) -> Attribution {
    let direct = || Attribution::named("(direct)", "(none)");
    let Ok(url) = Url::parse(referrer) else { return direct() };
    let Some(host) = url.host_str() else { return direct() };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if host.is_empty() || site.has_host(&host) {
        return direct();
    }
    if is_google_search(&host) {
        return Attribution { term: search_term(&url, "q"), ..Attribution::named("Google", ORGANIC) };
    }
    match longest_match(&host) {
        Some(known) => {
            Attribution { term: search_term(&url, known.term), ..Attribution::named(known.name, known.medium) }
        }
        None => Attribution::named(cut(host.strip_prefix("www.").unwrap_or(&host)), "referral"),
    }
}

/// Google searches under `google.` and `www.google.` of some 190 country domains.
fn is_google_search(host: &str) -> bool {
    let Some(country) = host.strip_prefix("www.").unwrap_or(host).strip_prefix("google.") else { return false };
    let mut labels = country.split('.');
    match (labels.next(), labels.next(), labels.next()) {
        (Some("com"), None, None) => true,
        (Some(label), None, None) => label.len() == 2,
        (Some("com" | "co"), Some(label), None) => label.len() == 2,
        _ => false,
    }
}

fn longest_match(host: &str) -> Option<&'static KnownReferrer> {
    let matches = |known: &str| host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    KNOWN_REFERRERS
        .iter()
        .flat_map(|entry| entry.hosts.iter().map(move |known| (known.len(), *known, entry)))
        .filter(|(_, known, _)| matches(known))
        .max_by_key(|(length, ..)| *length)
        .map(|(.., entry)| entry)
}

fn search_term(referrer: &Url, parameter: &str) -> String {
    if parameter.is_empty() {
        return String::new();
    }
    let term = referrer.query_pairs().find(|(name, _)| name == parameter).map_or(Cow::Borrowed(""), |(_, value)| value);
    cut(term.trim()).to_owned()
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_VALUE_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site {
            timezone: "Europe/Berlin".to_owned(),
            ..Site::new("shop".parse().unwrap(), "Shop", ["shop.example", "www.shop.example"])
        }
    }

    #[test]
    fn each_signal_names_source_medium_campaign_and_term() {
        let page = "https://shop.example/";
        for (url, referrer, expected) in [
            (page, "", ["(direct)", "(none)", "", ""]),
            (page, "not a url", ["(direct)", "(none)", "", ""]),
            (page, "about:blank", ["(direct)", "(none)", "", ""]),
            (page, "https://www.shop.example/a", ["(direct)", "(none)", "", ""]),
            (page, "https://WWW.Google.de/", ["Google", "organic", "", ""]),
            (page, "https://www.google.co.uk/search?q=rust+crm", ["Google", "organic", "", "rust crm"]),
            (page, "https://google.com.evil.example/", ["google.com.evil.example", "referral", "", ""]),
            (page, "https://notgoogle.com/", ["notgoogle.com", "referral", "", ""]),
            (page, "https://mail.google.com/mail/u/0/", ["Gmail", "email", "", ""]),
            (page, "https://docs.google.com/d/1", ["docs.google.com", "referral", "", ""]),
            (page, "https://de.search.yahoo.com/search?p=crm", ["Yahoo!", "organic", "", "crm"]),
            (page, "https://www.linkedin.com/feed/", ["LinkedIn", "social", "", ""]),
            (page, "https://t.co/abc", ["X", "social", "", ""]),
            (page, "https://netflix.com/", ["netflix.com", "referral", "", ""]),
            (page, "android-app://com.google.android.gm/", ["Gmail", "email", "", ""]),
            (page, "https://chatgpt.com/", ["ChatGPT", "ai-assistant", "", ""]),
            (page, "https://grok.com/", ["Grok", "ai-assistant", "", ""]),
            (page, "https://m365.cloud.microsoft/chat", ["Microsoft Copilot", "ai-assistant", "", ""]),
            (page, "android-app://com.linkedin.android/", ["LinkedIn", "social", "", ""]),
            ("https://shop.example/?utm_source=chatgpt.com", "", ["ChatGPT", "ai-assistant", "", ""]),
            (
                "https://shop.example/?utm_source=copilot",
                "https://bing.com/",
                ["Microsoft Copilot", "ai-assistant", "", ""],
            ),
            ("https://shop.example/?utm_source=perplexity&utm_medium=x", "", ["Perplexity", "x", "", ""]),
            ("https://shop.example/?utm_source=linkedin", "", ["linkedin", "(not set)", "", ""]),
            ("https://shop.example/?utm_source=news&amp;utm_medium=email", "", ["news", "email", "", ""]),
            (page, "https://www.partner.example/list?x=1", ["partner.example", "referral", "", ""]),
            ("https://shop.example/?gclid=abc", "https://www.google.com/", ["Google", "cpc", "", ""]),
            ("https://shop.example/?msclkid=1&utm_campaign=spring", "", ["Bing", "cpc", "spring", ""]),
            (
                "https://shop.example/?utm_source=news&utm_medium=email&utm_campaign=May&utm_term=a",
                "https://bing.com/",
                ["news", "email", "May", "a"],
            ),
            ("https://shop.example/?UTM_Source=news", "https://bing.com/", ["news", "(not set)", "", ""]),
            ("https://shop.example/?utm_source=ads&gclid=1", "", ["ads", "cpc", "", ""]),
            ("https://shop.example/?utm_source=%20&fbclid=1", "", ["Facebook", "social", "", ""]),
            (
                "https://shop.example/?utm_medium=banner",
                "https://partner.example/",
                ["partner.example", "banner", "", ""],
            ),
        ] {
            let [source, medium, campaign, term] = expected.map(str::to_owned);
            let expected = Attribution { source, medium, campaign, term };
            assert_eq!(attribute(Url::parse(url).ok().as_ref(), referrer, &site()), expected, "{url} from {referrer}");
        }
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let url = Url::parse(&format!("https://shop.example/?utm_source={}", "ä".repeat(300))).unwrap();
        let source = attribute(Some(&url), "", &site()).source;
        assert_eq!(source, "ä".repeat(MAX_VALUE_BYTES / 2));
    }

    #[test]
    fn of_click_ids_only_that_there_was_one_is_kept() {
        for (query, kept) in [
            ("gclid=EAIaIQobChMI&utm_source=x", "gclid=1&utm_source=x"),
            ("a=1&FBCLID=abc&b=2", "a=1&FBCLID=1&b=2"),
            ("ref=x&irclickid=7&wbraid=9&li_fat_id=q", "ref=x&irclickid=1&wbraid=1&li_fat_id=1"),
            ("gclid=&gclid", "gclid=&gclid"),
            ("", ""),
            ("page=2&q=gclid=3", "page=2&q=gclid=3"),
        ] {
            assert_eq!(without_click_ids(query), kept, "{query}");
        }
    }
}
