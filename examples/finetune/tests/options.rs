//! The command line, and the file of options beside it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use decora_finetune::options::{
    Amount, Backend, Biases, Curve, Method, Precision, Request, Target, Task, Train, UsageError,
    parse,
};

fn request(arguments: &[&str]) -> Result<Request, UsageError> {
    parse(core::iter::once("decora").chain(arguments.iter().copied()).map(OsString::from))
}

fn refusal(arguments: &[&str]) -> String {
    match request(arguments) {
        Err(e) => e.to_string(),
        Ok(other) => panic!("{arguments:?} is accepted: {other:?}"),
    }
}

/// The options of `train` with what it cannot do without, and these.
fn train(more: &[&str]) -> Train {
    let needed = ["train", "--model", "m", "--data", "d.jsonl", "--out", "o"];
    match request(&[&needed[..], more].concat()).unwrap() {
        Request::Task(Task::Train(train)) => *train,
        other => panic!("no training: {other:?}"),
    }
}

/// The options of `train` with such a file of options, and these.
fn with_file(text: &str, more: &[&str]) -> Result<Train, UsageError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.toml");
    fs::write(&path, text).unwrap();
    let arguments = [&["train", "--config", path.to_str().unwrap()], more].concat();
    match request(&arguments)? {
        Request::Task(Task::Train(train)) => Ok(*train),
        other => panic!("no training: {other:?}"),
    }
}

const NEEDED: &str = "model = 'm'\ndata = 'd.jsonl'\nout = 'o'\n";

#[test]
fn defaults_are_those_of_a_first_try() {
    let t = train(&[]);
    assert_eq!((t.adapter.method, t.adapter.rank, t.adapter.alpha()), (Method::Dora, 16, 32.0));
    assert_eq!(t.adapter.target, Target::Text("all-linear".to_owned()));
    assert_eq!((t.lr(), t.optimizer.weight_decay, t.optimizer.clip), (2e-4, 0.0, 1.0));
    assert_eq!((t.optimizer.beta1, t.optimizer.beta2, t.optimizer.eps), (0.9, 0.999, 1e-8));
    assert_eq!((t.optimizer.schedule, t.optimizer.warmup), (Curve::Cosine, Amount::Share(0.03)));
    assert_eq!((t.device.backend, t.examples.seed), (Backend::Auto, 42));
    assert_eq!(train(&["--method", "full"]).lr(), 2e-5);
}

#[test]
fn every_option_of_the_method_is_read() {
    let text = "--method lora --rank 4 --alpha 8 --rslora --dropout 0.1 --target q_proj,v_proj \
                --rank-pattern q_proj=2 --bias lora_only --adapter a";
    let t = train(&words(text)).adapter;
    assert_eq!((t.method, t.rank, t.alpha(), t.rslora), (Method::Lora, 4, 8.0, true));
    assert_eq!((t.dropout, t.start.as_deref()), (0.1, Some(Path::new("a"))));
    assert_eq!(t.target, Target::Names(vec!["q_proj".to_owned(), "v_proj".to_owned()]));
    assert_eq!(t.rank_pattern.0, [("q_proj".to_owned(), 2)]);
    assert_eq!((t.bias, train(&["--bias", "all"]).adapter.bias), (Biases::LoraOnly, Biases::All));
}

#[test]
fn every_option_of_the_optimiser_is_read() {
    let text = "--lr 1e-3 --weight-decay 0.1 --beta1 0.8 --beta2 0.99 --eps 1e-6 --schedule linear \
                --warmup 5 --clip 0 --steps 7";
    let t = train(&words(text)).optimizer;
    assert_eq!((t.lr, t.weight_decay, t.clip), (Some(1e-3), 0.1, 0.0));
    assert_eq!((t.beta1, t.beta2, t.eps), (0.8, 0.99, 1e-6));
    assert_eq!((t.schedule, t.warmup), (Curve::Linear, Amount::Steps(5)));
    assert_eq!((t.steps, t.epochs), (Some(7), None));
    assert_eq!(train(&["--lr-magnitude", "0"]).optimizer.lr_magnitude, Some(0.0));
}

#[test]
fn every_option_of_the_examples_is_read() {
    let text = "--batch 2 --accumulate 3 --context 64 --pack --no-shuffle --train-on-prompt \
                --skip-bad-lines --seed 1";
    let t = train(&words(text)).examples;
    assert_eq!((t.batch, t.accumulate, t.context, t.seed), (2, 3, Some(64), 1));
    assert!(t.pack && t.no_shuffle && t.train_on_prompt && t.skip_bad_lines);
}

#[test]
fn every_option_of_what_is_watched_and_kept_is_read() {
    let text = "--eval e --eval-every 5 --patience 2 --checkpoint-every 9 --resume --dtype bf16 \
                --backend vulkan --device 1 --metrics m --telemetry --recompute --classes 3 --dry-run";
    let t = train(&words(text));
    assert_eq!((t.watch.eval.as_deref(), t.watch.eval_every), (Some(Path::new("e")), Some(5)));
    assert_eq!((t.watch.patience, t.keep.checkpoint_every), (2, Some(9)));
    assert_eq!((t.watch.metrics.as_deref(), t.classes), (Some(Path::new("m")), Some(3)));
    assert_eq!((t.device.dtype, t.device.backend), (Precision::Bf16, Backend::Vulkan));
    assert_eq!(t.device.device.as_deref(), Some("1"));
    assert!(t.watch.telemetry && t.keep.resume && t.recompute && t.dry_run && !t.keep.overwrite);
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn wrong_options_are_one_line_that_names_them() {
    let needed = ["train", "--model", "m", "--data", "d", "--out", "o"];
    let cases: [(&[&str], &[&str]); 14] = [
        (&["--no-such"], &["--no-such"]),
        (&["--rank", "0"], &["--rank", "0"]),
        (&["--lr", "-1"], &["--lr", "above 0"]),
        (&["--lr", "nan"], &["--lr", "above 0"]),
        (&["--dropout", "1"], &["--dropout", "less than 1"]),
        (&["--method", "qlora"], &["qlora", "dora"]),
        (&["--epochs", "1", "--steps", "2"], &["--epochs", "--steps"]),
        (&["--context", "1"], &["--context"]),
        (&["--patience", "2"], &["--patience", "--eval"]),
        (&["--eval-every", "2"], &["--eval"]),
        (&["--device", "0", "--backend", "cpu"], &["--device", "--backend cpu"]),
        (&["--method", "lora", "--lr-magnitude", "1"], &["--lr-magnitude", "dora"]),
        (&["--method", "full", "--bias", "all"], &["--bias", "--method full"]),
        (&["--bias", "some"], &["--bias", "lora_only"]),
    ];
    for (more, words) in cases {
        let text = refusal(&[&needed[..], more].concat());
        assert!(
            words.iter().all(|w| text.contains(w)),
            "{more:?}: {text:?} lacks one of {words:?}"
        );
        assert!(!text.contains('\n'), "{text:?}");
    }
    assert!(refusal(&["train", "--data", "d", "--out", "o"]).contains("--model"));
    assert!(refusal(&["teach"]).contains("teach"));
}

#[test]
fn a_file_gives_any_option_and_the_command_line_wins() {
    let file = "rank = 4\nlr = 1e-3\nno_shuffle = true\npack = false\ntarget = ['q_proj', 'v_proj']\n\
                epochs = 2\nrank-pattern = { q_proj = 2 }\nwarmup = 0.1\nseed = 7\n";
    let t = with_file(&(NEEDED.to_owned() + file), &["--rank", "9", "--seed=3"]).unwrap();
    assert_eq!((t.adapter.rank, t.examples.seed), (9, 3), "the command line wins");
    assert_eq!((t.lr(), t.optimizer.warmup), (1e-3, Amount::Share(0.1)));
    assert!(t.examples.no_shuffle && !t.examples.pack);
    assert_eq!(t.adapter.target, Target::Names(vec!["q_proj".to_owned(), "v_proj".to_owned()]));
    assert_eq!(t.adapter.rank_pattern.0, [("q_proj".to_owned(), 2)]);
    assert_eq!(t.optimizer.epochs, Some(2));
}

#[test]
fn an_option_overrules_what_excludes_it_and_lists_replace_lists() {
    let file = NEEDED.to_owned() + "epochs = 2\n";
    let t = with_file(&file, &["--steps", "9", "--data", "e.jsonl"]).unwrap();
    assert_eq!((t.optimizer.epochs, t.optimizer.steps), (None, Some(9)));
    assert_eq!(t.data, [Path::new("e.jsonl")]);
    let two = NEEDED.replace("'d.jsonl'", "['a', 'b']");
    assert_eq!(with_file(&two, &[]).unwrap().data.len(), 2);
}

#[test]
fn a_wrong_file_is_refused_by_name() {
    let cases = [
        ("learning_rate = 1\n", "\"learning_rate\""),
        ("rnak = 1\n", "\"rank\" meant"),
        ("config = 'x'\n", "\"config\""),
        ("pack = 3\n", "\"pack\""),
        ("rank = true\n", "\"rank\""),
        ("rank = -3\n", "--rank"),
        ("rank = = 3\n", "line 4"),
    ];
    for (more, word) in cases {
        let text = with_file(&(NEEDED.to_owned() + more), &[]).unwrap_err().to_string();
        assert!(text.contains(word) && !text.contains('\n'), "{more:?}: {text:?}");
    }
    let text = refusal(&["train", "--config", "/nonexistent/run.toml"]);
    assert!(text.contains("/nonexistent/run.toml"), "{text}");
}

#[test]
fn help_names_every_option_of_the_issue() {
    let Ok(Request::Text(help)) = request(&["train", "--help"]) else { panic!("no help") };
    let options = "method rank alpha rslora dropout target rank-pattern adapter lr lr-magnitude \
                   weight-decay schedule warmup clip epochs steps batch accumulate context pack \
                   no-shuffle seed eval eval-every patience checkpoint-every resume dtype backend \
                   metrics telemetry config dry-run skip-bad-lines";
    for option in words(options) {
        assert!(
            help.contains(&format!("--{option} ")) || help.contains(&format!("--{option}\n")),
            "{option}"
        );
    }
    assert!(help.contains("Examples:") && help.contains("\"messages\""));
    for task in ["train", "merge", "eval", "generate", "inspect", "devices", "logits"] {
        assert!(matches!(request(&[task, "--help"]), Ok(Request::Text(_))), "{task}");
    }
}
