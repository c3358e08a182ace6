"""Does each requirement's guest fail under the mutation it names? Part of ``make mutants``.

    python tests/conformance/mutants.py [WORD]    only requirements whose name contains WORD

The exit status is 1 where a guest passes, and 2 where it does not even pass without the mutation.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sdeiviz.errors import Error
from sdeiviz.sdei import profile
from tests.conformance.guests import REQUIREMENTS, run, verdict
from tests.conformance.mutation import made


def main(word: str = "") -> int:
    """Print what became of each mutation, then the requirements without one."""
    rules = profile("den0054c")
    chosen = [requirement for name, requirement in REQUIREMENTS.items() if word in name]
    named = [requirement for requirement in chosen if not requirement.mutation.startswith("none:")]
    survivors = 0
    for requirement in named:
        if verdict(run(requirement, rules)) != "PASS":
            print(f"error: unchanged, {requirement.name} does not pass", file=sys.stderr)
            return 2
        with made(requirement.mutation, rules) as changed:
            killed = verdict(run(requirement, changed)) == "FAIL"
        survivors += not killed
        result = "killed by its guest" if killed else "SURVIVED"
        print(f"{requirement.name:28} {result}  ({requirement.mutation})", flush=True)
    for requirement in chosen:
        if requirement not in named:
            why = requirement.mutation.removeprefix("none: ")
            print(f"{requirement.name:28} names no mutation  ({why})")
    print(
        f"{len(named) - survivors} of {len(named)} killed, {len(chosen) - len(named)} without one"
    )
    return int(survivors > 0)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:2]))
    except Error as error:
        print(error, file=sys.stderr)
        sys.exit(2)
