"""The one file that touches transformers: loads a causal language model, tokenises, finds its decoder blocks.

The rest of the program sees `LanguageModel`: a few methods on token ids and tensors, whatever the architecture.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import logging
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoTokenizer
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer, StaticLayer

from core.errors import ModelError
from core.model import placement
from core.model.adapters import with_adapter

# Named here too, for whoever has a model in hand.
from core.model.blocks import find_blocks as find_blocks
from core.model.blocks import find_decoder, fingerprint
from core.model.blocks import hidden_of as hidden_of
from core.model.blocks import with_hidden as with_hidden
from core.model.building import held_to
from core.model.checkpoint_files import check_files, keep_notes, kept_notes, tensor_names, weight_bytes, wrapper_names
from core.model.claims import check_claims, check_memory
from core.model.decoding import checked
from core.model.forwards import Forwards
from core.model.gguf_header import check_header
from core.model.gguf_tensors import surplus_tensors
from core.model.loader_failures import readable_failures
from core.model.offloading import execution_device
from core.model.quantising import check_runs, quantiser
from core.model.rendering import warm_up
from core.model.small_batch_linear import thin
from core.model.source import adapter_name
from core.model.store import Progress, bar_class
from core.model.text_alone import check_text_alone
from core.model.tokenizer_files import has_tokenizer, load_tokenizer
from core.model.tokens import Tokens
from core.model.weights_report import WeightsReport
from vectors.vector import ModelStamp

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class LanguageModel(Tokens, Forwards):
    """A causal language model in eval mode, its weights frozen, with its decoder blocks at hand.

    What it does with text is in tokens.py, how it is run in forwards.py.

    `blocks[i]` is decoder block i (0-based); "block i, output" is the residual stream after it, [batch, tokens, d_model].
    """

    def __init__(self, model: Any, tokenizer: Any, name: str, revision: str = "", adapter: str = "") -> None:
        self.model = model.eval().requires_grad_(False)
        # cuDNN's attention makes a plan for every new length, which takes longer than the token that it is made for.
        torch.backends.cuda.enable_cudnn_sdp(False)
        thin(self.model)
        self.tokenizer = tokenizer
        self.config = model.config.get_text_config(decoder=True)
        self._decoder, self.blocks = find_decoder(model)
        self.d_model = int(self.config.hidden_size)
        self.stamp = ModelStamp(name, self.d_model, len(self.blocks), fingerprint(model), revision, adapter)
        embedding = model.get_input_embeddings()
        self.device: torch.device = execution_device(embedding, embedding.weight)
        self.dtype: torch.dtype = model.get_input_embeddings().weight.dtype
        self._offloaded: tempfile.TemporaryDirectory[str] | None = None
        self._takes = inspect.signature(model.forward).parameters.keys()
        # The decoder's own forward may take what that of the model around it does not name.
        taken = {*self._takes, *inspect.signature(self._decoder.forward).parameters}
        self._without_cache = {"use_cache": False} if "use_cache" in taken else {}
        self.decoding = checked(self)
        # Decode steps of fixed shape (core/steering/decode_step.py), seen by use to give what a growing cache gives, or not.
        self.fixed_shapes: OrderedDict[Any, Any] = OrderedDict()
        self.bears_fixed_shape: bool | None = None
        # What a user should know about how it was loaded and is run.
        self.notes = [f"{name}: {self.decoding.note}"] if self.decoding.note else []

    @classmethod
    def load(
        cls,
        folder: Path,
        name: str,
        *,
        dtype: str = "auto",
        device: str = "auto",
        device_map: str | None = None,
        max_memory: str | None = None,
        quantise: str | None = None,
        adapter: Path | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
        progress: Progress = lambda stage, fraction: None,
    ) -> LanguageModel:
        """Loads the model in `folder`. A folder without a tokenizer works with token ids alone. Raises ModelError.

        What of the folder is not as it should be, and harms nothing, is in the result's `notes`.
        """
        spread = device_map or ("auto" if max_memory else None)
        place = pick_device(device) if spread is None else None
        chosen = _DTYPES.get(dtype) or (torch.float32 if place == "cpu" else "auto")
        if has_tokenizer(folder):
            warm_up()
        progress("reading the weights", None)
        options: dict[str, Any] = {"dtype": chosen}
        offloaded = None
        if spread is not None:
            # What fits on no device waits on disk; safetensors files are read from where they are.
            offloaded = tempfile.TemporaryDirectory(prefix="melbo-tui-offload-")
            limits = placement.max_memory(max_memory, torch.cuda.device_count()) if max_memory else None
            options |= {"device_map": placement.device_map(spread), "offload_folder": offloaded.name, "max_memory": limits}
        if quantise is not None:
            options |= {
                "device_map": options.get("device_map", {"": place}),
                "quantization_config": quantiser(transformers.BitsAndBytesConfig, quantise, chosen),
            }
        check_claims(folder)
        if place == "cpu" and quantise is None:
            check_memory(name, folder, 4 if chosen == torch.float32 else 2)
        with readable_failures(folder.name), _progress_to(progress):
            with held_to(folder.name, weight_bytes(folder), lambda: progress("reading the weights", None)):
                model, notes = _from_folder(folder, trust_remote_code, **options)
            if quantise is not None:
                check_runs(model, folder.name)
            if adapter is not None:
                progress(f"putting on the adapter {adapter_name(adapter)}", None)
                model, more = with_adapter(model, adapter, merge=not getattr(model, "is_quantized", False))
                notes += more
            if place is not None and not (getattr(model, "is_quantized", False) and model.device.type == place.split(":")[0]):
                model = model.to(place)
            loaded = cls(
                model,
                load_tokenizer(AutoTokenizer, folder, adapter, trust_remote_code),
                name,
                revision or "",
                adapter_name(adapter),
            )
            # Quantised, or cast to float16, the numbers tell no longer which weights they were.
            if adapter is None and (quantise is not None or chosen == torch.float16):
                loaded.stamp = replace(loaded.stamp, fingerprint=_fingerprint_in(folder, trust_remote_code))
            loaded.notes += notes
            loaded._offloaded = offloaded  # goes with the model
            return loaded

    def fixed_cache(self, cache: Any, rows: Any, held: int, tokens: int) -> Any:
        """A cache of fixed shape for `tokens` tokens, with the `held` tokens of `rows` of `cache` in it.

        None where the cache is of a kind that has no such form.
        """
        layers = getattr(cache, "layers", None)
        if not layers or type(cache) not in (Cache, DynamicCache):
            return None
        for layer in layers:
            windowed = type(layer) is DynamicSlidingWindowLayer and tokens <= layer.sliding_window
            if not (windowed or type(layer) in (DynamicLayer, StaticLayer)) or not layer.is_initialized:
                return None
        fixed = Cache(layers=[StaticLayer(max_cache_len=tokens) for _ in layers])
        self.fill_cache(fixed, cache, rows, held)
        return fixed


def pick_device(device: str) -> str:
    """`device`, or the best there is for `auto`. Raises ModelError when the asked-for one is missing."""
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if here[name])
    if not here.get(device.split(":")[0], False):
        raise ModelError(f"there is no {device} device on this machine", f"use one of: {', '.join(d for d in here if here[d])}")
    return device


def read_config(folder: Path, trust_remote_code: bool = False) -> Any:
    """The config of the model in `folder`; no weights are read. Raises ModelError."""
    check_claims(folder)
    with readable_failures(folder.name):
        return AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)


def convert_gguf(gguf: Path, folder: Path, progress: Progress) -> None:
    """Writes the model and tokenizer of a GGUF file to `folder` as a float32 Hugging Face model. Raises ModelError."""
    check_header(gguf)
    building = held_to(gguf.name, gguf.stat().st_size, lambda: progress("dequantising the weights", None))
    with readable_failures(gguf.name), _progress_to(progress, is_gguf=True), building:
        progress("building the tokenizer", None)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        progress("dequantising the weights", 0.0)
        loaded, info = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
        )
        report = WeightsReport.of(gguf.name, loaded, info)
        notes = replace(report, unexpected=surplus_tensors(gguf, report.trained, report.n_blocks)).check()
        config = copy.deepcopy(loaded.config)
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        # A model loaded from GGUF refuses to be saved, so its weights go into a fresh one.
        with torch.device("meta"):
            model = type(loaded)(config)
        model.load_state_dict(loaded.state_dict(), assign=True)
        model.tie_weights()
        progress("saving the converted model", None)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        keep_notes(folder, notes)


def outline(folder: Path, adapter: Path | None, trust_remote_code: bool) -> tuple[Any, Any, list[str]]:
    """The model in `folder` on the meta device, its tokenizer, and notes on its weights, of which none is read.

    Raises ModelError where `load` would.
    """
    check_claims(folder)
    with readable_failures(folder.name), _progress_to(lambda stage, fraction: None), held_to(folder.name, weight_bytes(folder)):
        model, notes = _from_folder(folder, trust_remote_code, device_map={"": "meta"})
        return model, load_tokenizer(AutoTokenizer, folder, adapter, trust_remote_code), notes


def _from_folder(folder: Path, trust_remote_code: bool, **options: Any) -> tuple[Any, list[str]]:
    """The model in `folder` with every weight of its checkpoint in place, and notes on weights that are not used."""
    options |= {"trust_remote_code": trust_remote_code, "output_loading_info": True, "ignore_mismatched_sizes": True}
    traces = wrapper_names(tensor_names(folder))
    if traces:
        options["key_mapping"] = traces
    for auto in (AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMultimodalLM):
        try:
            model, info = auto.from_pretrained(folder, **options)
            break
        except Exception as error:
            # Models with eyes or ears beside their decoder are of another class of transformers'.
            if "Unrecognized configuration class" not in str(error):
                check_files(folder)  # says which file is absent, where one is
                raise
            unknown = error
    else:
        raise unknown
    notes = kept_notes(folder) + WeightsReport.of(folder.name, model, info).check()
    if auto is not AutoModelForCausalLM and not any(p.is_meta for p in model.parameters()):
        check_text_alone(model, folder.name)
    return model, notes


def _fingerprint_in(folder: Path, trust_remote_code: bool) -> str:
    """The fingerprint of the weights as they lie in `folder`; a few rows of each are read."""
    with tempfile.TemporaryDirectory(prefix="melbo-tui-offload-") as aside:
        return fingerprint(_from_folder(folder, trust_remote_code, device_map={"": "disk"}, offload_folder=aside)[0])


@contextmanager
def _progress_to(progress: Progress, is_gguf: bool = False) -> Iterator[None]:
    """Sends the loaders' progress bars to `progress` for the time, and keeps their warnings off the terminal."""
    gguf_module = importlib.import_module("transformers.modeling_gguf_pytorch_utils") if is_gguf else None
    previous_bar = getattr(gguf_module, "tqdm", None)
    previous_level = transformers.logging.get_verbosity()
    set_hook = getattr(transformers.utils.logging, "set_tqdm_hook", None)  # absent before 5.20 or so
    previous_hook = (
        set_hook(lambda factory, args, kw: bar_class("reading the weights", progress)(*args, **kw)) if set_hook else None
    )
    transformers.logging.set_verbosity_error()
    logging.getLogger("transformers").propagate = False
    for chatty in ("bitsandbytes", "accelerate"):  # they warn of what is no fault, the former at every step
        logging.getLogger(chatty).setLevel(logging.ERROR)
    if gguf_module is not None:
        gguf_module.tqdm = bar_class("dequantising the weights", progress)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        transformers.logging.set_verbosity(previous_level)
        if set_hook:
            set_hook(previous_hook)
        if gguf_module is not None:
            gguf_module.tqdm = previous_bar  # type: ignore[attr-defined]
