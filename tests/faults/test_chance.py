"""A seed draws the same for a case, alone and after others, and however many threads draw."""

import json
from concurrent.futures import ThreadPoolExecutor

from scripts.faulting.chance import Chance
from scripts.faulting.choice import chosen
from scripts.faulting.load import Load, Questions
from scripts.faulting.scene import Profile, Scene


def scene_of(seed):
    """A scene without a rig: what it draws needs none."""
    load = Load(driver=None, questions=None)
    return Scene(rig=None, driver=None, checker=None, load=load, profile=Profile.QUICK, chance=Chance(seed, 0))


def drawn(scene, number):
    """What a case of that number draws first."""
    scene.begin(number)
    moments = [scene.rng.random() for _ in range(5)]
    by_the_clock = [scene.chance.stream("look", n).random() for n in range(3)]
    load = [(scene.load.questions.rng.random(), scene.load.questions.mixed()) for _ in range(20)]
    return moments, by_the_clock, load, [scene.questions.key() for _ in range(3)]


def test_a_case_draws_the_same_alone_and_after_others():
    alone, whole = scene_of(7), scene_of(7)
    order = [case.number for case in chosen((), profile=Profile.QUICK, seed=7)]
    first = {number: drawn(whole, number) for number in order}
    assert drawn(alone, 14) == first[14]
    assert drawn(scene_of(8), 14) != first[14]
    questions = [json.dumps(question) for told in first.values() for _, question in told[2]]
    keys = [key for told in first.values() for key in told[3]]
    assert len(set(keys)) == len(keys)
    asked = {number: {json.dumps(question) for _, question in told[2]} for number, told in first.items()}
    assert len(set(questions)) == sum(map(len, asked.values())), "two cases ask the same"


def test_threads_that_draw_at_once_move_nothing():
    one, many = Questions(Chance(7, 14)), Questions(Chance(7, 14))
    alone = [json.dumps(one.fresh()) for _ in range(100)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda _: json.dumps(many.fresh()), range(100)))
    assert sorted(together) == sorted(alone)
    assert [one.rng.random() for _ in range(3)] == [many.rng.random() for _ in range(3)]
