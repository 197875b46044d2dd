//! `decora generate`.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use decora_hub::network::Tensors;
use decora_hub::peft::Adapter;

use crate::device::{self, Device, Work};
use crate::error::Error;
use crate::generate::{Generator, Input, Request, Speech};
use crate::merge::merged;
use crate::model::Model;
use crate::network::tensors;
use crate::options::Generate;

/// Texts to continue, and all that it takes.
struct Ask<'a> {
    options: &'a Generate,
    model: &'a Model,
    tensors: Tensors<'a>,
    adapters: Vec<(String, Adapter)>,
    stops: Vec<u32>,
}

/// Continues a text, or those of standard input.
///
/// # Errors
/// [`Error`].
pub(super) fn run(options: &Generate) -> Result<String, Error> {
    let mut model = Model::open(&options.model)?;
    let named = options.adapter.iter().map(|text| named(text));
    let adapters = named.map(|(name, path)| Ok((name, model.read_adapter(&path)?)));
    let mut adapters = adapters.collect::<Result<Vec<_>, Error>>()?;
    let tensors = match &adapters[..] {
        [(_, adapter)] if options.merged => merged(&model, adapter)?,
        [] | [_] => tensors(&model, false)?,
        several if options.merged => {
            let found = format!("{} adapters with --merged", several.len());
            return Err(Error::Unfit { option: "--adapter", found, expected: "one".to_owned() });
        }
        _ => tensors(&model, false)?,
    };
    if options.merged {
        adapters.clear();
    }
    let mut stops = model.architecture.stops()?;
    stops.extend(model.tokens.as_ref().and_then(|tokens| tokens.eos));
    device::on(&options.device, Ask { options, model: &model, tensors, adapters, stops })?;
    Ok(String::new())
}

/// `NAME=DIR`, or a folder, named by its last part.
fn named(text: &str) -> (String, PathBuf) {
    match text.split_once('=') {
        Some((name, path)) if !name.contains('/') && !name.is_empty() => {
            (name.to_owned(), path.into())
        }
        _ => {
            let name = Path::new(text).file_stem().unwrap_or_default();
            (name.to_string_lossy().into_owned(), text.into())
        }
    }
}

impl Work for Ask<'_> {
    type Output = ();

    fn run<B: Device>(self, be: B, _: &str) -> Result<(), Error> {
        let mut generator = Generator::new(be, self.model, &self.tensors)?;
        for (name, adapter) in &self.adapters {
            generator.add(name, adapter)?;
        }
        let Generate { prompt, ids, .. } = self.options;
        match prompt {
            Some(prompt) => {
                let request = Request::of_text(self.options, prompt);
                self.answer(&mut generator, &request)
            }
            None if !ids.is_empty() => {
                let request = Request::new(self.options, Input::Ids(ids.clone()));
                self.answer(&mut generator, &request)
            }
            None => self.answer_lines(&mut generator),
        }
    }
}

impl Ask<'_> {
    fn answer_lines<B: Device>(&self, generator: &mut Generator<'_, B>) -> Result<(), Error> {
        for line in io::stdin().lock().lines() {
            let line = line.map_err(Error::file("read", Path::new("standard input")))?;
            if !line.trim().is_empty() {
                self.answer(generator, &Request::parse(self.options, &line)?)?;
            }
        }
        Ok(())
    }

    /// Prints the answer as it comes: text, or for tokens tokens.
    fn answer<B: Device>(
        &self,
        generator: &mut Generator<'_, B>,
        request: &Request,
    ) -> Result<(), Error> {
        let tokens = self.model.tokens.as_ref();
        let prompt = request.tokens(tokens)?;
        let name = request.adapter.clone().unwrap_or_else(|| generator.first().to_owned());
        generator.choose(&name)?;
        let mut voice = match request.input {
            Input::Ids(_) => Voice::Tokens(0),
            _ => tokens.map_or(Voice::Tokens(0), |t| Voice::Text(Speech::after(&prompt, t))),
        };
        let (most, sampling) = (request.max_tokens, &request.sampling);
        let mut each = |token| voice.say(token);
        generator.generate(&prompt, most, sampling, &self.stops, &mut each)?;
        voice.end()
    }
}

/// How tokens are told.
enum Voice<'t> {
    Text(Speech<'t>),
    /// So many so far.
    Tokens(usize),
}

impl Voice<'_> {
    /// Whether somebody still listens.
    fn say(&mut self, token: u32) -> Result<bool, Error> {
        let text = match self {
            Self::Text(speech) => speech.push(token)?,
            Self::Tokens(count) => {
                *count += 1;
                if *count > 1 { format!(",{token}") } else { token.to_string() }
            }
        };
        print(&text)
    }

    fn end(mut self) -> Result<(), Error> {
        let rest = match &mut self {
            Self::Text(speech) => speech.rest()?,
            Self::Tokens(_) => String::new(),
        };
        print(&(rest + "\n")).map(|_| ())
    }
}

/// Prints at once; answers whether somebody still reads.
fn print(text: &str) -> Result<bool, Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Error::file("write", Path::new("standard output"))(e)),
    }
}
