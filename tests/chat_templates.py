"""Chat templates in the shape that published models have theirs, and the control tokens that they write."""

from __future__ import annotations

from dataclasses import dataclass

_PROMPT = "{% if add_generation_prompt %}"


@dataclass(frozen=True)
class Published:
    """`end`: the token that ends the assistant's turn. `special`: tokens that decoding leaves out; `added`: others."""

    template: str
    end: str
    special: tuple[str, ...]
    added: tuple[str, ...] = ()


QWEN3 = Published(
    "{% for m in messages %}{% set content = m.content %}"
    "{% if m.role == 'assistant' and '</think>' in content %}{% set content = content.split('</think>')[-1].lstrip('\n') %}"
    "{% endif %}<|im_start|>{{ m.role }}\n{{ content }}<|im_end|>\n{% endfor %}"
    + _PROMPT
    + "<|im_start|>assistant\n{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}",
    "<|im_end|>",
    ("<|im_start|>", "<|im_end|>"),
    ("<think>", "</think>"),
)
R1 = Published(
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% endif %}{% endfor %}"
    "{% for m in messages %}{% if m.role == 'user' %}<|User|>{{ m.content }}{% elif m.role == 'assistant' %}"
    "<|Assistant|>{{ m.content.split('</think>')[-1] }}</s>{% endif %}{% endfor %}"
    + _PROMPT
    + "<|Assistant|><think>\n{% endif %}",
    "</s>",
    ("<|User|>", "<|Assistant|>"),
    ("<think>", "</think>"),
)
GPT_OSS = Published(
    "<|start|>system<|message|>You are ChatGPT. Current date: {{ strftime_now('%Y-%m-%d') }}<|end|>"
    "{% for m in messages %}{% if m.role == 'system' %}<|start|>developer<|message|># Instructions\n\n{{ m.content }}<|end|>"
    "{% elif m.role == 'user' %}<|start|>user<|message|>{{ m.content }}<|end|>"
    "{% elif loop.last and not add_generation_prompt %}<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|return|>"
    "{% else %}<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
    + _PROMPT
    + "<|start|>assistant{% endif %}",
    "<|return|>",
    ("<|start|>", "<|message|>", "<|end|>", "<|channel|>", "<|return|>"),
)
GEMMA = Published(
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('must alternate') }}"
    "{% endif %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}" + _PROMPT + "<start_of_turn>model\n{% endif %}",
    "<end_of_turn>",
    ("<start_of_turn>", "<end_of_turn>"),
    ("<h1>",),
)
MISTRAL = Published(
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set talk = messages[1:] %}"
    "{% else %}{% set talk = messages %}{% endif %}{% for m in talk %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('must alternate') }}{% endif %}"
    "{% if m.role == 'user' %}[INST] {% if loop.last and system is defined %}{{ system }}\n\n{% endif %}{{ m.content }}[/INST]"
    "{% else %} {{ m.content }}</s>{% endif %}{% endfor %}",
    "</s>",
    ("[INST]", "[/INST]"),
    ("[THINK]", "[/THINK]"),
)
LLAMA3 = Published(
    "{{ bos_token }}{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "<|start_header_id|>system<|end_header_id|>\n\nToday Date: {{ date_string }}\n\n"
    "{% if messages[0].role == 'system' %}{{ messages[0].content | trim }}{% set messages = messages[1:] %}{% endif %}"
    "<|eot_id|>{% for m in messages %}"
    "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}"
    + _PROMPT
    + "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
    "<|eot_id|>",
    ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
)
PHI3 = Published(
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}<|user|>\n{{ m.content }}<|end|>\n<|assistant|>\n"
    "{% elif m.role == 'assistant' %}{{ m.content }}<|end|>\n{% endif %}{% endfor %}",
    "<|end|>",
    ("<|user|>", "<|assistant|>", "<|end|>"),
)
GLM = Published(
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}" + _PROMPT + "<|assistant|>{% endif %}",
    "<|user|>",
    ("<|system|>", "<|user|>", "<|assistant|>"),
)
VISION = Published(
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for part in m.content %}{{ part.text }}{% endfor %}<|im_end|>\n"
    "{% endfor %}" + _PROMPT + "<|im_start|>assistant\n{% endif %}",
    "<|im_end|>",
    ("<|im_start|>", "<|im_end|>"),
)
PUBLISHED = {
    "Qwen3": QWEN3, "R1": R1, "gpt-oss": GPT_OSS, "Gemma": GEMMA, "Mistral": MISTRAL, "Llama 3": LLAMA3, "Phi-3": PHI3,
    "GLM": GLM, "vision": VISION,
}  # fmt: skip
