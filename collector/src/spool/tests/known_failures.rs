//! Each way in which files were seen to go wrong, by name.

use super::*;

/// Frames are found by what they start with.
fn frame_starts(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&segment::MARK)).collect()
}

/// What the next process says of a folder with this one file.
async fn recover_file(bytes: Vec<u8>) -> (FakeFiles, Vec<u64>, Recovery) {
    let files = FakeFiles::new();
    files.plant("/spool/found.segment", bytes);
    let (found, recovery) = found_after_restart(&files).await;
    (files, found, recovery)
}

async fn one_segments_bytes() -> Vec<u8> {
    let (files, path) = one_segment().await;
    files.steal(&path)
}

/// The file was moved to `damaged/`, whole, and the report says why.
#[track_caller]
fn assert_moved_aside(files: &FakeFiles, bytes: &[u8], recovery: &Recovery, why: &str) {
    let moved: PathBuf = "/spool/damaged/found.segment".into();
    assert_eq!(files.snapshot(), BTreeMap::from([(moved.clone(), bytes.to_vec())]));
    assert_eq!((recovery.segments, recovery.damaged.len()), (0, 1));
    assert_eq!(recovery.damaged[0].file, moved);
    assert!(recovery.damaged[0].what.contains(why), "{}", recovery.damaged[0].what);
}

#[tokio::test]
async fn a_torn_tail_is_ignored_wherever_it_is_torn() {
    let bytes = one_segments_bytes().await;
    let starts = frame_starts(&bytes);
    assert_eq!(starts.len(), 4, "three frames and the last one");
    for length in starts[2]..bytes.len() {
        let (_, found, recovery) = recover_file(bytes[..length].to_vec()).await;
        let whole = if length < starts[3] { vec![1, 2] } else { vec![1, 2, 3] };
        assert_eq!(found, whole, "cut at {length}");
        assert_eq!(recovery.damaged, []);
        let last_whole_end = if length < starts[3] { starts[2] } else { starts[3] };
        assert_eq!(recovery.torn_bytes, (length - last_whole_end) as u64);
    }
}

#[tokio::test]
async fn a_torn_tail_of_zeros_or_garbage_is_ignored() {
    let bytes = one_segments_bytes().await;
    let starts = frame_starts(&bytes);
    for filler in [0, 0xf5, b'F'] {
        let mut torn = bytes[..starts[2] + 7].to_vec();
        torn.resize(bytes.len() + 5_000, filler);
        let (_, found, recovery) = recover_file(torn).await;
        assert_eq!((found, recovery.damaged), (vec![1, 2], vec![]));
    }
}

#[tokio::test]
async fn a_bad_tag_in_the_middle_costs_that_frame_and_is_reported() {
    let mut bytes = one_segments_bytes().await;
    let second = frame_starts(&bytes)[1];
    bytes[second + 40] ^= 1;
    let (_, found, recovery) = recover_file(bytes).await;
    assert_eq!((found, recovery.events), (vec![1, 3], 2));
    let words = recovery.to_string();
    assert!(words.contains("1 of its batches") && words.contains("found.segment"), "{words}");
}

#[tokio::test]
async fn a_length_that_lies_costs_that_frame_and_is_reported() {
    let bytes = one_segments_bytes().await;
    let second = frame_starts(&bytes)[1];
    for lie in [0, 1, 0x7fff_ffff, u32::MAX] {
        let mut bytes = bytes.clone();
        bytes[second + 8..second + 12].copy_from_slice(&u32::to_le_bytes(lie));
        let (_, found, recovery) = recover_file(bytes).await;
        assert_eq!((found, recovery.damaged.len()), (vec![1, 3], 1), "length {lie}");
    }
}

#[tokio::test]
async fn a_frame_that_stands_twice_or_out_of_order_counts_once() {
    let bytes = one_segments_bytes().await;
    let starts = frame_starts(&bytes);
    let (first, second) = (&bytes[starts[0]..starts[1]], &bytes[starts[1]..starts[2]]);
    let rest = &bytes[starts[2]..];
    let twice = [&bytes[..starts[0]], first, second, first, second, rest].concat();
    assert_eq!(recover_file(twice).await.1, [1, 2, 3]);
    let swapped = [&bytes[..starts[0]], second, first, rest].concat();
    assert_eq!(recover_file(swapped).await.1, [2, 3]);
}

#[tokio::test]
async fn a_frame_of_another_segment_is_not_taken() {
    let (bytes, other) = (one_segments_bytes().await, one_segments_bytes().await);
    let starts = frame_starts(&bytes);
    let mixed = [&bytes[..starts[1]], &other[starts[1]..starts[2]], &bytes[starts[2]..]].concat();
    let (_, found, recovery) = recover_file(mixed).await;
    assert_eq!((found, recovery.damaged.len()), (vec![1, 3], 1));
}

#[tokio::test]
async fn an_empty_file_and_one_of_zeros_held_nothing_and_are_removed() {
    for bytes in [Vec::new(), vec![0; 4096]] {
        let (files, found, recovery) = recover_file(bytes).await;
        assert_eq!((found, recovery), (vec![], Recovery::default()));
        assert!(files.snapshot().is_empty());
    }
}

#[tokio::test]
async fn a_truncated_header_is_moved_aside() {
    let bytes = one_segments_bytes().await[..segment::HEADER_BYTES - 1].to_vec();
    let (files, _, recovery) = recover_file(bytes.clone()).await;
    assert_moved_aside(&files, &bytes, &recovery, "cut short");
}

#[tokio::test]
async fn a_file_that_is_no_segment_is_moved_aside() {
    let bytes = b"#!/bin/sh\n".repeat(100);
    let (files, _, recovery) = recover_file(bytes.clone()).await;
    assert_moved_aside(&files, &bytes, &recovery, "no spool segment");
}

#[tokio::test]
async fn a_damaged_header_is_moved_aside() {
    let mut bytes = one_segments_bytes().await;
    bytes[20] ^= 1;
    let (files, _, recovery) = recover_file(bytes.clone()).await;
    assert_moved_aside(&files, &bytes, &recovery, "does not open");
}

#[tokio::test]
async fn a_segment_under_a_foreign_key_is_moved_aside_and_readable_once_the_key_and_it_are_back() {
    let (files, path) = one_segment().await;
    let foreign = MasterKey::from_bytes([8; 32]);
    let (spool, recovery) = Spool::open_with(untimed(), &foreign, Arc::new(files.clone())).unwrap();
    assert_eq!((recovery.segments, recovery.damaged.len(), spool.status().damaged), (0, 1, 1));
    assert!(recovery.to_string().contains("another master key"), "{recovery}");
    drop(spool);
    let bytes = files.steal(&recovery.damaged[0].file);
    files.plant(path, bytes);
    assert_eq!(found_after_restart(&files).await.0, [1, 2, 3]);
}

#[tokio::test]
async fn a_file_that_is_too_long_is_moved_aside_unread() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("huge.segment");
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let (_, recovery) = Spool::open(Settings::new(parent.path()), &master()).unwrap();
    assert!(recovery.to_string().contains("longer than a segment can be"), "{recovery}");
    assert!(parent.path().join("damaged/huge.segment").exists());
}

#[tokio::test]
async fn many_damaged_files_are_all_reported_and_the_first_few_described() {
    let files = FakeFiles::new();
    for number in 0..8 {
        files.plant(format!("/spool/{number}.segment"), b"no segment".repeat(20));
    }
    let (_, recovery) = open(&files);
    assert_eq!(recovery.damaged.len(), 8);
    let words = recovery.to_string();
    assert!(words.contains("4.segment") && words.ends_with("and 3 more damaged files"), "{words}");
}

#[tokio::test]
async fn a_file_that_can_not_be_moved_aside_does_not_keep_the_spool_from_opening() {
    let files = FakeFiles::new();
    files.plant("/spool/found.segment", b"no segment".to_vec());
    files.fail_next(&[Operation::Rename]);
    let (spool, recovery) = open(&files);
    assert!(recovery.to_string().contains("stays where it is"), "{recovery}");
    spool.append(&beacon(1)).await.unwrap();
}

#[tokio::test]
async fn a_renamed_file_is_the_same_segment_and_a_copy_is_not_a_second_one() {
    let (files, path) = one_segment().await;
    let bytes = files.steal(&path);
    files.plant("/spool/renamed.segment", bytes.clone());
    assert_eq!(found_after_restart(&files).await.0, [1, 2, 3]);
    files.plant("/spool/the-copy.segment", bytes);
    let (found, recovery) = found_after_restart(&files).await;
    assert_eq!((found, recovery.events, recovery.damaged.len()), (vec![1, 2, 3], 3, 1));
    assert!(recovery.to_string().contains("copy of another segment"), "{recovery}");
}

#[tokio::test]
async fn a_file_that_goes_missing_is_reported_with_the_events_it_held_and_can_be_removed() {
    let (files, path) = one_segment().await;
    let (spool, _) = open(&files.kill());
    let handle = spool.next_segment().await.unwrap();
    files.steal(&path);
    let segment = spool.read(&handle).await.unwrap();
    assert_eq!((segment.beacons.len(), segment.lost_events, segment.id), (0, 3, handle.id()));
    assert!(segment.damaged.unwrap().what.contains("gone"));
    spool.remove(handle).await.unwrap();
    assert_eq!((spool.status().segments, spool.status().damaged), (0, 1));
}

#[tokio::test]
async fn damage_after_the_start_is_reported_with_the_events_lost() {
    let (files, path) = one_segment().await;
    let bytes = files.steal(&path);
    let starts = frame_starts(&bytes);
    for (at, lost) in [(starts[0] + 30, 1), (starts[2] + 30, 1), (20, 3)] {
        files.plant(&path, bytes.clone());
        let files = files.kill();
        let (spool, _) = open(&files);
        let handle = spool.next_segment().await.unwrap();
        let mut damaged = files.steal(&path);
        damaged[at] ^= 1;
        files.plant(&path, damaged);
        let segment = spool.read(&handle).await.unwrap();
        assert_eq!((segment.lost_events, segment.beacons.len()), (lost, 3 - lost as usize), "byte {at}");
        assert!(segment.damaged.is_some());
        spool.remove(handle).await.unwrap();
        assert!(ready_segment(&spool).await.is_none());
    }
}

#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_loses_nothing_acknowledged() {
    let files = FakeFiles::new();
    let (spool, _) = open(&files);
    spool.append(&beacon(1)).await.unwrap();
    for room in [0, 1, 50, 100] {
        let used: usize = files.snapshot().values().map(Vec::len).sum();
        files.set_capacity(used + room);
        let refused = spool.append(&beacon(99)).await;
        assert!(matches!(&refused, Err(AppendError::Io(error)) if error.kind() == io::ErrorKind::StorageFull));
        assert!(spool.status().last_sync_error.is_some());
    }
    files.set_capacity(usize::MAX);
    spool.append(&beacon(2)).await.unwrap();
    assert_eq!(spool.status().last_sync_error, None);
    let (found, recovery) = found_after_restart(&files).await;
    assert_eq!((found, recovery.torn_bytes, recovery.damaged), (vec![1, 2], 0, vec![]));
}

#[tokio::test]
async fn a_failed_operation_refuses_its_append_and_no_other() {
    use Operation::{Append, Create, Sync, SyncFolder};
    for operation in [Create, Append, Sync, SyncFolder] {
        for first_of_its_segment in [true, false] {
            if !first_of_its_segment && matches!(operation, Create | SyncFolder) {
                continue;
            }
            let files = FakeFiles::new();
            let (spool, _) = open(&files);
            let before = if first_of_its_segment { vec![] } else { vec![1] };
            for number in &before {
                spool.append(&beacon(*number)).await.unwrap();
            }
            files.fail_next(&[operation]);
            let refused = spool.append(&beacon(99)).await;
            assert!(matches!(refused, Err(AppendError::Io(_))), "{operation:?}");
            spool.append(&beacon(2)).await.unwrap();
            let files = files.cut_power(1);
            let (found, _) = found_after_restart(&files).await;
            assert_eq!(found, [before, vec![2]].concat(), "{operation:?}");
        }
    }
}

#[tokio::test]
async fn a_segment_that_could_not_be_started_nor_removed_is_no_damage_at_the_next_start() {
    let files = FakeFiles::new();
    let (spool, _) = open(&files);
    files.set_capacity(1);
    files.fail_next(&[Operation::Remove]);
    assert!(spool.append(&beacon(1)).await.is_err());
    assert_eq!(files.snapshot().len(), 1);
    let (found, recovery) = found_after_restart(&files).await;
    assert_eq!((found, recovery), (vec![], Recovery::default()));
}

#[tokio::test]
async fn a_refused_frame_that_could_not_be_cut_off_is_not_read() {
    let files = FakeFiles::new();
    let (spool, _) = open(&files);
    spool.append(&beacon(1)).await.unwrap();
    files.fail_next(&[Operation::Sync, Operation::Truncate]);
    assert!(spool.append(&beacon(99)).await.is_err());
    let handle = spool.next_segment().await.unwrap();
    assert_eq!(handle.events(), 1);
    assert_eq!(numbers(&spool.read(&handle).await.unwrap()), [1]);
}

#[tokio::test]
async fn with_sync_interval_a_failed_write_puts_what_went_before_it_on_disk() {
    for seed in 0..20 {
        let files = FakeFiles::new();
        let settings = Settings { sync: Sync::Interval(Duration::from_secs(3600)), ..untimed() };
        let (spool, _) = Spool::open_with(settings, &master(), Arc::new(files.clone())).unwrap();
        spool.append(&beacon(1)).await.unwrap();
        files.fail_next(&[Operation::Append]);
        assert!(spool.append(&beacon(99)).await.is_err());
        assert_eq!(found_after_restart(&files.cut_power(seed)).await.0, [1]);
    }
}

#[tokio::test]
async fn drop_counts_wait_for_a_frame_that_succeeds() {
    let files = FakeFiles::new();
    let (spool, _) = open(&files);
    spool.note_drops(drop_count(1, 2));
    files.fail_next(&[Operation::Append]);
    assert!(spool.append(&beacon(1)).await.is_err());
    spool.note_drops(drop_count(1, 3));
    spool.append(&beacon(2)).await.unwrap();
    spool.close().await.unwrap();
    assert_eq!(read_all(&spool).await[0].drops, [drop_count(1, 5)]);
}

#[tokio::test]
async fn a_failure_while_closing_is_told_and_loses_nothing_acknowledged() {
    let files = FakeFiles::new();
    let (spool, _) = open(&files);
    spool.append(&beacon(1)).await.unwrap();
    files.fail_next(&[Operation::Append]);
    let told = spool.close().await;
    assert!(matches!(told, Err(SpoolError::Close(_))), "{told:?}");
    assert_eq!(found_after_restart(&files).await.0, [1]);
}

#[tokio::test]
async fn a_removal_that_was_interrupted_is_finished_at_the_next_start() {
    let (files, _) = one_segment().await;
    let (spool, _) = open(&files);
    let handle = spool.next_segment().await.unwrap();
    files.fail_next(&[Operation::Remove]);
    let told = spool.remove(handle).await;
    assert!(matches!(told, Err(SpoolError::Segment { action: "removed", .. })), "{told:?}");
    assert!(ready_segment(&spool).await.is_none(), "it is stored: nobody gets it again");
    assert_eq!(files.snapshot().len(), 1);
    let (found, recovery) = found_after_restart(&files).await;
    assert_eq!((found, recovery), (vec![], Recovery::default()));
    assert!(files.snapshot().is_empty());
}

#[tokio::test]
async fn a_key_that_can_not_be_overwritten_does_not_keep_the_file() {
    let (files, _) = one_segment().await;
    let (spool, _) = open(&files);
    let handle = spool.next_segment().await.unwrap();
    files.fail_next(&[Operation::Overwrite]);
    spool.remove(handle).await.unwrap();
    assert!(files.snapshot().is_empty());
}

#[tokio::test]
async fn a_disk_that_refused_and_gets_no_more_appends_is_found_well_again_by_asking() {
    let files = FakeFiles::new();
    let (spool, _) = open(&files);
    spool.append(&beacon(1)).await.unwrap();
    let full = files.snapshot().values().map(Vec::len).sum();
    files.set_capacity(full);
    assert!(spool.append(&beacon(2)).await.is_err());
    // Whoever asks here sends nothing any more until the answer is good.
    for _ in 0..3 {
        let problem = spool.check().unwrap_err();
        assert!(matches!(&problem, AppendError::Io(_)), "{problem}");
        tokio::task::yield_now().await;
    }
    files.set_capacity(usize::MAX);
    while spool.check().is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(spool.status().last_sync_error, None);
    spool.append(&beacon(3)).await.unwrap();
    let (found, recovery) = found_after_restart(&files).await;
    assert_eq!((found, recovery.damaged), (vec![1, 3], vec![]));
}
