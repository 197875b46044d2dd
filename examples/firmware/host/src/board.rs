//! The host in the place of the board: the same program, the same bits.

use std::collections::BTreeMap;

use decora_firmware::app::{AppError, INCOMING, Memory, checks, personalize, table};
use decora_firmware::board::{Board, Event, Why};
use decora_firmware::flash::{ADAPTER, CHECKPOINT, MERGED};
use decora_firmware::nor::ERASED;
use decora_firmware::setup::ARENA;

/// What the program said and handed out.
#[derive(Debug, Default)]
pub struct Host {
    /// All it said.
    pub events: Vec<Event>,
    /// The files it handed out.
    pub sent: BTreeMap<String, Vec<u8>>,
    /// What it finds when it asks for what came from elsewhere.
    incoming: Option<Vec<u8>>,
}

impl Board for Host {
    fn instructions(&mut self) -> u64 {
        0
    }

    fn log(&mut self, event: &Event) {
        self.events.push(*event);
    }

    fn has(&mut self, name: &str) -> bool {
        name == INCOMING && self.incoming.is_some()
    }

    fn receive(&mut self, _: &str, take: &mut dyn FnMut(&[u8]) -> bool) {
        self.incoming.iter().flat_map(|bytes| bytes.chunks(64)).all(take);
    }

    fn send(&mut self, name: &str, bytes: &[u8]) {
        self.sent.insert(name.to_owned(), bytes.to_vec());
    }
}

impl Host {
    /// Runs the owner's program on this host, with what came from elsewhere.
    ///
    /// # Errors
    /// As [`personalize::run`].
    pub fn personalize(incoming: Option<Vec<u8>>) -> Result<Self, AppError> {
        Self::personalize_on(&mut vec![ERASED; CHECKPOINT], incoming)
    }

    /// The same with what is in the flash for checkpoints.
    ///
    /// # Errors
    /// As [`personalize::run`].
    pub fn personalize_on(
        checkpoint: &mut [u8],
        incoming: Option<Vec<u8>>,
    ) -> Result<Self, AppError> {
        let mut host = Self { incoming, ..Self::default() };
        let mut parts = Parts::new();
        let memory = Memory { checkpoint, ..parts.memory() };
        personalize::run(&mut host, memory, &mut None)?;
        Ok(host)
    }

    /// What it refused, in order.
    #[must_use]
    pub fn refused(&self) -> Vec<Why> {
        let refused = |event: &Event| match event {
            Event::Refused { why } => Some(*why),
            _ => None,
        };
        self.events.iter().filter_map(refused).collect()
    }

    /// Runs the checks, and every setup.
    ///
    /// # Errors
    /// As [`checks::run`] and [`table::run`].
    pub fn checks() -> Result<Self, AppError> {
        let mut host = Self::default();
        let mut parts = Parts::new();
        let mut memory = parts.memory();
        checks::run(&mut host, &mut memory)?;
        table::run(&mut host, memory.arena)?;
        Ok(host)
    }

    /// The checks that did not hold.
    #[must_use]
    pub fn failures(&self) -> Vec<&'static str> {
        let failed = |event: &Event| match event {
            Event::Check { what, holds: false } => Some(*what),
            _ => None,
        };
        self.events.iter().filter_map(failed).collect()
    }

    /// The digests it logged: after how many steps, and what.
    #[must_use]
    pub fn digests(&self) -> Vec<(u64, u64)> {
        let digest = |event: &Event| match event {
            Event::Digest { steps, hash } => Some((*steps, *hash)),
            _ => None,
        };
        self.events.iter().filter_map(digest).collect()
    }
}

/// The memory of a board.
struct Parts {
    arena: Vec<f32>,
    adapter: Vec<u8>,
    checkpoint: Vec<u8>,
    merged: Vec<u8>,
}

impl Parts {
    fn new() -> Self {
        let flash = |len| vec![ERASED; len];
        Self {
            arena: vec![0.0; ARENA],
            adapter: flash(ADAPTER),
            checkpoint: flash(CHECKPOINT),
            merged: flash(MERGED),
        }
    }

    fn memory(&mut self) -> Memory<'_> {
        let Self { arena, adapter, checkpoint, merged } = self;
        Memory { arena, adapter, checkpoint, merged }
    }
}
