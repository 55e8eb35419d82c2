//! A vault on a real directory: what goes in comes out, what is there is not stored again, damage is found, and whatever
//! a process left behind when it ended is taken up or passed over, never trusted unread.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mytism_core::id::Hash;
use mytism_vault::{CHUNK_BYTES_MAX, Grace, Part, Recipe, Swept, Vault, VaultError, hash_of};
use proptest::prelude::*;

/// Bytes that look like chance and are always the same.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn put(vault: &Vault, bytes: &[u8]) -> Hash {
    let mut writer = vault.writer();
    for slice in bytes.chunks(100_000) {
        writer.write(slice).unwrap();
    }
    let (hash, length) = writer.finish().unwrap();
    assert_eq!((hash, length), (hash_of(bytes), bytes.len() as u64));
    hash
}

fn get(vault: &Vault, content: Hash) -> Vec<u8> {
    let mut bytes = Vec::new();
    vault.reader(content).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn files(root: &Path, shelf: &str) -> Vec<PathBuf> {
    let folders = fs::read_dir(root.join(shelf)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            assert!(fs::copy(entry.path(), target).is_ok());
        }
    }
}

/// Gives all that is asked for from one vault to another, at most so many chunks; the bytes that went.
fn send(from: &Vault, to: &Vault, content: Hash, most: usize) -> u64 {
    let mut arrival = to.arrival(from.recipe(content).unwrap().unwrap());
    let mut sent = 0;
    for _ in 0..most {
        let Some(part) = arrival.next_wanted().unwrap() else { break };
        let bytes = from.chunk(part.hash).unwrap().unwrap();
        sent += bytes.len() as u64;
        arrival.put(part.hash, &bytes).unwrap();
    }
    if arrival.is_complete() {
        arrival.finish().unwrap();
    }
    sent
}

#[test]
fn contents_of_all_sizes_come_back() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(root.path()).unwrap();
    let lengths = [0, 1, 65_536, 300_000, CHUNK_BYTES_MAX as usize, 9_000_001];
    let hashes = lengths.map(|length| put(&vault, &noise(length as u64, length)));
    let again = Vault::open(root.path()).unwrap();
    for (hash, length) in hashes.into_iter().zip(lengths) {
        assert!(again.has(hash) && again.verify(hash).unwrap(), "{length}");
        assert_eq!(again.bytes_of(hash).unwrap(), Some(length as u64));
        assert!(get(&again, hash) == noise(length as u64, length), "{length}");
    }
    assert_eq!(again.usage().unwrap().contents, 6);
    assert!(files(root.path(), "staged").is_empty());
    for path in ["whole", "chunks", "recipes"].iter().flat_map(|shelf| files(root.path(), shelf)) {
        let mut bytes = fs::read(&path).unwrap();
        let name = path.strip_prefix(root.path()).unwrap().to_str().unwrap();
        assert!(mytism_vault::is_as_named(name, &bytes), "{name}");
        bytes.push(0);
        assert!(!mytism_vault::is_as_named(name, &bytes) && !mytism_vault::is_as_named("new/1", &bytes));
    }
    let mut listed = HashSet::new();
    again.contents(&mut |hash| assert!(listed.insert(hash))).unwrap();
    assert_eq!(listed, HashSet::from(hashes));
}

#[test]
fn a_reader_goes_to_any_byte() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(root.path()).unwrap();
    let bytes = noise(1, 3_000_000);
    let hash = put(&vault, &bytes);
    let mut reader = vault.reader(hash).unwrap();
    for place in [2_999_999, 0, 1_500_000, 3_000_000, 70_000, 9_000_000] {
        reader.seek(place).unwrap();
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert!(rest == bytes[bytes.len().min(usize::try_from(place).unwrap())..], "{place}");
    }
}

#[test]
fn what_comes_while_all_is_counted_counts_once() {
    let root = tempfile::tempdir().unwrap();
    let mut here = 0;
    for round in 0..60 {
        // Nothing is counted yet.
        let vault = Vault::open(root.path()).unwrap();
        std::thread::scope(|scope| {
            for place in 0..4 {
                let vault = vault.clone();
                scope.spawn(move || {
                    for step in 0..4 {
                        put(&vault, &noise(round * 16 + place * 4 + step, 100));
                    }
                });
            }
            std::thread::sleep(Duration::from_micros(100 * (round % 20)));
            vault.usage().unwrap();
        });
        here += 16;
        assert_eq!(vault.usage().unwrap().contents, here, "in round {round}");
    }
}

#[test]
fn what_is_there_is_stored_once() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(root.path()).unwrap();
    let mut bytes = noise(2, 20_000_000);
    put(&vault, &bytes);
    let before = vault.usage().unwrap();
    put(&vault, &bytes);
    assert_eq!(vault.usage().unwrap(), before);
    // One percent in one place.
    bytes[7_000_000..7_200_000].copy_from_slice(&noise(3, 200_000));
    put(&vault, &bytes);
    let grown = vault.usage().unwrap().bytes - before.bytes;
    assert!(grown < 20_000_000 / 10, "{grown}");
}

#[test]
fn damage_is_found_set_aside_and_mended() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(root.path()).unwrap();
    let (large, small) = (noise(4, 3_000_000), noise(5, 1000));
    let hashes = [put(&vault, &large), put(&vault, &small)];
    for (shelf, hash, bytes) in [("chunks", hashes[0], &large), ("whole", hashes[1], &small)] {
        let file = files(root.path(), shelf).remove(0);
        let mut stored = fs::read(&file).unwrap();
        stored[10] ^= 1;
        fs::write(&file, stored).unwrap();
        let mut reader = vault.reader(hash).unwrap();
        let error = loop {
            match reader.next_part() {
                Ok(part) => assert!(part.is_some()),
                Err(error) => break error,
            }
        };
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(matches!(&error, VaultError::Damaged { content, .. } if *content == hash), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        assert!(root.path().join("damaged").join(name).exists());
        assert!(!vault.has(hash) && !vault.verify(hash).unwrap());
        put(&vault, bytes);
        assert!(get(&vault, hash) == *bytes);
    }
}

/// The name of a file proves nothing, nor does its length: who saves a content again must get what he saved.
#[test]
fn what_is_saved_again_takes_the_place_of_damage() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(root.path()).unwrap();
    for (bytes, shelf) in [(noise(1, 10_000), "whole"), (noise(2, 5 << 20), "chunks")] {
        let content = put(&vault, &bytes);
        for file in files(root.path(), shelf) {
            let mut damaged = fs::read(&file).unwrap();
            damaged[0] ^= 1;
            fs::write(&file, damaged).unwrap();
        }
        assert_eq!(put(&vault, &bytes), content);
        assert_eq!(get(&vault, content), bytes);
        let again = Vault::open(root.path()).unwrap();
        assert_eq!(get(&again, content), bytes);
    }
    assert_eq!(files(root.path(), "staged").len(), 0);
}

#[test]
fn what_is_not_finished_takes_no_room() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(root.path()).unwrap();
    let (kept, dropped) = (noise(1, 5 << 20), noise(2, 9 << 20));
    let content = put(&vault, &kept);
    let mut writer = vault.writer();
    writer.write(&kept).unwrap();
    writer.write(&dropped).unwrap();
    assert!(files(root.path(), "staged").len() > 1);
    drop(writer);
    assert_eq!(files(root.path(), "staged").len(), 0);
    assert_eq!(get(&vault, content), kept);
}

#[test]
fn a_damaged_recipe_is_no_recipe() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(root.path()).unwrap();
    let hash = put(&vault, &noise(6, 2_000_000));
    let file = files(root.path(), "recipes").remove(0);
    fs::write(&file, b"MYTR").unwrap();
    assert!(matches!(vault.reader(hash), Err(VaultError::Missing(_))));
    put(&vault, &noise(6, 2_000_000));
    assert!(vault.verify(hash).unwrap());
}

#[test]
fn an_arrival_goes_on_where_it_stopped() {
    let roots = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [from, to] = roots.each_ref().map(|root| Vault::open(root.path()).unwrap());
    let bytes = noise(7, 20_000_000);
    let hash = put(&from, &bytes);
    let first = send(&from, &to, hash, 20);
    assert!(!to.has(hash) && first > 0);
    // Another process, and one chunk was torn when the machine went down.
    let to = Vault::open(roots[1].path()).unwrap();
    let torn = files(roots[1].path(), "staged").remove(3);
    let length = fs::metadata(&torn).unwrap().len();
    fs::write(&torn, vec![0; usize::try_from(length).unwrap()]).unwrap();
    let second = send(&from, &to, hash, usize::MAX);
    assert_eq!(first + second, bytes.len() as u64 + length);
    assert!(get(&to, hash) == bytes);
    // A changed content costs what changed.
    let mut changed = bytes;
    changed[5_000_000..5_200_000].copy_from_slice(&noise(8, 200_000));
    let hash = put(&from, &changed);
    let third = send(&from, &to, hash, usize::MAX);
    assert!(third < 20_000_000 / 10 && get(&to, hash) == changed, "{third}");
}

#[test]
fn bytes_that_are_not_those_of_their_names_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(root.path()).unwrap();
    let (a, b) = (noise(9, 70_000), noise(10, 70_000));
    let part = |bytes: &[u8]| Part { hash: hash_of(bytes), bytes: 70_000 };
    let mut arrival = vault.arrival(Recipe::new(Hash([1; 32]), vec![part(&a), part(&b)]).unwrap());
    assert_eq!(arrival.next_wanted().unwrap(), Some(part(&a)));
    assert!(matches!(arrival.put(hash_of(&a), &b), Err(VaultError::OtherBytes { .. })));
    assert!(matches!(arrival.put(hash_of(&b), &b), Err(VaultError::OtherBytes { .. })), "nobody asked for it");
    arrival.put(hash_of(&a), &a).unwrap();
    assert_eq!(arrival.next_wanted().unwrap(), Some(part(&b)));
    arrival.put(hash_of(&b), &b).unwrap();
    assert!(arrival.is_complete());
    // Both chunks are good, but they are not the content that was promised.
    assert!(matches!(arrival.finish(), Err(VaultError::OtherBytes { .. })));
    assert!(!vault.has(Hash([1; 32])));
}

#[test]
fn what_nobody_needs_goes_after_a_while() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(root.path()).unwrap();
    let shared = noise(11, 4_000_000);
    let needed = put(&vault, &shared);
    let mut other = shared.clone();
    other.extend(noise(12, 1_000_000));
    let unneeded = put(&vault, &other);
    let small = put(&vault, b"small");
    let mut arrival = vault.arrival(half_a_content());
    let _asked = arrival.next_wanted().unwrap();
    arrival.put(hash_of(&noise(15, 70_000)), &noise(15, 70_000)).unwrap();
    let hour = Duration::from_secs(3600);
    let all = HashSet::from([unneeded, small]);
    assert_eq!(vault.sweep(&all, Grace { contents: hour, staged: hour }).unwrap(), Swept::default());
    assert!(vault.untouched(hour).unwrap().is_empty());
    assert_eq!(vault.untouched(Duration::ZERO).unwrap(), HashSet::from([needed, unneeded, small]));
    // Somebody copies what is here.
    let hold = vault.hold();
    let at_once = Grace { contents: Duration::ZERO, staged: hour };
    assert_eq!(vault.sweep(&all, at_once).unwrap(), Swept { held_up: true, ..Swept::default() });
    drop(hold);
    let swept = vault.sweep(&all, at_once).unwrap();
    assert_eq!((swept.contents, swept.held_up), (2, false));
    assert_eq!(files(root.path(), "staged").len(), 1, "what is on its way stays longer");
    assert!(!vault.has(unneeded) && !vault.has(small));
    assert!(get(&vault, needed) == shared);
    assert_eq!(vault.usage().unwrap().contents, 1);
    let swept = vault.sweep(&all, Grace { contents: hour, staged: Duration::ZERO }).unwrap();
    assert_eq!((swept.contents, swept.files, files(root.path(), "staged").len()), (0, 1, 0));
}

/// Of two chunks, the first of which is [`noise`] 15.
fn half_a_content() -> Recipe {
    let part = |seed| Part { hash: hash_of(&noise(seed, 70_000)), bytes: 70_000 };
    Recipe::new(Hash([1; 32]), vec![part(15), part(16)]).unwrap()
}

fn age(root: &Path) {
    let past = SystemTime::now() - Duration::from_secs(7_200);
    for file in ["whole", "chunks", "recipes", "staged"].iter().flat_map(|shelf| files(root, shelf)) {
        fs::File::open(file).unwrap().set_modified(past).unwrap();
    }
}

#[test]
fn what_is_needed_again_stays() {
    let root = tempfile::tempdir().unwrap();
    let vault = Vault::open(root.path()).unwrap();
    let (claimed, brought, extended) = (noise(17, 3_000_000), noise(18, 3_000_000), noise(19, 3_000_000));
    let hashes = [&claimed, &brought, &extended].map(|bytes| put(&vault, bytes));
    let away = put(&vault, b"small");
    age(root.path());
    // One is named, one is brought again, and of one the chunks become those of another.
    assert_eq!(vault.claim(hashes[0]).unwrap(), Some(3_000_000));
    assert_eq!(vault.claim(Hash([7; 32])).unwrap(), None);
    put(&vault, &brought);
    let mut longer = extended;
    longer.extend(noise(20, 500_000));
    let longer_hash = put(&vault, &longer);
    let hour = Duration::from_secs(3600);
    let unneeded = vault.untouched(hour).unwrap();
    assert_eq!(unneeded, HashSet::from([hashes[2], away]));
    let swept =
        vault.sweep(&HashSet::from([hashes[0], hashes[1], hashes[2], away]), Grace { contents: hour, staged: hour });
    assert_eq!(swept.unwrap().contents, 2);
    assert!(
        get(&vault, hashes[0]) == claimed && get(&vault, hashes[1]) == brought && get(&vault, longer_hash) == longer
    );
}

#[test]
fn a_chunk_on_which_an_arrival_counts_stays() {
    let roots = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [from, to] = roots.each_ref().map(|root| Vault::open(root.path()).unwrap());
    let mut bytes = noise(21, 3_000_000);
    let old = put(&to, &bytes);
    bytes.extend(noise(22, 500_000));
    let new = put(&from, &bytes);
    age(roots[1].path());
    send(&from, &to, new, usize::MAX);
    // The recipe of the new one is there, and made young all chunks; a removal that had looked before it sees that.
    for name in files(roots[1].path(), "recipes") {
        if name.file_name().unwrap().to_str() == Some(new.to_string().as_str()) {
            fs::rename(&name, roots[1].path().join("hidden")).unwrap();
        }
    }
    let hour = Duration::from_secs(3600);
    to.sweep(&HashSet::from([old]), Grace { contents: hour, staged: hour }).unwrap();
    let place = roots[1].path().join("recipes").join(&new.to_string()[..2]).join(new.to_string());
    fs::rename(roots[1].path().join("hidden"), place).unwrap();
    assert!(!to.has(old) && get(&to, new) == bytes);
}

#[test]
fn whatever_a_process_left_is_taken_up_or_passed_over() {
    let (root, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bytes = noise(13, 3_000_000);
    let vault = Vault::open(root.path()).unwrap();
    let mut writer = vault.writer();
    let mut copies = Vec::new();
    for (number, slice) in bytes.chunks(500_000).enumerate() {
        writer.write(slice).unwrap();
        let to = away.path().join(number.to_string());
        copy(root.path(), &to);
        copies.push(to);
    }
    let (hash, _) = writer.finish().unwrap();
    // Between any two steps of the end: some chunks have their names, the recipe has not.
    let mut moved = away.path().join("moved");
    copy(root.path(), &moved);
    fs::remove_file(files(&moved, "recipes").remove(0)).unwrap();
    copies.push(moved.clone());
    for number in 0..2 {
        let chunk = files(&moved, "chunks").remove(number);
        let name = chunk.file_name().unwrap();
        let next = away.path().join(format!("moved{number}"));
        copy(&moved, &next);
        let folder = chunk.parent().unwrap().file_name().unwrap();
        let staged = next.join("staged").join(folder);
        fs::create_dir_all(&staged).unwrap();
        fs::rename(next.join("chunks").join(folder).join(name), staged.join(name)).unwrap();
        copies.push(next.clone());
        moved = next;
    }
    fs::write(copies[0].join("new").join("17"), b"half a file").unwrap();
    for directory in copies {
        let again = Vault::open(&directory).unwrap();
        assert!(!again.has(hash));
        assert_eq!(put(&again, &bytes), hash);
        assert!(get(&again, hash) == bytes);
        assert!(fs::read_dir(directory.join("new")).unwrap().next().is_none());
    }
    assert!(get(&vault, hash) == bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn any_bytes_come_back_however_they_are_written(
        seed in any::<u64>(), length in 0usize..3_000_000, step in 1usize..700_000, run in 1usize..2_000,
    ) {
        let root = tempfile::tempdir().unwrap();
        let vault = Vault::open(root.path()).unwrap();
        // Long runs of one byte beside noise.
        let mut bytes = noise(seed, length);
        for place in bytes.chunks_mut(run).step_by(2) {
            place.fill(7);
        }
        let mut writer = vault.writer();
        for slice in bytes.chunks(step) {
            writer.write(slice).unwrap();
        }
        let (hash, _) = writer.finish().unwrap();
        prop_assert_eq!(hash, hash_of(&bytes));
        prop_assert!(get(&vault, hash) == bytes);
        let recipe = vault.recipe(hash).unwrap().unwrap();
        prop_assert!(recipe.parts().iter().all(|part| part.bytes <= CHUNK_BYTES_MAX));
    }
}
