//! Chat templates and tokenizers against what transformers makes of them (`tests/golden/chat.py`).

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use decora_finetune::data::chat::Chat;
use decora_finetune::data::{Reason, Tokens};
use minijinja::Value;
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Golden {
    bos_token: String,
    eos_token: String,
    templates: BTreeMap<String, String>,
    conversations: BTreeMap<String, Vec<Value>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    conversation: String,
    add_generation_prompt: bool,
    #[serde(default)]
    variables: BTreeMap<String, Value>,
    text: Option<String>,
    ids: Option<Vec<u32>>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Encodings {
    bpe: Vec<Bpe>,
    wordpiece: Vec<WordPiece>,
    rendered: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Bpe {
    text: String,
    ids: Vec<u32>,
    plain: Vec<u32>,
    decoded: String,
}

#[derive(Deserialize)]
struct WordPiece {
    text: String,
    pair: Option<String>,
    ids: Vec<u32>,
    token_type_ids: Vec<u32>,
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

fn json<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&fs::read_to_string(golden(name)).unwrap()).unwrap()
}

/// The tokenizer of a folder.
fn tokens(name: &str, vocabulary: usize) -> Tokens {
    Tokens::load(&golden(name), vocabulary).unwrap().unwrap()
}

/// A template with the variables of a case.
fn chat(golden: &Golden, case: &Case) -> Chat {
    let tokens = [("bos_token", &golden.bos_token), ("eos_token", &golden.eos_token)];
    let tokens =
        tokens.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text.as_str())));
    let more = case.variables.iter().map(|(name, value)| (name.clone(), value.clone()));
    Chat::new(&golden.templates[&case.template], tokens.chain(more).collect()).unwrap()
}

#[test]
fn conversations_are_rendered_as_transformers_renders_them() {
    let golden: Golden = json("chat.json");
    let tokens = tokens("tokenizer", 320);
    for case in &golden.cases {
        let name = format!("{} of {}", case.template, case.conversation);
        let messages = &golden.conversations[&case.conversation];
        let tools = case.variables.get("tools").cloned().unwrap_or_default();
        let rendered = chat(&golden, case).render(messages, &tools, case.add_generation_prompt);
        match (&case.text, &case.error) {
            (Some(text), None) => {
                assert_eq!(rendered.as_ref(), Ok(text), "{name}");
                let ids = tokens.encode(text, false, usize::MAX).unwrap().ids;
                assert_eq!(Some(&ids), case.ids.as_ref(), "{name}");
            }
            (None, Some(error)) => {
                let Err(Reason::Template(text)) = rendered else { panic!("{name}: {rendered:?}") };
                assert!(text.starts_with(error.as_str()), "{name}: {text:?}, expected {error:?}");
            }
            other => panic!("{name}: neither text nor error: {other:?}"),
        }
    }
    assert!(golden.cases.len() > 20);
}

#[test]
fn what_the_assistant_says_is_found_in_every_template() {
    let golden: Golden = json("chat.json");
    let mut found = 0;
    for case in golden.cases.iter().filter(|c| c.text.is_some() && !c.add_generation_prompt) {
        let name = format!("{} of {}", case.template, case.conversation);
        let messages = &golden.conversations[&case.conversation];
        let tools = case.variables.get("tools").cloned().unwrap_or_default();
        let said: Vec<String> = messages
            .iter()
            .filter(|m| m.get_attr("role").unwrap().as_str() == Some("assistant"))
            .map(|m| m.get_attr("content").unwrap().as_str().unwrap_or_default().trim().to_owned())
            .collect();
        let rendered = chat(&golden, case).conversation(messages, &tools);
        let rendered = rendered.unwrap_or_else(|e| panic!("{name}: {e}"));
        let answers: Vec<&str> =
            rendered.answers.iter().map(|a| &rendered.text[a.bytes.clone()]).collect();
        assert_eq!(answers.len(), said.len(), "{name}: {answers:?}");
        for (answer, said) in answers.iter().zip(&said) {
            // A template may leave out the reasoning of an earlier turn.
            let said = said.rsplit("</think>").next().unwrap_or_default().trim();
            assert!(answer.contains(said), "{name}: {said:?} is not in {answer:?}");
            assert!(answer.len() < said.len() + 64, "{name}: {answer:?} is more than {said:?}");
            found += 1;
        }
    }
    assert!(found > 10);
}

#[test]
fn texts_become_the_tokens_that_transformers_makes() {
    let encodings: Encodings = json("tokenizer/encodings.json");
    let bpe = tokens("tokenizer", 320);
    for case in &encodings.bpe {
        assert_eq!(
            bpe.encode(&case.text, true, usize::MAX).unwrap().ids,
            case.ids,
            "{:?}",
            case.text
        );
        assert_eq!(
            bpe.encode(&case.text, false, usize::MAX).unwrap().ids,
            case.plain,
            "{:?}",
            case.text
        );
        assert_eq!(bpe.decode(&case.ids).unwrap(), case.decoded, "{:?}", case.text);
    }
    let wordpiece = tokens("tokenizer/wordpiece", 83);
    for case in &encodings.wordpiece {
        let pair = case.pair.as_deref();
        let whole = wordpiece.encode_pair(&case.text, pair, true, usize::MAX).unwrap();
        assert_eq!(
            (&whole.ids, &whole.types),
            (&case.ids, &case.token_type_ids),
            "{:?}",
            case.text
        );
        if case.ids.len() > 4 && pair.is_none() {
            let cut = wordpiece.encode(&case.text, true, 4).unwrap();
            let expected = [&case.ids[..3], &case.ids[case.ids.len() - 1..]].concat();
            assert_eq!((cut.ids, cut.cut), (expected, true), "special tokens stay");
        }
    }
}

#[test]
fn templates_are_found_where_transformers_finds_them() {
    let encodings: Encodings = json("tokenizer/encodings.json");
    let conversations: Golden = json("chat.json");
    let turns = &conversations.conversations["turns"];
    for (variant, text) in &encodings.rendered {
        let dir = tempfile::tempdir().unwrap();
        let inner = if variant == "config" {
            golden("tokenizer")
        } else {
            golden("tokenizer").join(variant)
        };
        for file in [golden("tokenizer/tokenizer.json"), inner.join("tokenizer_config.json")] {
            fs::copy(&file, dir.path().join(file.file_name().unwrap())).unwrap();
        }
        let template = inner.join("chat_template.jinja");
        if template.exists() {
            fs::copy(&template, dir.path().join("chat_template.jinja")).unwrap();
        }
        let tokens = Tokens::load(dir.path(), 320).unwrap().unwrap();
        let chat = tokens.chat(&Value::UNDEFINED).unwrap();
        let rendered = chat.render(turns, &Value::UNDEFINED, true);
        let tools = Value::from(vec![1]);
        let refused = tokens.chat(&tools).unwrap().render(turns, &tools, true);
        assert_eq!(refused.is_err(), variant == "named", "{variant}");
        assert_eq!(rendered.as_ref(), Ok(text), "{variant}");
    }
    assert_eq!(encodings.rendered.len(), 3);
}
