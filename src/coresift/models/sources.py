"""Where a model is: a local folder or a Hub id, told apart before anything slow happens."""

import functools
from dataclasses import dataclass
from pathlib import Path

from coresift import fingerprints
from coresift.errors import ModelError

WORLD = "world"
"""Accepted wherever a pool or a model is named: the embedded one, which ships with the package."""
EMBEDDED = Path(__file__).parents[1] / "world" / "model"
"""Its folder."""
PROBE_SECONDS = 5.0
"""How long the Hub may take to answer before it counts as unreachable."""
PATTERNS = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*",
    "tekken.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "vocab*",
    "merges.txt",
)
"""The files of a model folder that decide what it computes: weights, configuration, tokenizer and chat template."""


TOKENIZER_PATTERNS = (
    *("config.json", "tokenizer*", "tekken.json", "special_tokens_map.json", "added_tokens.json"),
    *("chat_template*", "vocab*", "merges.txt"),
)
"""The files among them that decide how text becomes tokens."""
RENDERING = "3"
"""Changes when the same tokenizer and template give other tokens or masks."""


@dataclass(frozen=True)
class Source:
    """A place to load from.

    Attributes:
        name: A folder that exists, or a Hub id; `world` has become the folder of the embedded model.
        local: Whether the network must not be used: a folder, or a Hub id that is cached while the Hub is unreachable.
    """

    name: str
    local: bool


def find(name: str | Path) -> Source:
    """Tell a folder from a Hub id, and find out quickly whether a Hub id can be had.

    Raises:
        ModelError: If a path does not exist or holds no model, or the Hub does not have the id or cannot be reached.
    """
    path = EMBEDDED if str(name) == WORLD else Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(f"{name}: no config.json in this folder. Name a folder in the Hugging Face model layout.")
        return Source(str(path), local=True)
    if path.exists():
        raise ModelError(f"{name} is a file. Name the folder that holds config.json and the *.safetensors weights.")
    if looks_like_path(str(name)):
        raise ModelError(f"{name}: no such folder. Name an existing model folder or a Hub id such as owner/model.")
    return _probe(str(name))


def looks_like_path(name: str) -> bool:
    """Whether `name` cannot be a Hub id, which is `model` or `owner/model`."""
    return name.startswith((".", "~", "/")) or "\\" in name or name.endswith("/") or name.count("/") > 1 or name == ""


@functools.cache
def _probe(name: str) -> Source:
    """Ask the Hub once, without the retries that the download functions make."""
    from huggingface_hub import constants, get_session
    from huggingface_hub.utils import HFValidationError, build_hf_headers, validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ModelError(f"{name!r} is neither a folder nor a valid Hub id ({error}).") from None
    if constants.HF_HUB_OFFLINE:
        return _from_cache(name, "offline mode is set (HF_HUB_OFFLINE)")
    url = f"{constants.ENDPOINT}/{name}/resolve/main/config.json"
    try:
        status = get_session().head(url, headers=build_hf_headers(), timeout=PROBE_SECONDS).status_code
    except Exception as error:  # noqa: BLE001  the class depends on the HTTP library huggingface_hub is built on
        return _from_cache(name, f"the Hub cannot be reached ({type(error).__name__})")
    if status in (401, 403):
        raise ModelError(f"{name}: the Hub has no such model, or it is gated. Check the id, or run `hf auth login`.")
    if status == 404:
        raise ModelError(f"{name}: the Hub has no model with a config.json under this id. Check the spelling.")
    return Source(name, local=False)


def _from_cache(name: str, reason: str) -> Source:
    from huggingface_hub import try_to_load_from_cache

    if isinstance(try_to_load_from_cache(name, "config.json"), str):
        return Source(name, local=True)
    raise ModelError(
        f"{name}: no folder of this name, {reason}, and the model is not in the local cache. "
        "Give the path of a model folder, or download the model first on a machine with network."
    )


def model_fingerprint(name: str | Path) -> str:
    """Fingerprint of everything about a model that changes what it computes on a pool.

    A local folder: names and contents of weights, configuration, tokenizer and chat template. A Hub id: the id and the
    commit it stands for.

    Raises:
        ModelError: As `find`.
    """
    source = find(name)
    folder = Path(source.name)
    if folder.is_dir():
        files = sorted({path for pattern in PATTERNS for path in folder.glob(pattern) if path.is_file()})
        return fingerprints.of_json([[path.name, _hash(path, *_stamp(path))] for path in files])
    return fingerprints.of_json([source.name, _commit(source)])


def rendering_identity(name: str | Path, template: str | None) -> dict[str, str]:
    """Everything about a model that decides which tokens a conversation becomes, its weights left out.

    Args:
        name: Model folder or Hub id.
        template: As `model.template`; the content of a file counts, not its name.

    Raises:
        ModelError: As `find`.
    """
    import tokenizers
    import transformers

    source = find(name)
    folder = Path(source.name)
    if folder.is_dir():
        kept = sorted({path for pattern in TOKENIZER_PATTERNS for path in folder.glob(pattern) if path.is_file()})
        tokenizer = fingerprints.of_json([[path.name, _hash(path, *_stamp(path))] for path in kept])
    else:
        tokenizer = fingerprints.of_json([source.name, _commit(source)])
    own = Path(template).expanduser() if template else None
    shown = own.read_text(encoding="utf-8") if own is not None and own.is_file() else template or ""
    versions = f"{transformers.__version__}, {tokenizers.__version__}"
    return {"tokenizer": tokenizer, "template": shown, "libraries": versions, "rendering": RENDERING}


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@functools.lru_cache(maxsize=4096)
def _hash(path: Path, size: int, changed: int) -> str:
    """Content hash, remembered while size and time of change stay: large weights are read once per process."""
    return fingerprints.of_file(path)


def _commit(source: Source) -> str:
    """The commit of a Hub model: the folder name of its snapshot in the cache."""
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(source.name, "config.json", local_files_only=source.local)).parent.name
