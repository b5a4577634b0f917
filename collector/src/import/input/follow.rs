//! A log that grows: what is new in it, across rotation (another file under its name) and copytruncate (cut to nothing).
//!
//! A line counts when its line break is there. What stood in a renamed file after the last look is read before the new one.

use super::{
    super::{chunk::Lines, format::Directives},
    lines::{CHUNK_BYTES, MAX_LINE_BYTES},
};
use std::{
    fs::File,
    io::{self, Read, Seek},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What a look found.
#[derive(Debug)]
pub enum Followed {
    /// Whole lines.
    Lines(Lines),
    /// The file was rotated or cut; what comes next is of a new one.
    NewFile,
    /// Nothing new.
    Nothing,
}

/// Follows one path.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    file: Option<File>,
    /// Bytes read of it.
    offset: u64,
    /// The start of a line that has no end yet.
    rest: Vec<u8>,
    directives: Directives,
}

impl Follower {
    /// Starts at the file's first byte.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = Some(File::open(path)?);
        Ok(Self { path: path.to_owned(), file, offset: 0, rest: Vec::new(), directives: Directives::default() })
    }

    /// Looks once; never waits.
    ///
    /// # Errors
    /// When the file can't be read; the next look may succeed.
    pub fn look(&mut self) -> io::Result<Followed> {
        let Some(file) = &mut self.file else {
            // Between rename and the server's next line there is no file.
            return match File::open(&self.path) {
                Ok(file) => {
                    self.file = Some(file);
                    Ok(Followed::Nothing)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Followed::Nothing),
                Err(error) => Err(error),
            };
        };
        let metadata = file.metadata()?;
        if metadata.len() < self.offset {
            file.rewind()?;
            return Ok(self.begin_anew());
        }
        let start = self.rest.len();
        self.rest.resize(start + CHUNK_BYTES, 0);
        let read = file.read(&mut self.rest[start..]);
        self.rest.truncate(start + *read.as_ref().unwrap_or(&0));
        let read = read?;
        self.offset += read as u64;
        if read > 0 {
            return Ok(self.whole_lines());
        }
        let is_same = match std::fs::metadata(&self.path) {
            Ok(named) => (named.dev(), named.ino()) == (metadata.dev(), metadata.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => metadata.nlink() > 0,
            Err(error) => return Err(error),
        };
        if is_same {
            return Ok(Followed::Nothing);
        }
        self.file = None;
        Ok(self.begin_anew())
    }

    fn begin_anew(&mut self) -> Followed {
        self.offset = 0;
        self.rest.clear();
        self.directives = Directives::default();
        Followed::NewFile
    }

    fn whole_lines(&mut self) -> Followed {
        let Some(end) = memchr::memrchr(b'\n', &self.rest) else {
            // Nobody's line is that long; its end will be a line of its own, which nothing reads.
            if self.rest.len() > MAX_LINE_BYTES {
                self.rest.truncate(MAX_LINE_BYTES + 1);
            }
            return Followed::Nothing;
        };
        let rest = self.rest.split_off(end + 1);
        let bytes = std::mem::replace(&mut self.rest, rest);
        let directives = self.directives.clone();
        self.directives.take_all(&bytes);
        Followed::Lines(Lines { bytes, directives })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, io::Write};

    /// Looks until nothing is new.
    fn all(follower: &mut Follower) -> Vec<String> {
        let mut found = Vec::new();
        let mut quiet = 0;
        while quiet < 3 {
            match follower.look().unwrap() {
                Followed::Lines(lines) => found.push(String::from_utf8(lines.bytes).unwrap()),
                Followed::NewFile => found.push("new".to_owned()),
                Followed::Nothing => quiet += 1,
            }
        }
        found
    }

    #[test]
    fn growth_rotation_and_copytruncate_lose_and_repeat_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        fs::write(&path, "one\ntw").unwrap();
        let mut follower = Follower::open(&path).unwrap();
        assert_eq!(all(&mut follower), ["one\n"]);

        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"o\nthree\n").unwrap();
        assert_eq!(all(&mut follower), ["two\nthree\n"]);

        // Rotation: the server writes on into the renamed file until it opens the new one.
        fs::rename(&path, folder.path().join("access.log.1")).unwrap();
        file.write_all(b"four\n").unwrap();
        assert_eq!(all(&mut follower), ["four\n"]);
        fs::write(&path, "five\n").unwrap();
        assert_eq!(all(&mut follower), ["new", "five\n"]);

        // Copytruncate.
        fs::copy(&path, folder.path().join("copy")).unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        assert_eq!(all(&mut follower), ["new"]);
        fs::write(&path, "6\n").unwrap();
        assert_eq!(all(&mut follower), ["6\n"]);

        // Removed and written anew later.
        fs::remove_file(&path).unwrap();
        assert_eq!(all(&mut follower), ["new"]);
        fs::write(&path, "seven\n").unwrap();
        assert_eq!(all(&mut follower), ["seven\n"]);
    }
}
