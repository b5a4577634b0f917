//! What a file holds: itself, or the files of an archive.

use super::unpack::{Bounded, Counted, PackedBytes, ZIP_MAGIC, unpacked};
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    ops::ControlFlow,
};

/// Most files of one archive.
const MAX_MEMBERS: usize = 100_000;
/// Where a tar archive says that it is one.
const TAR_MAGIC_AT: usize = 257;
const TAR_MAGIC: &[u8] = b"ustar";

/// One log.
pub struct Member<'a> {
    /// Its name in the archive; `None` for a file that is none.
    pub name: Option<String>,
    /// Its text, or why it can't be read.
    pub text: io::Result<Box<dyn Read + 'a>>,
}

/// Gives the logs of a file one after the other, until `take` breaks off. `wrap` goes around the file's own bytes.
///
/// # Errors
/// When the file or the archive as a whole can't be read.
pub fn for_each_member(
    file: File,
    wrap: &dyn Fn(Box<dyn Read>) -> Box<dyn Read>,
    take: &mut dyn FnMut(Member<'_>) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut file = file;
    let mut start = [0; 4];
    let is_seekable = file.stream_position().is_ok();
    if is_seekable {
        let read = read_up_to(&mut file, &mut start)?;
        file.rewind()?;
        if start[..read] == *ZIP_MAGIC {
            return zip_members(file, take);
        }
    }
    let packed = PackedBytes::default();
    let counted = Counted { reader: wrap(Box::new(file)), packed: packed.clone() };
    let mut reader = BufReader::with_capacity(128 << 10, counted);
    if !is_seekable && reader.fill_buf()?.starts_with(ZIP_MAGIC) {
        // The list of an archive's files is at its end.
        let mut copy = tempfile::tempfile()?;
        io::copy(&mut reader, &mut copy)?;
        copy.rewind()?;
        return zip_members(copy, take);
    }
    let unpacked = unpacked(reader)?;
    let mut bounded =
        BufReader::with_capacity(128 << 10, Bounded { reader: unpacked, packed: packed.clone(), unpacked: 0 });
    let start = bounded.fill_buf()?;
    if start.get(TAR_MAGIC_AT..).is_some_and(|rest| rest.starts_with(TAR_MAGIC)) {
        return tar_members(bounded, &packed, take);
    }
    let text = decoded(bounded).map(|text| Box::new(text) as Box<dyn Read>);
    let _is_last = take(Member { name: None, text });
    Ok(())
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read(&mut buffer[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

fn zip_members(file: File, take: &mut dyn FnMut(Member<'_>) -> ControlFlow<()>) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(io::Error::other)?;
    for index in 0..archive.len().min(MAX_MEMBERS) {
        let member = match archive.by_index(index) {
            Ok(member) if member.is_dir() => continue,
            Ok(member) => {
                let name = String::from_utf8_lossy(member.name_raw()).into_owned();
                let packed = PackedBytes::default();
                packed.set(member.compressed_size());
                Member { name: Some(name), text: member_text(member, packed) }
            }
            Err(error) => Member { name: Some(format!("file {}", index + 1)), text: Err(io::Error::other(error)) },
        };
        if take(member).is_break() {
            break;
        }
    }
    Ok(())
}

fn tar_members(
    archive: impl Read,
    packed: &PackedBytes,
    take: &mut dyn FnMut(Member<'_>) -> ControlFlow<()>,
) -> io::Result<()> {
    for entry in tar::Archive::new(archive).entries()?.take(MAX_MEMBERS) {
        let entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path()?.to_string_lossy().into_owned();
        if take(Member { name: Some(name), text: member_text(entry, packed.clone()) }).is_break() {
            break;
        }
    }
    Ok(())
}

/// A file of an archive, which may be packed once more.
fn member_text<'a>(member: impl Read + 'a, packed: PackedBytes) -> io::Result<Box<dyn Read + 'a>> {
    let mut member = BufReader::with_capacity(128 << 10, member);
    if member.fill_buf()?.starts_with(ZIP_MAGIC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an archive inside an archive: unpack it first"));
    }
    let bounded = Bounded { reader: unpacked(member)?, packed, unpacked: 0 };
    Ok(Box::new(decoded(BufReader::with_capacity(128 << 10, bounded))?))
}

/// Text as UTF-8, without its byte order mark: PowerShell and some of Windows' servers write UTF-16.
fn decoded(mut text: impl BufRead) -> io::Result<impl Read> {
    let encoding = without_mark(text.fill_buf()?);
    Ok(DecodeReaderBytesBuilder::new()
        .encoding(encoding)
        .utf8_passthru(true)
        .strip_bom(true)
        .bom_override(true)
        .build(text))
}

/// UTF-16 by its zeros where no mark tells it: logs are mostly ASCII.
fn without_mark(start: &[u8]) -> Option<&'static Encoding> {
    match start {
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => Some(UTF_16LE),
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => Some(UTF_16BE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const LINES: &str = "one\ntwö\n";

    /// Names, and texts or why they can't be read.
    type Found = Vec<(Option<String>, Result<String, String>)>;

    fn members(bytes: &[u8]) -> io::Result<Found> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let mut found = Vec::new();
        for_each_member(file, &|file| file, &mut |member| {
            let text = member.text.and_then(|mut text| {
                let mut all = String::new();
                text.read_to_string(&mut all).map(|_| all)
            });
            found.push((member.name, text.map_err(|error| error.to_string())));
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, content) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn text_is_utf_8_whatever_it_was() {
        let utf_16 = |mark: &str, to_bytes: fn(u16) -> [u8; 2]| {
            format!("{mark}{LINES}").encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>()
        };
        for bytes in [
            LINES.as_bytes().to_vec(),
            format!("\u{feff}{LINES}").into_bytes(),
            utf_16("\u{feff}", u16::to_le_bytes),
            utf_16("\u{feff}", u16::to_be_bytes),
            utf_16("", u16::to_le_bytes),
            utf_16("", u16::to_be_bytes),
            gzip(&utf_16("\u{feff}", u16::to_le_bytes)),
        ] {
            assert_eq!(members(&bytes).unwrap(), [(None, Ok(LINES.to_owned()))], "{bytes:?}");
        }
        assert_eq!(members(b"").unwrap(), [(None, Ok(String::new()))]);
    }

    #[test]
    fn archives_give_their_files_and_a_damaged_one_leaves_the_others() {
        let (plain, packed) = (LINES.as_bytes(), gzip(LINES.as_bytes()));
        let cut = &packed[..packed.len() / 2];
        let files: [(&str, &[u8]); 3] = [("a.log", plain), ("cut.log.gz", cut), ("b.log.gz", &packed)];
        for archive in [tar(&files), gzip(&tar(&files)), zip(&files)] {
            let found = members(&archive).unwrap();
            let names: Vec<_> = found.iter().map(|(name, _)| name.as_deref().unwrap()).collect();
            assert_eq!(names, ["a.log", "cut.log.gz", "b.log.gz"]);
            assert_eq!((found[0].1.as_deref(), found[2].1.as_deref()), (Ok(LINES), Ok(LINES)));
            assert!(found[1].1.is_err());
        }
        assert!(members(&zip(&files)[..60]).is_err(), "an archive without its list");
        let inside = members(&zip(&[("inner.zip", &zip(&files))])).unwrap();
        assert!(inside[0].1.as_ref().is_err_and(|error| error.contains("unpack it first")), "{inside:?}");
    }
}
