"""A controller in a training loop."""
import math

import pytest

import regmix


@pytest.fixture
def plan(tmp_path, command):
    """What `regmix schedule` makes of trajectories in which code is worth more late."""
    with open(tmp_path / "m.csv", "w") as m, open(tmp_path / "t.csv", "w") as t:
        m.write("run,web,code\n")
        t.write("run,step,tokens,web,code\n")
        for i in range(16):
            web = (i + 0.5) / 16
            m.write(f"r{i},{web},{1 - web}\n")
            skill = 0.0
            for step in range(1, 61):
                done = step / 60
                skill += web**0.5 * (1.5 - done) + (1 - web) ** 0.5 * (0.5 + done)
                value = 1 + 5 / (1 + skill) ** 0.5
                t.write(f"r{i},{step},{100 * step},{value},{value}\n")
    tables = ["--trajectories", "t.csv", "--mixtures", "m.csv"]
    command("schedule", *tables, "--steps", 60, "--tokens", 6000, "--out", "plan")
    return tmp_path / "plan" / "controller.json"


def test_a_loop_switches_mixtures_and_continues_from_its_state(plan, tmp_path):
    # The three lines of a training loop.
    controller = regmix.Controller(plan, state=tmp_path / "online.json")
    mixture = controller.mixture
    for step in range(1, 41):
        mixture = controller.observe(step, {"web": 6 / step**0.4, "code": 6 / step**0.4}) or mixture

    assert list(mixture) == ["web", "code"] and sum(mixture.values()) == pytest.approx(1.0)
    assert mixture == controller.mixture and controller.losses == ["web", "code"]
    assert controller.last_step == 40
    decided = controller.decisions
    due = [step for step in controller.decision_steps if step <= 40]
    assert due and [d["step"] for d in decided] == due and all(d["reason"] for d in decided)
    with pytest.raises(OSError, match="another process keeps the state(.|\n)*controller.close()"):
        regmix.Controller(plan, state=tmp_path / "online.json")
    controller.close()
    with pytest.raises(ValueError, match="the controller is closed"):
        controller.observe(41, {"web": 1.0, "code": 1.0})
    with regmix.Controller(plan, state=tmp_path / "online.json") as again:
        assert (again.mixture, again.decisions, again.last_step) == (mixture, decided, 40)
    assert not (tmp_path / "online.json.lock").exists()


def test_what_cannot_be_right_does_not_end_a_training(plan, tmp_path):
    controller = regmix.Controller(plan, state=tmp_path / "online.json")
    controller.observe(10, {"web": 2.0, "code": 2.0})
    mixture = controller.mixture
    for step, losses, message in [
        (20, {"web": math.nan, "code": 2.0}, "kept the mixture: `web`: loss NaN"),
        (20, {"web": None, "code": 2.0}, "kept the mixture: `web`: loss NaN"),
        (5, {"web": 2.0, "code": 2.0}, "`step`: step 5 comes after step 10"),
        (20, {"wiki": 2.0}, "unknown loss `wiki`: expected one of web, code"),
    ]:
        with pytest.warns(RuntimeWarning, match=message):
            assert controller.observe(step, losses) is None
    assert controller.mixture == mixture and controller.last_step == 10
    # What was asked in a wrong way is an error of the program, and raised.
    with pytest.raises(TypeError, match="losses: `web` is 'low'; expected a number"):
        controller.observe(20, {"web": "low"})


def test_an_observation_that_cannot_be_kept_is_undone(plan, tmp_path):
    folder = tmp_path / "states"
    folder.mkdir()
    controller = regmix.Controller(plan, state=folder / "online.json")
    controller.observe(1, {"web": 4.0, "code": 4.0})
    before = (controller.mixture, controller.decisions, controller.last_step)
    (folder / "online.json").unlink()
    (folder / "online.json").mkdir()  # A folder in its place: it cannot be written.
    with pytest.warns(RuntimeWarning, match="kept the mixture: .*online.json"):
        assert controller.observe(30, {"web": 2.0, "code": 2.0}) is None
    assert (controller.mixture, controller.decisions, controller.last_step) == before
