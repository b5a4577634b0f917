//! Files that are named in the configuration and may come with the program.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A data file. A path with a folder is taken as it is; a bare name is looked for beside the configuration file, then
/// beside the binary, then in the user's cache.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub struct DataFile {
    path: PathBuf,
    /// The configuration file's folder, where the name is bare and there is a file.
    beside_configuration: Option<PathBuf>,
}

/// Two are the same when they were written the same.
impl PartialEq for DataFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for DataFile {}

impl From<PathBuf> for DataFile {
    fn from(path: PathBuf) -> Self {
        Self { path, beside_configuration: None }
    }
}

impl From<DataFile> for PathBuf {
    fn from(file: DataFile) -> Self {
        file.path
    }
}

impl DataFile {
    pub(super) fn new(name: &str) -> Self {
        PathBuf::from(name).into()
    }

    fn is_bare(&self) -> bool {
        self.path.components().count() == 1 && self.path.is_relative()
    }

    /// Says which folder a relative path is meant from.
    pub(super) fn anchor(&mut self, base: &Path) {
        if self.is_bare() {
            // The current folder is no configuration: what lies there by chance must not count.
            self.beside_configuration = Some(base.to_owned()).filter(|base| !base.as_os_str().is_empty());
        } else if self.path.is_relative() {
            self.path = base.join(&self.path);
        }
    }

    /// Whether this is the file with that bare name.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.path.as_os_str() == name
    }

    /// Every place the file may be, best first.
    #[must_use]
    pub fn places(&self) -> Vec<PathBuf> {
        if !self.is_bare() {
            return vec![self.path.clone()];
        }
        let folders = self.beside_configuration.iter().cloned().chain(data_folders());
        folders.map(|folder| folder.join(&self.path)).collect()
    }

    /// The file's path, where it exists.
    #[must_use]
    pub fn find(&self) -> Option<PathBuf> {
        self.places().into_iter().find(|path| path.is_file())
    }
}

impl fmt::Display for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

/// Where data files are looked for: beside the binary, then the user's cache folder.
#[must_use]
pub fn data_folders() -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|binary| binary.parent().map(Path::to_path_buf));
    beside.into_iter().flat_map(|folder| [folder.join("geoip"), folder]).chain(geoip_data::data_folder()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_beside_the_configuration_counts_first_and_the_current_folder_never() {
        let mut file = DataFile::new("networks.mmdb");
        assert!(!file.places().contains(&PathBuf::from("networks.mmdb")));
        file.anchor(Path::new(""));
        assert_eq!(file.places(), DataFile::new("networks.mmdb").places());
        file.anchor(Path::new("/etc/firmsight"));
        assert_eq!(file.places()[0], Path::new("/etc/firmsight/networks.mmdb"));
        assert!(file.is_named("networks.mmdb"), "a fetched file still takes its place");
        let mut inside = DataFile::new("./networks.mmdb");
        inside.anchor(Path::new("/etc/firmsight"));
        assert_eq!(inside.places(), file.places()[..1]);
    }
}
