//! Compressed bytes to plain ones, within bounds.

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder};
use std::{
    cell::Cell,
    io::{self, BufRead, BufReader, Read},
    rc::Rc,
};

const BUFFER_BYTES: usize = 128 * 1024;
const BZIP2_MAGIC: &[u8] = b"BZh";
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const LZ4_MAGIC: &[u8] = &[0x04, 0x22, 0x4d, 0x18];
const XZ_MAGIC: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
pub(super) const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// A log packs down to a twentieth, seldom a hundredth; gzip can't do better than 1:1032.
const MAX_GROWTH: u64 = 1_500;
/// Below this, in bytes, any growth will do: a bomb that takes a second is none.
const HARMLESS_BYTES: u64 = 1 << 30;
/// Most memory an xz stream may ask for its dictionary, in kibibytes; `xz -9` asks for 64 MiB.
const MAX_XZ_KIBIBYTES: u32 = 256 << 10;

/// Undoes gzip, bzip2, xz, LZ4 (also of several members) and Zstandard, and zip (its first file), recognised by their first
/// bytes.
///
/// # Errors
/// When the file can't be read or a decoder can't be made.
pub fn decompressed<'a>(file: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
    if file.fill_buf()?.starts_with(ZIP_MAGIC) { first_of_zip(file) } else { unpacked(file) }
}

/// Undoes everything that is no archive.
pub(super) fn unpacked<'a>(mut file: impl BufRead + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let start = file.fill_buf()?;
    let reader: Box<dyn Read> = if start.starts_with(GZIP_MAGIC) {
        Box::new(MultiGzDecoder::new(file))
    } else if start.starts_with(BZIP2_MAGIC) {
        Box::new(MultiBzDecoder::new(file))
    } else if start.starts_with(ZSTD_MAGIC) {
        Box::new(zstd::stream::read::Decoder::with_buffer(file)?)
    } else if start.starts_with(XZ_MAGIC) {
        Box::new(lzma_rust2::XzReader::new_mem_limit(file, true, MAX_XZ_KIBIBYTES))
    } else if start.starts_with(LZ4_MAGIC) {
        Box::new(Lz4Frames(lz4_flex::frame::FrameDecoder::new(file)))
    } else {
        return Ok(Box::new(file));
    };
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, reader)))
}

/// LZ4 frames, one after the other; the decoder stops at the end of each.
struct Lz4Frames<R: Read>(lz4_flex::frame::FrameDecoder<R>);

impl<R: BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.0.read(buffer)?;
            if read > 0 || buffer.is_empty() || self.0.get_mut().fill_buf()?.is_empty() {
                return Ok(read);
            }
        }
    }
}

/// The first file of a zip archive, read as a stream (PKWARE APPNOTE 4.3.7): publishers pack one file so. Its checksum, which
/// is behind it, is not compared; a file that is cut short ends its deflated data early, which is found.
fn first_of_zip<'a>(mut archive: impl BufRead + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
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
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, DeflateDecoder::new(archive))))
}

/// Bytes that were read of the packed file.
pub(super) type PackedBytes = Rc<Cell<u64>>;

/// Counts what is read of the packed file.
pub(super) struct Counted<R> {
    pub(super) reader: R,
    pub(super) packed: PackedBytes,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.packed.set(self.packed.get() + read as u64);
        Ok(read)
    }
}

/// Ends what unpacks to more than any log would, however often it was packed.
pub(super) struct Bounded<R> {
    pub(super) reader: R,
    pub(super) packed: PackedBytes,
    pub(super) unpacked: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.unpacked += read as u64;
        if self.unpacked > HARMLESS_BYTES && self.unpacked / MAX_GROWTH > self.packed.get() {
            let problem = format!("it unpacks to more than {MAX_GROWTH} times its size, which no log does");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn text_of(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        decompressed(bytes)?.read_to_end(&mut text).map(|_| text)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(text: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(text: &[u8]) -> Vec<u8> {
        let options = lzma_rust2::XzOptions::with_preset(1);
        let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn lz4(text: &[u8]) -> Vec<u8> {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstandard(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 3).unwrap()
    }

    #[test]
    fn every_compression_gives_the_same_text_also_in_several_parts() {
        let text = b"one\ntwo\n".repeat(1000);
        let (first, second) = text.split_at(1234);
        assert_eq!(text_of(&text).unwrap(), text);
        for pack in [gzip, bzip2, xz, lz4, zstandard] {
            assert!(text_of(&pack(&text)).unwrap() == text);
            let joined = [pack(first), pack(second)].concat();
            assert!(text_of(&joined).unwrap() == text, "{:x?}", &joined[..4]);
        }
    }

    #[test]
    fn a_compressed_file_that_ends_early_is_an_error() {
        let text: Vec<u8> =
            (0..4000).flat_map(|number: u32| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        for pack in [gzip, bzip2, xz, lz4, zstandard] {
            let whole = pack(&text);
            assert!(text_of(&whole[..whole.len() / 2]).is_err());
        }
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
        assert_eq!(text_of(&archive).unwrap(), text);
        assert!(text_of(&archive[..50]).is_err());
        let mut encrypted = archive.clone();
        encrypted[6] |= 1;
        assert!(text_of(&encrypted).is_err());
        assert!(text_of(b"PK\x03\x04").is_err());
    }

    #[test]
    fn what_unpacks_to_more_than_any_log_is_ended() {
        let packed = PackedBytes::default();
        let bomb = Counted { reader: io::repeat(b'x').take(HARMLESS_BYTES * 2), packed: PackedBytes::default() };
        let mut bounded = Bounded { reader: bomb, packed, unpacked: 0 };
        let mut buffer = vec![0; 1 << 20];
        let mut read = 0;
        let error = loop {
            match bounded.read(&mut buffer) {
                Ok(bytes) => read += bytes as u64,
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("1500 times"), "{error}");
        assert!(read <= HARMLESS_BYTES);
    }
}
