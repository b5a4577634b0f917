//! The copy of the snapshot on disk.

use super::stored_objection::StoredObjection;
use crate::{
    objection::Objections,
    person::Person,
    sealing::MasterKey,
    site::Site,
    snapshot::{ApiKey, Snapshot, User},
    spool::files::rename_durably,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Raised when the file's meaning changes; a file of another format is not read.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Mirror<S, K, U, P> {
    format: u32,
    sites: Vec<S>,
    keys: Vec<K>,
    #[serde(default = "Vec::new")]
    users: Vec<U>,
    #[serde(default = "Vec::new")]
    people: Vec<P>,
    #[serde(default)]
    objections: Vec<StoredObjection>,
}

/// The snapshot in the file; `None` when there is no file.
pub(super) fn read(path: &Path, key: &MasterKey) -> io::Result<Option<Snapshot>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mirror: Mirror<Site, ApiKey, User, Person> = serde_json::from_slice(&bytes)?;
    if mirror.format != FORMAT {
        return Err(io::Error::other(format!("it has format {}, this version reads {FORMAT}", mirror.format)));
    }
    let objections = mirror.objections.into_iter().map(|stored| stored.open(key));
    let objections: Vec<_> = objections.collect::<Result<_, _>>().map_err(io::Error::other)?;
    Ok(Some(Snapshot {
        sites: mirror.sites.into_iter().map(|site| (site.id.clone(), Arc::new(site))).collect(),
        keys: mirror.keys.into_iter().map(|key| (key.token_sha256, Arc::new(key))).collect(),
        users: mirror.users.into_iter().map(|user| (user.id, Arc::new(user))).collect(),
        people: mirror.people.into_iter().map(|person| (person.id, Arc::new(person))).collect(),
        objections: Arc::new(Objections::of(objections)),
        loaded: true,
        ..Snapshot::default()
    }))
}

/// Replaces the file as a whole, readable by its owner only; on disk when this returns.
pub(super) async fn write(path: PathBuf, snapshot: Arc<Snapshot>, key: MasterKey) -> io::Result<()> {
    let write = move || {
        let sites = snapshot.sites.values().map(AsRef::as_ref).collect::<Vec<&Site>>();
        let keys = snapshot.keys.values().map(AsRef::as_ref).collect::<Vec<&ApiKey>>();
        let users = snapshot.users.values().map(AsRef::as_ref).collect::<Vec<&User>>();
        let people = snapshot.people.values().map(AsRef::as_ref).collect::<Vec<&Person>>();
        let objections = snapshot.objections.iter().map(|objection| StoredObjection::of(&objection, &key)).collect();
        replace(&path, &serde_json::to_vec(&Mirror { format: FORMAT, sites, keys, users, people, objections })?)
    };
    tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    // What a crash left may have been made with other rights.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    rename_durably(&beside, path)
}
