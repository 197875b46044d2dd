//! Files of examples: every format, and everything that can be wrong with one.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::PathBuf;

use decora_finetune::data::{
    DataError, Dataset, Encoder, Example, Goal, IGNORED, Labels, TokenizerError, Tokens,
};

const BPE: usize = 320;
const WORDPIECE: usize = 83;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

fn encoder(context: usize) -> Encoder {
    Encoder {
        tokens: Tokens::load(&golden("tokenizer"), BPE).unwrap(),
        goal: Goal::NextToken,
        vocabulary: BPE,
        context,
        with_prompt: false,
    }
}

fn classifier() -> Encoder {
    Encoder {
        tokens: Tokens::load(&golden("tokenizer/wordpiece"), WORDPIECE).unwrap(),
        goal: Goal::Class(vec!["bad".to_owned(), "good".to_owned()]),
        vocabulary: WORDPIECE,
        ..encoder(6)
    }
}

fn load(text: &str, encoder: &Encoder, skip: bool) -> Result<Dataset, DataError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.jsonl");
    fs::write(&path, text).unwrap();
    Dataset::load(&[path], encoder, skip)
}

/// The only example of a line.
fn one(text: &str, encoder: &Encoder) -> Example {
    let mut dataset = load(text, encoder, false).unwrap();
    assert_eq!(dataset.examples.len(), 1);
    dataset.examples.pop().unwrap()
}

/// The text of the tokens that count.
fn learned(example: &Example, encoder: &Encoder) -> String {
    let Labels::Next(labels) = &example.labels else { panic!("a class") };
    assert_eq!(labels.len(), example.ids.len());
    for (row, &label) in labels.iter().enumerate().filter(|(_, label)| **label != IGNORED) {
        assert_eq!(label, example.ids[row + 1], "labels are the next tokens");
    }
    let counted: Vec<u32> = labels.iter().copied().filter(|&label| label != IGNORED).collect();
    encoder.tokens.as_ref().unwrap().decode(&counted).unwrap()
}

#[test]
fn prompts_are_masked_unless_they_are_asked_for() {
    let line = r#"{"prompt":"What is the capital of France?","completion":" Paris."}"#;
    let encoder = encoder(256);
    let example = one(line, &encoder);
    assert_eq!(learned(&example, &encoder), " Paris.");
    assert_eq!((example.ids[0], example.ids.last()), (1, Some(&2)), "<s> and </s>");
    assert_eq!(
        example.counted(),
        encoder.tokens.as_ref().unwrap().encode(" Paris.", false, 99).unwrap().ids.len() + 1
    );
    let all = Encoder { with_prompt: true, ..encoder };
    assert_eq!(learned(&one(line, &all), &all), "What is the capital of France? Paris.");
}

#[test]
fn texts_are_learned_whole_and_conversations_what_the_assistant_says() {
    let encoder = encoder(256);
    let text = one(r#"{"text":"Two and two are four."}"#, &encoder);
    assert_eq!(learned(&text, &encoder), "Two and two are four.");
    let turns = r#"{"messages":[{"role":"user","content":"one"},{"role":"assistant","content":"two"},
        {"role":"user","content":"three"},{"role":"assistant","content":"four"}]}"#;
    let chat = one(&turns.replace('\n', " "), &encoder);
    assert_eq!(learned(&chat, &encoder), "two\nfour\n");
    let ends = |id: &&u32| **id == 4;
    let Labels::Next(labels) = &chat.labels else { panic!("a class") };
    assert_eq!(labels.iter().filter(ends).count(), 2, "the ends of both answers are learned");
    let nobody = r#"{"messages":[{"role":"user","content":"one"}]}"#;
    assert!(load(nobody, &encoder, false).unwrap_err().to_string().contains("no token is left"));
}

#[test]
fn labels_are_shifted_and_masked() {
    let line = r#"{"input_ids":[5,6,7,8],"labels":[-100,6,-100,9]}"#;
    let example = one(line, &encoder(256));
    assert_eq!(example.ids, [5, 6, 7, 8]);
    assert_eq!(example.labels, Labels::Next(vec![6, IGNORED, 9, IGNORED]));
    let without = one(r#"{"input_ids":[5,6,7]}"#, &encoder(256));
    assert_eq!(without.labels, Labels::Next(vec![6, 7, IGNORED]));
}

#[test]
fn what_is_beyond_the_context_is_cut_and_counted() {
    let text = "{\"input_ids\":[5,6,7,8]}\n{\"input_ids\":[5,6]}\n";
    let dataset = load(text, &encoder(3), false).unwrap();
    assert_eq!((dataset.lengths(), dataset.count.cut), (vec![3, 2], 1));
    let masked = r#"{"input_ids":[5,6,7,8],"labels":[-100,-100,-100,8]}"#;
    assert!(load(masked, &encoder(3), false).is_err(), "nothing is left to train on");
}

#[test]
fn classes_have_numbers_or_names() {
    let encoder = classifier();
    let text = "{\"text\":\"ab\",\"label\":1}\n{\"text\":\"a b c d e f g\",\"label\":\"bad\"}\n\
                {\"input_ids\":[1,2],\"labels\":1}\n";
    let dataset = load(text, &encoder, false).unwrap();
    let classes: Vec<_> = dataset.examples.iter().map(|e| e.labels.clone()).collect();
    assert_eq!(classes, [Labels::Class(1), Labels::Class(0), Labels::Class(1)]);
    assert_eq!((dataset.examples[1].ids.len(), dataset.count.cut), (6, 1));
    let unknown = [
        r#"{"text":"a","label":2}"#,
        r#"{"text":"a","label":"fine"}"#,
        r#"{"text":"a","label":-1}"#,
    ];
    for line in unknown {
        let text = load(line, &encoder, false).unwrap_err().to_string();
        assert!(text.contains("classes 0 to 1"), "{text}");
    }
}

#[test]
fn a_bad_line_is_named_or_counted() {
    let encoder = encoder(256);
    let good = r#"{"input_ids":[5,6,7]}"#;
    let cases = [
        ("{\"text\"", "no JSON object"),
        ("[]", "no JSON object"),
        (r#"{"question":"x"}"#, "question"),
        (r#"{"input_ids":[5,320]}"#, "found token 320, but the model has tokens 0 to 319"),
        (r#"{"input_ids":[5,-1]}"#, "found token -1"),
        (r#"{"input_ids":[5,6],"labels":[5,400]}"#, "labels: found token 400"),
        (r#"{"input_ids":[5,6],"labels":[5]}"#, "2 input_ids and 1 labels"),
        (r#"{"input_ids":[]}"#, "no token is left"),
        (r#"{"text":"a","label":1}"#, "text and label does not fit this model"),
        (r#"{"messages":[{"content":"a"}]}"#, "the chat template refuses"),
        (r#"{"text":7}"#, "expected a text"),
    ];
    for (bad, word) in cases {
        let text = format!("{good}\n\n{bad}\n{good}\n");
        let error = load(&text, &encoder, false).unwrap_err().to_string();
        assert!(error.contains("data.jsonl, line 3: ") && error.contains(word), "{bad}: {error}");
        assert!(!error.contains('\n'), "{error}");
        let skipped = load(&text, &encoder, true).unwrap();
        assert_eq!(
            (skipped.examples.len(), skipped.count.bad, skipped.count.lines),
            (2, 1, 3),
            "{bad}"
        );
        let (_, line, reason) = skipped.count.first_bad.unwrap();
        assert!(line == 3 && reason.to_string().contains(word));
    }
}

#[test]
fn files_without_examples_are_refused() {
    let encoder = encoder(256);
    for empty in ["", "\n \n"] {
        assert!(load(empty, &encoder, true).unwrap_err().to_string().contains("empty"));
    }
    let error = load("nothing\nat all\n", &encoder, true).unwrap_err().to_string();
    assert!(error.contains("none of 2 lines") && error.contains("line 1"), "{error}");
    let missing = Dataset::load(&["/nonexistent/d.jsonl".into()], &encoder, true);
    assert!(missing.unwrap_err().to_string().contains("/nonexistent/d.jsonl"));
}

#[test]
fn a_model_without_tokenizer_takes_ids_only() {
    let encoder = Encoder { tokens: None, ..encoder(256) };
    assert!(load(r#"{"input_ids":[5,6]}"#, &encoder, false).is_ok());
    let error = load(r#"{"text":"a"}"#, &encoder, false).unwrap_err().to_string();
    assert!(error.contains("no tokenizer.json"), "{error}");
    assert!(Tokens::load(&golden("models/llama"), 67).unwrap().is_none());
}

#[test]
fn the_tokenizer_of_another_model_is_refused() {
    let error = Tokens::load(&golden("tokenizer"), 100).unwrap_err();
    assert!(matches!(error, TokenizerError::Vocabulary { expected: 100, .. }), "{error}");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tokenizer.json"), "{}").unwrap();
    let error = Tokens::load(dir.path(), 100).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
}
