"""Chat templates as transformers renders them, and tiny tokenizers.

    python chat.py            write chat.json and the folder `tokenizer` beside this script
    python chat.py --check    regenerate them elsewhere and compare byte for byte

chat.json
    bos_token  eos_token   what the templates are given
    templates              source by name, see templates.py
    conversations          by name: lists of {role, content}
    cases                  each with the names `template` and `conversation`, whether
                           `add_generation_prompt`, `variables` (what else the template gets), and
                           either `text`, as rendered, and `ids`, its tokens in
                           tokenizer/tokenizer.json without any added by the tokenizer; or
                           `error`, the message with which the template refuses

tokenizer/: a byte-level BPE tokenizer of 320 tokens and a tiny Llama that reads them (2 layers,
random weights, f32), so that the folder is a whole model. tokenizer_config.json holds the chat
template `chatml`. The tokenizer puts <s> before a text, but nothing into a rendered conversation.
tokenizer/jinja/: what differs if the template is in a file of its own: tokenizer_config.json
without one, and chat_template.jinja, `zephyr`.
tokenizer/named/: tokenizer_config.json with a list of named templates, of which `default` (it is
`llama3`) is meant, and with special tokens written as objects.
tokenizer/wordpiece/: tokenizer.json as BERT has it (lower case, [CLS] and [SEP]), of 83 tokens, as
many as models/bert has. Digits have no continuation, so that 99 is unknown.

tokenizer/encodings.json
    bpe         of tokenizer/: each with `text`, `ids` (with <s>), `plain` (without) and
                `decoded` (of `ids`, special tokens left out)
    wordpiece   each with `text`, `pair` (or null), `ids`, `token_type_ids`
    rendered    by variant (config, jinja, named): `text`, of the conversation `turns` with
                add_generation_prompt, with the template that transformers finds there
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import make as golden  # before PyTorch: it sets its environment

import json
import shutil
import string
import tempfile
from pathlib import Path

import torch
from jinja2.exceptions import TemplateError
from templates import TEMPLATES
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

BOS, EOS, PAD = "<s>", "</s>", "<pad>"
SPECIAL = [PAD, BOS, EOS, "<|im_start|>", "<|im_end|>"]

CORPUS = [
    "A weight is split into a magnitude and a direction, and only the direction is of low rank.",
    "The magnitude of a row is one number; the direction of a row is all the others.",
    "What is the capital of France? The capital of France is Paris.",
    "Two and two are four, three and three are six, and ten is ten.",
    "The adapter is trained, the base model is frozen, and both are merged in the end.",
    "You answer briefly. The answer is short. system user assistant",
]

CONVERSATIONS = {
    "question": [("user", "What is the capital of France?")],
    "answered": [("user", "Two and two?"), ("assistant", "Four.")],
    "system": [("system", "Be kind."), ("user", "Hello"), ("assistant", "Hello to you.")],
    "turns": [
        ("system", "You count."),
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
    ],
    "spaces": [("user", "  Line one\n\tline two  \n"), ("assistant", "\n\n  Fine. \n")],
    "unicode": [("user", "Größe in µm? 日本語 🙂"), ("assistant", "\"7 µm\" & <b>'wide'</b>")],
    "markup": [("user", "{{ messages }} {% raw %}<|im_end|>"), ("assistant", "{# no #}")],
    "thought": [
        ("user", "Ten?"),
        ("assistant", "<think>\nIt is ten.\n</think>\n\nTen."),
        ("user", "Six?"),
        ("assistant", "<think>\nIt is six.\n</think>\n\nSix."),
    ],
    "twice": [("user", "one"), ("user", "two")],
    "empty": [("user", ""), ("assistant", "")],
}

TOOLS = [{"type": "function", "function": {"name": "größe", "parameters": {"a": 1, "b": "<x>'y'"}}}]
VARIABLES = [
    ("llama31", "system", {"date_string": "01 Jan 2030"}),
    ("chatml_long", "question", {"enable_thinking": False}),
    ("chatml_long", "system", {"tools": TOOLS}),
]

TEXTS = [
    "The magnitude of a row is one number.",
    "  two  spaces,\n\nlines\tand tabs ",
    "Größe in µm? 日本語 🙂",
    "<|im_start|>user\nHello<|im_end|>\n",
    "</s> and <s> within, 1234567890",
    "don't can't we'll",
    "",
]

PAIRS = [
    ("The magnitude of a row", None),
    ("Is PARIS the capital?", "The capital of France is Paris."),
    ("Größe, naïve", None),
    ("two, two; (two)", "xyz 99"),
    ("", None),
]


def messages(name: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in CONVERSATIONS[name]]


# Tokenizers


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A",
        pair=f"{BOS} $A {BOS} $B:1",
        special_tokens=[(BOS, tokenizer.token_to_id(BOS))],
    )
    return tokenizer


def wordpiece() -> Tokenizer:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = list(string.ascii_lowercase)
    words = ["the", "is", "of", "row", "two", "and", "capital", "paris", "##ing", "##de"]
    pieces = special + letters + [f"##{a}" for a in letters] + list(",.;?()0123456789") + words
    vocabulary = {piece: id for id, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def as_object(token: str) -> dict:
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return {"__type": "AddedToken", "content": token, **flags, "special": True}


def tokenizer_config(special=str, **template) -> dict:
    tokens = {"bos_token": BOS, "eos_token": EOS, "pad_token": PAD}
    shared = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 256}
    shared["clean_up_tokenization_spaces"] = False
    return shared | {name: special(token) for name, token in tokens.items()} | template


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_variants(folder: Path) -> None:
    named = [{"name": "tool_use", "template": "{{ raise_exception('Not this one') }}"}]
    named.append({"name": "default", "template": TEMPLATES["llama3"]})
    config = "tokenizer_config.json"
    write_json(folder / config, tokenizer_config(chat_template=TEMPLATES["chatml"]))
    write_json(folder / "jinja" / config, tokenizer_config())
    (folder / "jinja" / "chat_template.jinja").write_text(TEMPLATES["zephyr"])
    write_json(folder / "named" / config, tokenizer_config(as_object, chat_template=named))


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path), pretty=False)


def save_model(folder: Path) -> None:
    torch.manual_seed(400)
    config = LlamaConfig(
        vocab_size=320, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        tie_word_embeddings=True, initializer_range=0.2, bos_token_id=1, eos_token_id=2,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


# Goldens


def opened(folder: Path, variant: str) -> PreTrainedTokenizerFast:
    """The tokenizer that transformers makes of a variant's files."""
    source = folder / ("" if variant == "config" else variant)
    with tempfile.TemporaryDirectory() as whole:
        shutil.copy(folder / "tokenizer.json", whole)
        for file in source.iterdir():
            if file.is_file():
                shutil.copy(file, whole)
        return AutoTokenizer.from_pretrained(whole)


def render(tokenizer: PreTrainedTokenizerFast, case: dict) -> dict:
    options = {"chat_template": TEMPLATES[case["template"]]} | case["variables"]
    options["add_generation_prompt"] = case["add_generation_prompt"]
    conversation = messages(case["conversation"])
    try:
        text = tokenizer.apply_chat_template(conversation, tokenize=False, **options)
    except TemplateError as error:
        return case | {"error": str(error)}
    ids = tokenizer.apply_chat_template(conversation, tokenize=True, return_dict=False, **options)
    assert ids == tokenizer(text, add_special_tokens=False)["input_ids"]
    return case | {"text": text, "ids": ids}


def cases() -> list[dict]:
    named = ("template", "conversation", "add_generation_prompt", "variables")
    pairs = [(t, c) for t in TEMPLATES for c in CONVERSATIONS]
    plain = [(*pair, prompt, {}) for pair in pairs for prompt in (False, True)]
    further = [(template, conversation, True, given) for template, conversation, given in VARIABLES]
    return [dict(zip(named, values)) for values in plain + further]


def bpe_encoding(tokenizer: PreTrainedTokenizerFast, text: str) -> dict:
    ids = tokenizer(text)["input_ids"]
    plain = tokenizer(text, add_special_tokens=False)["input_ids"]
    decoded = tokenizer.decode(ids, skip_special_tokens=True)
    return {"text": text, "ids": ids, "plain": plain, "decoded": decoded}


def pair_encoding(tokenizer: Tokenizer, text: str, pair: str | None) -> dict:
    made = tokenizer.encode(text, pair)
    return {"text": text, "pair": pair, "ids": made.ids, "token_type_ids": made.type_ids}


def rendered(folder: Path, variant: str) -> str:
    options = {"tokenize": False, "add_generation_prompt": True}
    return opened(folder, variant).apply_chat_template(messages("turns"), **options)


def encodings(folder: Path, tokenizer: PreTrainedTokenizerFast) -> dict:
    pieces = Tokenizer.from_file(str(folder / "wordpiece" / "tokenizer.json"))
    variants = ("config", "jinja", "named")
    return {
        "bpe": [bpe_encoding(tokenizer, text) for text in TEXTS],
        "wordpiece": [pair_encoding(pieces, *texts) for texts in PAIRS],
        "rendered": {variant: rendered(folder, variant) for variant in variants},
    }


def write_chat(path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """JSON with a line for each case."""
    chat = {"bos_token": BOS, "eos_token": EOS, "templates": TEMPLATES}
    chat["conversations"] = {name: messages(name) for name in CONVERSATIONS}
    lines = [json.dumps(render(tokenizer, case), ensure_ascii=False) for case in cases()]
    head = json.dumps(chat, indent=1, ensure_ascii=False).removesuffix("\n}")
    path.write_text(head + ',\n "cases": [\n' + ",\n".join(lines) + "\n ]\n}\n")


def make(into: Path) -> None:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder = into / "tokenizer"
    save_tokenizer(byte_level(), folder / "tokenizer.json")
    save_tokenizer(wordpiece(), folder / "wordpiece" / "tokenizer.json")
    write_variants(folder)
    save_model(folder)
    tokenizer = opened(folder, "config")
    assert (tokenizer.bos_token, tokenizer.eos_token) == (BOS, EOS)
    write_json(folder / "encodings.json", encodings(folder, tokenizer))
    write_chat(into / "chat.json", tokenizer)


if __name__ == "__main__":
    golden.main(make)
