//! Keys and users: who may do what.

use super::{Control, ControlError, Token, document, site_rules, token_sha256};
use crate::{
    site::SiteId,
    snapshot::{ApiKey, Role, Snapshot, User},
    time::UnixMillis,
};
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// A row of `api_keys`, `users` or `people`.
#[derive(Row, Serialize, Deserialize)]
struct DocumentRow {
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    document: String,
    version: u64,
    is_deleted: u8,
}

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    /// Its name for people, unlike any other's.
    pub name: String,
    /// What it may see; `None` means all sites, later ones too.
    pub sites: Option<Vec<SiteId>>,
    /// What it may do.
    pub role: Role,
    /// From when on it is refused.
    pub expires_at: Option<UnixMillis>,
    /// Requests in a clock minute, in place of the configured number; 0 means any number.
    pub requests_per_minute: Option<u32>,
    /// Answered requests in a UTC month; `None` means any number, 0 that its plan has no API.
    #[serde(default)]
    pub requests_per_month: Option<u32>,
    /// Whose it is.
    pub user: Option<Uuid>,
}

impl NewKey {
    /// A key that reads everything and never ends.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let name = name.to_owned();
        Self {
            name,
            sites: None,
            role: Role::Read,
            expires_at: None,
            requests_per_minute: None,
            requests_per_month: None,
            user: None,
        }
    }
}

/// What of a key changes; the rest stays. Sites and role never do: a key's rights are what was agreed when its token was
/// handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// Its name.
    pub name: Option<String>,
    /// From when on it is refused; the inner `None` means never.
    pub expires_at: Option<Option<UnixMillis>>,
    /// Requests in a clock minute; the inner `None` means the configured number.
    pub requests_per_minute: Option<Option<u32>>,
    /// Answered requests in a UTC month; the inner `None` means any number.
    pub requests_per_month: Option<Option<u32>>,
}

/// A user to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// Its name for people, unlike any other's.
    pub name: String,
    /// What its keys may see at most; `None` means all sites, later ones too.
    pub sites: Option<Vec<SiteId>>,
    /// What its keys may do at most.
    pub role: Role,
    /// How many keys it may have.
    pub max_keys: u32,
    /// Requests in a clock minute of all its keys together; 0 means any number.
    pub requests_per_minute: Option<u32>,
    /// Answered requests in a UTC month of all its keys together; 0 means that its plan has no API.
    pub requests_per_month: Option<u32>,
}

/// What of a user changes; the rest stays. Its keys follow at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Its name.
    pub name: Option<String>,
    /// What its keys may see at most; the inner `None` means all sites.
    pub sites: Option<Option<Vec<SiteId>>>,
    /// What its keys may do at most.
    pub role: Option<Role>,
    /// How many keys it may have; those that are more stay.
    pub max_keys: Option<u32>,
    /// Requests in a clock minute of all its keys together; the inner `None` means each key's own.
    pub requests_per_minute: Option<Option<u32>>,
    /// Answered requests in a UTC month of all its keys together; the inner `None` means any number.
    pub requests_per_month: Option<Option<u32>>,
    /// Whether its keys are refused.
    pub is_disabled: Option<bool>,
}

impl Control {
    /// All keys, oldest first.
    #[must_use]
    pub fn list_keys(&self) -> Vec<Arc<ApiKey>> {
        let mut keys: Vec<_> = self.shared.snapshot.load().keys.values().cloned().collect();
        keys.sort_by_key(|key| (key.created_at, key.id));
        keys
    }

    /// Makes a key, in force when this returns. The token is kept nowhere: show it now or never.
    ///
    /// # Errors
    /// [`ControlError::KeyName`], [`ControlError::KeyExists`], [`ControlError::KeyWithoutSites`], [`ControlError::NoSuchSite`],
    /// [`ControlError::KeyExpired`], [`ControlError::NoSuchUser`], [`ControlError::BeyondUser`], [`ControlError::Sealing`] when
    /// the system has no randomness, or [`ControlError::Store`].
    pub async fn create_key(&self, key: NewKey, now: UnixMillis) -> Result<(Arc<ApiKey>, Token), ControlError> {
        let name = site_rules::name(&key.name).ok_or(ControlError::KeyName)?;
        if key.sites.as_ref().is_some_and(Vec::is_empty) {
            return Err(ControlError::KeyWithoutSites);
        }
        if key.expires_at.is_some_and(|end| end <= now) {
            return Err(ControlError::KeyExpired);
        }
        let (mut mirrored, mut snapshot) = self.begin().await?;
        key_name_is_free(&snapshot, &name, None)?;
        sites_are_there(&snapshot, key.sites.as_deref())?;
        if let Some(id) = key.user {
            fits_user(&snapshot, &key, id)?;
        }
        let token = Token::random()?;
        let token_sha256 = token_sha256(token.as_str());
        let NewKey { sites, role, expires_at, requests_per_minute, requests_per_month, user, .. } = key;
        let key = Arc::new(ApiKey {
            id: Uuid::new_v4(),
            name,
            sites,
            role,
            token_sha256,
            created_at: now,
            expires_at,
            requests_per_minute,
            requests_per_month,
            user,
        });
        self.write_key(&key, false, now).await?;
        snapshot.keys.insert(token_sha256, Arc::clone(&key));
        self.publish(&mut mirrored, snapshot).await;
        Ok((key, token))
    }

    /// Changes a key, in force when this returns.
    ///
    /// # Errors
    /// As [`Self::create_key`], and [`ControlError::NoSuchKey`].
    pub async fn set_key(&self, id: Uuid, change: KeyChange, now: UnixMillis) -> Result<Arc<ApiKey>, ControlError> {
        let (mut mirrored, mut snapshot) = self.begin().await?;
        let found = snapshot.keys.values().find(|key| key.id == id);
        let mut key = ApiKey::clone(found.ok_or_else(|| ControlError::NoSuchKey(id.to_string()))?);
        if let Some(name) = change.name {
            key.name = site_rules::name(&name).ok_or(ControlError::KeyName)?;
            key_name_is_free(&snapshot, &key.name, Some(id))?;
        }
        if let Some(expires_at) = change.expires_at {
            if expires_at.is_some_and(|end| end <= now) {
                return Err(ControlError::KeyExpired);
            }
            key.expires_at = expires_at;
        }
        if let Some(limit) = change.requests_per_minute {
            key.requests_per_minute = limit;
        }
        key.requests_per_month = change.requests_per_month.unwrap_or(key.requests_per_month);
        let key = Arc::new(key);
        self.write_key(&key, false, now).await?;
        snapshot.keys.insert(key.token_sha256, Arc::clone(&key));
        self.publish(&mut mirrored, snapshot).await;
        Ok(key)
    }

    /// Revokes the key with this id or name and returns it: its token is refused from now on.
    ///
    /// # Errors
    /// [`ControlError::NoSuchKey`] or [`ControlError::Store`].
    pub async fn revoke_key(&self, id_or_name: &str, now: UnixMillis) -> Result<Arc<ApiKey>, ControlError> {
        let (mut mirrored, mut snapshot) = self.begin().await?;
        let id = Uuid::parse_str(id_or_name).ok();
        let by_id = snapshot.keys.values().find(|key| Some(key.id) == id);
        let found = by_id.or_else(|| snapshot.keys.values().find(|key| key.name == id_or_name));
        let key = Arc::clone(found.ok_or_else(|| ControlError::NoSuchKey(id_or_name.to_owned()))?);
        self.write_key(&key, true, now).await?;
        snapshot.keys.remove(&key.token_sha256);
        self.publish(&mut mirrored, snapshot).await;
        Ok(key)
    }

    /// Makes a user, in force when this returns.
    ///
    /// # Errors
    /// [`ControlError::UserName`], [`ControlError::UserExists`], [`ControlError::NoSuchSite`] or [`ControlError::Store`].
    pub async fn add_user(&self, user: NewUser, now: UnixMillis) -> Result<Arc<User>, ControlError> {
        let name = site_rules::name(&user.name).ok_or(ControlError::UserName)?;
        let (mut mirrored, mut snapshot) = self.begin().await?;
        user_name_is_free(&snapshot, &name, None)?;
        sites_are_there(&snapshot, user.sites.as_deref())?;
        let NewUser { sites, role, max_keys, requests_per_minute, requests_per_month, .. } = user;
        let id = Uuid::new_v4();
        let user = Arc::new(User {
            id,
            name,
            sites,
            role,
            max_keys,
            requests_per_minute,
            requests_per_month,
            is_disabled: false,
            created_at: now,
        });
        self.write_user(&user, false, now).await?;
        snapshot.users.insert(id, Arc::clone(&user));
        self.publish(&mut mirrored, snapshot).await;
        Ok(user)
    }

    /// Changes a user, in force when this returns.
    ///
    /// # Errors
    /// As [`Self::add_user`], and [`ControlError::NoSuchUser`].
    pub async fn set_user(&self, id: Uuid, change: UserChange, now: UnixMillis) -> Result<Arc<User>, ControlError> {
        let (mut mirrored, mut snapshot) = self.begin().await?;
        let mut user = User::clone(snapshot.users.get(&id).ok_or(ControlError::NoSuchUser(id))?);
        if let Some(name) = change.name {
            user.name = site_rules::name(&name).ok_or(ControlError::UserName)?;
            user_name_is_free(&snapshot, &user.name, Some(id))?;
        }
        if let Some(sites) = change.sites {
            sites_are_there(&snapshot, sites.as_deref())?;
            user.sites = sites;
        }
        user.role = change.role.unwrap_or(user.role);
        user.max_keys = change.max_keys.unwrap_or(user.max_keys);
        user.requests_per_minute = change.requests_per_minute.unwrap_or(user.requests_per_minute);
        user.requests_per_month = change.requests_per_month.unwrap_or(user.requests_per_month);
        user.is_disabled = change.is_disabled.unwrap_or(user.is_disabled);
        let user = Arc::new(user);
        self.write_user(&user, false, now).await?;
        snapshot.users.insert(id, Arc::clone(&user));
        self.publish(&mut mirrored, snapshot).await;
        Ok(user)
    }

    /// Removes a user and revokes its keys.
    ///
    /// # Errors
    /// [`ControlError::NoSuchUser`] or [`ControlError::Store`].
    pub async fn remove_user(&self, id: Uuid, now: UnixMillis) -> Result<(), ControlError> {
        let (mut mirrored, mut snapshot) = self.begin().await?;
        let user = snapshot.users.get(&id).cloned().ok_or(ControlError::NoSuchUser(id))?;
        // Keys first: a crash between the two leaves a user without keys, not keys without their user's limits.
        let keys: Vec<_> = snapshot.keys.values().filter(|key| key.user == Some(id)).cloned().collect();
        for key in keys {
            self.write_key(&key, true, now).await?;
            snapshot.keys.remove(&key.token_sha256);
        }
        self.write_user(&user, true, now).await?;
        snapshot.users.remove(&id);
        self.publish(&mut mirrored, snapshot).await;
        Ok(())
    }

    /// What a removed site leaves behind: see [`Control::remove_site`].
    pub(super) async fn take_site_from_keys_and_users(
        &self,
        snapshot: &mut Snapshot,
        site: &SiteId,
        now: UnixMillis,
    ) -> Result<(), ControlError> {
        let names_it = |sites: &Option<Vec<SiteId>>| sites.as_ref().is_some_and(|sites| sites.contains(site));
        let without = |sites: &Option<Vec<SiteId>>| {
            sites.as_ref().map(|sites| sites.iter().filter(|other| *other != site).cloned().collect::<Vec<_>>())
        };
        let keys: Vec<_> = snapshot.keys.values().filter(|key| names_it(&key.sites)).cloned().collect();
        for key in keys {
            let key = ApiKey { sites: without(&key.sites), ..ApiKey::clone(&key) };
            let has_none = key.sites.as_ref().is_some_and(Vec::is_empty);
            self.write_key(&key, has_none, now).await?;
            if has_none {
                snapshot.keys.remove(&key.token_sha256);
            } else {
                snapshot.keys.insert(key.token_sha256, Arc::new(key));
            }
        }
        let users: Vec<_> = snapshot.users.values().filter(|user| names_it(&user.sites)).cloned().collect();
        for user in users {
            let user = User { sites: without(&user.sites), ..User::clone(&user) };
            self.write_user(&user, false, now).await?;
            snapshot.users.insert(user.id, Arc::new(user));
        }
        Ok(())
    }

    async fn write_key(&self, key: &ApiKey, is_deleted: bool, now: UnixMillis) -> Result<(), ControlError> {
        self.write_document("api_keys", key.id, document(key)?, is_deleted, now).await
    }

    async fn write_user(&self, user: &User, is_deleted: bool, now: UnixMillis) -> Result<(), ControlError> {
        self.write_document("users", user.id, document(user)?, is_deleted, now).await
    }

    pub(super) async fn write_document(
        &self,
        table: &str,
        id: Uuid,
        document: String,
        is_deleted: bool,
        now: UnixMillis,
    ) -> Result<(), ControlError> {
        let version = self.next_version(table, now).await?;
        let row = DocumentRow { id, document, version, is_deleted: is_deleted.into() };
        Ok(self.shared.store.insert(table, None, &[row]).await?)
    }
}

fn key_name_is_free(snapshot: &Snapshot, name: &str, own: Option<Uuid>) -> Result<(), ControlError> {
    let is_taken = snapshot.keys.values().any(|key| key.name == name && Some(key.id) != own);
    if is_taken { Err(ControlError::KeyExists(name.to_owned())) } else { Ok(()) }
}

fn user_name_is_free(snapshot: &Snapshot, name: &str, own: Option<Uuid>) -> Result<(), ControlError> {
    let is_taken = snapshot.users.values().any(|user| user.name == name && Some(user.id) != own);
    if is_taken { Err(ControlError::UserExists(name.to_owned())) } else { Ok(()) }
}

pub(super) fn sites_are_there(snapshot: &Snapshot, sites: Option<&[SiteId]>) -> Result<(), ControlError> {
    match sites.unwrap_or_default().iter().find(|id| !snapshot.sites.contains_key(*id)) {
        Some(unknown) => Err(ControlError::NoSuchSite(unknown.clone())),
        None => Ok(()),
    }
}

/// Whether a user may have this key as well.
fn fits_user(snapshot: &Snapshot, key: &NewKey, id: Uuid) -> Result<(), ControlError> {
    let user = snapshot.users.get(&id).ok_or(ControlError::NoSuchUser(id))?;
    let keys = snapshot.keys.values().filter(|key| key.user == Some(id)).count();
    if u32::try_from(keys).unwrap_or(u32::MAX) >= user.max_keys {
        return Err(ControlError::BeyondUser("it has all the keys it may have"));
    }
    if key.role > user.role {
        return Err(ControlError::BeyondUser("the role"));
    }
    let beyond = |theirs: &Vec<SiteId>| key.sites.iter().flatten().any(|site| !theirs.contains(site));
    if user.sites.as_ref().is_some_and(beyond) {
        return Err(ControlError::BeyondUser("a site"));
    }
    Ok(())
}
