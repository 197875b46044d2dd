//! A device: a flash that outlives the power, with a store amid other data.

use decora::init::Rng;
use decora_firmware::nor::{Nor, NorError};
use decora_firmware::store::{Kind, Record, Store, StoreError};
use embedded_storage::nor_flash::NorFlash;

pub(crate) type Error = StoreError<NorError>;

/// The fingerprint of the base network.
pub(crate) const BASE: u64 = 0x0123_4567_89AB_CDEF;

/// What the rest of the flash holds.
const OTHER: u8 = 0xA5;

/// A device whose flash has one sector more on both sides than the store.
#[derive(Clone, PartialEq)]
pub(crate) struct Device<const SECTOR: usize, const WORD: usize = 4>(pub(crate) Vec<u8>);

impl<const SECTOR: usize, const WORD: usize> Device<SECTOR, WORD> {
    pub(crate) fn new(sectors: usize) -> Self {
        let mut bytes = vec![0xFF; (sectors + 2) * SECTOR];
        bytes[..SECTOR].fill(OTHER);
        bytes[(sectors + 1) * SECTOR..].fill(OTHER);
        Self(bytes)
    }

    /// The store, with power for good.
    pub(crate) fn store(&mut self) -> Store<Nor<'_, SECTOR, WORD, true>> {
        let end = self.0.len() - SECTOR;
        Store::new(Nor::new(&mut self.0), SECTOR as u32..end as u32).unwrap()
    }

    /// What `act` answers, with power for `after` operations only; and how many there were.
    pub(crate) fn with_power_for<T>(
        &mut self,
        (after, seed): (u32, u64),
        act: impl FnOnce(&mut Store<Nor<'_, SECTOR, WORD, true>>) -> T,
    ) -> (T, u32) {
        let end = self.0.len() - SECTOR;
        let nor = Nor::losing_power(&mut self.0, after, seed);
        let mut store = Store::new(nor, SECTOR as u32..end as u32).unwrap();
        let answer = act(&mut store);
        let operations = store.into_flash().operations();
        self.rest_untouched();
        (answer, operations)
    }

    pub(crate) fn save(&mut self, file: &[u8]) -> Result<Record, Error> {
        save(&mut self.store(), file)
    }

    pub(crate) fn load(&mut self) -> Result<Vec<u8>, Error> {
        load(&mut self.store())
    }

    /// The addresses of the records.
    pub(crate) fn records(&self) -> core::ops::Range<usize> {
        SECTOR..5 * SECTOR
    }

    fn rest_untouched(&self) {
        let (first, last) = (&self.0[..SECTOR], &self.0[self.0.len() - SECTOR..]);
        assert!(first.iter().chain(last).all(|&byte| byte == OTHER));
    }
}

/// Saves in parts that do not match pages.
pub(crate) fn save<F: NorFlash<Error = NorError>>(
    store: &mut Store<F>,
    file: &[u8],
) -> Result<Record, Error> {
    let mut saving = store.save(Kind::Adapter, BASE)?;
    file.chunks(37).try_for_each(|part| saving.write(part))?;
    saving.finish()
}

/// Loads, in place and by copy.
pub(crate) fn load<const SECTOR: usize, const WORD: usize>(
    store: &mut Store<Nor<'_, SECTOR, WORD, true>>,
) -> Result<Vec<u8>, Error> {
    let mut file = store.load(BASE)?;
    let mut copy = vec![0; file.record().len as usize];
    assert_eq!(file.read(0, &mut copy)?, copy.len());
    assert_eq!(file.bytes()?, copy);
    Ok(copy)
}

/// `len` bytes that no other seed gives.
pub(crate) fn contents(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    (0..len).map(|_| rng.next_u64() as u8).collect()
}
