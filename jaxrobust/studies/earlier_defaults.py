"""The defaults of results that were stored before records named them: those of commit e67a440.

`earlier_defaults.json` is a golden file: by function the dependencies of that commit that had a default. A
result whose record names no defaults was computed with these, so the file never changes; present defaults
may.
"""

import json
from pathlib import Path

EARLIER: dict[str, list[str]] = json.loads(Path(__file__).with_suffix(".json").read_text())
