//! Bytes of a file to lines: decompressed by magic, each line within its limit.

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder};
use std::io::{self, BufRead, BufReader, Read};

/// Longest accepted line, in bytes; a longer one is counted and skipped, never kept in memory.
pub const MAX_LINE_BYTES: usize = 256 * 1024;
const BZIP2_MAGIC: &[u8] = b"BZh";
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Undoes gzip and bzip2 (also of several members), Zstandard, and zip (its first file), recognised by their first bytes.
///
/// # Errors
/// When the file can't be read or a decoder can't be made.
pub fn decompressed<'a>(file: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut file = BufReader::with_capacity(128 * 1024, file);
    let start = file.fill_buf()?;
    if start.starts_with(GZIP_MAGIC) {
        Ok(Box::new(BufReader::with_capacity(128 * 1024, MultiGzDecoder::new(file))))
    } else if start.starts_with(BZIP2_MAGIC) {
        Ok(Box::new(BufReader::with_capacity(128 * 1024, MultiBzDecoder::new(file))))
    } else if start.starts_with(ZSTD_MAGIC) {
        Ok(Box::new(BufReader::with_capacity(128 * 1024, zstd::stream::read::Decoder::with_buffer(file)?)))
    } else if start.starts_with(ZIP_MAGIC) {
        first_of_zip(file)
    } else {
        Ok(Box::new(file))
    }
}

/// The first file of a zip archive, read as a stream (PKWARE APPNOTE 4.3.7): publishers pack one file so. Its checksum, which
/// is behind it, is not compared; a file that is cut short ends its deflated data early, which is found.
fn first_of_zip<'a>(mut archive: BufReader<impl Read + 'a>) -> io::Result<Box<dyn BufRead + 'a>> {
    const DEFLATED: u16 = 8;
    const IS_ENCRYPTED: u16 = 1;
    let mut header = [0; 30];
    archive.read_exact(&mut header)?;
    let number = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    if number(8) != DEFLATED || number(6) & IS_ENCRYPTED != 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a zip archive whose first file is encrypted or not deflated: unpack it first",
        ));
    }
    let names = u64::from(number(26)) + u64::from(number(28));
    io::copy(&mut archive.by_ref().take(names), &mut io::sink())?;
    Ok(Box::new(BufReader::with_capacity(128 * 1024, DeflateDecoder::new(archive))))
}

/// One line of a log.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes, without the line break.
    Text(&'a [u8]),
    /// It was longer than [`MAX_LINE_BYTES`]; its first bytes.
    TooLong(&'a [u8]),
}

/// Reads the next line; `None` at the end.
///
/// # Errors
/// When reading fails, also because compressed data is damaged or ends early.
pub fn next_line<'a>(input: &mut dyn BufRead, buffer: &'a mut Vec<u8>) -> io::Result<Option<Line<'a>>> {
    buffer.clear();
    let mut is_too_long = false;
    loop {
        let available = input.fill_buf()?;
        if available.is_empty() {
            if buffer.is_empty() && !is_too_long {
                return Ok(None);
            }
            break;
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let part = &available[..end.unwrap_or(available.len())];
        let room = MAX_LINE_BYTES - buffer.len();
        is_too_long |= part.len() > room;
        buffer.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    if buffer.last() == Some(&b'\r') {
        buffer.pop();
    }
    Ok(Some(if is_too_long { Line::TooLong(buffer) } else { Line::Text(buffer) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut input = decompressed(bytes).unwrap();
        let mut buffer = Vec::new();
        let mut found = Vec::new();
        while let Some(Line::Text(line)) = next_line(&mut *input, &mut buffer).unwrap() {
            found.push(line.to_vec());
        }
        found
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_gzip_and_zstandard_give_the_same_lines() {
        let text = b"one\r\ntwo\n\nlast";
        let expected: Vec<Vec<u8>> = [&b"one"[..], b"two", b"", b"last"].map(<[u8]>::to_vec).into();
        assert_eq!(lines(text), expected);
        assert_eq!(lines(&gzip(text)), expected);
        assert_eq!(lines(&zstd::encode_all(&text[..], 3).unwrap()), expected);
    }

    /// An archive of one deflated file with a name and an extra field, without the directory that a stream never reaches.
    fn zip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        let mut archive = b"PK\x03\x04\x14\x00\x08\x00\x08\x00".to_vec();
        archive.extend([0; 16]);
        archive.extend([5, 0, 2, 0]);
        archive.extend(b"a.csv..");
        archive.extend(encoder.finish().unwrap());
        archive.extend(b"PK\x07\x08 and a directory");
        archive
    }

    #[test]
    fn the_first_file_of_a_zip_archive_is_read_and_a_cut_or_encrypted_one_refused() {
        let text = b"one\ntwo\n".repeat(1000);
        let archive = zip(&text);
        assert_eq!(lines(&archive).len(), 2000);
        let mut cut = decompressed(&archive[..50]).unwrap();
        assert!(cut.read_to_end(&mut Vec::new()).is_err());
        let mut encrypted = archive.clone();
        encrypted[6] |= 1;
        assert!(decompressed(&*encrypted).is_err());
        assert!(decompressed(&b"PK\x03\x04"[..]).is_err());
    }

    #[test]
    fn gzip_files_of_several_members_are_read_to_the_end() {
        let joined = [gzip(b"one\n"), gzip(b"two\n")].concat();
        assert_eq!(lines(&joined), [b"one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn a_line_over_the_limit_is_skipped_and_the_next_is_read() {
        let text = [vec![b'x'; 3 * MAX_LINE_BYTES], b"\nnext\n".to_vec()].concat();
        let mut input = decompressed(&text[..]).unwrap();
        let mut buffer = Vec::new();
        assert!(
            matches!(next_line(&mut *input, &mut buffer).unwrap(), Some(Line::TooLong(start)) if start.len() == MAX_LINE_BYTES)
        );
        assert_eq!(next_line(&mut *input, &mut buffer).unwrap(), Some(Line::Text(b"next")));
        assert_eq!(next_line(&mut *input, &mut buffer).unwrap(), None);
    }

    #[test]
    fn a_compressed_file_that_ends_early_is_an_error() {
        let whole = gzip(&b"line\n".repeat(1000));
        let mut input = decompressed(&whole[..whole.len() / 2]).unwrap();
        let mut buffer = Vec::new();
        let outcome = loop {
            match next_line(&mut *input, &mut buffer) {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        assert!(outcome.is_err());
    }
}
