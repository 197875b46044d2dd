//! The host in the place of the board: the same program, the same bits.

use std::collections::BTreeMap;

use decora_firmware::app::{self, AppError, INCOMING, Memory};
use decora_firmware::board::{Board, Event};
use decora_firmware::flash::{ADAPTER, CHECKPOINT, MERGED};
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

    fn receive(&mut self, name: &str, take: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let Some(bytes) = self.incoming.as_ref().filter(|_| name == INCOMING) else {
            return false;
        };
        bytes.chunks(64).all(take);
        true
    }

    fn send(&mut self, name: &str, bytes: &[u8]) {
        self.sent.insert(name.to_owned(), bytes.to_vec());
    }
}

impl Host {
    /// Runs the program on this host, with what came from elsewhere.
    ///
    /// # Errors
    /// As [`app::run`].
    pub fn run(incoming: Option<Vec<u8>>) -> Result<Self, AppError> {
        let mut host = Self { incoming, ..Self::default() };
        let mut memory = Memory {
            arena: &mut vec![0.0; ARENA],
            adapter: &mut vec![0xFF; ADAPTER],
            checkpoint: &mut vec![0xFF; CHECKPOINT],
            merged: &mut vec![0xFF; MERGED],
        };
        app::run(&mut host, &mut memory)?;
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
