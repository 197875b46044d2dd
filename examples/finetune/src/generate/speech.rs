//! Tokens as text while they come.

use crate::data::{Reason, Tokens};

/// Tokens before a text that decide how it begins: whether with a space.
const BEFORE: usize = 6;

/// The text of tokens that come one by one. A character that takes several tokens is told with its last.
#[derive(Clone, Debug)]
pub struct Speech<'t> {
    tokens: &'t Tokens,
    ids: Vec<u32>,
    /// Tokens from here on decide what is next.
    start: usize,
    /// Tokens up to here have been told.
    told: usize,
}

impl<'t> Speech<'t> {
    /// What follows a prompt.
    #[must_use]
    pub fn after(prompt: &[u32], tokens: &'t Tokens) -> Self {
        let ids = prompt.to_vec();
        Self { tokens, start: ids.len().saturating_sub(BEFORE), told: ids.len(), ids }
    }

    /// What there is to say after one more token.
    ///
    /// # Errors
    /// [`Reason::Tokenizer`].
    pub fn push(&mut self, token: u32) -> Result<String, Reason> {
        self.ids.push(token);
        self.next(false)
    }

    /// What is left: characters that never became whole.
    ///
    /// # Errors
    /// [`Reason::Tokenizer`].
    pub fn rest(&mut self) -> Result<String, Reason> {
        self.next(true)
    }

    fn next(&mut self, all: bool) -> Result<String, Reason> {
        let part = |from: usize, to: usize| self.ids.get(from..to).unwrap_or_default();
        let before = self.tokens.decode(part(self.start, self.told))?;
        let whole = self.tokens.decode(part(self.start, self.ids.len()))?;
        if !all && whole.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(String::new());
        }
        let new = whole.strip_prefix(before.as_str()).unwrap_or_default().to_owned();
        (self.start, self.told) = (self.told, self.ids.len());
        Ok(new)
    }
}
