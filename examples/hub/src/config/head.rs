//! What comes after the last block, by the name of the class in transformers.

use serde_json::Value;

use super::Family;
use crate::HubError;
use crate::json::Object;

/// What comes after the last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Nothing; in BERT a pooler.
    None,
    /// `lm_head`: a score for each token of the vocabulary.
    Language,
    /// `score`, of the last token that is no padding; in BERT `classifier`, of the pooler's output.
    Classes,
}

/// What a classifier is trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Mean squared error.
    Regression,
    /// Cross-entropy over the classes.
    SingleLabel,
    /// Binary cross-entropy for each class.
    MultiLabel,
}

/// Classes of transformers, the family they need, and their heads.
const CLASSES: [(&str, Family, Head); 18] = [
    ("BertForMaskedLM", Family::Bert, Head::None),
    ("BertForPreTraining", Family::Bert, Head::None),
    ("BertForSequenceClassification", Family::Bert, Head::Classes),
    ("BertModel", Family::Bert, Head::None),
    ("GPT2ForSequenceClassification", Family::Gpt2, Head::Classes),
    ("GPT2LMHeadModel", Family::Gpt2, Head::Language),
    ("GPT2Model", Family::Gpt2, Head::None),
    ("LLaMAForCausalLM", Family::Llama, Head::Language),
    ("LlamaForCausalLM", Family::Llama, Head::Language),
    ("LlamaForSequenceClassification", Family::Llama, Head::Classes),
    ("LlamaModel", Family::Llama, Head::None),
    ("MistralForCausalLM", Family::Mistral, Head::Language),
    ("MistralForSequenceClassification", Family::Mistral, Head::Classes),
    ("MistralModel", Family::Mistral, Head::None),
    ("Qwen2ForCausalLM", Family::Qwen2, Head::Language),
    ("Qwen2ForSequenceClassification", Family::Qwen2, Head::Classes),
    ("Qwen2Model", Family::Qwen2, Head::None),
    ("BertForNextSentencePrediction", Family::Bert, Head::None),
];

impl Head {
    /// The head that the class under `architectures` has; a file without one has what its family is
    /// used for. Of BERT's pre-training classes the encoder alone is taken.
    pub(super) fn read(config: &Object, family: Family) -> Result<Self, HubError> {
        let key = "architectures";
        let names = config.texts(key)?.unwrap_or_default();
        let Some(name) = names.first() else {
            return Ok(if family.is_causal() { Self::Language } else { Self::None });
        };
        let of_family = CLASSES.iter().filter(|row| row.1 == family);
        let found = of_family.clone().find(|row| row.0 == name).map(|row| row.2);
        let known: Vec<&str> = of_family.map(|row| row.0).collect();
        found.ok_or_else(|| config.wrong(key, format!("one of {}", known.join(", "))))
    }
}

/// The names of the classes in order, or how many there are: `id2label`, `num_labels`, else 2.
pub(super) fn classes(config: &Object) -> Result<(usize, Vec<String>), HubError> {
    let key = "id2label";
    let Some(labels) = config.object(key)? else {
        let n = config.count("num_labels")?.unwrap_or(2);
        return if n == 0 {
            Err(config.wrong("num_labels", "1 or more"))
        } else {
            Ok((n, Vec::new()))
        };
    };
    let map = labels.into_map();
    let label = |id: usize| map.get(&id.to_string()).and_then(Value::as_str).map(str::to_owned);
    let names: Option<Vec<String>> = (0..map.len()).map(label).collect();
    match names {
        Some(names) if !names.is_empty() => Ok((names.len(), names)),
        _ => Err(config.wrong(key, "a text for each class, with the keys \"0\", \"1\" and so on")),
    }
}

/// What a classifier is trained for, when it is said.
pub(super) fn problem(config: &Object) -> Result<Option<Problem>, HubError> {
    let key = "problem_type";
    match config.text(key)? {
        None => Ok(None),
        Some("regression") => Ok(Some(Problem::Regression)),
        Some("single_label_classification") => Ok(Some(Problem::SingleLabel)),
        Some("multi_label_classification") => Ok(Some(Problem::MultiLabel)),
        Some(_) => {
            let expected = "regression, single_label_classification or multi_label_classification";
            Err(config.wrong(key, expected))
        }
    }
}
