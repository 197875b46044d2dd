use super::*;

const CHATML: &str = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + \
                      '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}\
                      {{ '<|im_start|>assistant\n' }}{% endif %}";

fn messages(turns: &[(&str, &str)]) -> Vec<Value> {
    let message = |&(role, content): &(&str, &str)| {
        Value::from_pairs([("role", Value::from(role)), ("content", Value::from(content))])
    };
    turns.iter().map(message).collect()
}

fn chat(template: &str) -> Chat {
    Chat::new(template, vec![("eos_token".to_owned(), Value::from("</s>"))]).unwrap()
}

/// What the assistant says, in the text that a template makes of these turns.
fn answers(template: &str, turns: &[(&str, &str)]) -> Result<Vec<(String, bool)>, Reason> {
    let rendered = chat(template).conversation(&messages(turns), &Value::UNDEFINED)?;
    let part = |a: &Answer| (rendered.text[a.bytes.clone()].to_owned(), a.open);
    Ok(rendered.answers.iter().map(part).collect())
}

fn both(first: (&str, bool), second: (&str, bool)) -> Result<Vec<(String, bool)>, Reason> {
    Ok([first, second].map(|(text, open)| (text.to_owned(), open)).to_vec())
}

const TURNS: [(&str, &str); 5] = [
    ("system", "s"),
    ("user", "hi"),
    ("assistant", " one "),
    ("user", "more"),
    ("assistant", "two"),
];

#[test]
fn answers_of_a_stable_template_are_between_prefixes() {
    assert_eq!(
        answers(CHATML, &TURNS),
        both((" one <|im_end|>\n", false), ("two<|im_end|>\n", false))
    );
}

#[test]
fn a_generation_tag_decides() {
    let template = "{% for m in messages %}\n{% if m.role == 'assistant' %}\n\
                    {%- generation -%}\n{{ m.content }}{{ eos_token }}{% endgeneration %}\n\
                    {% else %}\n[{{ m.content }}]{% endif %}{% endfor %}";
    assert_eq!(answers(template, &TURNS), both((" one </s>", false), ("two</s>", false)));
    let text = chat(template).render(&messages(&TURNS), &Value::UNDEFINED, false);
    assert_eq!(text.as_deref(), Ok("[s][hi] one </s>[more]two</s>"));
}

#[test]
fn a_template_that_is_not_stable_needs_marks() {
    let last = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}\
                {% if loop.last %}END{% endif %}{% endfor %}";
    assert_eq!(answers(last, &TURNS), both(("one", true), ("twoEND", false)));
    let thoughts = "{% for m in messages %}<{{ m.role }}>{% if loop.last %}{{ m.content }}{% else %}\
                    {{ m.content.split('/')[-1] }}{% endif %}.{% endfor %}\
                    {% if add_generation_prompt %}<assistant>{% endif %}";
    let turns =
        [("user", "hi"), ("assistant", "hm/one"), ("user", "more"), ("assistant", "hm/two")];
    assert_eq!(answers(thoughts, &turns), both(("one", true), ("hm/two.", false)));
    let kept = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}\
                {% if add_generation_prompt %}<assistant>{% else %}END{% endif %}";
    assert_eq!(answers(kept, &TURNS), both((" one ", true), ("two</s>END", false)));
    let count = last.replace("{{ m.content | trim }}", "{{ m.content }}{{ m.content | length }}");
    assert_eq!(answers(&count, &TURNS), Err(Reason::Place { message: 2 }));
}

#[test]
fn templates_speak_python() {
    let render =
        |template: &str| chat(template).render(&messages(&TURNS), &Value::UNDEFINED, false);
    let cases = [
        ("{{ messages[1:] | length }} {{ messages[-1]['content'].upper() }}", "4 TWO"),
        ("{{ true }} {{ none }} {{ tools is none }}", "True None True"),
        ("{{ tools is iterable }} {{ 'a' is iterable }} {{ 1 is iterable }}", "False True False"),
        ("{{ 'a' is sequence }} {{ {} is sequence }} {{ none is sequence }}", "True True False"),
        (
            "{{ {'b': 1e-5, 'a': 'é'} | tojson(sort_keys=true) }} {{ 1e16 }}",
            "{\"a\": \"é\", \"b\": 1e-05} 1e+16",
        ),
        (
            "{{ [1] | tojson(indent=1) }}{{ [1, 2] | tojson(separators=(',', ':')) }}",
            "[\n 1\n][1,2]",
        ),
        (
            "{{ {'a': '<x>', 'b': [1, 2.5, true]} | tojson }}",
            r#"{"a": "<x>", "b": [1, 2.5, true]}"#,
        ),
        (
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% if loop.first %}{% continue %}\
          {% endif %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            "4",
        ),
        ("{{ missing }}|{{ messages[0].get('x', 'd') }}", "|d"),
        ("a\n  {% if true %}\nb\n  {% endif %}\nc\n", "a\nb\nc"),
    ];
    for (template, expected) in cases {
        assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn parts_of_a_content_are_found() {
    let template = "{% for m in messages %}<{{ m.role }}>{% for part in m.content %}{{ part.text }}\
                    {% endfor %}{% if loop.last %}END{% endif %}{% endfor %}";
    let line = r#"[{"role": "user", "content": [{"type": "text", "text": "zero"}]},
                   {"role": "assistant", "content": [{"type": "text", "text": "one"}]},
                   {"role": "user", "content": [{"type": "text", "text": "two"}]}]"#;
    let messages: Vec<Value> = serde_json::from_str(line).unwrap();
    let rendered = chat(template).conversation(&messages, &Value::UNDEFINED).unwrap();
    assert_eq!(rendered.text, "<user>zero<assistant>one<user>twoEND");
    assert_eq!(rendered.answers, [Answer { bytes: 21..24, open: true }]);
}

#[test]
fn what_a_template_raises_is_its_own_words() {
    let template =
        "{% if messages[0].role != 'user' %}{{ raise_exception('first the user!') }}{% endif %}";
    let refused = chat(template).render(&messages(&TURNS), &Value::UNDEFINED, false);
    let Err(Reason::Template(text)) = refused else { panic!("{refused:?}") };
    assert!(text.starts_with("first the user!"), "{text}");
    assert!(Chat::new("{% if %}", Vec::new()).unwrap_err().contains("line 1"));
}
