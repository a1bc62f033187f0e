"""The engine: models, steering, discovery, generation, evaluation, the worker thread. Never imports Textual."""
