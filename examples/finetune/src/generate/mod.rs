//! Text made token by token, with any of several adapters on one base.

mod request;
mod sample;
mod speech;

use decora::init::Rng;
use decora::scalar::Scalar;
use decora::transformer::{Batch, Cache, KeyValues};
use decora_hub::network::{Adapters, Method, Names, Net, Tensors, build, load};
use decora_hub::peft::Adapter;

use crate::batch::View;
use crate::data::Reason;
use crate::device::Device;
use crate::error::Error;
use crate::model::Model;
use crate::network::sizes;
pub use request::{Input, Request};
pub use sample::Sampling;
pub use speech::Speech;

/// The most tokens of a prompt in one pass.
const PIECE: usize = 256;
/// The most tokens of a text, where the model can take as many.
const LONGEST: usize = 32_768;
/// The name that stands for the base.
pub const BASE: &str = "base";

/// A network that continues texts. Its adapters are all on the device; one at a time is in place.
#[derive(Debug)]
pub struct Generator<'w, B: Device> {
    be: B,
    model: &'w Model,
    net: Net<'w, B>,
    adapters: Vec<(String, Adapters<B>)>,
    /// The adapter in place; its entry in `adapters` has what it took the place of.
    active: Option<usize>,
    cache: Cache<Vec<KeyValues<B>>>,
    /// The most tokens of a text.
    positions: usize,
}

impl<'w, B: Device> Generator<'w, B> {
    /// The base alone.
    ///
    /// # Errors
    /// [`Error::Unfit`] for a model without a language head; [`Error::Hub`] and [`Error::Network`].
    pub fn new(mut be: B, model: &'w Model, tensors: &'w Tensors<'w>) -> Result<Self, Error> {
        let a = &model.architecture;
        if a.head != decora_hub::config::Head::Language {
            let (found, expected) =
                ("no language head".to_owned(), "one: a model that goes on with a text");
            return Err(Error::Unfit { option: "--model", found, expected: expected.to_owned() });
        }
        let positions = a.max_positions.min(LONGEST);
        let sizes = sizes(model, PIECE.min(positions), 1, positions);
        let net = build(&mut be, a, tensors, Method::Frozen, sizes, &mut Rng::new(0))?;
        let (adapters, cache) = (Vec::new(), Cache::new(Vec::new(), 0));
        Ok(Self { be, model, net, adapters, active: None, cache, positions })
    }

    /// Puts an adapter on the device, beside those that are there.
    ///
    /// # Errors
    /// [`Error::Hub`] for an adapter of another model; [`Error::Network`]; [`Error::Unfit`] for a name
    /// that is taken.
    pub fn add(&mut self, name: &str, adapter: &Adapter) -> Result<(), Error> {
        if name == BASE || self.adapters.iter().any(|(other, _)| other == name) {
            let expected = "a name that is not taken: NAME=DIR gives one".to_owned();
            return Err(Error::Unfit { option: "--adapter", found: name.to_owned(), expected });
        }
        self.choose(BASE)?;
        let architecture = &self.model.architecture;
        let selection = adapter.fit(architecture)?;
        let spec = |module: &_| selection.spec(module);
        let (be, net) = (&mut self.be, &mut self.net);
        let mut set = Adapters::new(be, net, architecture, &spec, &mut Rng::new(0))?;
        load(be, &mut set, &Names::new(architecture), adapter)?;
        self.adapters.push((name.to_owned(), set));
        Ok(())
    }

    /// The name of the first adapter, or [`BASE`].
    #[must_use]
    pub fn first(&self) -> &str {
        self.adapters.first().map_or(BASE, |(name, _)| name)
    }

    /// Puts the adapter of this name in place, or for [`BASE`] none. Nothing is copied.
    ///
    /// # Errors
    /// [`Error::Unfit`] for an unknown name; [`Error::Network`].
    pub fn choose(&mut self, name: &str) -> Result<(), Error> {
        let wanted = match self.adapters.iter().position(|(other, _)| other == name) {
            None if name != BASE => return Err(self.unknown(name)),
            wanted => wanted,
        };
        if wanted == self.active {
            return Ok(());
        }
        for i in [self.active.take(), wanted].into_iter().flatten() {
            if let Some((_, set)) = self.adapters.get_mut(i) {
                set.exchange(&mut self.be, &mut self.net)?;
            }
        }
        self.active = wanted;
        Ok(())
    }

    fn unknown(&self, name: &str) -> Error {
        let names = self.adapters.iter().map(|(name, _)| name.as_str());
        let names: Vec<&str> = names.chain([BASE]).collect();
        let expected = format!("one of {}", names.join(", "));
        Error::Unfit { option: "adapter", found: name.to_owned(), expected }
    }

    /// Continues a text by up to `most` tokens, and tells each as it is made. Ends after one of `stops`,
    /// which is not told, when the text is as long as the model takes, or when `each` answers `false`.
    ///
    /// # Errors
    /// [`Error::Request`] for a token that is none; [`Error::Unfit`] for no token, or a text that leaves
    /// no room; [`Error::Network`].
    pub fn generate(
        &mut self,
        prompt: &[u32],
        most: usize,
        sampling: &Sampling,
        stops: &[u32],
        each: &mut dyn FnMut(u32) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        self.admits(prompt)?;
        let end = self.positions.min(prompt.len() + most);
        self.make_room(end)?;
        let mut rng = Rng::new(sampling.seed);
        let mut next = prompt.to_vec();
        for _ in prompt.len()..end {
            let logits = self.extend(&next)?;
            let token = sampling.choose(&logits, &mut rng)?;
            if stops.contains(&token) || !each(token)? {
                return Ok(());
            }
            next = vec![token];
        }
        Ok(())
    }

    /// `Ok` for tokens that the model has, fewer than it takes.
    fn admits(&self, prompt: &[u32]) -> Result<(), Error> {
        let vocabulary = self.model.architecture.vocab;
        if let Some(&id) = prompt.iter().find(|&&id| id as usize >= vocabulary) {
            return Err(Reason::Token { id: id.into(), at: "prompt", vocabulary }.into());
        }
        let (found, most) = (prompt.len(), self.positions);
        match found {
            0 => Err(unfit("no token", "at least one: this tokenizer puts none before a text")),
            _ if found >= most => Err(unfit(
                &format!("{found} tokens"),
                &format!("less than {most}, with the answer"),
            )),
            _ => Ok(()),
        }
    }

    /// An empty cache for so many tokens.
    fn make_room(&mut self, tokens: usize) -> Result<(), Error> {
        self.cache.truncate(0);
        if self.cache.capacity() < tokens {
            let capacity = tokens.next_multiple_of(PIECE).min(self.positions);
            let (be, width) = (&mut self.be, self.net.shape().heads.kv_width());
            let rooms = self.net.blocks().iter().map(|_| KeyValues::new(be, capacity, width));
            let rooms = rooms.collect::<Result<Vec<_>, _>>().map_err(Error::network)?;
            self.cache = Cache::new(rooms, capacity);
        }
        Ok(())
    }

    /// Appends tokens to the text: the logits of the one that follows.
    fn extend(&mut self, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        let mut rows = 0;
        for piece in tokens.chunks(self.net.shape().rows) {
            let first = self.cache.len();
            let positions: Vec<u32> = (first..first + piece.len()).map(|p| p as u32).collect();
            let window = match self.model.view() {
                View::Causal { window } => window,
                View::Whole => None,
            };
            let start = |end: u32| window.map_or(0, |window| end.saturating_sub(window as u32));
            let spans: Vec<u32> = positions.iter().flat_map(|p| [start(p + 1), p + 1]).collect();
            let batch =
                Batch { ids: piece, positions: &positions, spans: &spans, ..Batch::default() };
            self.net.extend(&mut self.be, &batch, &mut self.cache)?;
            rows = piece.len();
        }
        let mut logits = vec![B::Scalar::default(); self.net.shape().outputs];
        self.net.logits(&mut self.be, rows.saturating_sub(1), &mut logits)?;
        Ok(logits.iter().map(|x| x.widen()).collect())
    }
}

fn unfit(found: &str, expected: &str) -> Error {
    Error::Unfit { option: "prompt", found: found.to_owned(), expected: expected.to_owned() }
}
