//! A disk that forgets what was not synced, tears writes, fails on demand and fills up.

use crate::spool::files::{AppendFile, Files};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

/// What a crash leaves whole or loses whole.
const SECTOR: usize = 512;

/// An operation that can be made to fail, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    /// Fails having written some of the bytes.
    Append,
    /// What was not synced by then never will be, though it can still be read: what Linux does (fsyncgate).
    Sync,
    Truncate,
    Overwrite,
    Rename,
    Remove,
    SyncFolder,
}

#[derive(Clone, Debug, Default)]
struct Node {
    data: Vec<u8>,
    durable: Vec<u8>,
    /// Bytes whose sync failed.
    never_durable: BTreeSet<usize>,
}

impl Node {
    fn sync(&mut self) {
        self.durable = self.data.clone();
        for at in &self.never_durable {
            if let Some(byte) = self.durable.get_mut(*at) {
                *byte = 0;
            }
        }
    }

    fn sync_failed(&mut self) {
        let changed = |at: &usize| self.durable.get(*at) != self.data.get(*at);
        self.never_durable.extend((0..self.data.len()).filter(changed));
    }

    /// The length is the old one, the new one or a sector's end between; each sector is the old or the new one.
    fn after_power_cut(&self, chance: &mut SmallRng) -> Vec<u8> {
        let ends = [self.durable.len(), self.data.len()];
        let (short, long) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let between = (short / SECTOR + 1..=long / SECTOR).map(|sector| sector * SECTOR);
        let lengths: Vec<usize> = ends.into_iter().chain(between.filter(|length| *length < long)).collect();
        let length = lengths[chance.random_range(0..lengths.len())];
        let mut left = vec![0; length];
        for (sector, target) in left.chunks_mut(SECTOR).enumerate() {
            let keeps_new = chance.random_bool(0.5);
            for (at, byte) in target.iter_mut().enumerate() {
                let at = sector * SECTOR + at;
                let old = self.durable.get(at);
                let new = self.data.get(at).filter(|_| keeps_new && !self.never_durable.contains(&at));
                *byte = *new.or(old).unwrap_or(&0);
            }
        }
        left
    }
}

#[derive(Debug)]
struct Disk {
    nodes: Vec<Node>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    capacity: usize,
    /// Operations that are to fail, each once.
    failing: Vec<Operation>,
    /// Goes up when the process dies: what it still tries comes to nothing.
    process: u32,
    /// Whether syncs wait.
    stuck: bool,
}

impl Disk {
    fn used(&self) -> usize {
        self.names.values().map(|node| self.nodes[*node].data.len()).sum()
    }

    fn node(&mut self, path: &Path) -> io::Result<&mut Node> {
        let node = *self.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(&mut self.nodes[node])
    }
}

/// A process's view of the disk.
#[derive(Clone, Debug)]
pub(super) struct FakeFiles {
    disk: Arc<(Mutex<Disk>, Condvar)>,
    process: u32,
}

impl FakeFiles {
    pub(super) fn new() -> Self {
        let disk = Disk {
            nodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            capacity: usize::MAX,
            failing: Vec::new(),
            process: 0,
            stuck: false,
        };
        Self { disk: Arc::new((Mutex::new(disk), Condvar::new())), process: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.0.lock().unwrap()
    }

    /// The disk for an operation of this process, unless that is to fail.
    fn begin(&self, operation: Option<Operation>) -> io::Result<MutexGuard<'_, Disk>> {
        let mut disk = self.lock();
        if disk.process != self.process {
            return Err(io::Error::other("this process is dead"));
        }
        if let Some(operation) = operation
            && let Some(at) = disk.failing.iter().position(|failing| *failing == operation)
        {
            disk.failing.remove(at);
            return Err(io::Error::other(format!("{operation:?} was made to fail")));
        }
        Ok(disk)
    }

    /// The process dies; the machine lives on. Returns the next process's view.
    pub(super) fn kill(&self) -> Self {
        let mut disk = self.lock();
        disk.process += 1;
        Self { disk: Arc::clone(&self.disk), process: disk.process }
    }

    /// The power goes: of what was not synced, anything may be left. Returns the next process's view.
    pub(super) fn cut_power(&self, seed: u64) -> Self {
        let mut chance = SmallRng::seed_from_u64(seed);
        let mut disk = self.lock();
        for node in &mut disk.nodes {
            let left = node.after_power_cut(&mut chance);
            *node = Node { data: left.clone(), durable: left, never_durable: BTreeSet::new() };
        }
        let paths: BTreeSet<PathBuf> = disk.names.keys().chain(disk.durable_names.keys()).cloned().collect();
        let mut names = BTreeMap::new();
        for path in paths {
            let side = if chance.random_bool(0.5) { &disk.names } else { &disk.durable_names };
            if let Some(node) = side.get(&path) {
                names.insert(path, *node);
            }
        }
        disk.names.clone_from(&names);
        disk.durable_names = names;
        disk.process += 1;
        Self { disk: Arc::clone(&self.disk), process: disk.process }
    }

    /// Makes the next of each of these operations fail, and no others.
    pub(super) fn fail_next(&self, operations: &[Operation]) {
        self.lock().failing = operations.to_vec();
    }

    /// What is yet to fail, which no longer will.
    pub(super) fn take_failing(&self) -> Vec<Operation> {
        std::mem::take(&mut self.lock().failing)
    }

    /// Bytes that fit on the disk.
    pub(super) fn set_capacity(&self, capacity: usize) {
        self.lock().capacity = capacity;
    }

    pub(super) fn set_stuck(&self, stuck: bool) {
        self.lock().stuck = stuck;
        self.disk.1.notify_all();
    }

    /// Paths and bytes of all files.
    pub(super) fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let disk = self.lock();
        disk.names.iter().map(|(path, node)| (path.clone(), disk.nodes[*node].data.clone())).collect()
    }

    /// Puts a file there, behind the spool's back.
    pub(super) fn plant(&self, path: impl Into<PathBuf>, data: Vec<u8>) {
        let mut disk = self.lock();
        disk.nodes.push(Node { durable: data.clone(), data, never_durable: BTreeSet::new() });
        let (path, node) = (path.into(), disk.nodes.len() - 1);
        disk.names.insert(path.clone(), node);
        disk.durable_names.insert(path, node);
    }

    /// Takes a file away, behind the spool's back.
    pub(super) fn steal(&self, path: &Path) -> Vec<u8> {
        let mut disk = self.lock();
        disk.durable_names.remove(path);
        let node = disk.names.remove(path).unwrap();
        disk.nodes[node].data.clone()
    }
}

impl Files for FakeFiles {
    fn create_folder(&self, _: &Path) -> io::Result<()> {
        self.begin(None).map(drop)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let disk = self.begin(None)?;
        let inside = disk.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let mut disk = self.begin(Some(Operation::Create))?;
        if disk.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        disk.nodes.push(Node::default());
        let node = disk.nodes.len() - 1;
        disk.names.insert(path.to_owned(), node);
        Ok(Box::new(FakeAppendFile { files: self.clone(), node }))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let data = self.begin(None)?.node(path)?.data.clone();
        if data.len() as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(data) }
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(self.begin(None)?.node(path)?.data.len() as u64)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.begin(Some(Operation::Sync))?.node(path)?.sync();
        Ok(())
    }

    fn overwrite(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.begin(Some(Operation::Overwrite))?;
        let node = disk.node(path)?;
        let start = usize::try_from(offset).unwrap();
        node.data[start..start + bytes.len()].copy_from_slice(bytes);
        node.sync();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.begin(Some(Operation::Rename))?;
        let node = disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.begin(Some(Operation::Remove))?.names.remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut disk = self.begin(Some(Operation::SyncFolder))?;
        let disk = &mut *disk;
        disk.durable_names.retain(|path, _| path.parent() != Some(folder));
        let inside = disk.names.iter().filter(|(path, _)| path.parent() == Some(folder));
        disk.durable_names.extend(inside.map(|(path, node)| (path.clone(), *node)));
        Ok(())
    }
}

#[derive(Debug)]
struct FakeAppendFile {
    files: FakeFiles,
    node: usize,
}

impl AppendFile for FakeAppendFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let failure = self.files.begin(Some(Operation::Append)).err();
        let mut disk = self.files.begin(None)?;
        let room = disk.capacity.saturating_sub(disk.used());
        let fits = bytes.len().min(room).min(if failure.is_some() { bytes.len() / 2 } else { usize::MAX });
        disk.nodes[self.node].data.extend_from_slice(&bytes[..fits]);
        match failure {
            Some(failure) => Err(failure),
            None if fits < bytes.len() => Err(io::ErrorKind::StorageFull.into()),
            None => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let failure = self.files.begin(Some(Operation::Sync)).err();
        let mut disk = self.files.begin(None)?;
        while disk.stuck {
            disk = self.files.disk.1.wait(disk).unwrap();
        }
        if disk.process != self.files.process {
            return Err(io::Error::other("this process is dead"));
        }
        let node = &mut disk.nodes[self.node];
        match failure {
            Some(failure) => {
                node.sync_failed();
                Err(failure)
            }
            None => {
                node.sync();
                Ok(())
            }
        }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut disk = self.files.begin(Some(Operation::Truncate))?;
        let node = &mut disk.nodes[self.node];
        node.data.truncate(usize::try_from(length).unwrap());
        node.never_durable.retain(|at| (*at as u64) < length);
        Ok(())
    }
}
