//! What a training step of a whole model costs: DoRA, LoRA and everything, in turns.
//!
//! ```text
//! cargo bench -p decora-finetune --bench step                     SmolLM2-135M's shapes, random weights
//! cargo bench -p decora-finetune --bench step -- --model DIR      a model of yours
//! cargo bench -p decora-finetune --bench step -- --parts          where the time goes
//! cargo bench -p decora-finetune --bench step -- --help
//! ```
//!
//! A step is that of `decora train`: forward, backward, clipping of the gradient's norm to 1, AdamW; the
//! loss is over all tokens. Every method has a process of its own, so that peaks of memory are its own,
//! and takes a step in every round, so that a busy machine is as busy for all. Ratios are medians of the
//! ratios of rounds. `benches/compare.py` does the same with PEFT in the rounds.

mod model;
mod serve;
mod timed;

use core::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use clap::Parser;
use decora_finetune::words;
use serde_json::Value;
use tempfile::TempDir;

/// Times training steps of a whole model.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// Folder of a model; without, one with random weights is made
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    #[command(flatten)]
    shape: model::Shape,
    /// Sequences in a step
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Tokens of a sequence
    #[arg(long, default_value_t = 256)]
    tokens: usize,
    /// r of the adapters, on all linear layers of the blocks
    #[arg(long, default_value_t = 16)]
    rank: usize,
    /// What is timed; ratios are to the first
    #[arg(long, value_delimiter = ',', default_value = "dora,lora,full")]
    methods: Vec<String>,
    /// cpu or vulkan
    #[arg(long, default_value = "cpu")]
    backend: String,
    /// f32, bf16 or f16
    #[arg(long, default_value = "f32")]
    dtype: String,
    /// Threads; without, as many as there are cores
    #[arg(long)]
    threads: Option<usize>,
    /// Steps of each method that are timed
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Also says which operations take how long
    #[arg(long)]
    parts: bool,
    /// Takes a step for each line of the standard input and answers a line of JSON; used by this
    /// program and by compare.py
    #[arg(long, value_name = "METHOD")]
    serve: Option<String>,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.serve {
        Some(method) => serve::serve(&options, method),
        None => compare(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("step: {e}");
            ExitCode::FAILURE
        }
    }
}

/// A process that takes steps when it is told to.
struct Contestant {
    method: String,
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    seconds: Vec<f64>,
    last: Value,
}

impl Contestant {
    /// `made` is the model where the options name none.
    fn new(options: &Options, made: Option<&Path>, method: &str) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(std::env::args_os().skip(1)).args(["--serve", method]);
        if let Some(model) = made {
            command.arg("--model").arg(model);
        }
        if let Some(threads) = options.threads {
            command.env("RAYON_NUM_THREADS", threads.to_string());
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(ask), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("a process without standard streams".into());
        };
        let (answers, method) = (BufReader::new(answers), method.to_owned());
        Ok(Self { method, process, ask, answers, seconds: Vec::new(), last: Value::Null })
    }

    /// Takes a step.
    fn step(&mut self) -> Result<f64, Box<dyn Error>> {
        self.ask.write_all(b"\n")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        self.last = serde_json::from_str(&line).map_err(|_| format!("{} ended", self.method))?;
        Ok(self.last["seconds"].as_f64().unwrap_or(f64::NAN))
    }

    /// Ends it, and prints where the time went if that was asked for.
    fn end(self) -> Result<(), Box<dyn Error>> {
        let Self { mut process, ask, mut answers, .. } = self;
        drop(ask);
        let mut rest = String::new();
        while answers.read_line(&mut rest)? > 0 {}
        process.wait()?;
        print!("{rest}");
        Ok(())
    }
}

fn compare(options: &Options) -> Result<(), Box<dyn Error>> {
    let made = match options.model {
        Some(_) => None,
        None => Some(model::random(&options.shape)?),
    };
    let made = made.as_ref().map(TempDir::path);
    let contestants = options.methods.iter().map(|method| Contestant::new(options, made, method));
    let mut all = contestants.collect::<Result<Vec<_>, _>>()?;
    for each in &mut all {
        // Memory is touched, and what is read once is in the system's cache.
        each.step()?;
        each.step()?;
    }
    for _ in 0..options.rounds {
        for each in &mut all {
            let seconds = each.step()?;
            each.seconds.push(seconds);
        }
    }
    table(options, &all);
    all.into_iter().try_for_each(Contestant::end)
}

fn table(options: &Options, all: &[Contestant]) {
    let Some(first) = all.first().map(|first| first.seconds.clone()) else { return };
    println!(
        "batch {} x {} tokens, r = {}, {}, {}, {} threads, {} rounds",
        options.batch,
        options.tokens,
        options.rank,
        options.dtype,
        options.backend,
        options
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into)),
        options.rounds,
    );
    println!(
        "method  median s  fastest s  {}/it  tokens/s  peak memory  trained",
        options.methods[0]
    );
    for each in all {
        let ratios: Vec<f64> = first.iter().zip(&each.seconds).map(|(a, b)| a / b).collect();
        let (middle, tokens) = (median(&each.seconds), options.batch * options.tokens);
        println!(
            "{:<6}  {middle:8.3}  {:9.3}  {:7.3}  {:8.0}  {:>11}  {}",
            each.method,
            each.seconds.iter().copied().fold(f64::INFINITY, f64::min),
            median(&ratios),
            tokens as f64 / middle,
            each.last["peak_bytes"].as_u64().map_or_else(|| "?".to_owned(), words::bytes),
            each.last["trained"],
        );
    }
}

fn median(of: &[f64]) -> f64 {
    let mut all = of.to_vec();
    all.sort_by(f64::total_cmp);
    match all.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => all[n / 2],
        n => f64::midpoint(all[n / 2 - 1], all[n / 2]),
    }
}
