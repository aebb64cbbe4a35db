"""The kinds of values that forest.toml has, each with the form that checks it."""

from typing import Annotated

from msgspec import Meta

# A form names a parser in config_formats: it checks a value more closely than its type and may rewrite it.
Text = Annotated[str, Meta(extra={"form": "text"})]
Name = Annotated[str, Meta(extra={"form": "name"})]
PathText = Annotated[str, Meta(extra={"form": "path"})]
Command = Annotated[tuple[str, ...], Meta(min_length=1, extra={"form": "command"})]
Clock = Annotated[str, Meta(extra={"form": "clock"})]
Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
