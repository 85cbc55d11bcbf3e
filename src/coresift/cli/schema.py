"""`coresift schema`: the JSON Schema of recipes, for editors and for looking a setting up."""


def schema() -> None:
    """Print the JSON Schema of recipes."""
    import json

    from coresift.pipeline.config import Recipe

    print(json.dumps(Recipe.model_json_schema(), indent=2))
