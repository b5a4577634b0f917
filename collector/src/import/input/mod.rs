//! A file's bytes to chunks of whole lines.
//!
//! ```text
//! members     a zip or tar archive's files, or the file itself, each on its own: one that is damaged leaves the others
//! unpack      gzip, bzip2, xz, Zstandard and LZ4, told by their first bytes, with a bound on what comes out
//! (decode)    UTF-16 and byte order marks, to UTF-8
//! lines       chunks that end where a line does
//! follow      the same of a file that grows, is rotated or cut to nothing
//! ```

mod follow;
mod lines;
mod members;
mod unpack;

pub use follow::{Followed, Follower};
pub use lines::{CHUNK_BYTES, ChunkSplitter, MAX_LINE_BYTES};
pub use members::{Member, for_each_member};
pub use unpack::decompressed;
