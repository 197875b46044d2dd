//! Power is lost at every operation of a save, and of the recovery after that.

use crate::device::{Device, Error, contents, load, save};
use decora_firmware::nor::NorError;
use decora_firmware::store::StoreError;

const LOST: Error = StoreError::Flash(NorError::PowerLost);

/// How many cuts there were, and after how many the store held the old file and the new one.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    cuts: u32,
    old: u32,
    new: u32,
}

/// A file or none.
type Held = Option<Vec<u8>>;

fn held(loaded: Result<Vec<u8>, Error>) -> Held {
    match loaded {
        Err(StoreError::Empty) => None,
        loaded => Some(loaded.unwrap()),
    }
}

/// The devices that a save leaves, cut at each of its operations in turn.
fn cut_saves<'d, const S: usize, const W: usize>(
    device: &'d Device<S, W>,
    file: &'d [u8],
    seed: u64,
) -> impl Iterator<Item = Device<S, W>> + 'd {
    let (whole, operations) =
        device.clone().with_power_for((u32::MAX, 0), |store| save(store, file));
    whole.unwrap();
    (0..operations).map(move |after| {
        let mut device = device.clone();
        let cut = (after, seed.wrapping_add(after.into()));
        let (lost, operations) = device.with_power_for(cut, |store| save(store, file));
        assert_eq!((lost, operations), (Err(LOST), after + 1));
        device
    })
}

/// Cuts a save everywhere: the old or the new file must load, and the next save must work.
fn try_cuts<const S: usize, const W: usize>(
    device: &Device<S, W>,
    file: &[u8],
    seed: u64,
    tally: &mut Tally,
) {
    let (old, new) = (held(device.clone().load()), Some(file.to_vec()));
    for mut device in cut_saves(device, file, seed) {
        let found = held(device.load());
        assert!(found == old || found == new, "cut {}: neither old nor new", tally.cuts);
        tally.cuts += 1;
        tally.old += u32::from(found == old);
        tally.new += u32::from(found == new);
        device.save(b"the next").unwrap();
        assert_eq!(device.load().unwrap(), b"the next");
    }
}

/// Cuts a save everywhere, and after each such cut a load and a save everywhere: what loaded before
/// the second cut, or the file that was being saved then, must load.
fn try_second_cuts<const S: usize, const W: usize>(
    device: &Device<S, W>,
    file: &[u8],
    seed: u64,
    tally: &mut Tally,
) {
    let (old, new) = (held(device.clone().load()), Some(file.to_vec()));
    let third = contents(seed, 60);
    for once in cut_saves(device, file, seed) {
        for after in 0.. {
            let mut twice = once.clone();
            let cut = (after, seed ^ u64::from(after));
            let ((loaded, saved), _) =
                twice.with_power_for(cut, |store| (load(store), save(store, &third)));
            let found = held(twice.load());
            let as_loaded = match loaded {
                Err(LOST) => found == old || found == new,
                loaded => found == held(loaded),
            };
            assert!(as_loaded || found.as_ref() == Some(&third), "second cut {after}");
            if saved.is_ok() {
                break;
            }
            assert_eq!(saved, Err(LOST));
            tally.cuts += 1;
        }
    }
}

#[test]
fn a_cut_leaves_the_old_file_or_the_new_one() {
    let mut tally = Tally::default();
    let mut device = Device::<256>::new(8);
    for generation in 0..40 {
        let file = contents(generation, 130 + 9 * generation as usize);
        for seed in 0..8 {
            try_cuts(&device, &file, seed * 1000 + generation, &mut tally);
        }
        device.save(&file).unwrap();
    }
    println!("{tally:?}");
    assert!(tally.old > 0 && tally.new > 0);
}

#[test]
fn a_second_cut_leaves_a_file_too() {
    let mut tally = Tally::default();
    let mut device = Device::<256>::new(6);
    for generation in 0..30 {
        let file = contents(generation, 30 + generation as usize);
        for seed in 0..16 {
            try_second_cuts(&device, &file, seed * 1000 + generation, &mut tally);
        }
        device.save(&file).unwrap();
    }
    println!("{tally:?}");
    assert!(tally.cuts > 0);
}

#[test]
fn words_of_any_size_will_do() {
    fn cut<const W: usize>(tally: &mut Tally) {
        let mut device = Device::<256, W>::new(6);
        for generation in 0..20 {
            let file = contents(generation, 200 + generation as usize);
            try_cuts(&device, &file, generation, tally);
            device.save(&file).unwrap();
        }
    }
    let mut tally = Tally::default();
    cut::<1>(&mut tally);
    cut::<8>(&mut tally);
    cut::<32>(&mut tally);
    println!("{tally:?}");
    assert!(tally.old > 0 && tally.new > 0);
}

#[test]
fn files_and_sectors_of_a_real_device() {
    let mut tally = Tally::default();
    let mut device = Device::<4096>::new(12);
    let erases_records = |device: &Device<4096>| {
        let mut after = device.clone();
        after.save(b"file").unwrap();
        let records = device.0[device.records()].iter().zip(&after.0[device.records()]);
        records.filter(|(before, after)| !**before & **after != 0).count() > 0
    };
    for generation in 0..258 {
        if erases_records(&device) || generation % 64 == 0 {
            try_cuts(&device, b"small", generation, &mut tally);
        }
        device.save(&contents(generation, 5)).unwrap();
    }
    device.save(&contents(0, 5733)).unwrap();
    try_cuts(&device, &contents(1, 15_001), 1, &mut tally);
    try_cuts(&device, &contents(2, 5733), 2, &mut tally);
    println!("{tally:?}");
    assert!(tally.old > 0 && tally.new > 0);
}
