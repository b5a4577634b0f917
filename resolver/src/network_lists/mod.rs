//! Lists of networks and the organisations behind them, made into one MaxMind DB file.
//!
//! # From rows to a tree, with bounded memory
//! A list may have fifty million rows, in any order, with networks inside networks. A tree in memory would take tens of
//! gigabytes, so there is none:
//!
//! 1. *Rows* (`input`) become small entries: network, row number, and where the organisation's record is in the data
//!    section, which is written to disk at once. Equal records are written once, as far as a bounded memory of them goes.
//! 2. *Entries are sorted* (`sort`) by first address, then by prefix length, then by row: in memory up to two million,
//!    beyond that in runs on disk that are merged while they are read.
//! 3. *The tree is written while the sorted entries pass by* (`tree`): a network comes right before the networks inside it,
//!    so the path from the root is all that has to be remembered. A node is complete when both its sides are, so nodes
//!    come out children first and the root last; the format wants the root first, so the file is turned around at the end.
//!
//! Overlaps: the longest prefix wins, as in routing; of equal networks the one that was read first, so sources count in
//! the order in which they are named.
//!
//! # Reading a result back
//! [`build`] maps what it made with the same reader that will serve it and walks all of it, before the file gets its
//! name.

mod encode;
mod input;
mod sort;
mod tree;

pub use input::{FieldNames, NetworkRow, RowError};
pub(crate) use input::{domain_of, row_of_json};

use crate::{ResolverError, company_record::CompanyRecord, mapped_file::MappedFile};
use encode::DataSection;
use maxminddb::{Reader, WithinOptions};
use sort::{Entry, Sorter};
use std::{
    io::{self, BufRead, Write},
    net::IpAddr,
    path::{Path, PathBuf},
};
use tree::{NetworkSum, TreeFile};

/// The `database_type` of files that [`build`] makes.
pub(crate) const DATABASE_TYPE: &str = "Firmsight-Organizations";
/// How many left-out rows are described one by one.
const SHOWN_PROBLEMS: usize = 10;
/// Longest line of a list, in bytes.
const MAX_LINE_BYTES: u64 = 256 << 10;
/// The progress is told after so many rows.
const ROWS_A_TICK: u64 = 16_384;

/// The form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListForm {
    /// Comma-separated values (or semicolons, or tabs) under a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// A MaxMind DB file.
    Mmdb,
}

/// One list to read.
pub struct ListInput<'a> {
    /// Its name for messages; for [`ListForm::Mmdb`] the file itself.
    pub path: &'a Path,
    /// Its form.
    pub form: ListForm,
    /// Its text, decompressed; not read for [`ListForm::Mmdb`].
    pub text: Box<dyn BufRead + 'a>,
}

impl std::fmt::Debug for ListInput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListInput").field("path", &self.path).field("form", &self.form).finish_non_exhaustive()
    }
}

/// What a build is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildProgress {
    /// So many rows were read of all inputs.
    Rows(u64),
    /// So many of all networks were put into the tree.
    Networks(u64, u64),
    /// The finished file is read back.
    Checking,
}

/// What a build came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildReport {
    /// Rows read.
    pub rows: u64,
    /// Networks they came to; a range from one address to another may be several.
    pub networks: u64,
    /// Networks that were named before and count for the first.
    pub repeated: u64,
    /// Organisations' records in the file; some may be there more than once.
    pub records: u64,
    /// Nodes of the tree.
    pub nodes: u64,
    /// Rows left out because they could not be read.
    pub left_out: u64,
    /// The first of these: file, line and what is wrong.
    pub problems: Vec<String>,
}

/// Why no file was made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An input can't be read at all.
    #[error("{}: {reason}", path.display())]
    Input {
        /// The list.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// Nothing usable was in the inputs.
    #[error("no row names a network and its organisation{}", first.as_deref().map(|first| format!("; the first problem: {first}")).unwrap_or_default())]
    Empty {
        /// The first problem, where there was one.
        first: Option<String>,
    },
    /// The format holds 4 GiB of nodes and records.
    #[error("the lists come to more than the 4 GiB that a MaxMind DB file can hold; build two files of them")]
    TooLarge,
    /// What was written can't be read back: the disk, or a fault of ours.
    #[error("the finished file does not read back as it was written ({0}); it was not put in place")]
    ReadBack(String),
    /// The disk refuses.
    #[error("can't write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// What the writer is given besides the rows.
#[derive(Clone, Debug)]
pub struct BuildOptions<'a> {
    /// The file to make or to replace.
    pub output: &'a Path,
    /// Seconds since 1970, for the file's metadata.
    pub built_at: u64,
    /// A sentence about the data for the file's metadata: its sources, its licence.
    pub description: &'a str,
    /// Entries sorted in memory at once; each takes 32 bytes. [`BuildOptions::ENTRIES_IN_MEMORY`] by default.
    pub entries_in_memory: usize,
}

impl BuildOptions<'_> {
    /// 64 MiB.
    pub const ENTRIES_IN_MEMORY: usize = 2 << 20;
}

/// Reads the lists in their order and makes one file of them.
///
/// Temporary files lie beside the output: 29 bytes a network, 16 a node, the records.
///
/// # Errors
/// When an input is of no known form, nothing usable is in them, the result is too large, or the disk refuses. Rows that
/// can't be read are left out and counted.
pub fn build(
    inputs: Vec<ListInput<'_>>,
    options: &BuildOptions<'_>,
    progress: &mut dyn FnMut(BuildProgress),
) -> Result<BuildReport, BuildError> {
    let folder = options.output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = |source| BuildError::Write { path: folder.to_owned(), source };
    let mut report = BuildReport::default();
    let mut sorter = Sorter::new(folder, options.entries_in_memory);
    let mut data = DataSection::create(folder).map_err(write)?;
    for input in inputs {
        Loader { report: &mut report, sorter: &mut sorter, data: &mut data, progress, folder }.load(input)?;
    }
    if report.networks == 0 {
        return Err(BuildError::Empty { first: report.problems.into_iter().next() });
    }
    let mut tree = TreeFile::create(folder, report.networks).map_err(write)?;
    tree.fill(sorter.sorted().map_err(write)?, progress).map_err(write)?;
    report.repeated = tree.repeated();
    report.nodes = tree.nodes();
    report.records = data.records();
    if tree.nodes() + encode::SEPARATOR.len() as u64 + data.len() > u64::from(u32::MAX) {
        return Err(BuildError::TooLarge);
    }
    let mut file = tempfile::Builder::new().prefix(".networks").tempfile_in(folder).map_err(write)?;
    let written = tree.sum();
    tree.write(file.as_file_mut(), data).map_err(write)?;
    let metadata = encode::metadata(report.nodes, options.built_at, DATABASE_TYPE, options.description);
    file.as_file_mut().write_all(&metadata).map_err(write)?;
    file.as_file().sync_all().map_err(write)?;
    read_back(file.path(), written, progress)?;
    file.persist(options.output).map_err(|error| write(error.error))?;
    Ok(report)
}

/// Maps the finished file and walks it with the reader that will serve it: every network must be where the tree put it and
/// lead to a record that decodes. The order of the walk is not that of the writing, so what is compared is a sum.
fn read_back(path: &Path, written: NetworkSum, progress: &mut dyn FnMut(BuildProgress)) -> Result<(), BuildError> {
    let fault = |error: maxminddb::MaxMindDbError| BuildError::ReadBack(error.to_string());
    progress(BuildProgress::Checking);
    let file = MappedFile::open(path, None).map_err(|error| BuildError::ReadBack(error.to_string()))?;
    let reader = Reader::from_source(file).map_err(fault)?;
    let mut found = NetworkSum::default();
    for entry in reader.networks(WithinOptions::default()).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let network = entry.network().map_err(fault)?;
        entry.decode::<CompanyRecord<'_>>().map_err(fault)?;
        let (address, prefix) = match network.ip() {
            IpAddr::V4(ip) => (u128::from(u32::from(ip)), network.prefix() + 96),
            IpAddr::V6(ip) => (u128::from(ip), network.prefix()),
        };
        let offset = entry.offset().and_then(|offset| u32::try_from(offset).ok()).unwrap_or(u32::MAX);
        found.add(address, prefix, offset);
    }
    if found == written {
        Ok(())
    } else {
        Err(BuildError::ReadBack(format!("{found:?} where {written:?} was written")))
    }
}

/// Takes the rows of one input.
struct Loader<'a> {
    report: &'a mut BuildReport,
    sorter: &'a mut Sorter,
    data: &'a mut DataSection,
    progress: &'a mut dyn FnMut(BuildProgress),
    folder: &'a Path,
}

impl Loader<'_> {
    fn load(&mut self, input: ListInput<'_>) -> Result<(), BuildError> {
        match input.form {
            ListForm::Csv => self.csv(input.path, input.text),
            ListForm::Ndjson => self.ndjson(input.path, input.text),
            ListForm::Mmdb => self.mmdb(input.path),
        }
    }

    fn csv(&mut self, path: &Path, mut text: Box<dyn BufRead + '_>) -> Result<(), BuildError> {
        let unreadable = |reason: String| BuildError::Input { path: path.to_owned(), reason };
        let mut header = Vec::new();
        io::Read::take(&mut text, MAX_LINE_BYTES)
            .read_until(b'\n', &mut header)
            .map_err(|error| unreadable(error.to_string()))?;
        let fields = FieldNames::of_header(&header).map_err(unreadable)?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(fields.delimiter())
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .from_reader(text);
        let mut record = csv::ByteRecord::new();
        loop {
            match reader.read_byte_record(&mut record) {
                Ok(false) => return Ok(()),
                Ok(true) => {
                    let line = record.position().map_or(0, csv::Position::line) + 1;
                    self.row(path, line, fields.row(&record))?;
                }
                Err(error) => return Err(unreadable(error.to_string())),
            }
        }
    }

    fn ndjson(&mut self, path: &Path, mut text: Box<dyn BufRead + '_>) -> Result<(), BuildError> {
        let unreadable = |error: io::Error| BuildError::Input { path: path.to_owned(), reason: error.to_string() };
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = io::Read::take(&mut text, MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            if !line.trim_ascii().is_empty() {
                self.row(path, number, row_of_json(&line))?;
            }
        }
        Ok(())
    }

    fn mmdb(&mut self, path: &Path) -> Result<(), BuildError> {
        let unreadable = |reason: String| BuildError::Input { path: path.to_owned(), reason };
        let file = MappedFile::open(path, None).map_err(|error| match error {
            ResolverError::Read { source, .. } => unreadable(source.to_string()),
            other => unreadable(other.to_string()),
        })?;
        let reader = Reader::from_source(file).map_err(|error| unreadable(format!("not an mmdb file ({error})")))?;
        let networks = crate::mmdb::networks(&reader).map_err(|error| unreadable(error.to_string()))?;
        for (number, found) in (1..).zip(networks) {
            let row = found.map_err(|error| error.to_string()).and_then(|found| {
                let network = found.network().map_err(|error| error.to_string())?;
                let value = found.decode::<serde_json::Value>().map_err(|error| error.to_string())?;
                Ok(input::row_of_record(network.ip(), network.prefix(), value.as_ref()))
            });
            match row {
                // A database also has records that say nothing of an organisation.
                Ok(Err(RowError::NoOrganization)) => self.report.rows += 1,
                Ok(row) => self.row(path, number, row)?,
                Err(error) => return Err(unreadable(format!("damaged: {error}"))),
            }
        }
        Ok(())
    }

    fn row(&mut self, path: &Path, line: u64, row: Result<NetworkRow, RowError>) -> Result<(), BuildError> {
        self.report.rows += 1;
        if self.report.rows.is_multiple_of(ROWS_A_TICK) {
            (self.progress)(BuildProgress::Rows(self.report.rows));
        }
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                self.report.left_out += 1;
                if self.report.problems.len() < SHOWN_PROBLEMS {
                    self.report.problems.push(format!("{}, line {line}: {error}", path.display()));
                }
                return Ok(());
            }
        };
        let write = |source| BuildError::Write { path: self.folder.to_owned(), source };
        let offset = self.data.add(&row).map_err(write)?.ok_or(BuildError::TooLarge)?;
        let number = self.report.rows;
        let Self { report, sorter, .. } = self;
        row.networks
            .for_each(&mut |address, prefix| {
                report.networks += 1;
                sorter.add(Entry { address, row: number, offset, prefix })
            })
            .map_err(write)
    }
}
