#!/usr/bin/env bash
# transformers 5.23.0 and mistral-common 1.13.1: a model folder with tokenizer.json, a chat template and tekken.json.
#
# A good guess: AutoTokenizer reads the folder; which other packages are installed does not decide what it makes of it, and
# a conversation that ends with an answer, which every training row is, can be rendered with the folder's chat template.
# Seen: as soon as mistral-common is installed, AutoTokenizer takes tekken.json and makes another class of it. That class
# knows no chat_template, its added_tokens_decoder is a method where all others have a property, and apply_chat_template
# refuses a conversation that ends with an answer. `mistral_format=False` gives the folder's own tokenizer back. For that
# one, made from tekken.json, transformers warns of incorrect tokenization, yet its tokens are those of mistral-common.
# Exits 0 while this is so, 1 when it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q transformers==5.23.0 tokenizers==0.23.3 jinja2 mistral-common==1.13.1 pillow
cat >"$folder/try.py" <<'PY'
import logging
import shutil
import sys
from pathlib import Path

import mistral_common
import transformers
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from transformers import AutoTokenizer

model = Path(sys.argv[1]) / "model"
model.mkdir()
data = Path(mistral_common.__file__).parent / "data" / "tekken_240911.json"
shutil.copy(data, model / "tekken.json")
(model / "config.json").write_text('{"model_type": "mistral"}')
warned: list[str] = []
handler = logging.Handler()
handler.emit = lambda record: warned.append(record.getMessage())
logging.getLogger("transformers").addHandler(handler)
own = AutoTokenizer.from_pretrained(model, mistral_format=False)
own.chat_template = "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
own.save_pretrained(model)
turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "He."}]
print("transformers", transformers.__version__, "mistral-common", mistral_common.__version__)
print("files:", *sorted(path.name for path in model.iterdir()))
found = AutoTokenizer.from_pretrained(model)
print("class:", type(found).__name__, "| with mistral_format=False:", type(own).__name__)
print("chat_template:", found.chat_template, "| added_tokens_decoder is", type(found.added_tokens_decoder).__name__)
try:
    found.apply_chat_template(turns, tokenize=False)
    refused = False
except Exception as error:
    refused = True
    print("a conversation that ends with an answer:", type(error).__name__, str(error).splitlines()[0])
print("with mistral_format=False:", repr(own.apply_chat_template(turns, tokenize=False)))
texts = ["it's 1234567 HELLO wOrld don't", "(foo)__bar\n\n\nfoo \u00e9\u4e2d\u6587", "    return 1", "a/b\\c//d\r\n x"]
reference = Tekkenizer.from_file(data)
same = all(own(text, add_special_tokens=False)["input_ids"] == reference.encode(text, bos=False, eos=False) for text in texts)
told = any("incorrect" in line for line in warned)
print("warned of incorrect tokenization:", told, "| tokens are mistral-common's:", same)
sys.exit(0 if found.chat_template is None and refused and same else 1)
PY
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/try.py" "$folder" 2>/dev/null
