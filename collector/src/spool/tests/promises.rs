//! What the spool promises when all goes well.

use super::*;

#[tokio::test]
async fn what_was_appended_is_read_back_in_order_and_gone_after_removal() {
    let (files, _) = one_segment().await;
    let (spool, recovery) = open(&files.kill());
    assert_eq!((recovery.segments, recovery.events, recovery.torn_bytes), (1, 3, 0));
    assert_eq!(recovery.damaged, []);
    assert_eq!(spool.status().events_waiting, 3);
    let handle = spool.next_segment().await.unwrap();
    assert_eq!(handle.events(), 3);
    let segment = spool.read(&handle).await.unwrap();
    assert_eq!(segment.id, handle.id());
    let records: Vec<_> = segment.beacons.into_iter().map(Record::Beacon).collect();
    assert_eq!(records, [beacon(1), beacon(2), beacon(3)]);
    spool.remove(handle).await.unwrap();
    assert_eq!(spool.status(), Status::default());
    assert!(files.snapshot().is_empty());
    spool.close().await.unwrap();
    assert!(spool.next_segment().await.is_none());
}

#[tokio::test]
async fn an_address_is_never_in_clear_on_disk_and_no_byte_of_it_is_left_after_removal() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("spool");
    let (spool, recovery) = Spool::open(Settings::new(&folder), &master()).unwrap();
    assert_eq!(recovery.to_string(), "the spool is empty");
    spool.append(&beacon(1)).await.unwrap();
    spool.close().await.unwrap();
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.len() > 100);
    let planted = PLANTED_ADDRESS.as_bytes();
    assert!(!bytes.windows(planted.len()).any(|window| window == planted));

    // Another name for the same bytes on disk: what someone would find who undeletes the file.
    let undeleted = parent.path().join("undeleted");
    std::fs::hard_link(&file, &undeleted).unwrap();
    let handle = spool.next_segment().await.unwrap();
    assert_eq!(spool.read(&handle).await.unwrap().beacons.len(), 1, "the planted address was in there");
    spool.remove(handle).await.unwrap();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    let found = SegmentKey::open(&std::fs::read(&undeleted).unwrap(), &master()).unwrap_err();
    assert_eq!(found, segment::HeaderError::KeyDestroyed);
}

#[tokio::test]
async fn files_and_folder_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("spool");
    let (spool, _) = Spool::open(Settings::new(&folder), &master()).unwrap();
    spool.append(&beacon(1)).await.unwrap();
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
}

#[tokio::test]
async fn appends_at_the_same_time_share_frames_and_are_all_kept() {
    let files = FakeFiles::new();
    let (spool, _) = open(&files);
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..500 {
        let spool = spool.clone();
        appends.spawn(async move { spool.append(&beacon(number)).await });
    }
    for outcome in appends.join_all().await {
        outcome.unwrap();
    }
    let (mut found, _) = found_after_restart(&files).await;
    found.sort_unstable();
    assert_eq!(found, (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_acknowledged_event_survives_a_kill_without_closing() {
    let files = FakeFiles::new();
    let (spool, _) = open(&files);
    spool.append(&beacon(1)).await.unwrap();
    let (found, recovery) = found_after_restart(&files).await;
    assert_eq!((found, recovery.events), (vec![1], 1));
}

#[tokio::test]
async fn with_sync_interval_an_answer_survives_a_kill_and_a_closed_spool_a_power_cut() {
    let files = FakeFiles::new();
    let settings = Settings { sync: Sync::Interval(Duration::from_secs(3600)), ..untimed() };
    let (spool, _) = Spool::open_with(settings.clone(), &master(), Arc::new(files.clone())).unwrap();
    spool.append(&beacon(1)).await.unwrap();
    let files = files.kill();
    let (spool, recovery) = Spool::open_with(settings, &master(), Arc::new(files.clone())).unwrap();
    assert_eq!(recovery.events, 1);
    spool.append(&beacon(2)).await.unwrap();
    spool.close().await.unwrap();
    for seed in 0..20 {
        let (found, _) = found_after_restart(&files.cut_power(seed)).await;
        assert_eq!(found, [1, 2]);
    }
}

#[tokio::test]
async fn what_a_start_found_is_found_again_after_a_power_cut() {
    for seed in 0..20 {
        let files = FakeFiles::new();
        let settings = Settings { sync: Sync::Interval(Duration::from_secs(3600)), ..untimed() };
        let (spool, _) = Spool::open_with(settings, &master(), Arc::new(files.clone())).unwrap();
        spool.append(&beacon(1)).await.unwrap();
        let files = files.kill();
        let (_, recovery) = open(&files);
        assert_eq!(recovery.events, 1, "written, not synced by the process that was killed");
        assert_eq!(found_after_restart(&files.cut_power(seed)).await.0, [1]);
    }
}

#[tokio::test]
async fn a_segment_closes_by_size() {
    let files = FakeFiles::new();
    let settings = Settings { segment_bytes: 300, ..untimed() };
    let (spool, _) = Spool::open_with(settings, &master(), Arc::new(files)).unwrap();
    for number in 1..=6 {
        spool.append(&beacon(number)).await.unwrap();
    }
    let first = spool.next_segment().await.unwrap();
    let second = spool.next_segment().await.unwrap();
    assert_eq!(numbers(&spool.read(&first).await.unwrap()), [1, 2]);
    assert_eq!(numbers(&spool.read(&second).await.unwrap()), [3, 4]);
}

#[tokio::test]
async fn a_segment_closes_by_age() {
    let settings = Settings { segment_age: Duration::from_millis(1), ..untimed() };
    let (spool, _) = Spool::open_with(settings, &master(), Arc::new(FakeFiles::new())).unwrap();
    for number in 1..=3 {
        spool.append(&beacon(number)).await.unwrap();
        let handle = spool.next_segment().await.unwrap();
        assert_eq!(numbers(&spool.read(&handle).await.unwrap()), [number]);
        spool.remove(handle).await.unwrap();
    }
}

#[tokio::test]
async fn a_segment_is_handed_out_to_one_holder_and_comes_back_first_when_dropped() {
    let settings = Settings { segment_bytes: 1, ..untimed() };
    let (spool, _) = Spool::open_with(settings, &master(), Arc::new(FakeFiles::new())).unwrap();
    for number in 1..=3 {
        spool.append(&beacon(number)).await.unwrap();
    }
    let first = spool.next_segment().await.unwrap();
    let second = spool.next_segment().await.unwrap();
    assert_ne!(first.id(), second.id());
    let (first_id, second_id) = (first.id(), second.id());
    drop(second);
    spool.give_back(first);
    assert_eq!(spool.next_segment().await.unwrap().id(), first_id);
    let again = spool.next_segment().await.unwrap();
    assert_eq!(again.id(), first_id, "the handle of the line above was dropped at its end");
    assert_eq!(spool.next_segment().await.unwrap().id(), second_id);
}

#[tokio::test]
async fn whoever_waits_for_a_segment_gets_one_that_is_given_back_and_the_end_when_it_closes() {
    let (spool, _) = open(&FakeFiles::new());
    let waiting = tokio::spawn({
        let spool = spool.clone();
        async move { spool.next_segment().await.map(|handle| handle.id()) }
    });
    tokio::task::yield_now().await;
    spool.close().await.unwrap();
    assert_eq!(waiting.await.unwrap(), None);
    assert!(matches!(spool.append(&beacon(1)).await, Err(AppendError::Closed)));
}

#[tokio::test]
async fn the_last_clone_closes_the_spool() {
    let files = FakeFiles::new();
    let (spool, _) = open(&files);
    spool.append(&beacon(1)).await.unwrap();
    let shared = Arc::downgrade(&spool.0.0);
    drop(spool);
    while shared.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
    let (found, _) = found_after_restart(&files).await;
    assert_eq!(found, [1]);
}

#[tokio::test]
async fn drop_counts_ride_with_the_next_frame_added_up() {
    let files = FakeFiles::new();
    let (spool, _) = open(&files);
    spool.note_drops(drop_count(1, 2));
    spool.note_drops(drop_count(1, 3));
    spool.append(&beacon(1)).await.unwrap();
    let (spool, _) = open(&files.kill());
    let handle = spool.next_segment().await.unwrap();
    assert_eq!(spool.read(&handle).await.unwrap().drops, [drop_count(1, 5)]);
}

#[tokio::test]
async fn drop_counts_reach_the_disk_by_themselves_and_at_closing() {
    let settings = Settings { segment_age: Duration::from_millis(1), ..untimed() };
    let (spool, _) = Spool::open_with(settings, &master(), Arc::new(FakeFiles::new())).unwrap();
    spool.note_drops(drop_count(1, 2));
    let handle = spool.next_segment().await.unwrap();
    let segment = spool.read(&handle).await.unwrap();
    assert_eq!((segment.drops, segment.beacons), (vec![drop_count(1, 2)], vec![]));

    let (spool, _) = open(&FakeFiles::new());
    spool.note_drops(drop_count(2, 1));
    spool.close().await.unwrap();
    assert_eq!(read_all(&spool).await[0].drops, [drop_count(2, 1)]);
}

#[tokio::test]
async fn a_full_spool_refuses_at_once_and_takes_again_after_a_removal() {
    let files = FakeFiles::new();
    let settings = Settings { segment_bytes: 300, max_bytes: 600, ..untimed() };
    let (spool, _) = Spool::open_with(settings, &master(), Arc::new(files.clone())).unwrap();
    let mut taken = 0;
    let refusal = loop {
        match spool.append(&beacon(taken)).await {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refusal, AppendError::Full), "{refusal}");
    assert!(taken >= 2, "{taken}");
    let on_disk: usize = files.snapshot().values().map(Vec::len).sum();
    assert!(on_disk <= 700, "at most a header and a last frame over the limit: {on_disk}");
    let handle = spool.next_segment().await.unwrap();
    spool.remove(handle).await.unwrap();
    spool.append(&beacon(taken)).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_does_not_answer_costs_bounded_memory() {
    let files = FakeFiles::new();
    let (spool, _) = open(&files);
    files.set_stuck(true);
    let Record::Beacon(mut large) = beacon(1) else { unreachable!() };
    large.user_agent = "x".repeat(MAX_RECORD_BYTES / 2).into();
    let large = Arc::new(Record::Beacon(large));
    let mut appends = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (spool, large) = (spool.clone(), Arc::clone(&large));
        appends.spawn(async move { spool.append(&large).await });
    }
    let refused = appends.join_next().await.unwrap().unwrap();
    assert!(matches!(refused, Err(AppendError::Full)), "the first to be answered while the disk hangs: {refused:?}");
    assert!(spool.0.0.lock().queued_bytes <= MAX_QUEUED_BYTES);
    files.set_stuck(false);
    let taken = appends.join_all().await.into_iter().filter(Result::is_ok).count();
    assert!(taken >= 60, "{taken}");
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused() {
    let (spool, _) = open(&FakeFiles::new());
    let Record::Beacon(mut large) = beacon(1) else { unreachable!() };
    large.user_agent = "x".repeat(MAX_RECORD_BYTES).into();
    let refused = spool.append(&Record::Beacon(large)).await;
    assert!(matches!(refused, Err(AppendError::TooLarge(bytes)) if bytes > MAX_RECORD_BYTES));
}

#[test]
fn settings_that_contradict_themselves_are_refused() {
    for (segment_bytes, max_bytes) in [(1 << 20, 1 << 10), (1 << 30, 1 << 40)] {
        let settings = Settings { segment_bytes, max_bytes, ..untimed() };
        let refused = Spool::open_with(settings, &master(), Arc::new(FakeFiles::new()));
        assert!(matches!(refused, Err(SpoolError::Settings(_))));
    }
}

/// A beacon of another site.
fn beacon_of(site: &str, number: u64) -> Record {
    let Record::Beacon(own) = beacon(number) else { unreachable!() };
    Record::Beacon(SpooledBeacon { site: site.parse().unwrap(), ..own })
}

#[tokio::test]
async fn a_site_that_floods_a_shared_spool_leaves_room_for_the_others_also_after_a_restart() {
    let files = FakeFiles::new();
    let settings = Settings { segment_bytes: 20_000, max_bytes: 400_000, ..untimed() };
    let open = |files: &FakeFiles| {
        let spool = Spool::open_with(settings.clone(), &master(), Arc::new(files.clone())).unwrap().0;
        spool.share_between_sites(true);
        spool
    };
    let flood = async |spool: &Spool, site: &str| {
        let mut taken = 0;
        loop {
            match spool.append(&beacon_of(site, taken)).await {
                Ok(()) => taken += 1,
                Err(AppendError::SiteShare) => break taken,
                Err(error) => panic!("{site} was refused for another reason: {error}"),
            }
        }
    };
    let spool = open(&files);
    let first = flood(&spool, "noisy").await;
    assert!(spool.status().bytes > 300_000, "one alone gets nearly all of it: {first}");
    assert!(spool.is_under_pressure());
    // Others come in, a flood of theirs less far.
    spool.append(&beacon_of("quiet", 1)).await.unwrap();
    let second = flood(&spool, "noisy-too").await;
    assert!(0 < second && second < first / 5, "{second} of {first}");
    for number in 2..5 {
        spool.append(&beacon_of("quiet", number)).await.unwrap();
    }

    let spool = open(&files.kill());
    assert!(matches!(spool.append(&beacon_of("noisy", 1)).await, Err(AppendError::SiteShare)));
    spool.append(&beacon_of("quiet", 5)).await.unwrap();
    spool.close().await.unwrap();
    while let Some(handle) = spool.next_segment().await {
        spool.remove(handle).await.unwrap();
    }
    assert!(spool.0.0.lock().bytes_of.is_empty(), "what is stored counts against nobody");
    assert!(!spool.is_under_pressure());
}

#[tokio::test]
async fn what_a_failed_write_refused_counts_against_no_site() {
    let files = FakeFiles::new();
    let (spool, _) = open(&files);
    spool.append(&beacon_of("shop", 1)).await.unwrap();
    let held = spool.0.0.lock().bytes_of.clone();
    files.fail_next(&[Operation::Append]);
    spool.append(&beacon_of("shop", 2)).await.unwrap_err();
    assert_eq!(spool.0.0.lock().bytes_of, held);
}

#[tokio::test]
async fn damaged_files_take_no_more_room_than_the_spool_may_and_the_oldest_go_first() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..10 {
        std::fs::write(folder.path().join(format!("{number}.segment")), vec![7; 1_000]).unwrap();
    }
    let settings = Settings { segment_bytes: 1_000, max_bytes: 4_500, ..Settings::new(folder.path()) };
    let (spool, recovery) = Spool::open(settings, &master()).unwrap();
    assert_eq!((recovery.damaged.len(), recovery.damaged_removed), (10, 6));
    assert_eq!(spool.status().damaged_removed, 6);
    let mut kept: Vec<_> = std::fs::read_dir(folder.path().join("damaged"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.sort();
    assert_eq!(kept, ["6.segment", "7.segment", "8.segment", "9.segment"]);
}
