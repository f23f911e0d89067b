# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What AWX is told names variables, playbooks and tags that there are, and never a slice of a cluster."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml
from ansible_collections.ringfence.etcd.plugins.action import etcd_settings
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import parts
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof import pairs

COLLECTION = pathlib.Path(etcd_settings.__file__).parents[2]
AWX = COLLECTION / "extensions" / "awx"
PROJECT = AWX / "project"
Item = dict[str, t.Any]


class _Loader(yaml.SafeLoader):
    """With the tag for a text that Ansible leaves as it is."""


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def read(path: pathlib.Path) -> t.Any:
    return yaml.load(path.read_text(encoding="utf-8"), _Loader)


SPECS = read(COLLECTION / "roles" / "etcd_peer_tls" / "meta" / "argument_specs.yml")["argument_specs"]
CONFIGURATION = read(AWX / "configuration.yml")
LISTS = {name: items for name, items in CONFIGURATION.items() if name.startswith("controller_")}
TEMPLATES: list[Item] = CONFIGURATION["controller_templates"]
(CONFIGURE,) = read(AWX / "configure.yml")
# Values that the role takes, where the specification says them in its text alone.
VALUES = {"etcd_peer_tls_verify_without": pairs.WITHOUT}
# What is no job's: it checks the others' hosts, makes a CA on a workstation or tries a copy that lies there, reads a
# snapshot of the controller's, keeps one there before what is done once, or has a CA in a folder that no credential
# gives.
NO_JOBS = {"adopt", "ca", "clients", "hosts", "restore", "takeover", "verify_ca"}


def names(items: t.Iterable[Item]) -> list[str]:
    return [item["name"] for item in items]


def options_of(playbook: str) -> dict[str, Item]:
    """The variables of the role's entry point that a playbook of the project runs; all, where it is not the role's."""
    task = read(PROJECT / playbook)[-1]["tasks"][-1]
    options: dict[str, Item] = SPECS[task.get("ansible.builtin.import_role", {}).get("tasks_from", "main")]["options"]
    return options


def questions(template: Item) -> list[Item]:
    spec: list[Item] = template.get("survey_spec", {"spec": []})["spec"]
    return spec


each_template = pytest.mark.parametrize("template", TEMPLATES, ids=names(TEMPLATES))


# -- what is run ------------------------------------------------------------------------------------------------------


def test_every_playbook_is_in_the_project_and_has_a_template() -> None:
    wanted = {path.name for path in (COLLECTION / "playbooks").glob("*.yml") if path.stem not in NO_JOBS}
    assert {path.name for path in PROJECT.glob("*.yml")} - {"inventory.yml"} == wanted
    assert {template["playbook"] for template in TEMPLATES} == wanted


@pytest.mark.parametrize("path", sorted(PROJECT.glob("[!i]*.yml")), ids=lambda path: str(path.stem))
def test_a_play_of_the_project_is_the_collections(path: pathlib.Path) -> None:
    """Not an import of it: beside a playbook of the collection the project's group_vars would not count."""
    check, play = read(path)
    assert check.pop("ansible.builtin.import_playbook") == "ringfence.etcd.hosts"
    theirs, twin = read(COLLECTION / "playbooks" / path.name)
    assert theirs.pop("ansible.builtin.import_playbook") == "hosts.yml"
    assert (check, play) == (theirs, twin)


@each_template
def test_a_template_is_never_sliced_and_runs_once_at_a_time(template: Item) -> None:
    assert template["job_slice_count"] == 1 and template["ask_job_slice_count_on_launch"] is False
    assert template["allow_simultaneous"] is False
    # Any of these would be another cluster, or any word at all.
    assert not {"ask_inventory_on_launch", "ask_variables_on_launch"} & set(template)
    assert template["notification_templates_error"]


@each_template
def test_the_words_of_a_template_are_the_roles(template: Item) -> None:
    assert set(template.get("extra_vars", {})) <= set(options_of(template["playbook"]))
    known = {f"etcd_{part}" for part in parts.PARTS}
    assert set(filter(None, template.get("skip_tags", "").split(","))) <= known


def test_what_changes_a_cluster_can_be_checked_first() -> None:
    unasked = {"etcd: check", "etcd: verify", "etcd: audit", "etcd: backup", "etcd: renew"}
    assert {template["name"] for template in TEMPLATES if not template.get("ask_job_type_on_launch")} == unasked
    assert {template["name"] for template in TEMPLATES if template.get("job_type")} == {"etcd: check"}


def test_the_fence_is_proved_each_day_and_somebody_is_told() -> None:
    schedules = {one["unified_job_template"]: one["rrule"] for one in LISTS["controller_schedules"]}
    assert set(schedules) <= set(names(TEMPLATES))
    assert "FREQ=DAILY" in schedules["etcd: verify"]
    for rule in schedules.values():
        # AWX takes no start without a time zone, and no rule without an interval.
        assert re.fullmatch(r"DTSTART;TZID=\S+:\d{8}T\d{6} RRULE:FREQ=[A-Z]+;INTERVAL=1(;BYDAY=[A-Z]{2})?", rule)
    told = {name for template in TEMPLATES for name in template["notification_templates_error"]}
    assert told == set(names(LISTS["controller_notifications"]))


# -- what is asked ----------------------------------------------------------------------------------------------------


@each_template
def test_a_question_asks_for_a_variable_of_the_role(template: Item) -> None:
    options = options_of(template["playbook"])
    assert template.get("survey_enabled", False) is bool(questions(template))
    for question in questions(template):
        option = options[question["variable"]]
        kind, choices = question["type"], question.get("choices")
        taken = option.get("choices", VALUES.get(question["variable"], ()))
        if kind == "multiselect":
            assert option["type"] == "list" and set(choices) <= set(taken)
        elif kind == "multiplechoice":
            assert choices == ["false", "true"] if option["type"] == "bool" else set(choices) <= set(taken)
        else:
            assert kind == ("textarea" if option["type"] == "list" else "text") and choices is None


@each_template
def test_a_survey_is_in_the_form_that_awx_takes(template: Item) -> None:
    if "survey_spec" not in template:
        return
    assert set(template["survey_spec"]) == {"name", "description", "spec"}
    for question in questions(template):
        assert {"question_name", "question_description", "required", "type", "variable"} <= set(question)
        assert set(question) <= {"question_name", "question_description", "required", "type", "variable"} | {
            "choices",
            "default",
        }
        # A choice that nobody has to make would be refused where it is left empty.
        assert question["type"] != "multiplechoice" or question["required"]
        if question.get("choices"):
            assert all(isinstance(choice, str) for choice in question["choices"])
            assert question["default"] in ("", *question["choices"])
        assert question["required"] is not ("default" in question) or question["type"] == "multiplechoice"


def test_a_word_that_takes_away_has_to_be_answered() -> None:
    """And those of the revocation, of which one is enough, are asked for by their playbook."""
    required = {
        question["variable"]
        for template in TEMPLATES
        for question in questions(template)
        if question["required"] and question["type"] == "textarea"
    }
    assert required == {"etcd_peer_tls_removed", "etcd_peer_tls_replaced", "etcd_peer_tls_retire_ca"}


# -- the keys ---------------------------------------------------------------------------------------------------------


def test_the_credential_gives_the_roles_variables_and_nothing_else() -> None:
    (kind,) = LISTS["controller_credential_types"]
    fields = {field["id"]: field for field in kind["inputs"]["fields"]}
    # Of a text with several lines an injector of env gives the first alone, and runner keeps it in a file.
    assert set(kind["injectors"]) == {"extra_vars"}
    injected = kind["injectors"]["extra_vars"]
    for playbook in {template["playbook"] for template in TEMPLATES}:
        options = options_of(playbook)
        assert {options[name]["type"] for name in injected} == {"str"}
    assert sorted(injected.values()) == sorted(f"{{{{ {name} }}}}" for name in fields)
    assert set(kind["inputs"]["required"]) == {"certificate", "private_key"}
    assert {name for name, field in fields.items() if field.get("secret")} == {"private_key", "passphrase"}
    assert {name for name, field in fields.items() if field.get("multiline")} == {"certificate", "private_key"}
    for field in fields.values():
        assert set(field) <= {"id", "label", "type", "secret", "multiline", "help_text"} and field["type"] == "string"


def test_the_credential_is_filled_from_the_ca_of_the_playbook() -> None:
    (kind,), (credential,) = LISTS["controller_credential_types"], LISTS["controller_credentials"]
    assert credential["credential_type"] == kind["name"]
    assert list(credential["inputs"]) == [field["id"] for field in kind["inputs"]["fields"]]
    told = read(COLLECTION / "playbooks" / "ca.yml")[0]["tasks"][-1]["ansible.builtin.debug"]["msg"]
    assert kind["name"] in told[0]
    for line, field in zip(told[1:], kind["inputs"]["fields"]):
        assert line.startswith(f"{field['label']}: ")
        file = re.search(r"/(ca\.\w+)$", line)
        if file:
            assert field["help_text"].endswith(file[1]) and f"/{file[1]}'" in credential["inputs"][field["id"]]


# -- how it gets there ------------------------------------------------------------------------------------------------


def test_the_modules_are_given_all_that_the_data_has() -> None:
    tasks = {re.sub(r"[{} ]", "", task["loop"]): task for task in CONFIGURE["tasks"]}
    assert list(tasks) == list(LISTS)
    for name, items in LISTS.items():
        (module,) = [key for key in tasks[name] if key.startswith("awx.awx.")]
        passed = tasks[name][module]
        assert {key for item in items for key in item} == set(passed), name
        for key, value in passed.items():
            assert re.fullmatch(rf"{{{{ item\.{key}( \| default\(.*\))? }}}}", value), value
            assert "default(" in value or all(key in item for item in items), f"{name}: {key}"


def test_what_holds_secrets_is_told_by_no_task() -> None:
    silent = {next(key for key in task if "." in key) for task in CONFIGURE["tasks"] if task.get("no_log")}
    assert silent == {"awx.awx.credential", "awx.awx.notification_template"}


def test_names_lead_somewhere() -> None:
    """Of what is made here; the machine's credential is there before."""
    (project,), (inventory,) = LISTS["controller_projects"], LISTS["controller_inventories"]
    (source,), (image,) = LISTS["controller_inventory_sources"], LISTS["controller_execution_environments"]
    assert (source["inventory"], source["source_project"]) == (inventory["name"], project["name"])
    assert source["execution_environment"] == image["name"] and (PROJECT / source["source_path"]).exists()
    for template in TEMPLATES:
        assert (template["project"], template["inventory"]) == (project["name"], inventory["name"])
        assert template["execution_environment"] == image["name"]
        # Who changes nothing of the cluster's, and makes no stranger, needs no key of the CA's.
        wanted = [] if template["playbook"] == "audit.yml" else names(LISTS["controller_credentials"])
        assert template["credentials"][1:] == wanted
    texts = re.findall(r"\b(etcd_awx_\w+)", (AWX / "configuration.yml").read_text(encoding="utf-8"))
    assert {name for name in texts if texts.count(name) == 1} - {"etcd_awx_any_template", "etcd_awx_template"} == set()


def test_the_image_has_the_archive_of_this_version() -> None:
    definition = read(AWX / "execution-environment.yml")
    version = read(COLLECTION / "galaxy.yml")["version"]
    oldest = read(COLLECTION / "meta" / "runtime.yml")["requires_ansible"].removesuffix(".0")
    (archive,) = definition["dependencies"]["galaxy"]["collections"]
    (file,) = definition["additional_build_files"]
    assert archive["name"] == "ringfence.etcd"
    assert archive["source"] == f"{file['dest']}/ringfence-etcd-{version}.tar.gz"
    assert file["src"] == f"../../dist/ringfence-etcd-{version}.tar.gz"
    assert definition["dependencies"]["ansible_core"]["package_pip"] == f"ansible-core{oldest}"


def test_the_inventory_says_how_many_members_there_are() -> None:
    group = read(PROJECT / "inventory.yml")["etcd"]
    assert group["vars"]["etcd_peer_tls_member_count"] == len(group["hosts"]) == 3
    assert set(group["vars"]) <= set(SPECS["main"]["options"])
