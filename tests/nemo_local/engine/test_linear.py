import numpy as np

from include.nemo_local.engine.linear import CAREFUL, Ranker

SALTS = (7, 11, 13)
COMMON, RARE = 101, 202


def _learn(ranker, words, answer, times=1):
    rows = ranker.rows(
        [([1], [(word ^ 1, 0.5) for word in words]), ([2], [(w ^ 2, 0.5) for w in words])], SALTS
    )
    for _ in range(times):
        ranker.learn(rows, np.zeros(2), answer, 0.25)


def _scores(ranker, words):
    rows = ranker.rows(
        [([1], [(word ^ 1, 0.5) for word in words]), ([2], [(w ^ 2, 0.5) for w in words])], SALTS
    )
    return ranker.scores(rows, np.zeros(2))


def test_losses_fall_and_the_right_candidate_rises():
    ranker = Ranker(4096)
    rows = ranker.rows([([1, 2], []), ([3], [(4, 1.0)]), ([5], [])], SALTS)
    losses = [ranker.learn(rows, np.zeros(3), 1, 0.25) for _ in range(20)]
    assert losses[0] > losses[10] > losses[-1]
    assert int(np.argmax(ranker.scores(rows, np.zeros(3)))) == 1


def test_a_word_that_was_met_once_weighs_less_than_one_met_often():
    ranker = Ranker(4096)
    _learn(ranker, [COMMON], 0, times=20)
    _learn(ranker, [RARE], 1)
    first, second = _scores(ranker, [COMMON, RARE])
    assert first > second


def test_a_careful_ranker_hardly_learns_from_what_it_knows_already():
    moved = {}
    for start in (CAREFUL, 1e-6):
        ranker = Ranker(4096, start)
        ranker.learn(ranker.rows([([1], []), ([2], [])], SALTS), np.array([4.0, 0.0]), 0, 0.25)
        moved[start] = np.abs(ranker.weights).max()
    assert moved[CAREFUL] < 0.1 * moved[1e-6]


def test_candidates_without_features_have_their_priors():
    ranker = Ranker(64)
    priors = np.array([0.5, -1.0])
    assert ranker.scores(ranker.rows([([], []), ([], [])], SALTS), priors).tolist() == priors.tolist()
