"""The sample day, file by file, as the README says to publish it."""

import json
import os
import subprocess

from order_stage import REPOSITORY

SAMPLE = REPOSITORY / "deploy" / "sample"


def fill(file, *outcomes, expect=0, **environment):
    done = subprocess.run(
        [str(SAMPLE / "fill"), str(file), *map(str, outcomes)], capture_output=True, text=True,
        env={**os.environ, **environment})
    assert done.returncode == expect, done.stderr
    return done.stdout


def test_each_file_of_the_sample_day_can_be_filled_in_and_published(running):
    outcomes = running.folder / "outcomes.json"
    outcomes.write_text("")
    files = sorted((SAMPLE / "day").glob("*.json"))
    assert len(files) >= 7
    for file in files:
        commands = fill(file, outcomes, SAMPLE_DAY=running.name)
        assert "{{" not in commands
        assert all(command["id"] and command["data"] for command in json.loads(commands))
        expected = 1 if file.stem.endswith("-rejected") else 0
        done = running.command_line(
            "publish", "-", "--json", input=commands, expect=expected, AMQP_URL=running.publisher_url)
        with outcomes.open("a") as all_outcomes:
            all_outcomes.write(done.stdout)
        # The same file on the same day is the same commands: sent again it gives the same outcomes.
        again = running.command_line(
            "publish", "-", "--json", input=fill(file, outcomes, SAMPLE_DAY=running.name), expect=expected,
            AMQP_URL=running.publisher_url)
        assert ids(again.stdout) == ids(done.stdout)
    running.command_line("audit")


def ids(lines):
    """The outcomes' ids, in no order: those of different customers come as they are applied."""
    return sorted(json.loads(line)["eventId"] for line in lines.splitlines() if line.strip())


def test_what_cannot_be_filled_in_is_named(tmp_path):
    file = tmp_path / "commands.json"
    file.write_text('[{"id": "{{moon phase}}"}]')
    fill(file, expect=1)
    file.write_text('[{"id": "{{transaction harbor-websites ov-ssl}}"}]')
    fill(file, expect=1)
