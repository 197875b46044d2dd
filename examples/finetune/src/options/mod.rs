//! The command line.

mod device;
mod error;
mod file;
mod other;
mod train;
mod values;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use device::{Backend, Device, Precision};
pub use error::UsageError;
pub use other::{Eval, Generate, Inspect, Logits, Merge, Model};
pub use train::{Adapter, Biases, Curve, Examples, Keep, Method, Optimizer, Train, Watch};
pub use values::{ALL_LINEAR, Amount, RankPattern, Target};

const EXAMPLES: &str = "\
Examples:
  decora train --model SmolLM2-135M --data chats.jsonl --out adapter
  decora train --config run.toml --lr 1e-4 --resume
  decora eval --model SmolLM2-135M --adapter adapter --data test.jsonl
  decora generate --model SmolLM2-135M --adapter adapter --chat --prompt 'Who are you?'
  decora merge --model SmolLM2-135M --adapter adapter --out merged

Exit status: 0 when all went well, 1 when something failed, 2 for a wrong option, 130 when stopped.";

const TRAIN_EXAMPLES: &str = "\
Examples:
  decora train --model M --data d.jsonl --out a                       DoRA, rank 16, all linear layers
  decora train --model M --data d.jsonl --out a --dry-run             memory and time it would take
  decora train --model M --data d.jsonl --out a --eval e.jsonl --patience 3
  decora train --model M --data d.jsonl --out a --method lora --rank 8 --target q_proj,v_proj
  decora train --model M --data d.jsonl --out a --resume              after Ctrl-C

A line of the data is one of
  {\"messages\": [{\"role\": \"user\", \"content\": \"...\"}, {\"role\": \"assistant\", \"content\": \"...\"}]}
  {\"prompt\": \"...\", \"completion\": \"...\"}
  {\"text\": \"...\"}
  {\"text\": \"...\", \"label\": 1}                          for classifiers
  {\"input_ids\": [1, 2, 3], \"labels\": [-100, 2, 3]}      -100: not trained on

A run.toml has the same options as keys, as in
  model = \"SmolLM2-135M\"
  rank = 8
  target = [\"q_proj\", \"v_proj\"]
  rank-pattern = { q_proj = 4 }";

/// Fine-tunes Hugging Face models with DoRA and LoRA, on the CPU or any Vulkan GPU.
#[derive(Clone, Debug, Parser)]
#[command(name = "decora", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Task {
    /// Trains an adapter on a model, or the model itself
    #[command(after_help = TRAIN_EXAMPLES, allow_negative_numbers = true)]
    Train(Box<Train>),
    /// Merges an adapter into its model, a tensor at a time
    Merge(Merge),
    /// Evaluates a model: loss, and perplexity or accuracy
    Eval(Eval),
    /// Continues texts, with any of several adapters
    #[command(allow_negative_numbers = true)]
    Generate(Generate),
    /// Tells what is in a model or an adapter
    Inspect(Inspect),
    /// Lists what there is to compute on
    Devices,
    /// Writes the logits of a few tokens to a file
    Logits(Logits),
}

/// What a command line asks for.
#[derive(Clone, Debug)]
pub enum Request {
    /// A task.
    Task(Task),
    /// A text: help or version.
    Text(String),
}

/// Reads a command line; the first argument is the program's name.
///
/// # Errors
/// [`UsageError`], in one line.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Request, UsageError> {
    let mut command = Cli::command();
    command.build();
    let arguments = file::extended(&command, arguments.collect())?;
    match command.try_get_matches_from(arguments).and_then(|m| Cli::from_arg_matches(&m)) {
        Ok(cli) => {
            cli.task.check()?;
            Ok(Request::Task(cli.task))
        }
        Err(e) if e.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Ok(Request::Text(e.to_string()))
        }
        Err(e) if e.use_stderr() => Err(UsageError::Options(one_line(&e.to_string()))),
        Err(help) => Ok(Request::Text(help.to_string())),
    }
}

impl Task {
    fn check(&self) -> Result<(), UsageError> {
        match self {
            Self::Train(train) => train.check(),
            Self::Eval(eval) => eval.device.check(),
            Self::Generate(generate) => generate.device.check(),
            Self::Logits(logits) => logits.device.check(),
            Self::Merge(_) | Self::Inspect(_) | Self::Devices => Ok(()),
        }
    }
}

/// The first paragraph of clap's message, and what it takes for meant, on one line.
fn one_line(message: &str) -> String {
    let one = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut parts = message.split("\n\n");
    let first = one(parts.next().unwrap_or_default());
    let mut text = first.strip_prefix("error: ").unwrap_or(&first).to_owned();
    let tip = parts.find_map(|part| one(part).strip_prefix("tip: ").map(str::to_owned));
    if let Some(tip) = tip.filter(|tip| tip.contains("similar")) {
        text += &format!("; {tip}");
    }
    // As Rust's parsers say it.
    let text = text.replace("invalid digit found in string", "expected a whole number");
    let no_end = format!("..{}", u64::MAX);
    let text = match text.strip_suffix(&no_end) {
        Some(least) => least.replace(" is not in ", " is less than "),
        None => text,
    };
    format!("{text} (see --help)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(arguments: &str) -> String {
        let all = arguments.split(' ').map(OsString::from);
        parse(all).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_wrong_option_is_told_on_one_line() {
        let train = "decora train --model m --data d --out o";
        for (more, word) in [
            ("--ranc 3", "unexpected argument '--ranc' found; a similar argument exists: '--rank'"),
            ("--rank 1.5", "expected a whole number (see --help)"),
            ("--epochs 0", "0 is less than 1 (see --help)"),
            ("--method qlora", "[possible values: dora, lora, full]"),
        ] {
            let said = said(&format!("{train} {more}"));
            assert!(said.contains(word) && !said.contains('\n'), "{said}");
        }
        let said = said("decora generate --model m --prompt x --temperature -1");
        assert!(said.contains("expected a number from 0"), "{said}");
    }
}
