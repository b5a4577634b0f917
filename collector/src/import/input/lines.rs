//! Chunks that end where a line does.

use super::super::{chunk::Lines, format::Directives};
use std::io::{self, Read};

/// Longest accepted line, in bytes; of a longer one no more than this is kept in memory.
pub const MAX_LINE_BYTES: usize = 256 * 1024;
/// About how large a chunk is, in bytes. Large enough that handing it on costs nothing, small enough for many at once.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Cuts a stream into chunks.
#[derive(Debug)]
pub struct ChunkSplitter<R> {
    reader: R,
    /// The start of a line that the last chunk had no end of.
    rest: Vec<u8>,
    /// The line under way is longer than is kept.
    is_too_long: bool,
    is_at_end: bool,
    directives: Directives,
}

impl<R: Read> ChunkSplitter<R> {
    /// Reads `reader` to its end.
    #[must_use]
    pub fn new(reader: R) -> Self {
        Self { reader, rest: Vec::new(), is_too_long: false, is_at_end: false, directives: Directives::default() }
    }

    /// The next chunk; `None` at the end. After an error, [`Self::rest`] has what was read before it.
    ///
    /// # Errors
    /// When reading fails, also because compressed data is damaged or ends early.
    pub fn next_chunk(&mut self) -> io::Result<Option<Lines>> {
        while !self.is_at_end {
            let start = self.rest.len();
            self.rest.resize(start + CHUNK_BYTES, 0);
            let read = match self.reader.read(&mut self.rest[start..]) {
                Ok(read) => read,
                Err(error) => {
                    self.rest.truncate(start);
                    if error.kind() == io::ErrorKind::Interrupted {
                        continue;
                    }
                    self.is_at_end = true;
                    return Err(error);
                }
            };
            self.rest.truncate(start + read);
            if read == 0 {
                self.is_at_end = true;
                break;
            }
            if self.is_too_long {
                self.skip_to_line_break(start);
            }
            if let Some(end) = memchr::memrchr(b'\n', &self.rest[start.min(self.rest.len())..]) {
                if self.rest.len() < CHUNK_BYTES / 2 {
                    // Decoders give a few kilobytes at a time.
                    continue;
                }
                let rest = self.rest.split_off(start + end + 1);
                let bytes = std::mem::replace(&mut self.rest, rest);
                return Ok(Some(self.lines(bytes)));
            }
            if self.rest.len() >= CHUNK_BYTES / 2
                && let Some(end) = memchr::memrchr(b'\n', &self.rest)
            {
                let rest = self.rest.split_off(end + 1);
                let bytes = std::mem::replace(&mut self.rest, rest);
                return Ok(Some(self.lines(bytes)));
            }
            let line_start = memchr::memrchr(b'\n', &self.rest).map_or(0, |at| at + 1);
            if self.rest.len() - line_start > MAX_LINE_BYTES {
                self.rest.truncate(line_start + MAX_LINE_BYTES + 1);
                self.is_too_long = true;
            }
        }
        Ok(self.rest())
    }

    /// The lines that are left after the last whole chunk.
    pub fn rest(&mut self) -> Option<Lines> {
        let bytes = std::mem::take(&mut self.rest);
        (!bytes.is_empty()).then(|| self.lines(bytes))
    }

    /// Drops what was read from `start` on, up to the line break that ends the line under way.
    fn skip_to_line_break(&mut self, start: usize) {
        match memchr::memchr(b'\n', &self.rest[start..]) {
            Some(end) => {
                self.rest.drain(start..start + end);
                self.is_too_long = false;
            }
            None => self.rest.truncate(start),
        }
    }

    fn lines(&mut self, bytes: Vec<u8>) -> Lines {
        let directives = self.directives.clone();
        self.directives.take_all(&bytes);
        Lines { bytes, directives }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, as decoders and sockets do.
    struct InPieces<'a>(&'a [u8], usize);

    impl Read for InPieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(self.0.len()).min(buffer.len());
            let (piece, rest) = self.0.split_at(size);
            buffer[..size].copy_from_slice(piece);
            self.0 = rest;
            Ok(size)
        }
    }

    fn chunks(text: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut splitter = ChunkSplitter::new(InPieces(text, piece));
        std::iter::from_fn(|| splitter.next_chunk().unwrap()).map(|lines| lines.bytes).collect()
    }

    #[test]
    fn all_bytes_come_in_order_and_every_chunk_but_the_last_ends_with_a_line() {
        let text: Vec<u8> =
            (0..300_000).flat_map(|number| format!("line {number}\n").into_bytes()).chain(*b"cut").collect();
        for piece in [1000, 70_000, usize::MAX] {
            let chunks = chunks(&text, piece);
            assert!(chunks.len() > 2);
            assert_eq!(chunks.concat(), text);
            assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk.ends_with(b"\n")));
            assert!(chunks.iter().all(|chunk| chunk.len() <= 2 * CHUNK_BYTES));
        }
        assert!(chunks(b"", 10).is_empty());
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_is_read() {
        let text = [b"first\n".to_vec(), vec![b'x'; 5 * CHUNK_BYTES], b"\nnext\n".to_vec()].concat();
        for piece in [1000, 300_000, usize::MAX] {
            let joined = chunks(&text, piece).concat();
            let lines: Vec<&[u8]> = joined.split(|byte| *byte == b'\n').collect();
            assert_eq!((lines[0], lines[2]), (&b"first"[..], &b"next"[..]), "{piece}");
            assert!(lines[1].len() > MAX_LINE_BYTES);
            assert!(joined.len() < 2 * CHUNK_BYTES + MAX_LINE_BYTES);
        }
    }

    #[test]
    fn a_chunk_knows_the_directives_before_it() {
        let text = [b"#Fields: date time c-ip\n".to_vec(), b"a\n".repeat(CHUNK_BYTES)].concat();
        let mut splitter = ChunkSplitter::new(&text[..]);
        let first = splitter.next_chunk().unwrap().unwrap();
        let second = splitter.next_chunk().unwrap().unwrap();
        assert_eq!(first.directives, Directives::default());
        let mut expected = Directives::default();
        expected.take("#Fields: date time c-ip");
        assert_eq!(second.directives, expected);
    }
}
