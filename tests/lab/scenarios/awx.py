# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs as AWX starts them, by ansible-runner, from the templates of extensions/awx: AWX itself is not there.

As AWX does it: a folder for each job; the inventory as a script, with the enabled hosts by name, or each n-th of them
for a slice; answers of a survey as texts that nobody templates; a credential as a file of variables of its own; the key
of SSH by an agent. With an image a job runs in a container of it, else on this machine.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import jinja2.sandbox
import yaml
from ringfence_lab import network, plan, podman
from support import ANY_KEY, PAIR, PKI, PLAY_SECONDS, Controller, key_lines

Variables = t.Mapping[str, t.Any]

# Nothing but digits: it is a text all the way.
PASSPHRASE = "0815472311"
VAULT_PASSWORD = "two-vaults-are-one-too-many"
NOTHING_SAID = {"etcd_peer_tls_verify_without": []}

# What no job may leave anywhere but where AWX has put it for the job.
_HANDED_OVER = "env"
# Where a container has the folder of its job.
_INSIDE = Path("/runner")
_KNOWN_HOSTS = Path("project") / "known_hosts"
# The lab's own way to its hosts, by files that no job has.
_LABS_OWN = ("ansible_ssh_private_key_file", "ansible_ssh_common_args", "ansible_control_path_dir")


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
    """An organization with its templates, an inventory of the controller's members, and the CA's credential.

    ``image``: of the containers that jobs run in; without one they run on this machine.
    """

    def __init__(self, controller: Controller, credential: Variables, image: str = "", **variables: t.Any) -> None:
        self._controller = controller
        self._image = image
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
        is_told: bool = True,
    ) -> Job:
        """Run a job of a template to its end. ``part``: the number of the slice, and of how many.

        ``is_told``: whether the job is told that it is AWX's. Who starts ansible-runner by hand tells it nothing.
        """
        self._number += 1
        chosen = self._templates[template]
        folder = self._controller.folder / f"job-{self._number}"
        for name in (_HANDED_OVER, "inventory"):
            (folder / name).mkdir(parents=True)
        shutil.copytree(self._project, folder / "project")
        shutil.copyfile(self._controller.lab.known_hosts_path, folder / _KNOWN_HOSTS)
        if group_vars:
            (folder / "project" / "group_vars").mkdir()
            (folder / "project" / "group_vars" / "etcd.yml").write_text(group_vars)
        self._write_inventory(folder, part, disabled)
        self._write_variables(folder, chosen, answers or {}, is_told)
        self._write_settings(folder, is_told)
        self._write_command_line(folder, chosen, job_type, vault_password)
        try:
            job = self._run(folder, chosen["playbook"])
            self._look_for_secrets(folder)
            if self._image:
                assert not [name for name in podman.container_names() if name.endswith(f"_{self._name}")]
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

    @property
    def _name(self) -> str:
        """Of the present job, and the end of its container's: no other lab has one of this name."""
        return f"{self._controller.lab.name}-{self._number}"

    def _seen(self, folder: Path) -> Path:
        """A job's folder, as the job sees it."""
        return _INSIDE if self._image else folder

    def _write_inventory(self, folder: Path, part: tuple[int, int], disabled: t.Collection[str]) -> None:
        lab, (number, count) = self._controller.lab, part
        seen = sorted(name for name in self._controller.members if name not in disabled)[number - 1 :: count]
        reached = {name: value for name, value in lab.variables().items() if name not in _LABS_OWN}
        options = plan.ssh_options(str(self._seen(folder) / _KNOWN_HOSTS), None)
        reached["ansible_ssh_common_args"] = shlex.join(options)
        told = {
            "all": {"hosts": [], "children": ["etcd"], "vars": {**reached, **self.variables}},
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

    def _write_variables(self, folder: Path, template: Variables, answers: Variables, is_told: bool) -> None:
        defaults = {
            question["variable"]: question["default"]
            for question in template.get("survey_spec", {"spec": []})["spec"]
            if question["type"] in ("text", "textarea") and "default" in question
        }
        told = {"job_id": self._number, "job_template_name": template["name"]} if is_told else {}
        meta = {f"{who}_{name}": value for name, value in told.items() for who in ("awx", "tower")}
        # Those of the template itself may be templated: who writes it may do anything.
        text = yaml.safe_dump(template.get("extra_vars", {}))
        text = "" if text == "{}\n" else text
        text += yaml.dump({**defaults, **answers, **meta}, Dumper=_Dumper)
        self._hand_over(folder, "extravars", text)

    def _write_settings(self, folder: Path, is_told: bool) -> None:
        lab, seen = self._controller.lab, self._seen(folder)
        settings: dict[str, t.Any] = {"suppress_ansible_output": True}
        environment = {"JOB_ID": str(self._number), "ANSIBLE_HOME": str(seen / "home")}
        environment["ANSIBLE_LOCAL_TEMP"] = str(seen / "home" / "tmp")
        # A socket's path is short.
        control_paths = str(seen / "cp") if self._image else lab.variables()["ansible_control_path_dir"]
        environment["ANSIBLE_SSH_CONTROL_PATH_DIR"] = control_paths
        if is_told:
            environment["AWX_PRIVATE_DATA_DIR"] = str(folder)
        if self._image:
            place = network.path_of(lab.name, lab.controller.name)
            settings |= {
                "process_isolation": True,
                "process_isolation_executable": "podman",
                "container_image": self._image,
                "container_options": ["--user=root", "--pull=never", f"--network=ns:{place}"],
                "container_volume_mounts": [f"{lab.hosts_file_path}:/etc/hosts:ro"],
            }
        self._hand_over(folder, "settings", json.dumps(settings))
        self._hand_over(folder, "envvars", json.dumps(environment))
        self._hand_over(folder, "ssh_key", Path(lab.private_key_path).read_text())

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
            self._hand_over(folder, "credential", yaml.dump(given, Dumper=_Dumper))
            words += ["-e", f"@{self._seen(folder) / _HANDED_OVER / 'credential'}"]
        self._hand_over(folder, "cmdline", shlex.join(words))

    @staticmethod
    def _hand_over(folder: Path, name: str, text: str) -> None:
        path = folder / _HANDED_OVER / name
        path.write_text(text)
        path.chmod(0o600)

    def _command(self) -> tuple[list[str], dict[str, str]]:
        """The words that start ansible-runner, and its environment."""
        environment = self._controller.environment
        if self._image:
            # This machine's own, beside podman: the Ansible is that of the image.
            own = {name: value for name, value in environment.items() if not name.startswith("ANSIBLE_")}
            return [str(Path(sys.executable).with_name("ansible-runner"))], {**own, **podman.environment()}
        program = Path(self._controller.program[-1])
        words = [*self._controller.program[:-1], str(program.with_name("ansible-runner"))]
        return self._controller.lab.controller_command(words), {
            **environment,
            "PATH": f"{program.parent}:{environment['PATH']}",
        }

    def _run(self, folder: Path, playbook: str) -> Job:
        words, environment = self._command()
        done = subprocess.run(
            [*words, "run", str(folder), "-p", playbook, "-i", self._name],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PLAY_SECONDS,
            check=False,
        )
        artifacts = folder / "artifacts" / self._name
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
        for place in podman.state_folders() if self._image else ():
            files += [path for path in Path(place).rglob("*") if path.is_file()]
        for path in files:
            # Of another lab's containers it may be gone.
            with contextlib.suppress(FileNotFoundError):
                content = path.read_bytes()
                for secret in self.secrets:
                    assert secret.encode() not in content, f"a secret is in {path}"


# -- an organization with a CA, and its members ----------------------------------------------------------------------


def made_ca(controller: Controller, name: str) -> dict[str, str]:
    """A CA of the playbook, as the fields of a credential."""
    folder = controller.folder / name
    given = controller.folder / f"{name}.yml"
    given.write_text(f"etcd_peer_tls_ca_directory: {folder}\netcd_peer_tls_ca_passphrase: '{PASSPHRASE}'\n")
    controller.succeed(controller.inventory(), "-e", f"@{given}", playbook=controller.named("ca"))
    certificate, key = ((folder / file).read_text() for file in ("ca.crt", "ca.key"))
    assert "ENCRYPTED" in key
    return {"certificate": certificate, "private_key": key, "passphrase": PASSPHRASE}


def organization(controller: Controller, image: str = "") -> Awx:
    """One with two bare hosts, and with all secrets that its jobs are given."""
    controller.bare()
    controller.bare_hosts(PAIR)
    made = Awx(controller, made_ca(controller, "first"), image, etcd_peer_tls_member_count=2)
    assert made.credential is not None
    made.secrets |= {PASSPHRASE, VAULT_PASSWORD, ANY_KEY, *key_lines(made.credential["private_key"])}
    # The last line may be as short as an end of anything.
    made.secrets.update(key_lines(Path(controller.lab.private_key_path).read_text())[:-1])
    return made


def nodes_keys(controller: Controller) -> dict[str, str]:
    return controller.on_each(PAIR, f"cat {PKI}/*.key")


def is_bare(controller: Controller) -> bool:
    return set(
        controller.on_each(PAIR, f"ls -d {PKI} /etc/systemd/system/etcd.service 2>/dev/null; true").values()
    ) == {""}
