//! People who sign in: invited by a link, which they use once to choose a password.
//!
//! Somebody must always be able to manage the installation. So the last admin of all sites who can sign in is neither removed
//! nor given less, not even by another admin in the same moment: one mutex spans check and change. Whoever sits at the
//! machine gets back in by `firmsight person reset`.

use super::{Control, ControlError, document, random_name, site_rules, token_sha256};
use crate::{
    person::{Email, Invitation, PasswordHash, Person},
    site::SiteId,
    snapshot::{Role, Snapshot},
    time::UnixMillis,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// How long an invitation can be used, in milliseconds: a week, so that a holiday's end suffices.
const INVITATION_LIFE: i64 = 7 * 86_400_000;

/// Somebody to be invited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPerson {
    /// By what they will sign in.
    pub email: Email,
    /// Their name for other people.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The sites they see; `None` means all sites, later ones too.
    pub sites: Option<Vec<SiteId>>,
}

/// What changes of a person; the rest stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonChange {
    /// Their name.
    pub name: Option<String>,
    /// What they may do. A new role ends their sessions.
    pub role: Option<Role>,
    /// The sites they see; the inner `None` means all sites. Ends their sessions, too.
    pub sites: Option<Option<Vec<SiteId>>>,
    /// A new password. Ends their sessions.
    pub password: Option<PasswordHash>,
    /// Ends their sessions and changes nothing else.
    pub ends_sessions: bool,
}

impl Control {
    /// Everybody, by address.
    #[must_use]
    pub fn list_people(&self) -> Vec<Arc<Person>> {
        let mut people: Vec<_> = self.shared.snapshot.load().people.values().cloned().collect();
        people.sort_by(|one, other| one.email.cmp(&other.email));
        people
    }

    /// Adds somebody and returns the secret part of the link by which they choose a password. It is kept nowhere.
    ///
    /// # Errors
    /// [`ControlError::PersonName`], [`ControlError::PersonExists`], [`ControlError::NoSuchSite`],
    /// [`ControlError::Sealing`] when the system has no randomness, or [`ControlError::Store`].
    pub async fn invite_person(
        &self,
        person: NewPerson,
        now: UnixMillis,
    ) -> Result<(Arc<Person>, String), ControlError> {
        let name = site_rules::name(&person.name).ok_or(ControlError::PersonName)?;
        let NewPerson { email, role, sites, .. } = person;
        let (mut mirrored, mut snapshot) = self.begin().await?;
        if by_email(&snapshot, &email).is_some() {
            return Err(ControlError::PersonExists(email));
        }
        super::access::sites_are_there(&snapshot, sites.as_deref())?;
        let (invitation, token) = invitation(now)?;
        let person = Person {
            id: Uuid::new_v4(),
            email,
            name,
            role,
            sites,
            password: None,
            invitation: Some(invitation),
            session_epoch: 0,
            created_at: now,
        };
        let person = self.store_person(&mut snapshot, person, now).await?;
        self.publish(&mut mirrored, snapshot).await;
        Ok((person, token))
    }

    /// Makes the first admin, who has chosen a password at once.
    ///
    /// # Errors
    /// [`ControlError::NotTheFirst`] when somebody can sign in, or as [`Self::invite_person`].
    pub async fn add_first_admin(
        &self,
        email: Email,
        name: &str,
        password: PasswordHash,
        now: UnixMillis,
    ) -> Result<Arc<Person>, ControlError> {
        let name = site_rules::name(name).ok_or(ControlError::PersonName)?;
        let (mut mirrored, mut snapshot) = self.begin().await?;
        if snapshot.people.values().any(|person| person.can_sign_in()) {
            return Err(ControlError::NotTheFirst);
        }
        // Somebody who was invited by the terminal and did not come yet may be the first one here.
        let invited = by_email(&snapshot, &email);
        let person = Person {
            id: invited.as_ref().map_or_else(Uuid::new_v4, |person| person.id),
            email,
            name,
            role: Role::Admin,
            sites: None,
            password: Some(password),
            invitation: None,
            session_epoch: 0,
            created_at: now,
        };
        let person = self.store_person(&mut snapshot, person, now).await?;
        self.publish(&mut mirrored, snapshot).await;
        Ok(person)
    }

    /// Uses a link: its owner has chosen a password.
    ///
    /// # Errors
    /// [`ControlError::LinkIsOver`] or [`ControlError::Store`].
    pub async fn accept_invitation(
        &self,
        token: &str,
        password: PasswordHash,
        now: UnixMillis,
    ) -> Result<Arc<Person>, ControlError> {
        let (mut mirrored, mut snapshot) = self.begin().await?;
        let person = invited(&snapshot, token, now).ok_or(ControlError::LinkIsOver)?;
        let person = Person {
            password: Some(password),
            invitation: None,
            session_epoch: person.session_epoch.wrapping_add(1),
            ..Person::clone(&person)
        };
        let person = self.store_person(&mut snapshot, person, now).await?;
        self.publish(&mut mirrored, snapshot).await;
        Ok(person)
    }

    /// Takes somebody's password away, ends their sessions, and returns the secret part of a new link.
    ///
    /// # Errors
    /// [`ControlError::NoSuchPerson`], [`ControlError::Sealing`] or [`ControlError::Store`].
    pub async fn reset_person(&self, email: &Email, now: UnixMillis) -> Result<String, ControlError> {
        let (mut mirrored, mut snapshot) = self.begin().await?;
        let person = by_email(&snapshot, email).ok_or_else(|| ControlError::NoSuchPerson(email.clone()))?;
        let (invitation, token) = invitation(now)?;
        let person = Person {
            password: None,
            invitation: Some(invitation),
            session_epoch: person.session_epoch.wrapping_add(1),
            ..Person::clone(&person)
        };
        self.store_person(&mut snapshot, person, now).await?;
        self.publish(&mut mirrored, snapshot).await;
        Ok(token)
    }

    /// Changes somebody, in force when this returns.
    ///
    /// # Errors
    /// [`ControlError::NoSuchPerson`], [`ControlError::PersonName`], [`ControlError::NoSuchSite`],
    /// [`ControlError::LastAdmin`] or [`ControlError::Store`].
    pub async fn set_person(
        &self,
        email: &Email,
        change: PersonChange,
        now: UnixMillis,
    ) -> Result<Arc<Person>, ControlError> {
        let (mut mirrored, mut snapshot) = self.begin().await?;
        let former = by_email(&snapshot, email).ok_or_else(|| ControlError::NoSuchPerson(email.clone()))?;
        let mut person = Person::clone(&former);
        if let Some(name) = change.name {
            person.name = site_rules::name(&name).ok_or(ControlError::PersonName)?;
        }
        if let Some(sites) = change.sites {
            super::access::sites_are_there(&snapshot, sites.as_deref())?;
            person.sites = sites;
        }
        person.role = change.role.unwrap_or(person.role);
        let gets_password = change.password.is_some();
        person.password = change.password.or(person.password);
        let rights_differ = person.role != former.role || person.sites != former.sites;
        if rights_differ || gets_password || change.ends_sessions {
            person.session_epoch = person.session_epoch.wrapping_add(1);
        }
        if !person.manages_everything() {
            refuse_last_admin(&snapshot, &former)?;
        }
        let person = self.store_person(&mut snapshot, person, now).await?;
        self.publish(&mut mirrored, snapshot).await;
        Ok(person)
    }

    /// Removes somebody: their sessions end.
    ///
    /// # Errors
    /// [`ControlError::NoSuchPerson`], [`ControlError::LastAdmin`] or [`ControlError::Store`].
    pub async fn remove_person(&self, email: &Email, now: UnixMillis) -> Result<(), ControlError> {
        let (mut mirrored, mut snapshot) = self.begin().await?;
        let person = by_email(&snapshot, email).ok_or_else(|| ControlError::NoSuchPerson(email.clone()))?;
        refuse_last_admin(&snapshot, &person)?;
        self.write_document("people", person.id, document(&*person)?, true, now).await?;
        snapshot.people.remove(&person.id);
        self.publish(&mut mirrored, snapshot).await;
        Ok(())
    }

    /// What a removed site leaves behind: see [`Control::remove_site`]. Somebody who saw it alone sees nothing then, but is
    /// not removed: their work stands in notes and in the audit log.
    pub(super) async fn take_site_from_people(
        &self,
        snapshot: &mut Snapshot,
        site: &SiteId,
        now: UnixMillis,
    ) -> Result<(), ControlError> {
        let names_it = |person: &Person| person.sites.as_ref().is_some_and(|sites| sites.contains(site));
        let people: Vec<_> = snapshot.people.values().filter(|person| names_it(person)).cloned().collect();
        for person in people {
            let mut person = Person::clone(&person);
            person.sites.iter_mut().for_each(|sites| sites.retain(|other| other != site));
            self.store_person(snapshot, person, now).await?;
        }
        Ok(())
    }

    async fn store_person(
        &self,
        snapshot: &mut Snapshot,
        person: Person,
        now: UnixMillis,
    ) -> Result<Arc<Person>, ControlError> {
        self.write_document("people", person.id, document(&person)?, false, now).await?;
        let person = Arc::new(person);
        snapshot.people.insert(person.id, Arc::clone(&person));
        Ok(person)
    }
}

/// Whose link has this secret part, where it can still be used.
#[must_use]
pub(crate) fn invited(snapshot: &Snapshot, token: &str, now: UnixMillis) -> Option<Arc<Person>> {
    let digest = token_sha256(token);
    let is_it = |link: &Invitation| link.token_sha256 == digest && link.expires_at > now;
    snapshot.people.values().find(|person| person.invitation.as_ref().is_some_and(is_it)).cloned()
}

/// Who has this address.
#[must_use]
pub(crate) fn by_email(snapshot: &Snapshot, email: &Email) -> Option<Arc<Person>> {
    snapshot.people.values().find(|person| person.email == *email).cloned()
}

fn invitation(now: UnixMillis) -> Result<(Invitation, String), ControlError> {
    let token = random_name()?;
    let expires_at = UnixMillis(now.0.saturating_add(INVITATION_LIFE));
    Ok((Invitation { token_sha256: token_sha256(&token), expires_at }, token))
}

fn refuse_last_admin(snapshot: &Snapshot, person: &Person) -> Result<(), ControlError> {
    let another = || snapshot.people.values().any(|other| other.id != person.id && other.manages_everything());
    if !person.manages_everything() || another() { Ok(()) } else { Err(ControlError::LastAdmin(person.email.clone())) }
}
