# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python of a host that was broken into: runs what it is given, and changes what that answers.

Put on a host as its ``ansible_python_interpreter``, with a ``lie.json`` beside it, in which may be:

- ``add``: what is laid over the answer, in dictionaries key by key. ``{"repeat": [text, times]}`` in it is a long text;
- ``deep``: how many levels the text "DEEP" in it becomes;
- ``take``: keys that are taken away;
- ``say``: what is printed in place of the answer; ``complain``, what is as errors; ``status``, how it ends;
- ``having``: words that an answer has to have for any of this;
- ``hear``: a path, to which all is added that it was given to run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t


def laid_over(answer: t.Any, lie: t.Any) -> t.Any:
    if isinstance(lie, dict) and set(lie) == {"repeat"}:
        what, times = lie["repeat"]
        return what * times
    if isinstance(lie, dict) and isinstance(answer, dict):
        return {**answer, **{key: laid_over(answer.get(key), value) for key, value in lie.items()}}
    return lie


def deepened(text: str, lie: t.Mapping[str, t.Any]) -> str:
    levels = lie.get("deep", 0)
    return text.replace('"DEEP"', '{"a": ' * levels + "1" + "}" * levels)


def hear(path: str, code: bytes) -> None:
    heard = [code]
    for word in sys.argv[1:]:
        if os.path.isfile(word):
            with open(word, "rb") as stream:
                heard.append(stream.read())
    with open(path, "ab") as stream:
        stream.write(b"\n".join(heard))


def main() -> int:
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "lie.json"), encoding="utf-8") as stream:
        lie = json.load(stream)
    code = b"" if sys.stdin.isatty() or len(sys.argv) > 1 else sys.stdin.buffer.read()
    if "hear" in lie:
        hear(lie["hear"], code)
    done = subprocess.run([sys.executable, *sys.argv[1:]], input=code, capture_output=True, check=False)
    text, status = done.stdout.decode("utf-8", "surrogateescape"), done.returncode
    try:
        answer = json.loads(text)
        # What Ansible runs beside modules, to look for a Python, answers otherwise.
        is_answer = isinstance(answer, dict) and "platform_dist_result" not in answer
    except ValueError:
        is_answer = False
    if is_answer and all(word in text for word in lie.get("having", [])):
        answer = laid_over(answer, lie.get("add", {}))
        for key in lie.get("take", []):
            answer.pop(key, None)
        text, status = deepened(json.dumps(answer), lie), lie.get("status", status)
        text = lie.get("say", text)
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stderr.buffer.write(lie.get("complain", "").encode() if is_answer else done.stderr)
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
