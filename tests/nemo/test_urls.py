from __future__ import annotations

import pytest

from include.nemo import NemoUrls, Service


def test_each_service_has_its_base(urls: NemoUrls) -> None:
    assert urls.of(Service.DATA_STORE) == "http://data.test"
    assert urls.of(Service.NIM_PROXY) == "http://nim.test/nim"
    for service in (Service.ENTITY_STORE, Service.DEPLOYMENT, Service.CUSTOMIZER, Service.EVALUATOR):
        assert urls.of(service) == "http://nemo.test"


def test_trailing_slashes_and_spaces_go() -> None:
    urls = NemoUrls(" http://nemo.test/ ", "http://data.test//", "http://nim.test/nim/")
    assert (urls.base_url, urls.data_store_url) == ("http://nemo.test", "http://data.test")
    assert urls.inference_url == "http://nim.test/nim"


@pytest.mark.parametrize("wrong", ["", "nemo.test", "ftp://nemo.test", "http://", "http://nemo.test?x=1"])
def test_a_wrong_url_is_named_with_the_remedy(wrong: str) -> None:
    with pytest.raises(ValueError, match="data_store_url is"):
        NemoUrls("http://nemo.test", wrong, "http://nim.test")


def test_a_secret_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="base_url") as refusal:
        NemoUrls("http://me:hunter2@nemo.test", "http://data.test", "http://nim.test")
    assert "hunter2" not in str(refusal.value)
