//! What people of a site keep: feeds (saved filters over companies), lists of companies, goals, and their marks on companies.
//!
//! These are control data: [`crate::control`] checks and writes them, [`crate::reports`] evaluates them.

mod filter;

pub(crate) use filter::MAX_TEXTS;
pub use filter::{DateRange, Filter, FilterRule, NumberRange, TextMatch, VisitorKind};

use crate::{site::SiteId, time::UnixMillis};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A saved filter over the companies that visited a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Its id.
    pub id: Uuid,
    /// The site whose companies it selects.
    pub site: SiteId,
    /// Its name for people; unique among the site's feeds.
    pub name: String,
    /// Which folder it is shown in; empty for none.
    #[serde(default)]
    pub folder: String,
    /// Which companies it selects.
    pub filter: Filter,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// A list that companies are put on by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanyList {
    /// Its id.
    pub id: Uuid,
    /// The site whose companies it holds.
    pub site: SiteId,
    /// Its name for people; unique among the site's lists.
    pub name: String,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// What a visitor should do; a visit that reaches it counts for a company's intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// Its id.
    pub id: Uuid,
    /// Its site.
    pub site: SiteId,
    /// Its name for people; unique among the site's goals.
    pub name: String,
    /// What reaches it.
    pub reached_by: GoalRule,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// What reaches a goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GoalRule {
    /// A page whose path matches.
    Page(TextMatch),
    /// An event whose name matches: that of a custom event, or `form`, `download`, `outbound`, `video`.
    Event(TextMatch),
}

/// A note on a company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its id.
    pub id: Uuid,
    /// Its text, 1 to 10,000 characters.
    pub text: String,
    /// The name of the key that wrote it.
    pub author: String,
    /// When it was written.
    pub created_at: UnixMillis,
}

impl Note {
    /// Whether its text can be stored.
    pub(crate) fn is_in_order(&self) -> bool {
        !self.text.trim().is_empty() && self.text.chars().count() <= MAX_NOTE_CHARACTERS
    }
}

/// What people noted about a company of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompanyMarks {
    /// Tags, sorted, each once.
    pub tags: Vec<String>,
    /// Lists it is on, sorted, each once.
    pub lists: Vec<Uuid>,
    /// Who takes care of it: an e-mail address or a name; empty for nobody.
    pub assignee: String,
    /// Whether it is left out of leads, visits and feeds.
    pub is_hidden: bool,
    /// Whether it is in the feed of followed companies.
    pub is_followed: bool,
    /// Notes, oldest first.
    pub notes: Vec<Note>,
}

impl CompanyMarks {
    /// Whether nothing is noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A rule that an object of a site breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectRule {
    /// The name can't be shown in a list.
    #[error("a name has 1 to 100 characters, none of them a control character")]
    Name,
    /// The folder's name can't be shown.
    #[error("a folder's name has at most 100 characters, none of them a control character")]
    Folder,
    /// The filter is not as a filter must be.
    #[error(transparent)]
    Filter(#[from] FilterRule),
    /// More tags than anyone reads.
    #[error("a company has at most {MAX_TAGS} tags of 1 to 100 characters, none of them a control character")]
    Tags,
    /// More lists than anyone keeps.
    #[error("a company is on at most {MAX_LISTS} lists, all of them lists of its site")]
    Lists,
    /// The assignee can't be shown.
    #[error("an assignee has at most 254 characters, none of them a control character")]
    Assignee,
    /// The note is empty or too long.
    #[error("a note has 1 to {MAX_NOTE_CHARACTERS} characters")]
    NoteText,
    /// Too many notes.
    #[error("a company has at most {MAX_NOTES} notes: remove one first")]
    TooManyNotes,
}

impl ObjectRule {
    /// The field that breaks it.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Folder => "folder",
            Self::Filter(_) => "filter",
            Self::Tags => "tags",
            Self::Lists => "lists",
            Self::Assignee => "assignee",
            Self::NoteText | Self::TooManyNotes => "text",
        }
    }
}

/// Most tags of one company.
pub const MAX_TAGS: usize = 100;
/// Most lists that one company is on.
pub const MAX_LISTS: usize = 100;
/// Most notes on one company.
pub const MAX_NOTES: usize = 500;
/// Longest note.
pub const MAX_NOTE_CHARACTERS: usize = 10_000;

/// A name for people: trimmed, not empty, one line.
pub(crate) fn name(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && fits_line(text, 100)).then(|| text.to_owned())
}

/// Whether a text is one line of at most so many characters.
pub(crate) fn fits_line(text: &str, longest: usize) -> bool {
    text.chars().count() <= longest && !text.chars().any(char::is_control)
}
