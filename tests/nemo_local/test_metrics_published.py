"""Similarity and ranking metrics against the worked examples of their authors."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.nemo_local import metrics
from include.nemo_local.errors import Invalid
from include.nemo_local.metrics import bleu, overlap, ranking

WORDS = st.lists(st.sampled_from("abcd"), max_size=9)


def metric(kind, **params):
    return metrics.build({"type": kind, "params": params}, field="m")


def test_corpus_bleu_is_that_of_the_readme_of_sacrebleu():
    # https://github.com/mjpost/sacrebleu: BLEU = 48.53 82.4/50.0/45.5/37.5 (BP = 0.943, 17 and 18 words)
    rows = [
        ("The dog bit the man.", "The dog bit the man.", "The dog had bit the man."),
        ("It wasn't surprising.", "It was not unexpected.", "No one was surprised."),
        ("The man had just bitten him.", "The man bit him first.", "The man had bitten the dog."),
    ]
    measured = metric("bleu", references=["{{ item.one }}", "{{ item.two }}"])
    for candidate, one, two in rows:
        measured.score({"one": one, "two": two}, {"output_text": candidate})
    assert measured.overall() == {"corpus": pytest.approx(48.530827009929865)}


def test_words_are_clipped_by_the_reference():
    # Papineni et al. 2002, example 2: the modified unigram precision is 2/7.
    counts = bleu.counts_of(
        "the the the the the the the", ["the cat is on the mat", "there is a cat on the mat"]
    )
    assert (counts.matched[0], counts.total[0]) == (2, 7)
    assert counts.reference_length == 7


def test_a_sentence_of_two_words_is_judged_by_the_orders_that_it_has():
    measured = metric("bleu", references=["{{ item.want }}"])
    assert measured.score({"want": "good night"}, {"output_text": "good night"}) == {
        "sentence": pytest.approx(100)
    }
    assert measured.score({"want": "good night"}, {"output_text": ""}) == {"sentence": 0.0}


def test_an_order_without_a_match_is_smoothed():
    # Precisions 3/4, 1/3, then 0/2 and 0/1, which become 1/(2*2) and 1/(4*1): the smoothing `exp`.
    measured = metric("bleu", references=["{{ item.want }}"])
    score = measured.score({"want": "a b x c"}, {"output_text": "a b c d"})["sentence"]
    assert score == pytest.approx(100 * (3 / 4 * 1 / 3 * 1 / 4 * 1 / 4) ** 0.25)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        (
            "It costs $1,234.50 (not 2-3).",
            ["It", "costs", "$", "1,234.50", "(", "not", "2", "-", "3", ")", "."],
        ),
        ("don't &amp; do-it", ["don't", "&", "do-it"]),
    ],
)
def test_words_are_split_as_mteval_does(text, tokens):
    assert bleu.tokens(text) == tokens


@pytest.mark.parametrize(
    ("candidate", "rouge_l"), [("police kill the gunman", 0.75), ("the gunman kill police", 0.5)]
)
def test_rouge_l_is_that_of_its_paper(candidate, rouge_l):
    # Lin 2004, section 3.1: both share one bigram with the reference, ROUGE-L tells them apart.
    scores = metric("rouge", ground_truth="police killed the gunman").score({}, {"output_text": candidate})
    assert scores["rouge_L_score"] == pytest.approx(rouge_l)
    assert scores["rouge_2_score"] == pytest.approx(1 / 3)
    assert scores["rouge_3_score"] == 0.0


def test_rouge_is_that_of_the_readme_of_rouge_score():
    # https://pypi.org/project/rouge-score: rouge1 6/8 and 6/9, rougeL 5/8 and 5/9 of the words.
    truth = "The quick brown fox jumps over the lazy dog"
    answer = {"output_text": "The quick brown dog jumps on the log."}
    scores = metric("rouge", ground_truth=truth).score({}, answer)
    assert scores["rouge_1_score"] == pytest.approx(2 * 6 / 17)
    assert scores["rouge_L_score"] == pytest.approx(2 * 5 / 17)


def slow_common_subsequence(left, right):
    if not left or not right:
        return 0
    if left[-1] == right[-1]:
        return 1 + slow_common_subsequence(left[:-1], right[:-1])
    return max(slow_common_subsequence(left[:-1], right), slow_common_subsequence(left, right[:-1]))


@given(left=WORDS, right=WORDS)
def test_the_common_subsequence_is_that_of_the_definition(left, right):
    assert overlap.common_subsequence(left, right) == slow_common_subsequence(left, right)


@given(left=WORDS, right=WORDS)
def test_similarities_are_1_for_the_same_and_stay_within_bounds(left, right):
    for size in (1, 2, 3):
        assert 0 <= overlap.rouge_n(left, right, size) <= 1
    assert 0 <= bleu.bleu(bleu.counts_of(" ".join(left), [" ".join(right)])) <= 100 + 1e-9
    assert overlap.rouge_l(left, left) == float(bool(left))


@pytest.mark.parametrize(
    ("truth", "answer", "exact", "f1"),
    [
        ("the Eiffel Tower", "Eiffel tower!", 1, 1),
        ("Denver Broncos", "the Denver team", 0, 0.5),
        ("a b c", "b", 0, 2 / 3),
        ("", "", 1, 1),
        ("yes", "", 0, 0),
    ],
)
def test_exact_match_and_f1_are_those_of_squad(truth, answer, exact, f1):
    for kind in ("em", "exact-match"):
        assert metric(kind, ground_truth=truth).score({}, {"output_text": answer}) == {"em_score": exact}
    scores = metric("f1", ground_truth=truth).score({}, {"output_text": answer})
    # "a" is an article: "a b c" has two words.
    assert scores == {"f1_score": pytest.approx(f1)}


RANKED = ["d1", "d2", "d3", "d4", "d5", "d6"]
GRADES = {"d1": 3, "d2": 2, "d3": 3, "d4": 0, "d5": 1, "d6": 2}


def ranked(name, ranking_, grades):
    score, cut = ranking.parse(name, field="m")
    return score(ranking_, grades, cut)


def test_ndcg_is_that_of_the_worked_example():
    # https://en.wikipedia.org/wiki/Discounted_cumulative_gain: DCG 6.861; the ideal order of these six is
    # 3 3 2 2 1 0.
    gains = [3, 2, 3, 0, 1, 2]
    found = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))
    assert found == pytest.approx(6.861, abs=5e-4)
    ideal = sum(gain / math.log2(rank + 2) for rank, gain in enumerate([3, 3, 2, 2, 1, 0]))
    assert ranked("ndcg_cut_6", RANKED, GRADES) == pytest.approx(found / ideal)
    # With d7 (3) and d8 (2) judged as well, the example's ideal is 8.740 and its nDCG 0.785.
    more = GRADES | {"d7": 3, "d8": 2}
    assert ranked("ndcg_cut_6", RANKED, more) == pytest.approx(0.785, abs=5e-4)


def test_precision_recall_and_average_precision():
    # Manning, Raghavan, Schütze 2008, section 8.4: relevant at ranks 1, 3 and 6 of six relevant ones in all.
    grades = {"d1": 1, "d3": 1, "d6": 1, "x": 1, "y": 1, "z": 1, "d2": 0}
    assert ranked("map_cut_6", RANKED, grades) == pytest.approx((1 / 1 + 2 / 3 + 3 / 6) / 6)
    assert ranked("map_cut_3", RANKED, grades) == pytest.approx((1 / 1 + 2 / 3) / 6)
    assert ranked("recall_3", RANKED, grades) == pytest.approx(2 / 6)
    assert ranked("P_10", RANKED, grades) == pytest.approx(3 / 10)


@pytest.mark.parametrize("name", ["recall_0", "recall", "mrr_5", "ndcg_10"])
def test_a_ranking_metric_that_is_not_offered_is_refused(name):
    with pytest.raises(Invalid, match=name):
        ranking.parse(name, field="m")


@pytest.mark.parametrize(
    ("check", "score"),
    [
        (["{{ sample.output_text }}", "equals", "42"], 1.0),
        (["{{ sample.output_text }}", ">=", "43"], 0.0),
        (["{{ sample.output_text }}", "lt", "1e3"], 1.0),
        (["{{ sample.output_text }}", "absolute difference", "41.9", "epsilon", 0.2], 1.0),
        (["{{ sample.output_text }}", "absolute difference", "41.9", "epsilon", 0.01], 0.0),
        (["no number", "equals", "42"], math.nan),
    ],
)
def test_number_checks_read_the_last_number(check, score):
    answer = {"output_text": "Of 7 tries the answer is 42."}
    scores = metric("number-check", check=check).score({}, answer)
    assert scores["number-check"] == pytest.approx(score, nan_ok=True)
