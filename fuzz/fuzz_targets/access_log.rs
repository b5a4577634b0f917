//! Access logs in every format, plain and compressed: each line is counted once.
#![no_main]

use collector::{
    import::{
        Importer,
        input::{Line, decompressed, next_line},
        parse::Format,
    },
    site::Site,
    time::UnixMillis,
};

/// Decompressed bytes that are read of one input: small inputs unpack to gigabytes, which is slow and no finding.
const MAX_BYTES: usize = 4 << 20;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let site = Site::new("shop".parse().unwrap(), "Shop", ["example.com"]);
    let start = file.split(|byte| *byte == b'\n').take(20);
    if let Some(format) = Format::detect(start.clone()) {
        assert!(start.clone().any(|line| format.parse(line).is_ok()), "{format} was detected and reads no line");
    }
    for format in Format::ALL {
        let mut importer = Importer::new(&site, format, UnixMillis(1_800_000_000_000));
        let Ok(mut input) = decompressed(file) else { return };
        let mut buffer = Vec::new();
        let mut bytes = 0;
        let mut pageviews = 0;
        while bytes < MAX_BYTES {
            let batch = match next_line(&mut *input, &mut buffer) {
                Ok(Some(Line::Text(line))) => {
                    bytes += line.len() + 1;
                    importer.line(line)
                }
                Ok(Some(Line::TooLong(start))) => {
                    bytes += start.len();
                    importer.too_long(start);
                    None
                }
                Ok(None) | Err(_) => break,
            };
            pageviews += batch.map_or(0, |batch| batch.beacons.len());
        }
        let (last, summary) = importer.finish();
        pageviews += last.map_or(0, |batch| batch.beacons.len());
        assert_eq!(pageviews as u64, summary.pageviews);
        let elsewhere: u64 = summary.skipped.values().chain(summary.dropped.values()).sum();
        assert_eq!(summary.lines, summary.pageviews + elsewhere + summary.unparsable, "{format}: {summary:?}");
    }
});
