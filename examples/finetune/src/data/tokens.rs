//! The tokenizer of a model's folder.

use core::fmt;
use core::ops::Range;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use minijinja::Value;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenizers::{Encoding, PostProcessor, Tokenizer, TruncationParams, truncate_encodings};

use super::chat::Chat;
use super::error::Reason;

/// The template of conversations.
const DEFAULT: &str = "default";
/// The template of conversations with tools.
const TOOLS: &str = "tool_use";

/// Why a folder's tokenizer cannot be used.
#[derive(Debug)]
pub enum TokenizerError {
    /// A file that cannot be read.
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is not what its name says.
    Format {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A tokenizer with more tokens than the model: another model's.
    Vocabulary {
        /// The file.
        path: PathBuf,
        /// Its tokens.
        found: usize,
        /// The model's.
        expected: usize,
    },
}

impl fmt::Display for TokenizerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Format { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Vocabulary { path, found, expected } => write!(
                f,
                "{}: found {found} tokens, but the model has {expected}: it is another model's",
                path.display()
            ),
        }
    }
}

impl core::error::Error for TokenizerError {}

/// Text as tokens and back, and conversations as text.
#[derive(Clone, Debug)]
pub struct Tokens {
    tokenizer: Tokenizer,
    chat: Option<Chat>,
    /// The template for conversations with tools, where it is another one.
    with_tools: Option<Chat>,
    /// The token that ends a text, if the tokenizer says which.
    pub eos: Option<u32>,
}

/// Tokens, and the bytes of the text that each stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Tokens.
    pub ids: Vec<u32>,
    /// Bytes; empty for tokens that are not in the text.
    pub offsets: Vec<Range<usize>>,
    /// The kind of segment of each: 1 for those of a second text.
    pub types: Vec<u32>,
    /// Whether tokens were left out, because there are more than there may be.
    pub cut: bool,
}

/// What is read of `tokenizer_config.json` and `special_tokens_map.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    chat_template: Option<Templates>,
    bos_token: Option<Token>,
    eos_token: Option<Token>,
    pad_token: Option<Token>,
    unk_token: Option<Token>,
    sep_token: Option<Token>,
    cls_token: Option<Token>,
    mask_token: Option<Token>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Named(Vec<Named>),
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
    template: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Added { content: String },
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Added { content: text } => text,
        }
    }
}

impl Tokens {
    /// Reads the tokenizer of a folder; `None` where there is no `tokenizer.json`. The model has
    /// `vocabulary` tokens.
    ///
    /// # Errors
    /// [`TokenizerError`].
    pub fn load(folder: &Path, vocabulary: usize) -> Result<Option<Self>, TokenizerError> {
        let path = folder.join("tokenizer.json");
        let Some(bytes) = bytes(&path)? else { return Ok(None) };
        let format = |reason: String| TokenizerError::Format { path: path.clone(), reason };
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|e| format(e.to_string()))?;
        tokenizer.with_truncation(None).map_err(|e| format(e.to_string()))?;
        tokenizer.with_padding(None);
        let found = tokenizer.get_vocab_size(false);
        if found > vocabulary {
            return Err(TokenizerError::Vocabulary { path, found, expected: vocabulary });
        }
        let config = config(folder)?;
        let eos = config.eos_token.as_ref().and_then(|t| tokenizer.token_to_id(t.text()));
        let (chat, with_tools) = (chat(folder, &config, DEFAULT)?, chat(folder, &config, TOOLS)?);
        Ok(Some(Self { tokenizer, chat, with_tools, eos }))
    }

    /// The chat template for conversations with these tools; undefined or none where there are none.
    ///
    /// # Errors
    /// [`Reason::NoTemplate`].
    pub fn chat(&self, tools: &Value) -> Result<&Chat, Reason> {
        let without = tools.is_undefined() || tools.is_none();
        let special = self.with_tools.as_ref().filter(|_| !without);
        special.or(self.chat.as_ref()).ok_or(Reason::NoTemplate)
    }

    /// The tokens of a text; with `special`, also those that the tokenizer puts around every text.
    /// There are at most `most`, those around it among them.
    ///
    /// # Errors
    /// [`Reason::Tokenizer`].
    pub fn encode(&self, text: &str, special: bool, most: usize) -> Result<Encoded, Reason> {
        self.encode_pair(text, None, special, most)
    }

    /// As [`encode`](Tokens::encode), of one text or of two, of which the longer one is cut first.
    ///
    /// # Errors
    /// [`Reason::Tokenizer`].
    pub fn encode_pair(
        &self,
        text: &str,
        pair: Option<&str>,
        special: bool,
        most: usize,
    ) -> Result<Encoded, Reason> {
        let failed = |e: tokenizers::Error| Reason::Tokenizer(e.to_string());
        let plain = |text| self.tokenizer.encode(text, false).map_err(failed);
        let (first, second) = (plain(text)?, pair.map(plain).transpose()?);
        let around = if special { self.around(pair.is_some()) } else { 0 };
        let count = first.len() + second.as_ref().map_or(0, Encoding::len) + around;
        let params =
            TruncationParams { max_length: most.saturating_sub(around), ..Default::default() };
        let (first, second) = match count > most {
            true => truncate_encodings(first, second, &params).map_err(failed)?,
            false => (first, second),
        };
        let whole = self.tokenizer.post_process(first, second, special).map_err(failed)?;
        Ok(Encoded::of(&whole, count > most))
    }

    /// How many tokens are put around every text, or around two.
    fn around(&self, pair: bool) -> usize {
        self.tokenizer.get_post_processor().map_or(0, |p| p.added_tokens(pair))
    }

    /// The text of tokens, without special ones.
    ///
    /// # Errors
    /// [`Reason::Tokenizer`].
    pub fn decode(&self, ids: &[u32]) -> Result<String, Reason> {
        self.tokenizer.decode(ids, true).map_err(|e| Reason::Tokenizer(e.to_string()))
    }

    /// Whether a token is special: never part of what somebody wrote.
    #[must_use]
    pub fn is_special(&self, id: u32) -> bool {
        let added = self.tokenizer.get_added_tokens_decoder();
        added.get(&id).is_some_and(|token| token.special)
    }
}

impl Encoded {
    fn of(encoding: &Encoding, cut: bool) -> Self {
        let offsets = encoding.get_offsets().iter().map(|&(start, end)| start..end).collect();
        let (ids, types) = (encoding.get_ids().to_vec(), encoding.get_type_ids().to_vec());
        Self { ids, types, offsets, cut }
    }
}

/// The contents of a file; `None` where there is none.
fn bytes(path: &Path) -> Result<Option<Vec<u8>>, TokenizerError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenizerError::File { path: path.to_owned(), source }),
    }
}

fn json<T: DeserializeOwned + Default>(path: &Path) -> Result<T, TokenizerError> {
    let format = |e: serde_json::Error| TokenizerError::Format {
        path: path.to_owned(),
        reason: e.to_string(),
    };
    bytes(path)?.map_or_else(|| Ok(T::default()), |b| serde_json::from_slice(&b).map_err(format))
}

/// Special tokens of `tokenizer_config.json`, else of `special_tokens_map.json`.
fn config(folder: &Path) -> Result<Config, TokenizerError> {
    let config: Config = json(&folder.join("tokenizer_config.json"))?;
    let map: Config = json(&folder.join("special_tokens_map.json"))?;
    Ok(Config {
        chat_template: config.chat_template,
        bos_token: config.bos_token.or(map.bos_token),
        eos_token: config.eos_token.or(map.eos_token),
        pad_token: config.pad_token.or(map.pad_token),
        unk_token: config.unk_token.or(map.unk_token),
        sep_token: config.sep_token.or(map.sep_token),
        cls_token: config.cls_token.or(map.cls_token),
        mask_token: config.mask_token.or(map.mask_token),
    })
}

/// The template of this name: of `chat_template.jinja` and the files beside it, else of
/// `tokenizer_config.json`.
fn chat(folder: &Path, config: &Config, name: &str) -> Result<Option<Chat>, TokenizerError> {
    let default = folder.join("chat_template.jinja");
    let others = folder.join("additional_chat_templates");
    let path = if name == DEFAULT { default.clone() } else { others.join(format!("{name}.jinja")) };
    let (path, template) = match bytes(&path)? {
        Some(bytes) => (path, Some(String::from_utf8_lossy(&bytes).into_owned())),
        None if default.exists() => return Ok(None),
        None => (folder.join("tokenizer_config.json"), template_of(config, name)),
    };
    let Some(template) = template else { return Ok(None) };
    let tokens = [
        ("bos_token", &config.bos_token),
        ("eos_token", &config.eos_token),
        ("pad_token", &config.pad_token),
        ("unk_token", &config.unk_token),
        ("sep_token", &config.sep_token),
        ("cls_token", &config.cls_token),
        ("mask_token", &config.mask_token),
    ];
    let known = tokens.into_iter().filter_map(|(name, token)| {
        token.as_ref().map(|token| (name.to_owned(), Value::from(token.text())))
    });
    let format =
        |reason| TokenizerError::Format { path, reason: format!("chat template, {reason}") };
    Chat::new(&template, known.collect()).map(Some).map_err(format)
}

fn template_of(config: &Config, name: &str) -> Option<String> {
    match config.chat_template.as_ref()? {
        Templates::One(template) => (name == DEFAULT).then(|| template.clone()),
        Templates::Named(all) => all.iter().find(|n| n.name == name).map(|n| n.template.clone()),
    }
}
