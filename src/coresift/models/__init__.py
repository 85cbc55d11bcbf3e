"""Language models and tokenizers: loading, adapters, rendering, batches and losses."""
