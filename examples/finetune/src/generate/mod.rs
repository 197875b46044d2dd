//! Texts that a model goes on with: token by token, with keys and values of earlier tokens kept, and any
//! of several adapters on the same base.

mod request;
mod sample;
mod speech;

use decora::init::Rng;
use decora::scalar::Scalar;
use decora::transformer::{Batch, Cache, KeyValues};
use decora_hub::network::{Adapters, Method, Names, Net, Tensors, build, load};
use decora_hub::peft::Adapter;
use minijinja::Value;

pub use request::{Answer, Prompt, Request};
pub use sample::sample;
pub use speech::Speech;

use crate::data::{Reason, Tokens};
use crate::device::Device;
use crate::error::Error;
use crate::model::Model;
use crate::network::sizes;

/// Tokens of a prompt that go through the network at once.
const PIECE: usize = 256;
/// The most tokens of prompt and answer together, unless the model takes fewer.
const MOST: usize = 8192;
const NOT_FINITE: &str =
    "the logits are not finite: the model or its adapter is damaged, or --dtype too narrow";
/// The name of no adapter.
pub const BASE: &str = "base";

/// A model that answers, and its adapters.
#[derive(Debug)]
pub struct Generator<'w, B: Device> {
    be: B,
    net: Net<'w, B>,
    model: &'w Model,
    sets: Vec<(String, Adapters<B>)>,
    /// Which of them the network has now.
    active: Option<usize>,
    /// The tokens that end a text.
    stops: Vec<u32>,
    /// The most tokens of prompt and answer together.
    most: usize,
}

impl<'w, B: Device> Generator<'w, B> {
    /// A model without adapters.
    ///
    /// # Errors
    /// [`Error::Hub`] and [`Error::Network`]; [`Error::Unfit`] for a model without a language head.
    pub fn new(mut be: B, model: &'w Model, tensors: &'w Tensors<'w>) -> Result<Self, Error> {
        if model.architecture.head != decora_hub::config::Head::Language {
            let found = format!("a model with the head {:?}", model.architecture.head);
            let expected = "a language model".to_owned();
            return Err(Error::Unfit { option: "--model", found, expected });
        }
        let most = MOST.min(model.architecture.max_positions);
        let sizes = sizes(model, PIECE.min(most), 1, most);
        let architecture = &model.architecture;
        let mut stops = architecture.stops()?;
        stops.extend(model.tokens.as_ref().and_then(|tokens| tokens.eos));
        let net = build(&mut be, architecture, tensors, Method::Frozen, sizes, &mut Rng::new(0))?;
        Ok(Self { be, net, model, sets: Vec::new(), active: None, stops, most })
    }

    /// Loads an adapter beside the others. The first one is in use until a request names another.
    ///
    /// # Errors
    /// [`Error::Hub`] for an adapter of another model; [`Error::Network`]; [`Error::Unfit`] for a name
    /// that is taken.
    pub fn add(&mut self, name: &str, adapter: &Adapter) -> Result<(), Error> {
        if name == BASE || self.sets.iter().any(|(known, _)| known == name) {
            let (found, expected) = (format!("{name:?} again"), "NAME=DIR with another name");
            let expected = expected.to_owned();
            return Err(Error::Unfit { option: "--adapter", found, expected });
        }
        let architecture = &self.model.architecture;
        let selection = adapter.fit(architecture)?;
        let (be, net) = (&mut self.be, &mut self.net);
        let spec = |module: &_| selection.spec(module);
        let mut set = Adapters::new(be, net, architecture, &spec, &mut Rng::new(0))?;
        load(be, &mut set, &Names::new(architecture), adapter)?;
        self.sets.push((name.to_owned(), set));
        if self.sets.len() == 1 {
            self.switch_to(Some(0))?;
        }
        Ok(())
    }

    /// Makes the network use this adapter, or none for [`BASE`]. Nothing is loaded or copied.
    ///
    /// # Errors
    /// [`Error::Unfit`] for a name that is none; [`Error::Network`].
    pub fn switch(&mut self, name: &str) -> Result<(), Error> {
        if name == BASE {
            return self.switch_to(None);
        }
        let found = self.sets.iter().position(|(known, _)| known == name);
        let known = || self.sets.iter().map(|(name, _)| name.as_str()).chain([BASE]);
        let unknown = || Error::Unfit {
            option: "adapter",
            found: format!("{name:?}"),
            expected: known().collect::<Vec<_>>().join(", "),
        };
        self.switch_to(Some(found.ok_or_else(unknown)?))
    }

    fn switch_to(&mut self, to: Option<usize>) -> Result<(), Error> {
        if to == self.active {
            return Ok(());
        }
        // The set that is in use holds what the network had before it.
        for number in [self.active, to].into_iter().flatten() {
            if let Some((_, set)) = self.sets.get_mut(number) {
                set.exchange(&mut self.be, &mut self.net)?;
            }
        }
        self.active = to;
        Ok(())
    }

    /// The adapter that is in use.
    #[must_use]
    pub fn in_use(&self) -> Option<&str> {
        self.sets.get(self.active?).map(|(name, _)| name.as_str())
    }

    /// Answers a request. `say` gets the text piece by piece, as it comes.
    ///
    /// # Errors
    /// [`Error::Request`] for a prompt that cannot be read or is too long; [`Error::Unfit`] for an
    /// adapter that is not there; [`Error::Network`].
    pub fn answer(
        &mut self,
        request: &Request,
        say: &mut dyn FnMut(&str) -> Result<(), Error>,
    ) -> Result<Answer, Error> {
        if let Some(adapter) = &request.adapter {
            self.switch(adapter)?;
        }
        let adapter = self.in_use().map(str::to_owned);
        match &request.prompt {
            Prompt::Ids(ids) => {
                let mut comma = "";
                let mut each =
                    |id: u32| say(&format!("{}{id}", core::mem::replace(&mut comma, ",")));
                let (ids, ended) = self.generate(ids, request, &|_| false, &mut each)?;
                Ok(Answer { text: None, adapter, tokens: ids.len(), ids: Some(ids), ended })
            }
            Prompt::Text(text) => {
                let prompt = self.tokens()?.encode(text, true, usize::MAX)?;
                let (text, tokens, ended) = self.speak(&prompt.ids, request, &|_| false, say)?;
                Ok(Answer { text: Some(text), ids: None, adapter, tokens, ended })
            }
            Prompt::Messages(messages) => {
                let tokens = self.tokens()?;
                let (chat, tools) = (tokens.chat(&Value::UNDEFINED)?, Value::UNDEFINED);
                let prompt = chat.render(messages, &tools, true)?;
                let prompt = tokens.encode(&prompt, false, usize::MAX)?;
                // A special token is no part of what an assistant says: it ends its turn.
                let ends = |id| tokens.is_special(id);
                let (text, tokens, ended) = self.speak(&prompt.ids, request, &ends, say)?;
                Ok(Answer { text: Some(text), ids: None, adapter, tokens, ended })
            }
        }
    }

    fn tokens(&self) -> Result<&'w Tokens, Error> {
        Ok(self.model.tokens.as_ref().ok_or(Reason::NoTokenizer)?)
    }

    /// As [`generate`](Generator::generate): the text, how many tokens it has, and whether it ended.
    fn speak(
        &mut self,
        prompt: &[u32],
        request: &Request,
        ends: &dyn Fn(u32) -> bool,
        say: &mut dyn FnMut(&str) -> Result<(), Error>,
    ) -> Result<(String, usize, bool), Error> {
        let (mut speech, mut text) = (Speech::after(prompt, self.tokens()?), String::new());
        let mut each = |id| {
            let new = speech.push(id)?;
            text.push_str(&new);
            say(&new)
        };
        let (ids, ended) = self.generate(prompt, request, ends, &mut each)?;
        let rest = speech.rest()?;
        say(&rest)?;
        text.push_str(&rest);
        Ok((text, ids.len(), ended))
    }

    /// The tokens that follow these, and whether the last one was followed by one that ends a text, or of
    /// which `ends` says so. `each` gets every token as it comes.
    ///
    /// # Errors
    /// As [`answer`](Generator::answer); what `each` answers; [`Error::Network`] for logits that are not
    /// finite.
    pub fn generate(
        &mut self,
        prompt: &[u32],
        request: &Request,
        ends: &dyn Fn(u32) -> bool,
        each: &mut dyn FnMut(u32) -> Result<(), Error>,
    ) -> Result<(Vec<u32>, bool), Error> {
        self.check(prompt)?;
        let capacity = self.most.min(prompt.len() + request.max_tokens);
        let width = self.net.shape().heads.kv_width();
        let blocks = self.net.blocks().len();
        let rooms = (0..blocks).map(|_| KeyValues::new(&mut self.be, capacity, width));
        let rooms = rooms.collect::<Result<Vec<_>, _>>().map_err(Error::network)?;
        let mut cache = Cache::new(rooms, capacity);
        let mut rng = Rng::new(request.seed);
        let mut logits = Vec::new();
        for piece in prompt.chunks(self.net.shape().rows) {
            logits = self.extend(piece, &mut cache)?;
        }
        let mut ids = Vec::new();
        loop {
            if logits.iter().any(|x| !x.is_finite()) {
                return Err(Error::network(NOT_FINITE));
            }
            let next = sample(&logits, request.temperature, request.top_p, &mut rng);
            if self.stops.contains(&next) || ends(next) {
                return Ok((ids, true));
            }
            ids.push(next);
            each(next)?;
            if prompt.len() + ids.len() >= capacity {
                return Ok((ids, false));
            }
            logits = self.extend(&[next], &mut cache)?;
        }
    }

    fn check(&self, prompt: &[u32]) -> Result<(), Error> {
        let vocabulary = self.model.architecture.vocab;
        if let Some(&id) = prompt.iter().find(|&&id| id as usize >= vocabulary) {
            return Err(Reason::Token { id: id.into(), at: "prompt", vocabulary }.into());
        }
        let count = prompt.len();
        if count == 0 || count >= self.most {
            let found = format!("{count} tokens");
            let expected = format!("1 to {}", self.most - 1);
            return Err(Error::Unfit { option: "prompt", found, expected });
        }
        Ok(())
    }

    /// Logits of the token after these, which follow those in the cache.
    fn extend(
        &mut self,
        ids: &[u32],
        cache: &mut Cache<Vec<KeyValues<B>>>,
    ) -> Result<Vec<f32>, Error> {
        let first = cache.len();
        let rows = first..first + ids.len();
        let spans: Vec<u32> = rows.clone().flat_map(|row| [0, row as u32 + 1]).collect();
        let positions: Vec<u32> = rows.map(|row| row as u32).collect();
        let batch = Batch { ids, positions: &positions, spans: &spans, ..Batch::default() };
        self.net.extend(&mut self.be, &batch, cache)?;
        let mut logits = vec![B::Scalar::default(); self.net.shape().outputs];
        self.net.logits(&mut self.be, ids.len() - 1, &mut logits)?;
        Ok(logits.iter().map(|x| x.widen()).collect())
    }
}
