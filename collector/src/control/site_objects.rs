//! Feeds, lists and goals of sites, and people's marks on companies.
//!
//! Feeds, lists and goals are in the snapshot; marks may be many and are read where they are needed.

use super::{Control, ControlError, document, parse_documents};
use crate::{
    feed::{
        CompanyList, CompanyMarks, Feed, Goal, GoalRule, MAX_LISTS, MAX_NOTES, MAX_TAGS, ObjectRule, fits_line, name,
    },
    site::SiteId,
    snapshot::Snapshot,
    time::UnixMillis,
};
use clickhouse::Row;
use firmsight_resolver::CompanyId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use uuid::Uuid;

/// Most objects of one kind of one site.
const MAX_OF_A_SITE: usize = 1_000;
/// RFC 5321: the longest e-mail address.
const MAX_ASSIGNEE: usize = 254;

/// Something that a site has several of, each with an id and a name.
pub trait SiteObject: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind's word in the store and in messages.
    const KIND: &'static str;
    /// Its id.
    fn id(&self) -> Uuid;
    /// Its site.
    fn site(&self) -> &SiteId;
    /// Its name.
    fn name(&self) -> &str;
    /// Checks it and brings it into the form in which it is stored.
    ///
    /// # Errors
    /// The [`ObjectRule`] that it breaks.
    fn checked(self) -> Result<Self, ObjectRule>;
    /// All of its kind.
    fn of(snapshot: &Snapshot) -> &HashMap<Uuid, Arc<Self>>;
    /// All of its kind, to change.
    fn of_mut(snapshot: &mut Snapshot) -> &mut HashMap<Uuid, Arc<Self>>;
}

impl SiteObject for Feed {
    const KIND: &'static str = "feed";

    fn id(&self) -> Uuid {
        self.id
    }

    fn site(&self) -> &SiteId {
        &self.site
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn checked(self) -> Result<Self, ObjectRule> {
        let folder = self.folder.trim().to_owned();
        if !fits_line(&folder, 100) {
            return Err(ObjectRule::Folder);
        }
        self.filter.check()?;
        Ok(Self { name: name(&self.name).ok_or(ObjectRule::Name)?, folder, ..self })
    }

    fn of(snapshot: &Snapshot) -> &HashMap<Uuid, Arc<Self>> {
        &snapshot.feeds
    }

    fn of_mut(snapshot: &mut Snapshot) -> &mut HashMap<Uuid, Arc<Self>> {
        &mut snapshot.feeds
    }
}

impl SiteObject for CompanyList {
    const KIND: &'static str = "list";

    fn id(&self) -> Uuid {
        self.id
    }

    fn site(&self) -> &SiteId {
        &self.site
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn checked(self) -> Result<Self, ObjectRule> {
        Ok(Self { name: name(&self.name).ok_or(ObjectRule::Name)?, ..self })
    }

    fn of(snapshot: &Snapshot) -> &HashMap<Uuid, Arc<Self>> {
        &snapshot.lists
    }

    fn of_mut(snapshot: &mut Snapshot) -> &mut HashMap<Uuid, Arc<Self>> {
        &mut snapshot.lists
    }
}

impl SiteObject for Goal {
    const KIND: &'static str = "goal";

    fn id(&self) -> Uuid {
        self.id
    }

    fn site(&self) -> &SiteId {
        &self.site
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn checked(self) -> Result<Self, ObjectRule> {
        let (GoalRule::Page(texts) | GoalRule::Event(texts)) = &self.reached_by;
        texts.check()?;
        Ok(Self { name: name(&self.name).ok_or(ObjectRule::Name)?, ..self })
    }

    fn of(snapshot: &Snapshot) -> &HashMap<Uuid, Arc<Self>> {
        &snapshot.goals
    }

    fn of_mut(snapshot: &mut Snapshot) -> &mut HashMap<Uuid, Arc<Self>> {
        &mut snapshot.goals
    }
}

/// A row of `site_objects`.
#[derive(Row, Serialize, Deserialize)]
struct ObjectRow {
    kind: String,
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    document: String,
    version: u64,
    is_deleted: u8,
}

/// A row of `company_marks`.
#[derive(Clone, Debug, Default, Row, Serialize, Deserialize)]
struct MarksRow {
    site: String,
    company_id: u64,
    tags: Vec<String>,
    lists: Vec<String>,
    assignee: String,
    is_hidden: bool,
    is_followed: bool,
    notes: String,
    version: u64,
    is_deleted: u8,
}

impl Control {
    /// Adds a feed, a list or a goal, in force when this returns, and returns it as it was stored.
    ///
    /// # Errors
    /// [`ControlError::ObjectRule`], [`ControlError::NoSuchSite`], [`ControlError::NameTaken`], [`ControlError::TooMany`] or
    /// [`ControlError::Store`].
    pub async fn add_object<T: SiteObject>(&self, object: T, now: UnixMillis) -> Result<Arc<T>, ControlError> {
        let object = object.checked()?;
        let (mut mirrored, mut snapshot) = self.begin().await?;
        if !snapshot.sites.contains_key(object.site()) {
            return Err(ControlError::NoSuchSite(object.site().clone()));
        }
        if T::of(&snapshot).values().filter(|other| other.site() == object.site()).count() >= MAX_OF_A_SITE {
            return Err(ControlError::TooMany(T::KIND, MAX_OF_A_SITE));
        }
        refuse_taken_name(&snapshot, &object)?;
        self.write_object(&object, false, now).await?;
        let object = Arc::new(object);
        T::of_mut(&mut snapshot).insert(object.id(), Arc::clone(&object));
        self.publish(&mut mirrored, snapshot).await;
        Ok(object)
    }

    /// Changes a feed, a list or a goal of a site, in force when this returns.
    ///
    /// # Errors
    /// [`ControlError::NoSuchObject`], or as [`Control::add_object`].
    pub async fn change_object<T: SiteObject>(
        &self,
        site: &SiteId,
        id: Uuid,
        change: impl FnOnce(&T) -> T + Send,
        now: UnixMillis,
    ) -> Result<Arc<T>, ControlError> {
        let (mut mirrored, mut snapshot) = self.begin().await?;
        let former = T::of(&snapshot).get(&id).filter(|object| object.site() == site);
        let object = change(former.ok_or(ControlError::NoSuchObject(T::KIND, id))?).checked()?;
        refuse_taken_name(&snapshot, &object)?;
        self.write_object(&object, false, now).await?;
        let object = Arc::new(object);
        T::of_mut(&mut snapshot).insert(id, Arc::clone(&object));
        self.publish(&mut mirrored, snapshot).await;
        Ok(object)
    }

    /// Removes a feed, a list or a goal of a site.
    ///
    /// # Errors
    /// [`ControlError::NoSuchObject`] or [`ControlError::Store`].
    pub async fn remove_object<T: SiteObject>(
        &self,
        site: &SiteId,
        id: Uuid,
        now: UnixMillis,
    ) -> Result<(), ControlError> {
        let (mut mirrored, mut snapshot) = self.begin().await?;
        let object = T::of(&snapshot).get(&id).filter(|object| object.site() == site).cloned();
        self.write_object(&*object.ok_or(ControlError::NoSuchObject(T::KIND, id))?, true, now).await?;
        T::of_mut(&mut snapshot).remove(&id);
        self.publish(&mut mirrored, snapshot).await;
        Ok(())
    }

    /// What people noted about a company.
    ///
    /// # Errors
    /// [`ControlError::Store`].
    pub async fn marks(&self, site: &SiteId, company: CompanyId) -> Result<CompanyMarks, ControlError> {
        let store = &self.shared.store;
        let query = store
            .client()
            .query("SELECT ?fields FROM company_marks FINAL PREWHERE site = {site:String} AND company_id = {company:UInt64}")
            .param("site", site.as_str())
            .param("company", company.0);
        let row: Option<MarksRow> = store.in_time(query.fetch_optional()).await?;
        Ok(row.map(marks_of).unwrap_or_default())
    }

    /// Changes what is noted about a company, in force when this returns, and returns it as it was stored.
    ///
    /// # Errors
    /// [`ControlError::ObjectRule`] or [`ControlError::Store`].
    pub async fn change_marks(
        &self,
        site: &SiteId,
        company: CompanyId,
        change: impl FnOnce(&mut CompanyMarks) + Send,
        now: UnixMillis,
    ) -> Result<CompanyMarks, ControlError> {
        // Held so that of two changes at once none is lost.
        let (_one, snapshot) = self.begin().await?;
        let mut marks = self.marks(site, company).await?;
        change(&mut marks);
        let marks = checked_marks(marks, site, &snapshot)?;
        let row = MarksRow {
            site: site.to_string(),
            company_id: company.0,
            tags: marks.tags.clone(),
            lists: marks.lists.iter().map(ToString::to_string).collect(),
            assignee: marks.assignee.clone(),
            is_hidden: marks.is_hidden,
            is_followed: marks.is_followed,
            notes: document(&marks.notes)?,
            version: self.next_version("company_marks", now).await?,
            is_deleted: marks.is_empty().into(),
        };
        self.shared.store.insert("company_marks", None, &[row]).await?;
        Ok(marks)
    }

    /// Reads feeds, lists and goals into a snapshot.
    pub(super) async fn load_objects(&self, snapshot: &mut Snapshot) -> Result<(), ControlError> {
        let store = &self.shared.store;
        let query = store.client().query_raw("SELECT toString(kind), document FROM site_objects FINAL");
        let rows: Vec<(String, String)> = store.in_time(query.fetch_all()).await?;
        read_kind::<Feed>(&rows, snapshot);
        read_kind::<CompanyList>(&rows, snapshot);
        read_kind::<Goal>(&rows, snapshot);
        Ok(())
    }

    async fn write_object<T: SiteObject>(
        &self,
        object: &T,
        is_deleted: bool,
        now: UnixMillis,
    ) -> Result<(), ControlError> {
        let row = ObjectRow {
            kind: T::KIND.to_owned(),
            id: object.id(),
            document: document(object)?,
            version: self.next_version("site_objects", now).await?,
            is_deleted: is_deleted.into(),
        };
        Ok(self.shared.store.insert("site_objects", None, &[row]).await?)
    }
}

fn read_kind<T: SiteObject>(rows: &[(String, String)], snapshot: &mut Snapshot) {
    let own: Vec<_> = rows.iter().filter(|(kind, _)| kind == T::KIND).cloned().collect();
    let objects = parse_documents::<T>(T::KIND, &own).into_iter().map(|object| (object.id(), Arc::new(object)));
    T::of_mut(snapshot).extend(objects);
}

fn refuse_taken_name<T: SiteObject>(snapshot: &Snapshot, object: &T) -> Result<(), ControlError> {
    let is_taken = T::of(snapshot)
        .values()
        .any(|other| other.id() != object.id() && other.site() == object.site() && other.name() == object.name());
    if is_taken { Err(ControlError::NameTaken(T::KIND, object.name().to_owned())) } else { Ok(()) }
}

fn marks_of(row: MarksRow) -> CompanyMarks {
    CompanyMarks {
        tags: row.tags,
        lists: row.lists.iter().filter_map(|id| Uuid::parse_str(id).ok()).collect(),
        assignee: row.assignee,
        is_hidden: row.is_hidden,
        is_followed: row.is_followed,
        notes: serde_json::from_str(&row.notes).unwrap_or_default(),
    }
}

fn checked_marks(marks: CompanyMarks, site: &SiteId, snapshot: &Snapshot) -> Result<CompanyMarks, ObjectRule> {
    if marks.tags.len() > MAX_TAGS {
        return Err(ObjectRule::Tags);
    }
    let tags: Option<BTreeSet<String>> = marks.tags.iter().map(|tag| name(tag)).collect();
    let tags = tags.ok_or(ObjectRule::Tags)?;
    if marks.lists.len() > MAX_LISTS {
        return Err(ObjectRule::Lists);
    }
    // A list that was removed meanwhile is left out rather than refused.
    let lists: BTreeSet<Uuid> =
        marks.lists.into_iter().filter(|id| snapshot.lists.get(id).is_some_and(|list| list.site == *site)).collect();
    let assignee = marks.assignee.trim().to_owned();
    if !fits_line(&assignee, MAX_ASSIGNEE) {
        return Err(ObjectRule::Assignee);
    }
    if marks.notes.len() > MAX_NOTES {
        return Err(ObjectRule::TooManyNotes);
    }
    if !marks.notes.iter().all(|note| note.is_in_order()) {
        return Err(ObjectRule::NoteText);
    }
    Ok(CompanyMarks { tags: tags.into_iter().collect(), lists: lists.into_iter().collect(), assignee, ..marks })
}
