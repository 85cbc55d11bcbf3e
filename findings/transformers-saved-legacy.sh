#!/usr/bin/env bash
# transformers 5.23.0: a Llama tokenizer with "legacy": true in its tokenizer_config.json, loaded and saved.
#
# A good guess: the saved folder tokenises as the one it came from; from_pretrained and save_pretrained are a round trip.
# Seen: save_pretrained does not write "legacy". On loading, the class makes its own rules for spaces from that setting, so
# after a special token the saved tokenizer puts no space where the first one does. A model that was trained with one and
# is served with the other gets other tokens than it was trained on.
# Exits 0 while this is so, 1 when it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q transformers==5.23.0 tokenizers==0.23.3 jinja2
cat >"$folder/try.py" <<'PY'
import json
import sys
from pathlib import Path

import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models

folder = Path(sys.argv[1])
base, saved = folder / "base", folder / "saved"
base.mkdir()
pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *map(chr, range(33, 127))]
vocab = {piece: place for place, piece in enumerate(pieces)}
tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>", byte_fallback=True))
tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in pieces[:3]])
tokenizer.save(str(base / "tokenizer.json"))
config = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "legacy": True}
(base / "tokenizer_config.json").write_text(json.dumps(config))
(base / "config.json").write_text('{"model_type": "llama"}')
first = transformers.AutoTokenizer.from_pretrained(base)
first.save_pretrained(saved)
(saved / "config.json").write_text('{"model_type": "llama"}')
again = transformers.AutoTokenizer.from_pretrained(saved)
shown = [made.tokenize("yes</s>no") for made in (first, again)]
print("transformers", transformers.__version__)
print("tokenizer_config.json has legacy: base True, saved", "legacy" in json.loads((saved / "tokenizer_config.json").read_text()))
print("base: ", shown[0])
print("saved:", shown[1])
sys.exit(0 if shown[0] != shown[1] else 1)
PY
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/try.py" "$folder" 2>/dev/null
