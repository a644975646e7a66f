"""Each recipe's own command line, run with the files, variables and exit codes that its engine gives it.

One story on one set of books, in order: a sync by systemd's unit, one by cron's line, one by the pod of Kubernetes, the night.
No order is played, so nothing is booked: what is looked at is that the command found its settings, secrets and database.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.acceptance.fix_world import World
from tests.recipes.fix_recipes import RECIPES, SECRETS, install, set_up, stub, unit, words

Json = dict[str, Any]


def run(command: list[str], env: dict[str, str], path: Path) -> subprocess.CompletedProcess[str]:
    """As an engine does: nothing of our own environment but what the recipe says."""
    return subprocess.run(
        command,
        env={"PATH": f"{path}:/usr/bin:/bin", "HOME": str(path.parent), **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def events(log: str) -> set[str | None]:
    """The events of a log; every line of it is a JSON object, the report among them."""
    return {json.loads(line).get("event") for line in log.splitlines()}


# --------------------------------------------------------------------------- against stand-ins


@pytest.fixture(scope="module")
def place(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine's folders: bin, etc/alpha, state/alpha."""
    for name in ("shop", "books"):
        world.run("connect", name)
    world.sync(codes=(0, 5))
    folder = tmp_path_factory.mktemp("machine")
    install(folder / "bin")
    set_up(world, folder / "etc" / "alpha")
    (folder / "state" / "alpha" / "backups").mkdir(parents=True)
    return folder


def of_unit(name: str, place: Path) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of a unit, its paths moved into `place`; credentials as LoadCredential makes them."""
    credentials = place / "credentials"
    credentials.mkdir(exist_ok=True)
    keys = unit(name, i="alpha", S=str(place / "state"), d=str(credentials))
    for line in keys["LoadCredential"]:
        file, source = line.split(":")
        shutil.copy(source.replace("/etc/tieout", str(place / "etc")), credentials / file)
    given = dict(line.split("=", 1) for line in keys["Environment"])
    moved = {name: _moved(value, place) for name, value in given.items()}
    return [_moved(word, place) for word in words(keys["ExecStart"][0])], moved


def _moved(text: str, place: Path) -> str:
    text = text.replace("/opt/tieout/bin", str(place / "bin")).replace("/etc/tieout", str(place / "etc"))
    return text.replace(f"{place}/state/tieout", f"{place}/state")


def test_the_unit_of_systemd_syncs_with_secrets_from_credentials_alone(world, place):
    command, env = of_unit("tieout@.service", place)

    done = run(command, env, place / "bin")

    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["drain"]["errors"] == []
    assert "command.finished" in events(done.stderr)
    assert sorted(file.name for file in (place / "credentials").iterdir()) == sorted(SECRETS)
    for line in (RECIPES / "systemd").glob("*.service"):
        assert world.database.url not in line.read_text()


def test_the_line_of_cron_syncs_and_says_nothing_when_all_is_well(world, place, tmp_path):
    etc = tmp_path / "etc"
    set_up(world, etc / "alpha", {variable: variable for variable in SECRETS.values()})
    (tmp_path / "state" / "alpha").mkdir(parents=True)
    line = next(line for line in _cron_lines() if "alpha sync" in line)
    env = {
        "TIEOUT_ETC": str(etc),
        "TIEOUT_STATE": str(tmp_path / "state"),
        "TIEOUT_LOGS": str(tmp_path),
    }

    done = run(["sh", "-c", line.split(None, 6)[6]], env, place / "bin")

    log = (tmp_path / "alpha.log").read_text()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), log[-3000:]
    assert "command.finished" in events(log)


def test_the_pod_of_kubernetes_finds_its_settings_and_secrets_in_its_mounts(place):
    container = _cron_jobs()["tieout-alpha"]["containers"][0]
    mounts = {
        "/etc/tieout": place / "etc" / "alpha",
        "/run/secrets/tieout": place / "etc" / "alpha" / "secrets",
        "/var/lib/tieout": place / "state" / "alpha",
    }
    env = {each["name"]: each["value"] for each in container["env"]}
    for name, value in env.items():
        for inside, outside in mounts.items():
            if value.startswith(inside):
                env[name] = value.replace(inside, str(outside))

    done = run(["tieout", *container["args"]], env, place / "bin")

    assert done.returncode == 0, done.stderr[-3000:]
    assert {each["mountPath"] for each in container["volumeMounts"]} == {*mounts, "/tmp"}


def test_the_night_sweeps_proves_and_backs_up(world, place):
    command, env = of_unit("tieout-night@.service", place)

    done = run(command, env, place / "bin")

    assert done.returncode == 0, done.stderr[-3000:]
    assert [line["command"] for line in _runs(world)][-2:] == ["load", "sync"]
    (backup,) = (place / "state" / "alpha" / "backups").glob("*.dump")
    assert backup.stat().st_mode & 0o777 == 0o600


def test_the_unit_that_stays_follows_the_books_until_it_is_told_to_end(place):
    command, env = of_unit("tieout-run@.service", place)
    started = subprocess.Popen(
        command,
        env={"PATH": f"{place}/bin:/usr/bin:/bin", "HOME": str(place), **env},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert started.stderr is not None
        told = next((line for line in started.stderr if '"run.started"' in line), None)
    finally:
        started.terminate()

    assert told is not None
    assert started.wait(timeout=120) == 0


def _runs(world: World) -> list[Json]:
    return world.rows("select command from cdc.runs order by started_at")


# --------------------------------------------------------------------------- systemd


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="apt-get install systemd: no systemd-analyze here"
)
def test_systemd_finds_no_mistake_in_the_units_and_calls_them_tight(tmp_path):
    ours = install(tmp_path / "bin")
    for file in (RECIPES / "systemd").glob("*.[st]*"):
        text = file.read_text().replace("/opt/tieout/bin", str(ours))
        (tmp_path / file.name.replace("@", "@alpha")).write_text(text)
        (tmp_path / file.name).write_text(text)
    units = [str(file) for file in sorted(tmp_path.glob("*@alpha.*"))]

    verified = run(["systemd-analyze", "verify", "--man=no", *units], {}, ours)
    rated = run(
        [
            "systemd-analyze",
            "security",
            "--offline=yes",
            "--threshold=20",
            f"{tmp_path}/tieout@alpha.service",
        ],
        {},
        ours,
    )

    assert len(units) == 6
    assert [line for line in verified.stderr.splitlines() if "tieout" in line] == []
    assert verified.returncode == 0
    assert rated.returncode == 0, rated.stdout[-500:]


def test_the_night_of_systemd_is_the_sync_but_for_its_command_and_folder():
    minutes, night = unit("tieout@.service"), unit("tieout-night@.service")

    differing = {key for key in minutes | night if minutes.get(key) != night.get(key)}

    assert differing == {"Description", "ExecStart", "Environment", "StateDirectory"}
    assert set(night["Environment"]) - set(minutes["Environment"]) == {
        "TIEOUT_COMMAND=/opt/tieout/bin/tieout"
    }


# --------------------------------------------------------------------------- exit codes


def test_only_codes_that_time_can_cure_are_tried_again():
    prevented = {int(code) for code in unit("tieout@.service")["RestartPreventExitStatus"][0].split()}
    failing = [
        rule["onExitCodes"]["values"]
        for job in _documents()
        if job["kind"] == "CronJob"
        for rule in job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
        if rule["action"] == "FailJob"
    ]

    stays = {int(code) for code in unit("tieout-run@.service")["RestartPreventExitStatus"][0].split()}

    assert prevented == {1, 2, 3, 5, 6}
    assert stays == {2, 3, 6}, (
        "it tries again by itself, ends with 5 never, and is started again after a mistake"
    )
    assert failing == [[1, 2, 3, 5, 6]] * 2


@pytest.mark.parametrize(
    ("codes", "worst"),
    [((0, 0, 0), 0), ((5, 0, 4), 4), ((0, 5, 0), 5), ((4, 3, 5), 3), ((6, 1, 0), 6), ((0, 0, 2), 2)],
)
def test_the_night_does_every_step_and_ends_with_the_most_urgent_code(tmp_path, codes, worst):
    sweep, prove, backup = codes
    made = stub(
        tmp_path / "bin",
        f'echo "$1" >> {tmp_path}/did\ncase $1 in load) exit {sweep};; sync) exit {prove};; *) exit {backup};; esac',
    )

    done = run(["tieout-night", str(tmp_path)], {}, made)

    assert done.returncode == worst
    assert (tmp_path / "did").read_text().split() == ["load", "sync", "backup"]


class Cron:
    """A set of books whose `tieout` ends with what a test says, called by cron again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = stub(folder / "bin", f"echo '{{\"said\": 1}}'; exit $(cat {folder}/code)")
        (folder / "etc" / "alpha" / "secrets").mkdir(parents=True)
        (folder / "state" / "alpha").mkdir(parents=True)

    def mail(self, code: int) -> str:
        """What is mailed when it ends with this."""
        (self.folder / "code").write_text(str(code))
        env = {
            "TIEOUT_ETC": str(self.folder / "etc"),
            "TIEOUT_STATE": str(self.folder / "state"),
            "TIEOUT_LOGS": str(self.folder),
        }
        done = run(["tieout-books", "alpha", "sync"], env, self.bin)
        assert done.returncode == code
        assert done.stderr == ""
        return done.stdout


def test_cron_mails_a_lasting_stop_once_new_records_each_time_and_a_wait_after_half_an_hour(tmp_path):
    cron = Cron(tmp_path)

    mailed = [
        (code, bool(cron.mail(code))) for code in (0, 3, 3, 0, 3, 5, 5, 4, 4, 4, 4, 4, 4, 4, 0, 6, 6, 1)
    ]

    assert [code for code, was in mailed if was] == [3, 3, 5, 5, 4, 6, 1]
    assert mailed[12] == (4, True), "the sixth in a row"


def test_cron_leaves_books_alone_that_it_is_still_at(tmp_path):
    cron = Cron(tmp_path)

    with (tmp_path / "state" / "alpha" / "sync.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (tmp_path / "code").write_text("1")
        env = {
            "TIEOUT_ETC": str(tmp_path / "etc"),
            "TIEOUT_STATE": str(tmp_path / "state"),
            "TIEOUT_LOGS": str(tmp_path),
        }
        done = run(["tieout-books", "alpha", "sync"], env, cron.bin)

    assert (done.returncode, done.stdout) == (0, "")


# --------------------------------------------------------------------------- Kubernetes


def test_pods_run_as_nobody_on_a_read_only_disk_and_never_beside_each_other():
    for document in _documents():
        if document["kind"] == "CronJob":
            assert document["spec"]["concurrencyPolicy"] == "Forbid"
            pod = document["spec"]["jobTemplate"]["spec"]["template"]["spec"]
            assert pod["restartPolicy"] == "Never", "what podFailurePolicy needs"
        elif document["kind"] == "Deployment":
            assert (document["spec"]["replicas"], document["spec"]["strategy"]) == (1, {"type": "Recreate"})
            pod = document["spec"]["template"]["spec"]
        else:
            continue
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod["automountServiceAccountToken"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        secret = next(each["secret"] for each in pod["volumes"] if "secret" in each)
        assert secret["defaultMode"] == 0o440
        plain = {each["name"] for each in container["env"] if not each["name"].endswith("_FILE")}
        assert plain == {"TIEOUT_SETTINGS", "TIEOUT_DATA_DIR"}, "no secret in the manifest"


def test_every_manifest_is_valid_by_the_schemas_of_kubernetes():
    validate = pytest.importorskip(
        "kubernetes_validate", reason="pip install kubernetes-validate: the schemas (70 MB) are not here"
    )
    for version in ("1.31", "1.34"):
        for document in _documents():
            validate.validate(document, version, strict=True)


def _documents() -> list[Json]:
    found: list[Json] = []
    for file in sorted((RECIPES / "kubernetes").glob("*.yaml")):
        document = yaml.safe_load(file.read_text().replace("NAME", "alpha"))
        found += document["items"] if document["kind"] == "List" else [document]
    assert len(found) == 4
    return found


def _cron_jobs() -> dict[str, Json]:
    return {
        each["metadata"]["name"]: each["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        for each in _documents()
        if each["kind"] == "CronJob"
    }


def _cron_lines() -> list[str]:
    text = (RECIPES / "cron" / "tieout.cron").read_text()
    assert text.endswith("\n")
    return [line for line in text.splitlines() if line[:1] in "*0123456789" and line]
