# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs as AWX starts them, by ansible-runner, from the templates of extensions/awx: AWX itself is not there.

As AWX does it: a folder for each job; the inventory as a script, with the enabled hosts by name, or each n-th of them
for a slice; answers of a survey as texts that nobody templates; a credential as a file of variables of its own.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import typing as t
from pathlib import Path

import jinja2.sandbox
import yaml
from support import PLAY_SECONDS, Controller

Variables = t.Mapping[str, t.Any]

# What no job may leave anywhere but where AWX has put it for the job.
_HANDED_OVER = "env"


class _Loader(yaml.SafeLoader):
    """With the tag for a text that Ansible leaves as it is."""


class _Dumper(yaml.SafeDumper):
    """Each text with that tag: names, values, and those in lists."""

    def represent_data(self, data: t.Any) -> yaml.Node:
        return self.represent_scalar("!unsafe", data) if isinstance(data, str) else super().represent_data(data)


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(t.cast(yaml.ScalarNode, node)))


class Job(t.NamedTuple):
    """A finished job."""

    returncode: int
    output: str
    changed: dict[str, int]
    """By host, the tasks that changed something."""
    artifacts: dict[str, t.Any]
    """What AWX keeps of it, beside its output."""

    def one_line(self) -> str:
        return " ".join(self.output.split())


class Awx:
    """An organization with its templates, an inventory of the controller's members, and the CA's credential."""

    def __init__(self, controller: Controller, credential: Variables, **variables: t.Any) -> None:
        self._controller = controller
        self.credential: Variables | None = credential
        self.variables = dict(variables)
        self.secrets: set[str] = set()
        """What must be in no file that a job leaves."""
        folder = controller.repository / "extensions" / "awx"
        self._project = folder / "project"
        configuration = yaml.load((folder / "configuration.yml").read_text(), _Loader)
        self._templates = {template["name"]: template for template in configuration["controller_templates"]}
        (kind,) = configuration["controller_credential_types"]
        self._injectors = kind["injectors"]["extra_vars"]
        self._number = 0

    def launch(
        self,
        template: str,
        answers: Variables | None = None,
        *,
        job_type: str = "",
        part: tuple[int, int] = (1, 1),
        disabled: t.Collection[str] = (),
        group_vars: str = "",
        vault_password: str = "",
    ) -> Job:
        """Run a job of a template to its end. ``part``: the number of the slice, and of how many."""
        self._number += 1
        chosen = self._templates[template]
        folder = self._controller.folder / f"job-{self._number}"
        for name in (_HANDED_OVER, "inventory"):
            (folder / name).mkdir(parents=True)
        shutil.copytree(self._project, folder / "project")
        if group_vars:
            (folder / "project" / "group_vars").mkdir()
            (folder / "project" / "group_vars" / "etcd.yml").write_text(group_vars)
        self._write_inventory(folder, part, disabled)
        self._write_variables(folder, chosen, answers or {})
        self._write_command_line(folder, chosen, job_type, vault_password)
        try:
            job = self._run(folder, chosen["playbook"])
            self._look_for_secrets(folder)
            return job
        finally:
            shutil.rmtree(folder)

    def succeed(self, template: str, answers: Variables | None = None, **options: t.Any) -> Job:
        job = self.launch(template, answers, **options)
        assert job.returncode == 0, job.output[-16000:]
        return job

    def refuse(self, template: str, answers: Variables | None = None, **options: t.Any) -> Job:
        """A job that must be refused, without having changed anything."""
        job = self.launch(template, answers, **options)
        assert job.returncode != 0, job.output[-16000:]
        assert "Traceback" not in job.output and not any(job.changed.values()), job.output[-16000:]
        return job

    def _write_inventory(self, folder: Path, part: tuple[int, int], disabled: t.Collection[str]) -> None:
        lab, (number, count) = self._controller.lab, part
        seen = sorted(name for name in self._controller.members if name not in disabled)[number - 1 :: count]
        told = {
            "all": {"hosts": [], "children": ["etcd"], "vars": {**lab.variables(), **self.variables}},
            "etcd": {"hosts": seen},
            "_meta": {"hostvars": {name: self._host(name) for name in seen}},
        }
        script = folder / "inventory" / "hosts"
        script.write_text(f"#!/usr/bin/env python3\nprint({json.dumps(told)!r})\n")
        script.chmod(0o700)

    def _host(self, name: str) -> dict[str, t.Any]:
        host = self._controller.lab.host(name)
        own = {"remote_host_enabled": "true", "remote_host_id": host.number}
        return {"ansible_host": host.address, **own, **{key.replace("host", "tower"): own[key] for key in own}}

    def _write_variables(self, folder: Path, template: Variables, answers: Variables) -> None:
        defaults = {
            question["variable"]: question["default"]
            for question in template.get("survey_spec", {"spec": []})["spec"]
            if question["type"] in ("text", "textarea") and "default" in question
        }
        meta = {f"{who}_job_id": self._number for who in ("awx", "tower")}
        meta |= {f"{who}_job_template_name": template["name"] for who in ("awx", "tower")}
        # Those of the template itself may be templated: who writes it may do anything.
        text = yaml.safe_dump(template.get("extra_vars", {}))
        text = "" if text == "{}\n" else text
        text += yaml.dump({**defaults, **answers, **meta}, Dumper=_Dumper)
        self._hand_over(folder, "extravars", text)
        self._hand_over(folder, "settings", json.dumps({"suppress_ansible_output": True}))
        environment = {
            "AWX_PRIVATE_DATA_DIR": str(folder),
            "JOB_ID": str(self._number),
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_LOCAL_TEMP": str(folder / "home" / "tmp"),
        }
        self._hand_over(folder, "envvars", json.dumps(environment))

    def _write_command_line(self, folder: Path, template: Variables, job_type: str, vault_password: str) -> None:
        words = ["-u", "root", "-vvvv"]
        words += ["--check"] if (job_type or template.get("job_type")) == "check" else []
        words += ["--diff"] if template.get("diff_mode") else []
        words += [f"--skip-tags={template['skip_tags']}"] if "skip_tags" in template else []
        if vault_password:
            words.append("--ask-vault-pass")
            self._hand_over(folder, "passwords", json.dumps({r"Vault password:\s*?$": vault_password}))
        if self.credential is not None:
            environment = jinja2.sandbox.ImmutableSandboxedEnvironment()
            given = {
                name: environment.from_string(text).render(**self.credential) for name, text in self._injectors.items()
            }
            path = self._hand_over(folder, "credential", yaml.dump(given, Dumper=_Dumper))
            words += ["-e", f"@{path}"]
        self._hand_over(folder, "cmdline", shlex.join(words))

    @staticmethod
    def _hand_over(folder: Path, name: str, text: str) -> Path:
        path = folder / _HANDED_OVER / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def _run(self, folder: Path, playbook: str) -> Job:
        program = Path(self._controller.program[-1])
        words = [*self._controller.program[:-1], str(program.with_name("ansible-runner")), "run", str(folder)]
        words += ["-p", playbook, "-i", "job"]
        environment = self._controller.environment
        done = subprocess.run(
            self._controller.lab.controller_command(words),
            env={**environment, "PATH": f"{program.parent}:{environment['PATH']}"},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PLAY_SECONDS,
            check=False,
        )
        artifacts = folder / "artifacts" / "job"
        assert (artifacts / "rc").exists(), done.stdout + done.stderr
        stats = [
            event["event_data"]
            for event in (json.loads(path.read_text()) for path in (artifacts / "job_events").glob("*.json"))
            if event["event"] == "playbook_on_stats"
        ]
        changed = {host: count for each in stats for host, count in each["changed"].items()}
        kept = {name: value for each in stats for name, value in (each.get("artifact_data") or {}).items()}
        output = (artifacts / "stdout").read_text(errors="replace")
        return Job(int((artifacts / "rc").read_text()), output, changed, kept)

    def _look_for_secrets(self, folder: Path) -> None:
        files = [path for path in folder.rglob("*") if path.is_file() and path.parent != folder / _HANDED_OVER]
        assert len(files) > 20 and self.secrets
        for path in files:
            content = path.read_bytes()
            for secret in self.secrets:
                assert secret.encode() not in content, f"a secret is in {path.relative_to(folder)}"
