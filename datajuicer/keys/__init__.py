"""Keys of results: `encoding` turns values into bytes, `names` finds the names of functions and classes."""

from datajuicer.keys.arrays import as_array
from datajuicer.keys.encoding import Encoder, Encoders, digest, identity, key_and_omitted, result_key
from datajuicer.keys.names import function_name, lasting_name, leads_back, module_name, vars_of, wrapped_in
from datajuicer.keys.once import MANY, encoding_once

__all__ = [
    "MANY",
    "Encoder",
    "Encoders",
    "as_array",
    "digest",
    "encoding_once",
    "function_name",
    "identity",
    "key_and_omitted",
    "lasting_name",
    "leads_back",
    "module_name",
    "result_key",
    "vars_of",
    "wrapped_in",
]
