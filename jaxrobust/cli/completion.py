"""Completion of the console script for bash and zsh: commands, options, and the names that they take.

The words are put into the script when it is made; only experiments are looked up when it runs, in the folder
``experiments`` of the working directory.
"""

from collections.abc import Mapping

from jaxrobust.cli import figures, options
from jaxrobust.cli.cluster_words import MODES
from jaxrobust.cli.words import COMMANDS, PROTOCOLS, Option
from jaxrobust.errors import InputError
from jaxrobust.networks.names import PUBLISHED_NETWORKS
from jaxrobust.settings import no_such
from jaxrobust.studies.parameter_noise.family_words import FAMILY_WORDS

SHELLS = ("bash", "zsh")
_SCRIPT = r"""_jaxrobust() {
    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" name=""
    # bash divides words at "=", so that the name of an option stands before it
    if [[ "$word" == "=" ]]; then word="" name="$before"; fi
    if [[ "$before" == "=" ]]; then name="${COMP_WORDS[COMP_CWORD-2]}"; fi
    case "$name" in
        -exp|--exp)
            local found
            found="$(for file in experiments/*.py experiments/*/*.py; do
                [[ -e "$file" ]] && basename "$file" .py; done | grep -v '^_')"
            COMPREPLY=( $(compgen -W "$found" -- "$word") ); return ;;
        -arch|--arch) COMPREPLY=( $(compgen -W "@ARCH@" -- "$word") ); return ;;
        -protocol|--protocol) COMPREPLY=( $(compgen -W "@PROTOCOL@" -- "$word") ); return ;;
        -mode|--mode) COMPREPLY=( $(compgen -W "@MODE@" -- "$word") ); return ;;
        -*) COMPREPLY=( $(compgen -f -- "$word") ); return ;;
    esac
    case "${COMP_WORDS[1]}" in
        train) COMPREPLY=( $(compgen -W "@TRAIN@" -- "$word") ) ;;
        figures) COMPREPLY=( $(compgen -W "@FIGURES@" -- "$word") ) ;;
        completion) COMPREPLY=( $(compgen -W "@SHELLS@" -- "$word") ) ;;
        *) (( COMP_CWORD == 1 )) && COMPREPLY=( $(compgen -W "@COMMANDS@" -- "$word") ) ;;
    esac
    # no space after "-exp="
    if [[ "${COMPREPLY[0]}" == *= ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -F _jaxrobust jaxrobust
"""
_ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"


def script(shell: str) -> str:
    """The text that a shell evaluates.

    Raises:
        InputError: No shell that it is for.
    """
    if shell not in SHELLS:
        raise InputError(no_such("completion for", shell, SHELLS))
    text = _SCRIPT
    for name, words in (
        ("ARCH", (*FAMILY_WORDS, *PUBLISHED_NETWORKS)),
        ("PROTOCOL", PROTOCOLS),
        ("MODE", MODES),
        ("SHELLS", SHELLS),
        ("COMMANDS", COMMANDS),
        ("TRAIN", _typed(options.OPTIONS)),
        ("FIGURES", _typed(figures.OPTIONS)),
    ):
        text = text.replace(f"@{name}@", " ".join(words))
    return (_ZSH if shell == "zsh" else "") + text


def _typed(known: Mapping[str, Option]) -> list[str]:
    """Options as they are typed: those that take a value end in "="."""
    return [f"-{name}" if isinstance(option.default, bool) else f"-{name}=" for name, option in known.items()]
