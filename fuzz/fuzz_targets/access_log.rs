//! Access logs in every format, plain and compressed: each line is counted once, and told alike in whatever chunk it comes.
#![no_main]

use collector::{
    import::{
        Importer, Summary,
        chunk::{ChunkReader, Lines},
        format::{Directives, Format, Forms, Reading, Recogniser, compile},
        input::{ChunkSplitter, decompressed},
        page::PageRules,
    },
    site::Site,
    time::UnixMillis,
};
use std::io::Read;

/// Decompressed bytes that are read of one input: small inputs unpack to gigabytes, which is slow and no finding.
const MAX_BYTES: u64 = 4 << 20;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    // The first line may be a log format, the rest a log in it.
    let described = file.split(|byte| *byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    let layout = described.and_then(|text| compile(text, "x-forwarded-for").ok());
    let named = Format::ALL.into_iter().map(|(format, ..)| Forms::Only(format));
    for forms in named.chain([Forms::Any]).chain(layout.map(Forms::Layout)) {
        let reader = ChunkReader {
            recogniser: Recogniser::new(forms, Reading::default()),
            rules: PageRules {
                site: Site::new("shop".parse().unwrap(), "Shop", ["example.com"]),
                collector_paths: vec!["/lfa".to_owned()],
            },
            now: UnixMillis(1_800_000_000_000),
        };
        let Ok(text) = decompressed(file) else { return };
        let mut splitter = ChunkSplitter::new(text.take(MAX_BYTES));
        let mut chunks = Vec::new();
        while let Ok(Some(lines)) = splitter.next_chunk() {
            chunks.push(lines);
        }
        let whole = import(&reader, &chunks);
        let by_line: Vec<Lines> = chunks.iter().flat_map(lines_of).collect();
        assert_eq!(import(&reader, &by_line), whole, "chunks don't change what is found");
    }
});

fn lines_of(chunk: &Lines) -> Vec<Lines> {
    let mut directives: Directives = chunk.directives.clone();
    let mut found = Vec::new();
    for line in chunk.bytes.split_inclusive(|byte| *byte == b'\n') {
        found.push(Lines { bytes: line.to_vec(), directives: directives.clone() });
        directives.take_all(line);
    }
    found
}

fn import(reader: &ChunkReader, chunks: &[Lines]) -> Summary {
    let mut importer = Importer::new(reader.rules.site.id.clone());
    let mut batches = Vec::new();
    for chunk in chunks {
        batches.extend(importer.add(reader.read(chunk)));
    }
    let (last, summary) = importer.finish();
    batches.extend(last);
    let pageviews: usize = batches.iter().map(|batch| batch.beacons.len()).sum();
    assert_eq!(pageviews as u64, summary.pageviews);
    let elsewhere: u64 = summary.skipped.values().chain(summary.dropped.values()).sum();
    assert_eq!(summary.lines, summary.pageviews + elsewhere + summary.unparsable, "{summary:?}");
    summary
}
