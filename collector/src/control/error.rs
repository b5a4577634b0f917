//! What can go wrong with control data.

use super::SiteRule;
use crate::{feed::ObjectRule, person::Email, sealing::SealingError, site::SiteId, store::StoreError};

/// A refused or failed change.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// ClickHouse failed; whether a change was stored is unknown when it timed out.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The site is not as a site must be.
    #[error(transparent)]
    SiteRule(#[from] SiteRule),
    /// The id is taken.
    #[error("there is a site {0} already: choose another id, or change that one with `firmsight site set`")]
    SiteExists(SiteId),
    /// The id was another site's, of which something is still stored.
    #[error(
        "there was a site {0}, and what is stored of it would become the new one's: choose another id, or delete all of it \
         with `firmsight site remove --id {0} --purge`"
    )]
    SiteWasRemoved(SiteId),
    /// Only what was removed can be purged.
    #[error("the site {0} was not removed")]
    NotRemoved(SiteId),
    /// No site has the id.
    #[error("there is no site {0}")]
    NoSuchSite(SiteId),
    /// The key's name can't be shown in a list.
    #[error("a key's name has 1 to 100 characters, none of them a control character")]
    KeyName,
    /// The key's name is taken.
    #[error("there is a key named {0:?} already: choose another name, or revoke that one")]
    KeyExists(String),
    /// A list of no sites.
    #[error("a key needs at least one site; name none at all for all sites")]
    KeyWithoutSites,
    /// The end of a key's time is not ahead.
    #[error("a key's end must be in the future")]
    KeyExpired,
    /// A key would get more than its user may have.
    #[error("the key's user may not have that much: {0}")]
    BeyondUser(&'static str),
    /// The user's name can't be shown in a list.
    #[error("a user's name has 1 to 100 characters, none of them a control character")]
    UserName,
    /// The user's name is taken.
    #[error("there is a user named {0:?} already: choose another name")]
    UserExists(String),
    /// No user has this id.
    #[error("there is no user {0}")]
    NoSuchUser(uuid::Uuid),
    /// The person's name can't be shown in a list.
    #[error("a person's name has 1 to 100 characters, none of them a control character")]
    PersonName,
    /// The address is taken.
    #[error("{0} is somebody's address already: `firmsight person reset {0}` makes a new link for them")]
    PersonExists(Email),
    /// Nobody has this address.
    #[error("nobody has the address {0}")]
    NoSuchPerson(Email),
    /// Nobody could manage the installation any more.
    #[error("{0} is the last admin of all sites who can sign in: let another one sign in first")]
    LastAdmin(Email),
    /// A link that is for the first admin alone.
    #[error("somebody can sign in already: they invite others")]
    NotTheFirst,
    /// The link was used, replaced by a newer one, or is too old.
    #[error("this link was used already or is too old: ask for a new one")]
    LinkIsOver,
    /// No key has this id or name.
    #[error("there is no key with the id or name {0:?}")]
    NoSuchKey(String),
    /// The feed, list, goal or mark is not as it must be.
    #[error(transparent)]
    ObjectRule(#[from] ObjectRule),
    /// The name is taken.
    #[error("there is a {0} named {1:?} already: choose another name")]
    NameTaken(&'static str, String),
    /// No such object of the site.
    #[error("there is no {0} {1}")]
    NoSuchObject(&'static str, uuid::Uuid),
    /// Nobody objected so.
    #[error("there is no objection of this {0}")]
    NoSuchObjection(&'static str),
    /// More than anyone looks at.
    #[error("a site has at most {1} objects of the kind {0}: remove one first")]
    TooMany(&'static str, usize),
    /// The store was begun under another key.
    #[error(
        "the store was begun under another master key: put the right key file back (`[secrets].key_file`), the same for all collectors; \
         if it is lost for good, empty the table `master_key`, and every visitor becomes a new one"
    )]
    OtherMasterKey,
    /// No randomness.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// A value can't be written as JSON.
    #[error("cannot be stored as JSON: {0}")]
    Document(String),
}
