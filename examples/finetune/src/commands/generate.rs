//! `decora generate`.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use decora_hub::network::Tensors;
use decora_hub::peft::Adapter;

use crate::data::Reason;
use crate::device::{self, Device, Work};
use crate::error::Error;
use crate::generate::{Answer, Generator, Request};
use crate::merge::merged;
use crate::model::Model;
use crate::network::tensors;
use crate::options::Generate;

struct Ask<'a> {
    options: &'a Generate,
    model: &'a Model,
    tensors: Tensors<'a>,
    adapters: &'a [(String, Adapter)],
}

impl Work for Ask<'_> {
    type Output = ();

    fn run<B: Device>(self, be: B, _: &str) -> Result<(), Error> {
        let mut generator = Generator::new(be, self.model, &self.tensors)?;
        for (name, adapter) in self.adapters {
            generator.add(name, adapter)?;
        }
        let Some(request) = Request::of_options(self.options) else {
            return self.requests(&mut generator);
        };
        let begun = Instant::now();
        let answer = generator.answer(&request, &mut print)?;
        print("\n")?;
        tell_pace(&answer, begun);
        Ok(())
    }
}

impl Ask<'_> {
    /// Answers a line of standard input with a line of JSON; one that cannot be answered with its error.
    fn requests<B: Device>(&self, generator: &mut Generator<'_, B>) -> Result<(), Error> {
        let first = self.adapters.first().map(|(name, _)| name.clone());
        if io::stdin().is_terminal() {
            let _ = writeln!(io::stderr(), "a request a line: a text or an object; Ctrl-D ends");
        }
        for line in io::stdin().lock().split(b'\n') {
            let line = line.map_err(Error::file("read", Path::new("standard input")))?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let answer = request(&line, self.options).map_err(Error::from).and_then(|r| {
                let adapter = r.adapter.clone().or_else(|| first.clone());
                generator.answer(&Request { adapter, ..r }, &mut |_| Ok(()))
            });
            let answer = match answer {
                Ok(answer) => serde_json::to_string(&answer).unwrap_or_default(),
                Err(e @ (Error::Request(_) | Error::Unfit { .. })) => {
                    serde_json::json!({ "error": e.to_string() }).to_string()
                }
                Err(e) => return Err(e),
            };
            print(&(answer + "\n"))?;
        }
        Ok(())
    }
}

/// The request of a line, with or without a carriage return.
fn request(line: &[u8], options: &Generate) -> Result<Request, Reason> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let no_text = |e: core::str::Utf8Error| Reason::Json(format!("the line is no UTF-8: {e}"));
    Request::of_line(core::str::from_utf8(line).map_err(no_text)?, options)
}

fn tell_pace(answer: &Answer, begun: Instant) {
    let pace = answer.tokens as f64 / begun.elapsed().as_secs_f64().max(1e-9);
    let end = if answer.ended { "" } else { ", not at its end" };
    // Whoever closed standard error does not want it.
    let _ = writeln!(io::stderr(), "{} tokens, {pace:.1} tokens/s{end}", answer.tokens);
}

/// Prints at once.
fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(Error::file("write", Path::new("standard output")))
}

/// Answers a prompt, or the requests on standard input.
///
/// # Errors
/// [`Error`].
pub(super) fn run(options: &Generate) -> Result<String, Error> {
    let mut model = Model::open(&options.model)?;
    let mut adapters = Vec::new();
    for text in &options.adapter {
        let (name, path) = named(text);
        adapters.push((name, model.adapter(&path)?));
    }
    let tensors = match &adapters[..] {
        [(_, adapter)] if options.merged => merged(&model, adapter)?,
        several if options.merged => {
            let found = format!("{} adapters", several.len());
            let expected = "one: a merged model has no others".to_owned();
            return Err(Error::Unfit { option: "--merged", found, expected });
        }
        _ => tensors(&model, false)?,
    };
    if options.merged {
        adapters.clear();
    }
    let ask = Ask { options, model: &model, tensors, adapters: &adapters };
    device::on(&options.device, ask)?;
    Ok(String::new())
}

/// The name and the folder of `[NAME=]DIR`. A folder's own name serves where there is none.
fn named(text: &str) -> (String, PathBuf) {
    if let Some((name, path)) =
        text.split_once('=').filter(|(name, _)| !name.is_empty() && !name.contains('/'))
    {
        return (name.to_owned(), path.into());
    }
    let path = PathBuf::from(text);
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    (name, path)
}
