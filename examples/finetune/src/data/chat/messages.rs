//! Messages as templates get them from transformers.

use minijinja::Value;

/// The names that the reasoning before an answer goes by; templates read the first two.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// A message without the keys that stand for nothing, and its reasoning under the names that templates
/// look for.
pub(super) fn prepared(message: &Value) -> Value {
    let mut pairs = pairs(message);
    let find = |name: &&str| pairs.iter().find(|(key, _)| key.as_str() == Some(*name));
    if let Some(reasoning) = REASONING.iter().find_map(find).map(|pair| pair.1.clone()) {
        set(&mut pairs, "reasoning_content", |_| reasoning.clone());
        set(&mut pairs, "thinking", |old| old.unwrap_or(reasoning.clone()));
    }
    Value::from_pairs(pairs)
}

/// Keys and values, where there is a value.
pub(super) fn pairs(map: &Value) -> Vec<(Value, Value)> {
    let keys = map.try_iter().into_iter().flatten();
    let pairs = keys.map(|key| {
        let value = map.get_item(&key).unwrap_or_default();
        (key, value)
    });
    pairs.filter(|(_, value)| !value.is_none()).collect()
}

fn set(pairs: &mut Vec<(Value, Value)>, name: &str, new: impl Fn(Option<Value>) -> Value) {
    match pairs.iter_mut().find(|(key, _)| key.as_str() == Some(name)) {
        Some((_, value)) => *value = new(Some(value.clone())),
        None => pairs.push((Value::from(name), new(None))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare(json: &str) -> String {
        prepared(&serde_json::from_str::<Value>(json).unwrap()).to_string()
    }

    #[test]
    fn what_is_null_is_not_there() {
        let message = r#"{"role": "user", "content": null, "x": "y"}"#;
        assert_eq!(prepare(message), "{'role': 'user', 'x': 'y'}");
    }

    #[test]
    fn reasoning_has_the_names_that_templates_read() {
        let both = |r: &str, t: &str| format!("{{'reasoning_content': '{r}', 'thinking': '{t}'}}");
        assert_eq!(prepare(r#"{"reasoning_content": "a"}"#), both("a", "a"));
        assert_eq!(prepare(r#"{"reasoning_content": "a", "thinking": "b"}"#), both("a", "b"));
        let old = "{'reasoning': 'c', 'reasoning_content': 'c', 'thinking': 'c'}";
        assert_eq!(prepare(r#"{"reasoning": "c", "reasoning_content": null}"#), old);
    }
}
