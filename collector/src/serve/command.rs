//! What the person at the terminal can ask of a running collector, or of one made for the occasion.

use super::backup::{BackedUp, Place};
use crate::{
    admin::Action,
    config::Changes,
    control::{NewKey, NewPerson},
    import::Batch,
    objection::Objection,
    person::Email,
    site::{ClientIdLife, ConsentMode, Site, SiteId},
    snapshot::Role,
    time::UnixMillis,
};
use beacon::ClientId;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, net::IpAddr};
use uuid::Uuid;

/// One order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Adds a site; answered with [`Answer::Done`] once it is in force.
    AddSite(Site),
    /// Changes a site; answered with [`Answer::Done`] once it is in force.
    SetSite(SiteId, SiteChange),
    /// Answered with [`Answer::Sites`], by id.
    ListSites,
    /// Removes a site; its data goes later (`[retention].deleted_sites`), unless it is to go
    /// now, which a removed one can be told too.
    RemoveSite {
        /// The site.
        id: SiteId,
        /// Whether everything that is stored of it is deleted now.
        purge: bool,
    },
    /// Makes a key; answered with [`Answer::Token`] once it is in force.
    CreateKey(NewKey),
    /// Answered with [`Answer::Keys`], oldest first.
    ListKeys,
    /// Revokes the key with this id or name.
    RevokeKey(String),
    /// Adds somebody who may sign in; answered with [`Answer::Token`], the secret part of their link.
    InvitePerson(NewPerson),
    /// Answered with [`Answer::People`], by address.
    ListPeople,
    /// Ends somebody's sessions and password; answered with [`Answer::Token`], the secret part of a new link.
    ResetPerson(Email),
    /// Removes somebody who may sign in.
    RemovePerson(Email),
    /// Brings the tables up to date; answered with [`Answer::Migrations`].
    Migrate {
        /// Only says what would be done.
        dry_run: bool,
        /// The cluster that is meant; a server with another one refuses. Empty for none.
        cluster: String,
    },
    /// Makes a backup in this place; answered with [`Answer::BackedUp`].
    BackUp(Place),
    /// Brings a backup into an empty store. A running server refuses.
    Restore(Place),
    /// Reads the configuration again; answered with [`Answer::Reloaded`].
    Reload,
    /// Erases what is stored of a visitor on a site.
    EraseVisitor {
        /// The site.
        site: SiteId,
        /// The client id of the visitor's cookie.
        visitor: ClientId,
    },
    /// Part of everything held of a visitor on a site, as lines of JSON; answered with [`Answer::Lines`].
    ExportVisitor {
        /// The site.
        site: SiteId,
        /// The client id of the visitor's cookie.
        visitor: ClientId,
        /// Lines that were read before.
        from: u64,
    },
    /// Remembers an objection; in force when answered.
    Object(Objection),
    /// Takes an objection back.
    TakeObjectionBack(Objection),
    /// Stores a batch of an access log; answered with [`Answer::Imported`].
    Import {
        /// The batch.
        batch: Batch,
        /// Names in place of reverse DNS; `None` asks DNS.
        names: Option<HashMap<IpAddr, String>>,
    },
    /// How many of the visits that an import named are there; answered with [`Answer::Visits`].
    CountVisits {
        /// The site.
        site: SiteId,
        /// Ids, each once.
        visits: Vec<u64>,
    },
}

impl Command {
    /// What the audit log says of it: action, endpoint, site and object. `None` where nothing is changed.
    pub(super) fn audited(&self) -> Option<(Action, &'static str, Option<&SiteId>, String)> {
        match self {
            Self::AddSite(site) => Some((Action::Create, "site add", Some(&site.id), site.id.to_string())),
            Self::SetSite(id, _) => Some((Action::Change, "site set", Some(id), id.to_string())),
            Self::RemoveSite { id, .. } => Some((Action::Remove, "site remove", Some(id), id.to_string())),
            Self::CreateKey(key) => Some((Action::Create, "key create", None, key.name.clone())),
            Self::RevokeKey(key) => Some((Action::Remove, "key revoke", None, key.clone())),
            Self::InvitePerson(person) => Some((Action::Create, "person add", None, person.email.to_string())),
            Self::ResetPerson(email) => Some((Action::Change, "person reset", None, email.to_string())),
            Self::RemovePerson(email) => Some((Action::Remove, "person remove", None, email.to_string())),
            Self::BackUp(place) => Some((Action::Create, "backup", None, place.to_string())),
            Self::EraseVisitor { site, .. } => Some((Action::Remove, "privacy erase", Some(site), String::new())),
            Self::ExportVisitor { site, from: 0, .. } => {
                Some((Action::Read, "privacy export", Some(site), String::new()))
            }
            Self::Object(objection) => Some((Action::Create, "privacy object", None, objection.kind().to_owned())),
            Self::TakeObjectionBack(objection) => {
                Some((Action::Remove, "privacy object", None, objection.kind().to_owned()))
            }
            // An import adds visits, as beacons do.
            Self::Import { .. }
            | Self::ListSites
            | Self::ListKeys
            | Self::ListPeople
            | Self::Migrate { .. }
            // The audit log is among what comes back.
            | Self::Restore(_)
            | Self::Reload
            | Self::ExportVisitor { .. }
            | Self::CountVisits { .. } => None,
        }
    }
}

/// What of a site changes; the rest stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SiteChange {
    /// Name for people.
    pub name: Option<String>,
    /// Hosts of its pages.
    pub hosts: Option<Vec<String>>,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// What it asks before anything is stored or sent.
    pub consent: Option<ConsentMode>,
    /// Whether `identify` is accepted.
    pub identify: Option<bool>,
    /// The owner's own networks.
    pub own_networks: Option<Vec<IpNet>>,
    /// How long ids are kept.
    pub client_id_life: Option<ClientIdLife>,
}

impl SiteChange {
    /// The site with the changes made.
    #[must_use]
    pub fn applied_to(self, site: &Site) -> Site {
        Site {
            id: site.id.clone(),
            name: self.name.unwrap_or_else(|| site.name.clone()),
            hosts: self.hosts.unwrap_or_else(|| site.hosts.clone()),
            timezone: self.timezone.unwrap_or_else(|| site.timezone.clone()),
            consent: self.consent.unwrap_or(site.consent),
            identify: self.identify.unwrap_or(site.identify),
            own_networks: self.own_networks.unwrap_or_else(|| site.own_networks.clone()),
            client_id_life: self.client_id_life.unwrap_or(site.client_id_life),
        }
    }
}

/// What comes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// The sites.
    Sites(Vec<Site>),
    /// A new key's token, or the secret part of a person's link, this one time.
    Token(String),
    /// The keys.
    Keys(Vec<ListedKey>),
    /// Those who may sign in.
    People(Vec<ListedPerson>),
    /// The migrations that ran or would run, such as `0003_company_days`.
    Migrations(Vec<String>),
    /// What became of a batch.
    Imported(Imported),
    /// How many visits there are.
    Visits(u64),
    /// The backup that was made.
    BackedUp(BackedUp),
    /// Lines of JSON; empty when there are no more.
    Lines(String),
    /// What the new configuration changes.
    Reloaded(Changes),
}

/// A key as it is listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListedKey {
    /// Its id, for `key revoke`.
    pub id: Uuid,
    /// Its name for people.
    pub name: String,
    /// What it may see; `None` means all sites.
    pub sites: Option<Vec<SiteId>>,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it is refused.
    pub expires_at: Option<UnixMillis>,
    /// When it was used last, give or take some seconds.
    pub last_used_at: Option<UnixMillis>,
}

/// Somebody who may sign in, as they are listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListedPerson {
    /// By what they sign in.
    pub email: Email,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The sites they see; `None` means all sites.
    pub sites: Option<Vec<SiteId>>,
    /// Whether they have chosen a password.
    pub can_sign_in: bool,
    /// When they were added.
    pub created_at: UnixMillis,
}

/// What became of an import's batch, in events.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Imported {
    /// Stored, or stored before.
    pub kept: u64,
    /// Left out, because the tracker counted them: same page, company and minute.
    pub already_counted: u64,
    /// Dropped, by reason.
    pub dropped: Vec<(String, u64)>,
    /// Ids of the visits that the kept ones belong to; one may be named twice.
    pub visits: Vec<u64>,
    /// Companies of the kept ones; one may be named twice, its pageviews then add up.
    pub companies: Vec<ImportedCompany>,
}

/// A company in a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportedCompany {
    /// Its stable id, as hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its domain; empty where it has none.
    pub domain: String,
    /// Pageviews in the batch.
    pub pageviews: u64,
}
